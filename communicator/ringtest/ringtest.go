// Package ringtest answers: how do the ring's maps behave towards a client,
// when there is no ring at hand?
//
// Its [Ring] keeps maps in memory and answers the operations of package chord
// as a ring does: stamps that only grow, tombstones, expiry by a clock that
// the test sets, pages, random samples, size limits. A test can look at every
// operation as it comes and make it fail before or after it was applied
// ([Ring.Intercept]). Serve puts a Ring behind a real loopback port.
//
// It is for the tests of the packages communicator and client; all methods
// are safe for concurrent use. It leaves to others everything that needs more
// than one member: quorums, replicas, moving data.
package ringtest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"chordtorrent/chord"
)

// Ring is a whole ring in one process's memory. It implements
// communicator.Caller.
type Ring struct {
	mu        sync.Mutex
	now       time.Time
	rand      *rand.Rand
	stamp     chord.Stamp
	maps      map[chord.Key]map[string]chord.Entry
	calls     int
	ids       uint64
	copies    int
	unconfirm bool
	status    chord.Status
	intercept func(n int, op any) *Fault
}

// Fault is what a test wants to happen to an operation.
type Fault struct {
	// Code, unless CodeOK, is the answer's outcome.
	Code chord.Code
	// Err, unless nil, is returned instead of an answer: a lost connection.
	Err error
	// Applied: a Put is carried out although its answer is the fault.
	Applied bool
	// Before, unless nil, runs first, without any lock held: it may call the
	// ring, to put another client's operation just there, or wait.
	Before func(ctx context.Context)
}

// New makes an empty ring whose randomness comes from seed. Its clock stands
// at a fixed date until Advance moves it; three members hold each write.
func New(seed uint64) *Ring {
	return &Ring{
		now:    time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		rand:   rand.New(rand.NewPCG(seed, seed)),
		maps:   make(map[chord.Key]map[string]chord.Entry),
		copies: 3,
		ids:    1000,
		status: chord.Status{State: "member"},
	}
}

// Now is the ring's time.
func (r *Ring) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Advance moves the ring's clock on.
func (r *Ring) Advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// SetCopies sets how many members hold a write from now on. With fewer than
// two a Put is answered as degraded.
func (r *Ring) SetCopies(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copies = n
}

// SetUnconfirmed marks every read's answer as one that too few replicas could
// vouch for.
func (r *Ring) SetUnconfirmed(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unconfirm = on
}

// SetStatus sets the answer to GetStatus.
func (r *Ring) SetStatus(s chord.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = s
}

// SetTrackers sets the trackers that the ring tells of.
func (r *Ring) SetTrackers(tiers [][]string) { r.SetStatus(chord.Status{Trackers: tiers}) }

// Intercept has f look at each operation from now on, with the number of
// operations seen so far; nil lets it pass. f is called without any lock held
// and may be called concurrently.
func (r *Ring) Intercept(f func(n int, op any) *Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.intercept = f
}

// Calls is the number of operations seen so far.
func (r *Ring) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// Dump gives the live fields of a map, in order of their names.
func (r *Ring) Dump(key chord.Key) []chord.Field {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live(key, "")
}

// Keys gives the keys that have live fields, in byte order.
func (r *Ring) Keys() []chord.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []chord.Key
	for k := range r.maps {
		if len(r.live(k, "")) > 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// Call carries out chord.Get, chord.Put, chord.AssignID and chord.GetStatus.
// Its error is ctx's or an injected one.
func (r *Ring) Call(ctx context.Context, op any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	n, intercept := r.calls, r.intercept
	r.calls++
	r.mu.Unlock()

	var fault *Fault
	if intercept != nil {
		fault = intercept(n, op)
	}
	if fault == nil {
		return r.apply(op)
	}
	if fault.Before != nil {
		fault.Before(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if fault.Code == chord.CodeOK && fault.Err == nil {
		return r.apply(op)
	}
	if fault.Applied {
		if _, err := r.apply(op); err != nil {
			return nil, err
		}
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return r.failed(op, fault.Code)
}

func (r *Ring) failed(op any, code chord.Code) (any, error) {
	switch op.(type) {
	case chord.Get:
		return chord.GetReply{Code: code}, nil
	case chord.Put:
		return chord.PutReply{Code: code, Copies: 1, Want: 2}, nil
	case chord.AssignID:
		return chord.AssignIDReply{Code: code}, nil
	}
	return nil, fmt.Errorf("ringtest: a %T has no code to fail with", op)
}

func (r *Ring) apply(op any) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch op := op.(type) {
	case chord.Get:
		return r.get(op), nil
	case chord.Put:
		return r.put(op), nil
	case chord.AssignID:
		r.ids++
		return chord.AssignIDReply{ClientID: r.ids}, nil
	case chord.GetStatus:
		return r.status, nil
	}
	return nil, fmt.Errorf("ringtest: no operation is called %T", op)
}

func (r *Ring) live(key chord.Key, prefix string) []chord.Field {
	var fields []chord.Field
	for name, e := range r.maps[key] {
		if e.Deleted || (e.Expires != 0 && e.Expires <= r.now.UnixMilli()) || !strings.HasPrefix(name, prefix) {
			continue
		}
		e.Value = slices.Clone(e.Value)
		fields = append(fields, chord.Field{Name: name, Entry: e})
	}
	slices.SortFunc(fields, func(a, b chord.Field) int { return cmp.Compare(a.Name, b.Name) })
	return fields
}

func (r *Ring) get(op chord.Get) chord.GetReply {
	if op.Key == "" || len(op.Key) > chord.MaxKeyBytes || len(op.Prefix) > chord.MaxFieldBytes || len(op.After) > chord.MaxFieldBytes {
		return chord.GetReply{Code: chord.CodeBadRequest}
	}
	all := r.live(op.Key, op.Prefix)
	rep := chord.GetReply{Total: len(all), Unconfirmed: r.unconfirm}
	if len(all) == 0 {
		rep.Code = chord.CodeNotFound
		return rep
	}
	if op.Sample > 0 && op.Sample < len(all) {
		r.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:op.Sample]
		slices.SortFunc(all, func(a, b chord.Field) int { return cmp.Compare(a.Name, b.Name) })
	}
	limit := op.Limit
	if limit <= 0 || limit > chord.MaxGetBytes {
		limit = chord.MaxGetBytes
	}
	size := 0
	for _, f := range all {
		if f.Name <= op.After && op.After != "" {
			continue
		}
		size += len(f.Name) + len(f.Value)
		if size > limit && len(rep.Fields) > 0 {
			rep.More = true
			break
		}
		rep.Fields = append(rep.Fields, f)
	}
	return rep
}

func (r *Ring) put(op chord.Put) chord.PutReply {
	const want = 2
	if op.Key == "" || len(op.Key) > chord.MaxKeyBytes || len(op.Updates) == 0 {
		return chord.PutReply{Code: chord.CodeBadRequest, Want: want}
	}
	size := 0
	for _, u := range op.Updates {
		size += len(u.Name) + len(u.Value)
		if len(u.Name) > chord.MaxFieldBytes || len(u.Value) > chord.MaxValueBytes {
			return chord.PutReply{Code: chord.CodeTooLarge, Want: want}
		}
	}
	if size > chord.MaxPutBytes {
		return chord.PutReply{Code: chord.CodeTooLarge, Want: want}
	}
	r.stamp = max(r.stamp+1, chord.Stamp(r.now.UnixMilli())<<16)
	m := r.maps[op.Key]
	if m == nil {
		m = make(map[string]chord.Entry)
		r.maps[op.Key] = m
	}
	for _, u := range op.Updates {
		e := chord.Entry{Stamp: r.stamp, Deleted: u.Delete}
		if !u.Delete {
			e.Value = slices.Clone(u.Value)
		}
		if u.TTL > 0 {
			e.Expires = r.now.Add(u.TTL).UnixMilli()
		}
		m[u.Name] = e
	}
	rep := chord.PutReply{Stamp: r.stamp, Copies: r.copies, Want: want}
	if r.copies < want {
		rep.Code = chord.CodeDegraded
	}
	return rep
}
