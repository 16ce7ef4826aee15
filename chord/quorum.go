package chord

// Quorum is the arithmetic of replication in a ring of n members: N copies, W
// of them written before a write is acknowledged, R asked before a read counts.
// Invariant for hard keys: R + W = N + 1, so a read meets every acknowledged
// write.
type Quorum struct{ N, W, R int }

// QuorumOf gives the quorum of a class in a ring of n >= 1 members.
func QuorumOf(class Class, n int) Quorum {
	n = max(n, 1)
	if class == Soft {
		c := min(3, n)
		return Quorum{N: c, W: min(2, c), R: min(2, c)}
	}
	q := Quorum{N: min(5, n), W: min(3, n)}
	q.R = q.N - q.W + 1
	return q
}

// quorum is the arithmetic that holds for this member's range now: after the
// ring as it was when the range was last repaired completely, and before that
// after the ring as gossip sees it.
func (m *Member) quorum(class Class) Quorum {
	if class == Soft {
		return QuorumOf(Soft, len(m.view))
	}
	if len(m.repair.config) == 0 {
		return QuorumOf(Hard, max(m.ring, len(m.view)))
	}
	return QuorumOf(Hard, m.ring)
}

const minListLength = 12

// ListLength is L, the length of a successor list in a ring of n members:
// clamp(2·log2 n, 12, 32).
func ListLength(n int) int {
	bits := 0
	for v := n; v > 1; v >>= 1 {
		bits++
	}
	return min(max(2*bits, minListLength), 32)
}

// listLength is L as this member sees the ring, or what a test has set, so that
// rings of three and four members can be larger than their lists.
func (m *Member) listLength() int {
	if m.cfg.listLength > 0 {
		return m.cfg.listLength
	}
	return ListLength(m.size())
}
