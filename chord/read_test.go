package chord

import "testing"

// TestAReadBegunBeforeTheGrantIsDoneAgain has a member finish a read that it began
// when it owned the range and was still filling: it had nothing itself, and by the
// grant that has come into force meanwhile its own word would be enough.
func TestAReadBegunBeforeTheGrantIsDoneAgain(t *testing.T) {
	net, _ := ringOf(t, simOptions{seed: testSeed(t, 1)}, 3)
	key := Key("\x01k")
	for _, h := range net.ring() {
		if !h.m.owns(HashKey(key)) {
			continue
		}
		h.mustPut(key, "f", "v")
		var reply *GetReply
		h.call(h.boot, func(m *Member, now Time) {
			r := &reading{op: Get{Key: key}, deadline: now.Add(opLimit), patience: now.Add(readPatience), done: func(r GetReply) { reply = &r }}
			r.whom, r.answers, r.asked = m.replicas(3), map[ID]Stamps{m.self.ID: {}}, true
			m.decide(r)
		})
		net.wait("an answer", opLimit, func() bool { return reply != nil })
		if reply.Code != CodeOK || len(reply.Fields) != 1 || reply.Unconfirmed {
			t.Errorf("read %s", showGet(*reply))
		}
	}
}
