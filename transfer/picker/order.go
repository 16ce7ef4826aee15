package picker

// The open pieces, ordered by availability. A bucket is the run of pieces of
// one availability; every change moves a piece across the border of its bucket
// by exchanging it with the piece at the border.

// more counts one more peer that has piece i.
func (k *Picker) more(i int) {
	a := k.avail[i]
	k.avail[i]++
	if k.where[i] < 0 {
		return
	}
	k.growTo(a + 1)
	k.bound[a+1]--
	k.swap(k.where[i], k.bound[a+1])
}

// fewer counts one peer less that has piece i.
func (k *Picker) fewer(i int) {
	a := k.avail[i]
	k.avail[i]--
	if k.where[i] < 0 {
		return
	}
	k.swap(k.where[i], k.bound[a])
	k.bound[a]++
}

// growTo makes sure that there is a bucket a.
func (k *Picker) growTo(a int32) {
	for int(a)+2 > len(k.bound) {
		k.bound = append(k.bound, int32(len(k.order)))
	}
}

func (k *Picker) swap(a, b int32) {
	if a == b {
		return
	}
	x, y := k.order[a], k.order[b]
	k.order[a], k.order[b] = y, x
	k.where[x], k.where[y] = b, a
}

// closePiece takes piece i out of the open ones; the caller says where it is now.
// The hole wanders through the borders of all higher buckets to the end.
func (k *Picker) closePiece(i int) {
	for a := int(k.avail[i]); a+1 < len(k.bound); a++ {
		k.bound[a+1]--
		k.swap(k.where[i], k.bound[a+1])
	}
	k.order = k.order[:len(k.order)-1]
	k.open.Clear(i)
	for _, q := range k.list {
		if q.has.Get(i) {
			q.open--
		}
	}
}

// openPiece puts piece i back among the open ones.
func (k *Picker) openPiece(i int) {
	a := k.avail[i]
	k.growTo(a)
	k.order = append(k.order, int32(i))
	k.where[i] = int32(len(k.order) - 1)
	for b := len(k.bound) - 1; b > int(a); b-- {
		k.swap(k.where[i], k.bound[b])
		k.bound[b]++
	}
	k.open.Set(i)
	for _, q := range k.list {
		if q.has.Get(i) {
			q.open++
		}
	}
}

// rarest is the open piece that q has and the fewest have, at random among
// equals; q.open must not be zero.
func (k *Picker) rarest(q *peer) int {
	if q.open < len(k.order)/64 {
		return k.rarestOfFew(q)
	}
	for a := 0; a+1 < len(k.bound); a++ {
		bucket := k.order[k.bound[a]:k.bound[a+1]]
		if len(bucket) == 0 {
			continue
		}
		start := k.rnd.IntN(len(bucket))
		for _, i := range bucket[start:] {
			if q.has.Get(int(i)) {
				return int(i)
			}
		}
		for _, i := range bucket[:start] {
			if q.has.Get(int(i)) {
				return int(i)
			}
		}
	}
	panic("picker: a peer has open pieces, but none is in order")
}

// rarestOfFew does the same by walking the few open pieces that q has.
func (k *Picker) rarestOfFew(q *peer) int {
	best, equals := -1, 0
	for i := range q.has.EachAnd(k.open) {
		switch {
		case best < 0 || k.avail[i] < k.avail[best]:
			best, equals = i, 1
		case k.avail[i] == k.avail[best]:
			if equals++; k.rnd.IntN(equals) == 0 {
				best = i
			}
		}
	}
	return best
}
