package chord

import (
	"slices"
	"time"
)

// maxForgotten bounds how many members an operator may declare gone for good
// while they are missed.
const maxForgotten = 256

// forgetAfter is how long a ring must have been whole and the same for those who
// are gone to be struck off the list: it goes on without them, and the next
// loss is judged by its own.
const forgetAfter = time.Minute

// forget tells everybody in the view that a member is gone for good.
func (m *Member) forget(id ID, done func(ForgetReply)) {
	if id == m.self.ID {
		done(m.trustSelf())
		return
	}
	if _, lives := m.inView(id); lives {
		done(ForgetReply{Code: CodeBadRequest, Of: len(m.view)})
		return
	}
	reply := ForgetReply{Of: len(m.view)}
	waiting := 1
	end := func(ok bool) {
		if ok {
			reply.Told++
		}
		if waiting--; waiting == 0 {
			done(reply)
		}
	}
	for _, r := range m.view {
		if r.ID == m.self.ID {
			continue
		}
		waiting++
		m.askPatient(r, storeTimeout, Forsake{ID: id}, func(b Body, err error) {
			g, ok := b.(Granted)
			end(ok && g.Code == CodeOK)
		})
	}
	m.noteForgotten(id, func(err error) { end(err == nil) })
}

// forsaken handles Forsake.
func (m *Member) forsaken(env Envelope, id ID) {
	if _, lives := m.inView(id); lives {
		m.reply(env, Granted{Code: CodeBadRequest})
		return
	}
	m.noteForgotten(id, m.confirms(env))
}

func (m *Member) noteForgotten(id ID, done func(error)) {
	if !slices.Contains(m.forgotten, id) {
		if len(m.forgotten) >= maxForgotten {
			m.forgotten = slices.Delete(m.forgotten, 0, 1)
		}
		m.forgotten = append(slices.Clone(m.forgotten), id)
		m.event("forget", Ref{ID: id}, "%s is gone for good, by an operator's word", id.Short())
	}
	m.saveStateThen(done)
	m.repairSoon()
}

// remembered takes a member that lives off the lists of those that do not.
func (m *Member) remembered(id ID) {
	m.forgotten, m.missed = without(m.forgotten, id), without(m.missed, id)
}

func without(ids []ID, id ID) []ID {
	if i := slices.Index(ids, id); i >= 0 {
		return slices.Delete(slices.Clone(ids), i, i+1)
	}
	return ids
}

// miss notes that a member of whom this one knew is not there, unless gossip says that it
// is. There may be one more than are counted: then who they are is not known.
func (m *Member) miss(id ID) {
	if _, lives := m.inView(id); !lives && len(m.missed) <= maxForgotten && !slices.Contains(m.missed, id) {
		m.missed = append(slices.Clip(m.missed), id)
	}
}

// needed is how many of a range's replicas must have completed it for what
// they hold to be all there is: R, or fewer when an operator says that so many
// are gone that R cannot come back. It holds only if everybody left was asked.
func (m *Member) needed(q Quorum) int { return max(1, min(q.R, q.N-len(m.forgotten))) }

// accounted reports whether everybody of a ring of so many is either here or gone for
// good by an operator's word. Then what those have who are here is all there is, also of
// a range that none of them was ever granted: who was is gone.
func (m *Member) accounted(ring int) bool {
	return len(m.forgotten) > 0 && len(m.view)+len(m.forgotten) >= ring && len(m.missed) <= maxForgotten &&
		!slices.ContainsFunc(m.missed, func(id ID) bool { return !slices.Contains(m.forgotten, id) })
}

// trustSelf makes a member that is alone take what it holds for all there is.
func (m *Member) trustSelf() ForgetReply {
	if len(m.view) > 1 || m.phase != member || m.pred.ID != m.self.ID {
		return ForgetReply{Code: CodeBadRequest, Of: len(m.view)}
	}
	m.ring = 1
	m.claims = arcs{{From: m.self.ID, To: m.self.ID, Epoch: m.nextEpoch(max(m.given, m.claims.partly(m.self.ID, m.self.ID).highest())), Ring: 1, Holders: holdersOf([]Ref{m.self})}}
	m.event("forget", m.self, "takes what it holds for all there is, by an operator's word")
	m.saveState()
	m.repairSoon()
	return ForgetReply{Told: 1, Of: 1}
}
