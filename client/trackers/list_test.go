package trackers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"chordtorrent/transfer"
)

func TestTheNextTierIsAskedWhenAllOfOneFail(t *testing.T) {
	broken := func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusInternalServerError) }
	a, b := newWeb(t, broken), newWeb(t, broken)
	second, third := newWeb(t, says(t, map[string]any{"interval": 60, "peers": peersOf("10.0.0.1:1")})), newWeb(t, broken)
	c, _ := newClient()
	l := c.listOf([]string{a.URL, b.URL}, []string{second.URL}, []string{third.URL})
	if got := mustAnnounce(t, l, progress(transfer.Started, 1)); len(got.Peers) != 1 {
		t.Errorf("answered %+v", got)
	}
	if len(a.events()) != 1 || len(b.events()) != 1 || len(second.events()) != 1 || len(third.events()) != 0 {
		t.Errorf("asked %v %v %v %v", a.events(), b.events(), second.events(), third.events())
	}
	// Those that failed are left alone for a while.
	l.least = time.Time{}
	mustAnnounce(t, l, progress(transfer.None, 1))
	if len(a.events()) != 1 || len(second.events()) != 2 {
		t.Errorf("then asked %v %v", a.events(), second.events())
	}
}

func TestATrackerThatWorksMovesToTheFrontOfItsTier(t *testing.T) {
	broken := newWeb(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusInternalServerError) })
	good := newWeb(t, says(t, map[string]any{"interval": 60, "peers": ""}))
	c, _ := newClient()
	l := c.listOf([]string{broken.URL + "/1", broken.URL + "/2", broken.URL + "/3", good.URL})
	mustAnnounce(t, l, progress(transfer.Started, 1))
	if l.tiers[0][0].url.String() != good.URL {
		t.Errorf("in front is %s", l.tiers[0][0].url)
	}
	if len(l.tiers[0]) != 4 {
		t.Errorf("%d trackers are left", len(l.tiers[0]))
	}
}

func TestTiersAreShuffledWithinOnly(t *testing.T) {
	c, _ := newClient()
	var first []string
	for range 200 {
		l := c.listOf([]string{"http://a/", "http://b/", "http://c/"}, []string{"http://d/"})
		if len(l.tiers) != 2 || l.tiers[1][0].url.Host != "d" {
			t.Fatalf("tiers %v", l.tiers)
		}
		first = append(first, l.tiers[0][0].url.Host)
	}
	slices.Sort(first)
	if got := strings.Join(slices.Compact(first), ""); got != "abc" {
		t.Errorf("only %s came first", got)
	}
}

func TestASilentTrackerIsOvertaken(t *testing.T) {
	silent, good := newWeb(t, hangs), newWeb(t, says(t, map[string]any{"interval": 60, "peers": peersOf("10.0.0.1:1")}))
	c, _ := newClient()
	l := c.listOf([]string{silent.URL}, []string{good.URL})
	if a := mustAnnounce(t, l, progress(transfer.Started, 1)); len(a.Peers) != 1 {
		t.Errorf("answered %+v", a)
	}
	if l.tiers[0][0].failures != 0 {
		t.Error("the one that was overtaken counts as failed")
	}
}

func TestWhoLeavesTellsThoseThatKnowOfIt(t *testing.T) {
	healthy := true
	first := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if !healthy && r.URL.Query().Get("event") != "stopped" {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		says(t, map[string]any{"interval": 60, "peers": ""})(w, r)
	})
	second, never := newWeb(t, says(t, map[string]any{"interval": 60, "peers": ""})), newWeb(t, hangs)
	c, _ := newClient()
	l := c.listOf([]string{first.URL}, []string{second.URL}, []string{never.URL})
	mustAnnounce(t, l, progress(transfer.Started, 1))
	healthy = false
	l.least = time.Time{}
	mustAnnounce(t, l, progress(transfer.None, 1)) // now by the second one
	if _, err := announce1(t, l, progress(transfer.Stopped, 1)); err != nil {
		t.Error(err)
	}
	if e := first.events(); !slices.Equal(e, []string{"started", "", "stopped"}) {
		t.Errorf("the first heard %q", e)
	}
	if e := second.events(); !slices.Equal(e, []string{"started", "stopped"}) {
		t.Errorf("the second heard %q", e)
	}
	if len(never.events()) != 0 {
		t.Errorf("the third heard %q", never.events())
	}
}

func TestLeavingDoesNotWaitForATracker(t *testing.T) {
	quiet := false
	tracker := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if quiet {
			hangs(w, r)
			return
		}
		says(t, map[string]any{"interval": 60, "peers": ""})(w, r)
	})
	c, _ := newClient()
	l := c.listOf([]string{tracker.URL})
	mustAnnounce(t, l, progress(transfer.Started, 1))
	quiet = true
	if _, err := announce1(t, l, progress(transfer.Stopped, 1)); err == nil {
		t.Error("a tracker that says nothing was told that we leave")
	}
}

func TestAnAnnounceEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{}, 1)
	web := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		hangs(w, r)
	})
	radio := newRadio(t, "127.0.0.1", func(int, []byte) [][]byte { asked <- struct{}{}; return nil })
	for _, at := range []string{web.URL, radio.url()} {
		c, _ := newClient()
		l := c.listOf([]string{at})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := l.Announce(ctx, progress(transfer.Started, 1))
			ended <- err
		}()
		<-asked
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("%s: no error", at)
		}
		if l.tiers[0][0].failures != 0 {
			t.Errorf("%s: a tracker is blamed for it", at)
		}
	}
}

func TestBackOffGrowsAndEnds(t *testing.T) {
	now := time.Now()
	tr := new(tracker)
	var last time.Duration
	for i := range 40 {
		tr.failed(errSilent, now)
		wait := tr.due.Sub(now)
		if wait <= 0 || wait > 2*lastBackOff || (i < 6 && wait <= last/2) {
			t.Errorf("failure %d: left alone for %v after %v", i+1, wait, last)
		}
		last = wait
	}
	tr.failed(&Refusal{Never: true}, now)
	if wait := tr.due.Sub(now); wait < neverAgain/2 {
		t.Errorf("one that is of no use is left alone for %v", wait)
	}
}

func TestATrackerThatKnowsNobodyIsAskedAgainSoon(t *testing.T) {
	tracker := newWeb(t, says(t, map[string]any{"interval": 1800, "min interval": 40, "peers": ""}))
	c, _ := newClient()
	if a := mustAnnounce(t, c.listOf([]string{tracker.URL}), progress(transfer.Started, 1)); a.Interval != 40*time.Second {
		t.Errorf("again in %v", a.Interval)
	}
	if a := mustAnnounce(t, c.listOf([]string{tracker.URL}), progress(transfer.Started, 0)); a.Interval != 30*time.Minute {
		t.Errorf("a seed again in %v", a.Interval)
	}
}

func TestThatNoTrackerAnswersIsSaidOnce(t *testing.T) {
	broken := newWeb(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusInternalServerError) })
	c, log := newClient()
	l := c.listOf([]string{broken.URL + "/1", broken.URL + "/2"})
	for range 3 {
		for _, tr := range l.tiers[0] {
			tr.due = time.Time{}
		}
		if _, err := announce1(t, l, progress(transfer.Started, 1)); err == nil {
			t.Error("no error")
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "trackers=2") {
		t.Errorf("said %d times: %s", n, log)
	}
}

func TestOnlyTrackersAreTaken(t *testing.T) {
	c, log := newClient()
	many := make([]string, 0, 500)
	for i := range 500 {
		many = append(many, "http://tracker/"+strings.Repeat("x", i))
	}
	l := c.listOf([]string{"wss://web.rtc/", "", "http://", "udp://no.port/announce", "http://ok/\x00", "dht://x", strings.Repeat("h", 4096+1),
		" HTTP://spaces.example/a ", "http://spaces.example/a"}, nil, many)
	if n := l.Len(); n != maxTrackers {
		t.Errorf("%d trackers", n)
	}
	if len(l.tiers) != 2 || len(l.tiers[0]) != 1 {
		t.Errorf("%d tiers, %d trackers in the first", len(l.tiers), len(l.tiers[0]))
	}
	if n := strings.Count(log.String(), "tracker left out"); n != 7 {
		t.Errorf("%d were left out: %s", n, log)
	}
}
