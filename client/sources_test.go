package client

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer"
)

// scripted is an announcer that answers as its test says.
type scripted struct {
	asked   chan transfer.Progress
	answers chan transfer.Answer // closed: it fails
}

func newScripted() *scripted {
	return &scripted{asked: make(chan transfer.Progress, 10), answers: make(chan transfer.Answer, 10)}
}

func (s *scripted) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	s.asked <- p
	select {
	case a, ok := <-s.answers:
		if !ok {
			return transfer.Answer{}, errors.New("broken")
		}
		return a, nil
	case <-ctx.Done():
		return transfer.Answer{}, ctx.Err()
	}
}

func peersAt(addrs ...string) (peers []netip.AddrPort) {
	for _, a := range addrs {
		peers = append(peers, netip.MustParseAddrPort(a))
	}
	return peers
}

func TestSourcesDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	quick, slow := newScripted(), newScripted()
	s := w.client(newStorage(t)).sourcesOf(slow, quick)
	quick.answers <- transfer.Answer{Peers: peersAt("10.0.0.1:1"), Interval: time.Hour}
	a, err := s.Announce(t.Context(), transfer.Progress{Event: transfer.Started})
	if err != nil || len(a.Peers) != 1 || a.Interval != sourceLook {
		t.Errorf("%+v, %v", a, err)
	}
	if first, second := <-quick.asked, <-slow.asked; first.Event != transfer.Started || second.Event != transfer.Started {
		t.Errorf("told %v and %v", first.Event, second.Event)
	}
	// The engine has run out of peers: who is not busy is asked again, and what the slow one
	// has said meanwhile is told.
	quick.answers <- transfer.Answer{Interval: time.Hour}
	slow.answers <- transfer.Answer{Peers: peersAt("10.0.0.2:2"), Interval: 30 * time.Minute}
	a, err = s.Announce(t.Context(), transfer.Progress{})
	if err != nil || len(a.Peers) != 1 || a.Peers[0] != peersAt("10.0.0.2:2")[0] {
		t.Errorf("%+v, %v", a, err)
	}
	if p := <-quick.asked; p.Event != transfer.None {
		t.Errorf("told %v", p.Event)
	}
	if err := stopSources(t, s); err != nil {
		t.Error(err)
	}
}

func stopSources(t *testing.T, s *sources) error {
	t.Helper()
	for _, from := range s.each {
		if sc, ok := from.Announcer.(*scripted); ok {
			select {
			case sc.answers <- transfer.Answer{}:
			default:
			}
		}
	}
	_, err := s.Announce(t.Context(), transfer.Progress{Event: transfer.Stopped})
	return err
}

func TestOnlyThoseThatHaveHeardAreToldOfTheEnd(t *testing.T) {
	w := newWorld(t)
	heard, silent, broken := newScripted(), newScripted(), newScripted()
	close(broken.answers)
	s := w.client(newStorage(t)).sourcesOf(heard, silent, broken)
	heard.answers <- transfer.Answer{Peers: peersAt("10.0.0.1:1"), Interval: time.Hour}
	if _, err := s.Announce(t.Context(), transfer.Progress{Event: transfer.Started}); err != nil {
		t.Fatal(err)
	}
	heard.answers <- transfer.Answer{}
	if _, err := s.Announce(t.Context(), transfer.Progress{Event: transfer.Stopped}); err != nil {
		t.Error(err)
	}
	<-heard.asked
	if p := <-heard.asked; p.Event != transfer.Stopped {
		t.Errorf("told %v", p.Event)
	}
	if len(silent.asked) != 1 || len(broken.asked) > 1 {
		t.Errorf("asked %d and %d times", len(silent.asked), len(broken.asked))
	}
}

func TestCompletedIsToldToAllThatHaveHeard(t *testing.T) {
	w := newWorld(t)
	one, other := newScripted(), newScripted()
	s := w.client(newStorage(t)).sourcesOf(one, other)
	for _, event := range []transfer.Event{transfer.Started, transfer.Completed} {
		one.answers <- transfer.Answer{Interval: time.Hour}
		other.answers <- transfer.Answer{Interval: 2 * time.Hour}
		a, err := s.Announce(t.Context(), transfer.Progress{Event: event})
		if err != nil || a.Interval < 59*time.Minute || a.Interval > time.Hour {
			t.Errorf("%+v, %v", a, err)
		}
		if p, q := <-one.asked, <-other.asked; p.Event != event || q.Event != event {
			t.Errorf("told %v and %v, want %v", p.Event, q.Event, event)
		}
	}
	if err := stopSources(t, s); err != nil {
		t.Error(err)
	}
}

// A magnet link is given up by a client that closes, whatever its announce is at.
func TestTheEndWaitsForAnAnnounceUnderWay(t *testing.T) {
	w := newWorld(t)
	slow := newScripted()
	s := w.client(newStorage(t)).sourcesOf(slow)
	announced := make(chan error, 1)
	go func() {
		_, err := s.Announce(t.Context(), transfer.Progress{Event: transfer.Started})
		announced <- err
	}()
	<-slow.asked
	s.end()
	if err := <-announced; err != nil || s.busy() != 0 {
		t.Errorf("%v, %d are still asked", err, s.busy())
	}
}
