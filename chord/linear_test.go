package chord

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// registerCall is one operation on a field: what was written, "" for a delete; of
// a read, what came out.
type registerCall struct {
	read  bool
	value string
}

var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if c := input.(registerCall); !c.read {
			return true, c.value
		}
		return output.(string) == state.(string), state
	},
}

// TestLinearizable has many clients at many members write, delete and read few
// fields while a member dies and comes back and another joins. Each field behaves
// as one register: there is an order of all that was done which nobody could tell
// from what happened (Herlihy and Wing, 1990). A write without an answer may have
// happened at any time since, or never.
func TestLinearizable(t *testing.T) {
	eachSeed(t, 16, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed, skew: 50 * time.Millisecond, loss: 0.002, late: 0.05, lateBy: 100 * time.Millisecond}, 6)
		fields := make([][]porcupine.Operation, 3)
		serial := 0
		client := func(id int) {
			ring := net.ring()
			h, field := ring[net.rng.IntN(len(ring))], net.rng.IntN(len(fields))
			key := Key(fmt.Sprint("\x01field ", field))
			call := registerCall{read: net.chance(0.6)}
			var op any = Get{Key: key}
			if !call.read {
				serial++
				u := Update{Name: "f", Delete: net.chance(0.2)}
				if !u.Delete {
					call.value = fmt.Sprint("value ", serial)
					u.Value = []byte(call.value)
				}
				op = Put{Key: key, Updates: []Update{u}}
			}
			at := len(fields[field])
			began := net.now
			if !call.read { // until it is answered
				fields[field] = append(fields[field], porcupine.Operation{ClientId: id, Input: call, Call: int64(began), Return: math.MaxInt64})
			}
			h.begin(op, func(o *simOp) {
				switch r := o.reply.(type) {
				case PutReply:
					if r.Code == CodeOK {
						fields[field][at].Return = int64(o.ended)
					}
				case GetReply:
					if (r.Code != CodeOK && r.Code != CodeNotFound) || r.Unconfirmed {
						return
					}
					out := ""
					if len(r.Fields) > 0 {
						out = string(r.Fields[0].Value)
					}
					fields[field] = append(fields[field], porcupine.Operation{ClientId: id, Input: call, Output: out, Call: int64(began), Return: int64(o.ended)})
				}
			})
		}
		for i := range 400 {
			client(i)
			net.run(net.between(0, 60*time.Millisecond))
			switch i {
			case 100:
				hosts[net.rng.IntN(6)].crash(net.chance(0.5))
			case 200:
				net.host().start()
			case 300:
				for _, h := range hosts {
					if h.m == nil {
						h.start()
					}
				}
			}
		}
		net.run(opLimit)
		for i, ops := range fields {
			if len(ops) < 20 {
				t.Errorf("field %d: only %d operations", i, len(ops))
			}
			if result := porcupine.CheckOperationsTimeout(register, ops, time.Minute); result != porcupine.Ok {
				t.Errorf("field %d: %d operations: %v", i, len(ops), result)
			}
		}
	})
}
