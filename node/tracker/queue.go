package tracker

import "container/heap"

// queue holds the swarms of a shard that the ring is to be told or asked about, the most
// urgent first. A swarm is in it once at most, and knows its place.
type queue []*swarm

// add puts a swarm in, or moves it to where it belongs now.
func (q *queue) add(s *swarm, due int64) {
	switch {
	case s.place < 0:
		s.due = due
		heap.Push(q, s)
	case s.due != due:
		s.due = due
		heap.Fix(q, s.place)
	}
}

// take gives a swarm that is due, nil: none is.
func (q *queue) take(now int64) *swarm {
	if len(*q) == 0 || (*q)[0].due > now {
		return nil
	}
	s, _ := heap.Pop(q).(*swarm)
	return s
}

func (q *queue) remove(s *swarm) {
	if s.place >= 0 {
		heap.Remove(q, s.place)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue) Push(x any) {
	s, _ := x.(*swarm)
	s.place = len(*q)
	*q = append(*q, s)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.place = -1
	return s
}
