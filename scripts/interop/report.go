package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/scripts/lab"
)

// report is all that was found out.
type report struct {
	began    time.Time
	Machine  lab.Machine       `json:"machine"`
	Versions map[string]string `json:"versions"`
	Shapes   map[string]string `json:"shapes"`
	Took     float64           `json:"seconds"`
	Cells    []cell            `json:"cells"`
	Mixed    []mixture         `json:"mixed_swarms,omitempty"`
	Killed   []cell            `json:"tracker_killed,omitempty"`
	Copies   []copies          `json:"first_copies,omitempty"`
	ToCome   []answer          `json:"to_come,omitempty"`
}

// mixture is a swarm of all clients.
type mixture struct {
	Tracker string  `json:"tracker"`
	Shape   string  `json:"shape"`
	Clients int     `json:"clients_of_others"`
	Sent    float64 `json:"seed_sent_copies"`
}

// answer is the cell of a thing that btclient may not do yet.
type answer struct {
	What string `json:"what"`
	cell
}

func (r *report) note(c cell) {
	r.Cells = append(r.Cells, c)
	r.tell(c)
}

// tell says at once what was found out.
func (r *report) tell(what any) {
	switch a := what.(type) {
	case cell:
		fmt.Printf("%-14s %-20s %-5s %-14s %-13s %6.1f s  %s\n", a.Client, a.Role, a.Tracker, a.Shape, a.Verdict, a.Seconds, a.Why)
	case answer:
		fmt.Printf("%-14s %-20s %-5s %-14s %-13s %6.1f s  %s\n", a.Client, a.Role, a.Tracker, a.What, a.Verdict, a.Seconds, a.Why)
	case copies:
		fmt.Printf("%s to %d %s: %.2f copies, %.1f s (bound %.1f s)  %s\n", a.Seed, crowd, a.Fetching, a.Sent, a.Seconds, a.Bound, a.Why)
	}
}

// takeOver takes from an earlier report what it says of clients that are not tried now.
func (r *report) takeOver(o *options) error {
	text, err := os.ReadFile(o.out)
	if err != nil {
		return err
	}
	var old report
	if err := json.Unmarshal(text, &old); err != nil {
		return fmt.Errorf("%s: %w", o.out, err)
	}
	for _, c := range old.Cells {
		if !slices.ContainsFunc(o.clients, func(cl *client) bool { return cl.name == c.Client }) {
			r.Cells = append(r.Cells, c)
			r.Versions[c.Client] = old.Versions[c.Client]
		}
	}
	return nil
}

// save writes what was asked for, as far as it is known.
func (r *report) save(o *options) error {
	r.Took = time.Since(r.began).Seconds()
	if o.out != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.out, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.doc == "" {
		return nil
	}
	begin, end := marks(o.out)
	return between(o.doc, begin, end, r.tables(o))
}

// verdict is an error that says how much failed.
func (r *report) verdict() error {
	bad := 0
	for _, c := range append(r.Cells, r.Killed...) {
		if c.Verdict == failed {
			bad++
		}
	}
	for _, a := range r.ToCome {
		if a.Verdict == failed {
			bad++
		}
	}
	for _, c := range r.Copies {
		if c.Why != "" {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d questions were answered with a failure", bad)
	}
	return nil
}

// marks are those in a document between which the tables of one result stand.
func marks(result string) (begin, end string) {
	name := strings.TrimSuffix(filepath.Base(result), ".json")
	return "<!-- " + name + ": made by make interop -->\n", "<!-- " + name + ": end -->\n"
}

// between puts text between the marks of a file.
func between(path, beginMark, endMark, text string) error {
	all, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, found := strings.Cut(string(all), beginMark)
	_, tail, foundEnd := strings.Cut(rest, endMark)
	if !found || !foundEnd {
		return errors.New(path + " has no marks to put the tables between")
	}
	return os.WriteFile(path, []byte(head+beginMark+"\n"+text+"\n"+endMark+tail), 0o644)
}

// tables is the report for people, in Markdown.
func (r *report) tables(o *options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Commit %s, %s, %d cores, %s, %.0f s in all.\n\n", r.Machine.Commit, r.Machine.CPU, r.Machine.Cores, r.Machine.Date, r.Took)
	notes := &footnotes{}
	r.matrix(&b, o, notes)
	if len(r.Mixed) > 0 {
		b.WriteString("\nIn the mixed swarms a btclient seeds, and two more and the others fetch at once, over links of 100 Mbit/s:\n\n| tracker | content | others | the seed sent |\n|---|---|---|---|\n")
		for _, m := range r.Mixed {
			fmt.Fprintf(&b, "| %s | %s | %d | %.2f copies to %d |\n", m.Tracker, m.Shape, m.Clients, m.Sent, m.Clients+2)
		}
	}
	if len(r.Killed) > 0 {
		b.WriteString("\nThe node that a client announces to is killed -9 in the middle of a download, and the only seed with it; another seed comes at the nodes that are left, and calls nobody (Transmission without µTP, see below):\n\n| client | done after the kill |\n|---|---|\n")
		for _, c := range r.Killed {
			fmt.Fprintf(&b, "| %s | %s |\n", c.Client, notes.of(c))
		}
	}
	if len(r.Copies) > 0 {
		fmt.Fprintf(&b, "\nOne seed, and %d that fetch %s at once, over links of %.0f Mbit/s; no way in less than %.1f s:\n\n| fetching | seed | the seed sent | the last was done after |\n|---|---|---|---|\n",
			crowd, "24 MiB", copiesRate/1e6, r.Copies[0].Bound)
		for _, c := range r.Copies {
			if c.Why != "" {
				fmt.Fprintf(&b, "| %s | %s | %s | |\n", c.Fetching, c.Seed, notes.of(cell{Verdict: failed, Why: c.Why}))
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %.2f copies | %.1f s |\n", c.Fetching, c.Seed, c.Sent, c.Seconds)
		}
	}
	if len(r.ToCome) > 0 {
		b.WriteString("\n| what | client | role | |\n|---|---|---|---|\n")
		for _, a := range r.ToCome {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", a.What, a.Client, a.Role, notes.of(a.cell))
		}
	}
	notes.write(&b)
	return b.String()
}

// matrix is the table of clients, roles and shapes.
func (r *report) matrix(b *strings.Builder, o *options, notes *footnotes) {
	if len(r.Cells) == 0 {
		return
	}
	type column struct{ tracker, shape string }
	var columns []column
	b.WriteString("| client | version | |")
	for _, s := range o.shapes {
		columns = append(columns, column{"http", s.name})
		fmt.Fprintf(b, " HTTP: %s |", s.name)
	}
	columns = append(columns, column{"udp", o.shapes[0].name})
	fmt.Fprintf(b, " UDP: %s |\n|---|---|---|%s\n", o.shapes[0].name, strings.Repeat("---|", len(columns)))
	at := make(map[[4]string]cell)
	for _, c := range r.Cells {
		at[[4]string{c.Client, c.Role, c.Tracker, c.Shape}] = c
	}
	for _, cl := range clients {
		for _, role := range []string{seeds, fetches, mixes} {
			line := fmt.Sprintf("| %s | %s | %s |", cl.name, r.Versions[cl.name], role)
			any := false
			for _, col := range columns {
				c, found := at[[4]string{cl.name, role, col.tracker, col.shape}]
				if !found {
					line += " – |"
					continue
				}
				any = true
				line += " " + notes.of(c) + " |"
			}
			if any {
				b.WriteString(line + "\n")
			}
		}
	}
}

// footnotes are the reasons below the tables, each once.
type footnotes struct{ all []string }

// of is a cell in a few signs.
func (f *footnotes) of(c cell) string {
	shown := string(c.Verdict)
	if c.Verdict == works {
		shown = fmt.Sprintf("%.1f s", c.Seconds)
	}
	if c.Why == "" {
		return shown
	}
	for i, n := range f.all {
		if n == c.Why {
			return fmt.Sprintf("%s (%d)", shown, i+1)
		}
	}
	f.all = append(f.all, c.Why)
	return fmt.Sprintf("%s (%d)", shown, len(f.all))
}

func (f *footnotes) write(b *strings.Builder) {
	if len(f.all) > 0 {
		b.WriteString("\n")
	}
	for i, n := range f.all {
		fmt.Fprintf(b, "(%d) %s\n\n", i+1, n)
	}
}
