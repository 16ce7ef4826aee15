package trackers

import (
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"chordtorrent/transfer"
)

func TestAnAnnounceSaysEverythingOnce(t *testing.T) {
	tracker := newWeb(t, says(t, map[string]any{"interval": 900, "min interval": 300, "tracker id": "you & me", "peers": peersOf("10.0.0.1:6881")}))
	c, _ := newClient()
	l := c.listOf([]string{tracker.URL + "/secret/announce?pass=x%26y"})
	a := mustAnnounce(t, l, progress(transfer.Started, 1000))
	if len(a.Peers) != 1 || a.Peers[0].String() != "10.0.0.1:6881" || a.Interval != 900*time.Second {
		t.Errorf("answered %+v", a)
	}
	// Peers have run out, but the tracker's least interval has not passed.
	if a := mustAnnounce(t, l, progress(transfer.None, 900)); a.Peers != nil || a.Interval <= 0 || a.Interval > 900*time.Second {
		t.Errorf("answered %+v", a)
	}
	mustAnnounce(t, l, progress(transfer.Completed, 0))
	asked := tracker.questions()
	if len(asked) != 2 {
		t.Fatalf("asked %d times", len(asked))
	}
	want := map[string]string{"info_hash": string(infoHash[:]), "peer_id": "-CT0001-abcdefghijkl", "port": "7001", "uploaded": "5", "downloaded": "7",
		"left": "1000", "compact": "1", "event": "started", "pass": "x&y", "numwant": "100"}
	for key, value := range want {
		if got := asked[0].Get(key); got != value {
			t.Errorf("%s is %q, want %q", key, got, value)
		}
	}
	if key := asked[0].Get("key"); len(key) != 8 || key != asked[1].Get("key") {
		t.Errorf("keys %q and %q", key, asked[1].Get("key"))
	}
	if e, id, left := asked[1].Get("event"), asked[1].Get("trackerid"), asked[1].Get("left"); e != "completed" || id != "you & me" || left != "0" {
		t.Errorf("then event %q, tracker id %q, left %q", e, id, left)
	}
}

func TestCompletedIsNotSaidByWhoWasCompleteAtTheStart(t *testing.T) {
	tracker := newWeb(t, says(t, map[string]any{"interval": 900, "peers": ""}))
	c, _ := newClient()
	l := c.listOf([]string{tracker.URL})
	mustAnnounce(t, l, progress(transfer.Started, 0))
	l.least = time.Time{}
	mustAnnounce(t, l, progress(transfer.None, 0))
	if e := tracker.events(); !slices.Equal(e, []string{"started", ""}) {
		t.Errorf("events %q", e)
	}
}

func TestAnswersInEveryForm(t *testing.T) {
	v6 := string([]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x1a, 0xe1})
	list := []any{
		map[string]any{"ip": "10.0.0.2", "port": 6882, "peer id": "01234567890123456789"},
		map[string]any{"ip": "2001:db8::3", "port": 6883},
		map[string]any{"ip": "::ffff:10.0.0.4", "port": 6884},
		map[string]any{"ip": "a.host.of.the.tracker.s.choice", "port": 80},
		map[string]any{"ip": "10.0.0.5", "port": 0},
		map[string]any{"ip": "10.0.0.6", "port": 65536 + 80},
		map[string]any{"ip": "10.0.0.7", "port": "text"},
	}
	cases := map[string]struct {
		answer map[string]any
		want   string
	}{
		"compact":                {map[string]any{"interval": 60, "peers": peersOf("10.0.0.1:1", "10.0.0.2:2")}, "[10.0.0.1:1 10.0.0.2:2]"},
		"IPv6":                   {map[string]any{"interval": 60, "peers": peersOf("10.0.0.1:1"), "peers6": v6}, "[10.0.0.1:1 [2001:db8::9]:6881]"},
		"only IPv6":              {map[string]any{"interval": 60, "peers6": v6}, "[[2001:db8::9]:6881]"},
		"dictionaries":           {map[string]any{"interval": 60, "peers": list}, "[10.0.0.2:6882 [2001:db8::3]:6883 10.0.0.4:6884]"},
		"nobody":                 {map[string]any{"interval": 60, "peers": []any{}}, "[]"},
		"no address of a peer":   {map[string]any{"interval": 60, "peers": peersOf("0.0.0.0:1", "224.0.0.1:2", "10.0.0.1:0")}, "[]"},
		"an interval as text":    {map[string]any{"interval": "60", "peers": peersOf("10.0.0.1:1")}, "[10.0.0.1:1]"},
		"a tracker id of a list": {map[string]any{"interval": 60, "tracker id": []any{1}, "peers": peersOf("10.0.0.1:1")}, "[10.0.0.1:1]"},
	}
	for name, test := range cases {
		tracker := newWeb(t, says(t, test.answer))
		c, _ := newClient()
		if a := mustAnnounce(t, c.listOf([]string{tracker.URL}), progress(transfer.Started, 1)); fmt.Sprint(a.Peers) != test.want {
			t.Errorf("%s: peers %v, want %s", name, a.Peers, test.want)
		}
	}
}

func TestAnswersMayBeCompressed(t *testing.T) {
	tracker := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Errorf("accepts %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprintf(z, "d8:intervali60e5:peers6:\x0a\x00\x00\x01\x1a\xe1e")
		z.Close()
	})
	c, _ := newClient()
	if a := mustAnnounce(t, c.listOf([]string{tracker.URL}), progress(transfer.Started, 1)); fmt.Sprint(a.Peers) != "[10.0.0.1:6881]" {
		t.Errorf("peers %v", a.Peers)
	}
}

// What a hostile tracker may send costs an error at most.
func TestHostileAnswers(t *testing.T) {
	million := strings.Repeat(peersOf("10.0.0.1:6881"), 1_000_000)
	raw := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, s) }
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
	bomb := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 2000 {
			if _, err := z.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
		z.Close()
	}
	var circle, far *web
	circle = newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, circle.URL+"/"+r.URL.Path[1:]+"?"+r.URL.RawQuery, http.StatusFound)
	})
	far = newWeb(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	cases := map[string]struct {
		url    string
		answer http.HandlerFunc
		want   string
	}{
		"endless":               {answer: endless, want: "longer than"},
		"a compressed bomb":     {answer: bomb, want: "longer than"},
		"a million peers":       {answer: raw("d8:intervali60e5:peers" + fmt.Sprint(len(million)) + ":" + million + "e"), want: "longer than"},
		"a string of 2 GB":      {answer: raw("d5:peers2147483647:xe"), want: "not one of a tracker"},
		"a million lists":       {answer: raw("d5:peers" + strings.Repeat("l", 1_000_000)), want: "not one of a tracker"},
		"half a peer":           {answer: raw("d8:intervali60e5:peers5:12345e"), want: "5 bytes"},
		"a page":                {answer: raw("<html>buy"), want: "not one of a tracker"},
		"nothing":               {answer: raw(""), want: "not one of a tracker"},
		"an empty dictionary":   {answer: raw("de"), want: "neither"},
		"an error":              {answer: func(w http.ResponseWriter, r *http.Request) { http.Error(w, "x", http.StatusBadGateway) }, want: "status 502"},
		"redirects in a circle": {url: circle.URL + "/a", want: "in a circle"},
		"redirects without end": {url: far.URL + "/a", want: "another place 6 times"},
		"redirected to other ports": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "gopher://127.0.0.1/x", http.StatusFound)
		}, want: "unsupported protocol"},
	}
	for name, test := range cases {
		at := test.url
		if at == "" {
			at = newWeb(t, test.answer).URL + "/passkey"
		}
		c, log := newClient()
		_, err := announce1(t, c.listOf([]string{at}), progress(transfer.Started, 1))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "passkey") || strings.Contains(log.String(), "passkey")) {
			t.Errorf("%s: the tracker's address is shown: %v", name, err)
		}
	}
}

func TestTimesOfATrackerAreBounded(t *testing.T) {
	cases := map[string]struct {
		interval, least string
		next, notBefore time.Duration
	}{
		"none":     {"", "", usualInterval, betweenWishes},
		"zero":     {"i0e", "i0e", usualInterval, betweenWishes},
		"negative": {"i-5e", "i-5e", usualInterval, betweenWishes},
		"one":      {"i1e", "i1e", leastInterval, time.Second},
		"2^63-1":   {"i9223372036854775807e", "i9223372036854775807e", mostInterval, mostInterval},
		"2^63":     {"i9223372036854775808e", "i9223372036854775808e", mostInterval, mostInterval},
		"2^64":     {"i18446744073709551616e", "i-18446744073709551616e", mostInterval, betweenWishes},
		"-2^64":    {"i-18446744073709551616e", "", usualInterval, betweenWishes},
		"turned":   {"i60e", "i900e", 15 * time.Minute, 15 * time.Minute},
		"as text":  {"3:600", "3:300", usualInterval, betweenWishes},
		"usual":    {"i1800e", "i900e", 30 * time.Minute, 15 * time.Minute},
	}
	for name, test := range cases {
		answer := "d"
		if test.interval != "" {
			answer += "8:interval" + test.interval
		}
		if test.least != "" {
			answer += "12:min interval" + test.least
		}
		r, err := parseAnswer([]byte(answer + "5:peers6:\x0a\x00\x00\x01\x1a\xe1e"))
		if err != nil || len(r.peers) != 1 || r.interval != test.next || r.least != test.notBefore {
			t.Errorf("%s: next in %v, not before %v (%v)", name, r.interval, r.least, err)
		}
	}
}

func TestWhatATrackerRefusesIsSaidInItsWords(t *testing.T) {
	tracker := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "d14:failure reason20:not\x1b[31m registered\n8:retry in1:7e")
	})
	c, log := newClient()
	l := c.listOf([]string{tracker.URL})
	_, err := announce1(t, l, progress(transfer.Started, 1))
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || refusal.Reason != "not.[31m registered." || refusal.Again != 7*time.Minute {
		t.Fatalf("%v, %+v", err, refusal)
	}
	if !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "\x1b") {
		t.Errorf("logged %q", log)
	}
	// It is left alone for as long as it said.
	if wait := time.Until(l.tiers[0][0].due); wait < 5*time.Minute || wait > 9*time.Minute {
		t.Errorf("asked again in %v", wait)
	}
	if a := mustAnnounce(t, l, progress(transfer.Started, 1)); a.Interval < 5*time.Minute || len(tracker.questions()) != 1 {
		t.Errorf("answered %+v, asked %d times", a, len(tracker.questions()))
	}
}

func TestAWarningIsSaidOnce(t *testing.T) {
	tracker := newWeb(t, says(t, map[string]any{"interval": 60, "peers": "", "warning message": "moving house"}))
	c, log := newClient()
	l := c.listOf([]string{tracker.URL})
	for range 3 {
		l.least = time.Time{}
		mustAnnounce(t, l, progress(transfer.None, 1))
	}
	if n := strings.Count(log.String(), "moving house"); n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
}

func TestHTTPSIsVerified(t *testing.T) {
	tracker := newWeb(t, says(t, map[string]any{"interval": 60, "peers": peersOf("10.0.0.1:1")}))
	secure := newSecureWeb(t, tracker.Config.Handler)
	c, _ := newClient()
	if _, err := announce1(t, c.listOf([]string{secure.URL}), progress(transfer.Started, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	c.http.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if a := mustAnnounce(t, c.listOf([]string{secure.URL}), progress(transfer.Started, 1)); len(a.Peers) != 1 {
		t.Errorf("answered %+v", a)
	}
}
