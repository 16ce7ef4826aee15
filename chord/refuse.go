package chord

import (
	"slices"
	"time"
)

const (
	// maxNamed is how many members one message may name; lists are at most 32
	// long, and hints shorter.
	maxNamed = 64
	// maxAddrBytes bounds a member's address: a host name and a port.
	maxAddrBytes = 256 + 6
	// maxFuture is how far ahead of ring time a stamp may lie that is taken over
	// at all. Clocks may be wrong by years, and what they have stamped is merged
	// all the same; beyond a century it was no clock, and there is no room above.
	maxFuture = 100 * 365 * 24 * time.Hour
	// maxRing is more members than a ring can have.
	maxRing = 1 << 31
)

// refusal says what is impossible in a message from another member, "" if
// nothing is. What is refused has no effect: a request gets no answer, and of an
// answer it is as if it had not come.
func (m *Member) refusal(env Envelope) string {
	if env.From.ID == m.self.ID || env.From.IsZero() {
		return "impossible_id"
	}
	switch b := env.Body.(type) {
	case Neighbors:
		return first(impossibleRefs(b.Pred, b.Succ), impossibleRing(b.Elder))
	case Departing:
		return impossibleRefs(b.Pred, b.Succ)
	case OwnerHint:
		return impossibleRefs(b.Pred, b.Next)
	case ForwardedGet:
		return impossibleRefs(b.Hint, nil)
	case ForwardPut:
		return m.impossibleStamps(1, func(int) Stamp { return b.Tried })
	case ForwardedPut:
		return first(impossibleRefs(b.Hint, nil), m.impossibleStamps(1, func(int) Stamp { return b.Reply.Stamp }))
	case Forsake:
		if b.ID == (ID{}) {
			return "impossible_id"
		}
	case MergeFields:
		if len(b.Key) > MaxKeyBytes {
			return "name_too_long"
		}
		return m.impossibleFields(b.Fields)
	case Fields:
		return m.impossibleFields(b.Fields)
	case Stamps:
		if len(b.Items) > maxStamps {
			return "too_many"
		}
		return first(impossibleClaim(b.Claim), m.impossibleStamps(len(b.Items), func(i int) Stamp { return b.Items[i].Stamp }))
	case Merged:
		return impossibleClaim(b.Claim)
	case Summary:
		if len(b.Claims) > maxPieces {
			return "too_many"
		}
		for _, a := range b.Claims {
			if reason := first(impossibleRing(a.Ring), impossibleRing(a.Next.Ring)); reason != "" {
				return reason
			}
		}
		return impossibleClaim(b.Claim)
	case Grant:
		if b.To != env.From.ID {
			return "foreign_range" // only its owner grants a range
		}
		return impossibleRing(b.Ring)
	case Prepare:
		if b.To != env.From.ID {
			return "foreign_range"
		}
		return impossibleRing(b.Next.Ring)
	case Purge:
		if b.To != env.From.ID {
			return "foreign_range"
		}
	}
	return ""
}

func first(reasons ...string) string {
	i := slices.IndexFunc(reasons, func(r string) bool { return r != "" })
	if i < 0 {
		return ""
	}
	return reasons[i]
}

// impossibleRefs looks at members that are named, one and a list: the zero Ref
// stands for none.
func impossibleRefs(one Ref, list []Ref) string {
	if len(list) >= maxNamed {
		return "too_many"
	}
	if impossibleRef(one) || slices.ContainsFunc(list, impossibleRef) {
		return "impossible_id"
	}
	return ""
}

func impossibleRef(r Ref) bool {
	return r != Ref{} && (r.ID == (ID{}) || r.Addr == "" || len(r.Addr) > maxAddrBytes)
}

func impossibleClaim(c Claim) string {
	return first(impossibleRing(c.Ring), impossibleRing(c.Next.Ring))
}

func impossibleRing(n int) string {
	if n < 0 || n > maxRing {
		return "impossible_ring"
	}
	return ""
}

func (m *Member) impossibleFields(fields []Field) string {
	for _, f := range fields {
		if reason := tooLarge(f); reason != "" {
			return reason
		}
	}
	return m.impossibleStamps(len(fields), func(i int) Stamp { return fields[i].Stamp })
}

// tooLarge says which limit a field exceeds, "" if none.
func tooLarge(f Field) string {
	switch {
	case len(f.Value) > MaxValueBytes:
		return "value_too_large"
	case len(f.Name) > MaxFieldBytes:
		return "name_too_long"
	}
	return ""
}

func (m *Member) impossibleStamps(n int, stamp func(int) Stamp) string {
	limit := m.ringMillis() + maxFuture.Milliseconds()
	for i := range n {
		if stamp(i).Millis() > limit {
			return "stamp_in_future"
		}
	}
	return ""
}
