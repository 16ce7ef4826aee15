package chord

import (
	"net/netip"
	"slices"
	"strings"
)

// host is the part of a member's address that tells machines apart.
func host(r Ref) string {
	if ap, err := netip.ParseAddrPort(r.Addr); err == nil {
		return ap.Addr().String()
	}
	h, _, _ := strings.Cut(r.Addr, ":")
	return h
}

// listed reports whether a member is in a list of them.
func listed(list []Ref, id ID) bool {
	return slices.ContainsFunc(list, func(r Ref) bool { return r.ID == id })
}

// replicas gives the members that should hold this member's range: itself and
// the n-1 that follow, on distinct hosts while there are enough of those.
func (m *Member) replicas(n int) []Ref {
	set := []Ref{m.self}
	hosts := map[string]bool{host(m.self): true}
	for _, r := range m.succ {
		if len(set) < n && !hosts[host(r)] {
			hosts[host(r)] = true
			set = append(set, r)
		}
	}
	for _, r := range m.succ {
		if len(set) >= n {
			break
		}
		if !listed(set, r.ID) {
			set = append(set, r)
		}
	}
	return set
}

// writeSet is everybody a write goes to: those that count now, and those that
// will once the range is repaired.
func (m *Member) writeSet(class Class) []Ref {
	set := m.replicas(QuorumOf(class, m.size()).N)
	if class == Hard {
		add := func(counting []Ref) {
			for _, r := range counting {
				if !listed(set, r.ID) {
					set = append(set, r)
				}
			}
		}
		add(m.repair.config)
		for _, a := range m.repair.attempts {
			add(a.set)
		}
	}
	return set
}

// readSet is everybody who may be asked: the writeSet, and while this member is
// still filling also those that may have held the range before others joined.
func (m *Member) readSet(class Class) []Ref {
	set := m.writeSet(class)
	if class == Hard && !m.repair.complete {
		set = m.widened(set)
	}
	return set
}

// widened adds successors behind a replica set, as many as it has members.
func (m *Member) widened(set []Ref) []Ref {
	want := 2 * len(set)
	for _, r := range m.succ {
		if len(set) < want && !listed(set, r.ID) {
			set = append(set, r)
		}
	}
	return set
}
