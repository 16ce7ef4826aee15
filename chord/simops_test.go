package chord

import (
	"fmt"
	"time"
)

// simOp is a client's operation at a host.
type simOp struct {
	net   *simNet
	host  *simHost
	op    any
	began Time
	ended Time
	reply any
	lost  bool // the host went down before it answered
	then  func(*simOp)
}

func (o *simOp) done() bool { return o.reply != nil || o.lost }

// outcome shows the reply to people.
func (o *simOp) outcome() string {
	switch r := o.reply.(type) {
	case PutReply:
		return showPut(r)
	case GetReply:
		return showGet(r)
	}
	return fmt.Sprintf("%+v", o.reply)
}

func (o *simOp) end(reply any) {
	if o.reply != nil {
		o.net.fatalf("%s was answered twice", o)
	}
	o.reply, o.ended = reply, o.net.now
	if *traceFlag {
		o.net.logf("%s: %s", o, o.outcome())
	}
	if o.then != nil {
		o.then(o)
	}
}

// begin starts an operation; then, if not nil, is called with its reply.
func (h *simHost) begin(op any, then func(*simOp)) *simOp {
	net := h.net
	if h.m == nil {
		net.fatalf("an operation at %s, which is down", h)
	}
	net.tokens++
	token := net.tokens
	o := &simOp{net: net, host: h, op: op, began: net.now, then: then}
	h.ops[token] = o
	net.logf("%s begins", o)
	h.call(h.boot, func(m *Member, now Time) { m.Do(now, token, op) })
	return o
}

// opLimit is when the simulation gives an operation up: the Member promises
// to end each within its OpTimeout.
const opLimit = 11 * time.Second

// do runs the network until the operation has ended.
func (h *simHost) do(op any) any {
	h.net.t.Helper()
	o := h.begin(op, nil)
	h.net.wait(o, opLimit, o.done)
	if o.lost {
		h.net.fatalf("%s went down under %s", h, o)
	}
	return o.reply
}

func (h *simHost) get(key Key) GetReply {
	h.net.t.Helper()
	return h.do(Get{Key: key}).(GetReply)
}

func (h *simHost) status() Status {
	h.net.t.Helper()
	return h.do(GetStatus{}).(Status)
}

// mustPut fails the test unless the write is acknowledged with W copies.
func (h *simHost) mustPut(key Key, name, value string) PutReply {
	h.net.t.Helper()
	r := h.put(key, name, value)
	if r.Code != CodeOK || r.Copies < r.Want {
		h.net.fatalf("put %q %q at %s: %s", key, name, h, showPut(r))
	}
	return r
}

// mustGet fails the test unless the map is exactly these names and values,
// as a quorum says.
func (h *simHost) mustGet(key Key, want ...string) {
	h.net.t.Helper()
	r := h.get(key)
	if got := pairs(r.Fields); r.Code != CodeOK || r.Unconfirmed || fmt.Sprint(got) != fmt.Sprint(want) {
		h.net.fatalf("get %q at %s: %s, want %q", key, h, showGet(r), want)
	}
}

// pairs lists names and values in turn.
func pairs(fields []Field) []string {
	out := []string{}
	for _, f := range fields {
		out = append(out, f.Name, string(f.Value))
	}
	return out
}

var codeNames = map[Code]string{CodeOK: "OK", CodeNotFound: "NotFound", CodeNotReady: "NotReady", CodeUnavailable: "Unavailable",
	CodeTooLarge: "TooLarge", CodeBadRequest: "BadRequest", CodeStore: "Store", CodeLeaving: "Leaving", CodeDegraded: "Degraded", CodeNotOwner: "NotOwner"}

func showPut(r PutReply) string {
	return fmt.Sprintf("%s, %d of %d copies, stamp %d", codeNames[r.Code], r.Copies, r.Want, r.Stamp)
}

func showGet(r GetReply) string {
	unconfirmed := ""
	if r.Unconfirmed {
		unconfirmed = ", unconfirmed"
	}
	return fmt.Sprintf("%s%s, %d fields of %d, more %v: %.200q", codeNames[r.Code], unconfirmed, len(r.Fields), r.Total, r.More, pairs(r.Fields))
}

func (o *simOp) String() string {
	switch op := o.op.(type) {
	case Put:
		var names []string
		for _, u := range op.Updates {
			names = append(names, fmt.Sprintf("%s=%.20q", u.Name, u.Value))
		}
		return fmt.Sprintf("put %q %.120q at %s", op.Key, names, o.host)
	case Get:
		return fmt.Sprintf("get %q (prefix %q, after %q) at %s", op.Key, op.Prefix, op.After, o.host)
	}
	return fmt.Sprintf("%T at %s", o.op, o.host)
}

func (h *simHost) put(key Key, name, value string) PutReply {
	h.net.t.Helper()
	return h.do(Put{Key: key, Updates: []Update{{Name: name, Value: []byte(value)}}}).(PutReply)
}
