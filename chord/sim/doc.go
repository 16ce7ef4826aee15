// Package sim answers one question: how does a ring far larger than one machine
// can run behave?
//
// Its main type is [World]: up to hundreds of thousands of chord.Members in
// virtual time, in one goroutine, over a network of small random delays. Members
// are the real ones; their disks are in memory, and messages weigh what package
// rpc would write. Everything random comes from one seed, so a run can be
// repeated. It begins with a ring that stands and is right, as measuring how
// one grows would take longer than what is to be measured.
//
// cmd/chordsim runs it. The correctness of small rings under every kind of
// fault is the business of package chord's own tests.
//
//	queue.go    what happens next
//	world.go    members, messages, time
//	warm.go     the ring that it begins with
//	churn.go    deaths and joins
//	lookups.go  what is asked, and whether the answers are right
//	result.go   what came out
//	load.go     how evenly keys fall on members
package sim
