package chord

// Holders names the members to whom a range was granted, each by the first four
// bytes of its identifier; what is left is zero. Two members of a ring that share
// those are taken for one, which errs to the side of waiting.
type Holders [4 * maxHolders]byte

const maxHolders = 5 // N of the largest quorum

func holdersOf(refs []Ref) (h Holders) {
	for i, r := range refs[:min(len(refs), maxHolders)] {
		copy(h[4*i:], r.ID[:4])
	}
	return h
}

// without counts the holders that are not among those given.
func (h Holders) without(ids map[ID]bool) (n int) {
	for i := 0; i < len(h); i += 4 {
		var tag [4]byte
		copy(tag[:], h[i:])
		if tag == [4]byte{} {
			continue
		}
		n++
		for id := range ids {
			if [4]byte(id[:4]) == tag {
				n--
				break
			}
		}
	}
	return n
}
