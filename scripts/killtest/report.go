package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"chordtorrent/scripts/lab"
)

// wholeAgain is within what the ring must be whole again after a kill, and
// wholeMedian in half of the cases.
const (
	wholeAgain  = 60 * time.Second
	wholeMedian = 15 * time.Second
)

// report is what a run of kills or cuts has measured.
type report struct {
	Machine      lab.Machine      `json:"machine"`
	Slack        int              `json:"slack"`
	Modes        []string         `json:"modes"`
	Multicast    bool             `json:"multicast"`
	Members      int              `json:"members"`
	Seconds      float64          `json:"run_sec"`
	Rounds       int              `json:"rounds"`
	Strikes      int              `json:"kills_without_waiting"`
	StrikesWhole float64          `json:"whole_after_kills_without_waiting_sec,omitempty"`
	Kills        int              `json:"kills"`
	WithoutDisk  int              `json:"kills_with_disk_lost"`
	Writes       int64            `json:"writes"`
	Acked        int64            `json:"writes_acknowledged"`
	Degraded     int64            `json:"writes_degraded"`
	Refused      int64            `json:"writes_refused"`
	Reads        int64            `json:"reads"`
	ReadsSoon    int64            `json:"reads_within_2s_of_a_kill"`
	FailedSoon   int64            `json:"reads_failed_within_2s_of_a_kill"`
	FailedLate   int64            `json:"reads_failed_later"`
	ReadsCut     int64            `json:"reads_while_cut_or_killed_without_waiting"`
	FailedCut    int64            `json:"reads_failed_while_cut_or_killed_without_waiting"`
	WholeMedian  float64          `json:"whole_again_median_sec"`
	WholeMax     float64          `json:"whole_again_max_sec"`
	Published    int64            `json:"published"`
	NotPublished int64            `json:"publishes_not_acknowledged"`
	ListsRead    int64            `json:"lists_read"`
	Files        map[fate]int     `json:"all_files"`
	Peers        map[fate]int     `json:"peers"`
	Histories    int              `json:"histories_linearizable"`
	Undecided    int              `json:"histories_undecided"`
	Cuts         []cutResult      `json:"partitions,omitempty"`
	FullDisk     *diskResult      `json:"full_disk,omitempty"`
	Upgrades     []stepResult     `json:"upgrades,omitempty"`
	From         string           `json:"upgraded_from,omitempty"`
	To           string           `json:"upgraded_to,omitempty"`
	Rotation     []stepResult     `json:"rotation,omitempty"`
	Slopes       map[string]slope `json:"slopes_of_witnesses,omitempty"`
	Failures     []string         `json:"failed_reads,omitempty"`
	Unwritten    []string         `json:"writes_not_acknowledged,omitempty"`
	Violations   []string         `json:"violations"`
	Passed       bool             `json:"passed"`
}

// fill takes over what the clients have counted.
func (r *report) fill(l *load) {
	r.Writes, r.Acked, r.Degraded, r.Refused = l.writes.Load(), l.acked.Load(), l.degraded.Load(), l.refused.Load()
	r.Reads, r.ReadsSoon, r.FailedSoon, r.FailedLate = l.reads.Load(), l.readsSoon.Load(), l.failedSoon.Load(), l.failedLate.Load()
	r.ReadsCut, r.FailedCut = l.readsCut.Load(), l.failedCut.Load()
	r.Published, r.NotPublished, r.ListsRead = l.published.Load(), l.notPublished.Load(), l.listsRead.Load()
	r.Files, r.Peers = l.files.fates(), l.peers.fates()
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Violations, r.Failures, r.Unwritten = append([]string{}, l.violations...), l.failures, l.unwritten
}

// verdict says what does not hold; nothing if all does.
func (r *report) verdict() (bad []string) {
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	say(len(r.Violations) > 0, "%d promises broken", len(r.Violations))
	say(r.Files[lost] > 0, "%d acknowledged names lost", r.Files[lost])
	say(r.FailedLate > 0, "%d reads failed that were begun more than %v after a kill", r.FailedLate, afterKill)
	say(r.FailedSoon*1000 > r.ReadsSoon, "%d of %d reads failed within %v of a kill", r.FailedSoon, r.ReadsSoon, afterKill)
	say(r.WholeMax > wholeAgain.Seconds()*float64(r.Slack), "it took %.1f s to be whole again", r.WholeMax)
	say(r.WholeMedian > wholeMedian.Seconds()*float64(r.Slack), "it took %.1f s in the median to be whole again", r.WholeMedian)
	// What an operator does in order disturbs nobody.
	if r.planned() {
		say(r.FailedSoon+r.FailedLate > 0, "%d reads failed while nothing but planned work was done", r.FailedSoon+r.FailedLate)
		say(r.Degraded+r.Refused+r.NotPublished > 0, "%d writes and %d publishes were not acknowledged while nothing but planned work was done", r.Degraded+r.Refused, r.NotPublished)
	}
	say(r.Acked == 0 || r.Reads == 0, "nothing went through")
	for name, s := range r.Slopes {
		say(!s.Zero && name != inReserve, "%s of a member grew by %.1f over the run, from about %.1f", name, s.Growth, s.Mean-s.Growth/2)
	}
	return bad
}

// table is the report for people.
func (r *report) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	found := "by multicast"
	if !r.Multicast {
		found = "by a list, without multicast"
	}
	row("ring", "%d members, found %s; %s in %.0f s", r.Members, found, strings.Join(r.Modes, ", "), r.Seconds)
	row("kills", "%d, %d of them with the disk lost", r.Kills, r.WithoutDisk)
	if r.Rounds > 0 {
		row("whole again", "%.1f s in the median of %d rounds, %.1f s at most", r.WholeMedian, r.Rounds, r.WholeMax)
	}
	if r.Strikes > 0 {
		row("whole at last", "%.1f s after the last of %d kills without waiting", r.StrikesWhole, r.Strikes)
	}
	for _, c := range r.Cuts {
		row("cut "+c.Kind, "for %.0f s; one ring %.1f s after it healed, whole after %.1f s %s", c.CutSec, c.OneSec, c.WholeSec, c.Error)
	}
	if d := r.FullDisk; d != nil {
		row("full disk", "%d writes acknowledged meanwhile; whole %.1f s after there was space", d.Acked, d.WholeSec)
	}
	if steps := r.Upgrades; len(steps) > 0 {
		row("upgraded", "%d members one by one, from %s to %s; %s", len(steps), r.From, r.To, spreadOfSteps(steps))
	}
	if steps := r.Rotation; len(steps) > 0 {
		row("secret replaced", "%d steps; %s", len(steps), spreadOfSteps(steps))
	}
	row("writes", "%d: %d acknowledged, %d degraded, %d refused", r.Writes, r.Acked, r.Degraded, r.Refused)
	row("reads", "%d; %d of %d failed within %v of a kill, %d later", r.Reads, r.FailedSoon, r.ReadsSoon, afterKill, r.FailedLate)
	if r.ReadsCut > 0 {
		row("reads in trouble", "%d of %d failed while the ring was cut, or members were killed without waiting", r.FailedCut, r.ReadsCut)
	}
	row("all_files", "%v, read %d times", r.Files, r.ListsRead)
	row("peers", "%v", r.Peers)
	row("histories", "%d linearizable, %d undecided", r.Histories, r.Undecided)
	for name, s := range r.Slopes {
		row(name, "%.1f, %+.1f over the run, noise %.1f", s.Mean, s.Growth, s.Noise)
	}
	_ = w.Flush() // to memory
	for _, v := range slices.Concat(r.Violations, r.Failures, r.Unwritten) {
		b.WriteString("  " + v + "\n")
	}
	return b.String()
}

// save writes a result where the options say.
func save(o *options, result any) error {
	js, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if o.out == "" {
		fmt.Println(string(js))
		return nil
	}
	return os.WriteFile(o.out, append(js, '\n'), 0o644)
}
