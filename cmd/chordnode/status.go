package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/chord"
)

const (
	// statusTimeout bounds the whole command.
	statusTimeout = 10 * time.Second
	// hereTimeout is what a member on this machine may take to answer, before whoever
	// has answered already is shown.
	hereTimeout = 2 * time.Second
)

func newStatusCommand(stdout io.Writer) *cobra.Command {
	var ring ringFlags
	var member string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how a member sees itself and the ring",
		Long: `status shows how a member sees itself and the ring: the one that --node names, else
one of the ring that multicast or --join finds, on this machine if one is there and
answers.`,
		Example: `  chordnode status
  chordnode status --node 10.0.0.5:8000 --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
			defer cancel()
			st, err := carryOut[chord.Status](ctx, member, ring, chord.GetStatus{})
			if err != nil {
				return err
			}
			if member == "" {
				st = preferHere(st, addressesHere(), func(addr string) (chord.Status, error) {
					ctx, cancel := context.WithTimeout(ctx, hereTimeout)
					defer cancel()
					return carryOut[chord.Status](ctx, addr, ring, chord.GetStatus{})
				})
			}
			if asJSON {
				return printJSON(stdout, st, ring.secretFile != "")
			}
			return printTable(stdout, st, ring.secretFile != "")
		},
	}
	cmd.SetContext(context.Background())
	set := cmd.Flags()
	registerNode(set, &member)
	set.BoolVar(&asJSON, "json", false, "print one JSON object")
	ring.register(set)
	return cmd
}

// preferHere gives the status of a member on this machine, if st knows one that answers,
// else st.
func preferHere(st chord.Status, here map[netip.Addr]bool, ask func(addr string) (chord.Status, error)) chord.Status {
	isHere := func(m chord.Ref) bool {
		ap, err := netip.ParseAddrPort(m.Addr)
		return err == nil && here[ap.Addr().Unmap().WithZone("")]
	}
	if isHere(st.Self) {
		return st
	}
	for _, m := range st.Members {
		if !isHere(m) {
			continue
		}
		// An address as that of a bridge may be another machine's as well.
		if own, err := ask(m.Addr); err == nil && own.Self.ID == m.ID {
			return own
		}
	}
	return st
}

// addressesHere are those of this machine; none if it does not tell.
func addressesHere() map[netip.Addr]bool {
	here := map[netip.Addr]bool{}
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			here[p.Addr().Unmap()] = true
		}
	}
	return here
}

// memberJSON is a member in the output of --json.
type memberJSON struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func toJSON(refs ...chord.Ref) []memberJSON {
	out := []memberJSON{} // not null
	for _, r := range refs {
		if !r.IsZero() {
			out = append(out, memberJSON{r.ID.String(), r.Addr})
		}
	}
	return out
}

// statusJSON is the output of --json: scripts rely on it.
type statusJSON struct {
	ID               string       `json:"id"`
	Address          string       `json:"address"`
	HTTP             string       `json:"http,omitempty"`
	State            string       `json:"state"`
	Version          string       `json:"version"`
	Cluster          string       `json:"cluster"`
	Secret           bool         `json:"secret"` // the ring is closed by one
	Predecessor      *memberJSON  `json:"predecessor"`
	Successors       []memberJSON `json:"successors"`
	Members          []memberJSON `json:"members"`
	Keys             int          `json:"keys"`
	SoftKeys         int          `json:"soft_keys"`
	Bytes            int64        `json:"bytes"`
	UnderReplicated  int          `json:"under_replicated"`
	IncompleteRanges int          `json:"incomplete_ranges"`
	LastRepair       *time.Time   `json:"last_repair"`         // null: never
	Counted          int          `json:"counted_members"`     // of the ring that writes of its range are counted in; 0: none yet
	Trouble          string       `json:"trouble,omitempty"`   // why it cannot write to its disk
	Forgotten        []string     `json:"forgotten,omitempty"` // members declared gone for good, while they are missed
	Missed           []string     `json:"missed,omitempty"`    // members known since the ring was last whole, and not there
}

func printJSON(w io.Writer, st chord.Status, closed bool) error {
	out := statusJSON{
		ID: st.Self.ID.String(), Address: st.Self.Addr, HTTP: st.HTTP, State: st.State,
		Version: st.Version, Cluster: st.Cluster, Secret: closed,
		Successors: toJSON(st.Successors...), Members: toJSON(st.Members...),
		Keys: st.Keys, SoftKeys: st.SoftKeys, Bytes: st.Bytes,
		UnderReplicated: st.UnderReplicated, Counted: st.Ring, IncompleteRanges: st.IncompleteRanges, Trouble: st.Trouble,
	}
	if pred := toJSON(st.Predecessor); len(pred) > 0 {
		out.Predecessor = &pred[0]
	}
	for _, id := range st.Forgotten {
		out.Forgotten = append(out.Forgotten, id.String())
	}
	for _, id := range st.Missed {
		out.Missed = append(out.Missed, id.String())
	}
	if st.LastRepair != 0 {
		t := time.UnixMilli(st.LastRepair).UTC()
		out.LastRepair = &t
	}
	return json.NewEncoder(w).Encode(out)
}

// settling shows a count of what is not in order. Until a member has compared
// its range for the first time since its start it counts what it has not looked
// at yet, which is no reason to worry.
func settling(st chord.Status, count int) string {
	if count > 0 && st.LastRepair == 0 {
		return fmt.Sprintf("%d (settling)", count)
	}
	return fmt.Sprint(count)
}

// A member answers only whoever has its ring's secret or, when there is none,
// whoever has none: so closed is what the asker knows.
func printTable(w io.Writer, st chord.Status, closed bool) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	repaired := "never"
	if st.LastRepair != 0 {
		repaired = time.UnixMilli(st.LastRepair).Local().Format(time.DateTime)
	}
	http := st.HTTP
	if http == "" {
		http = "-"
	}
	for _, row := range [][2]string{
		{"cluster", st.Cluster},
		{"secret", secretWords(closed)},
		{"asked", fmt.Sprintf("%s at %s (%s)", st.Self.ID, st.Self.Addr, st.Version)},
		{"state", st.State},
		{"http", http},
		{"keys", fmt.Sprintf("%d on disk (%d bytes of values), %d in memory", st.Keys, st.Bytes, st.SoftKeys)},
		{"under-replicated", settling(st, st.UnderReplicated)},
		{"incomplete ranges", settling(st, st.IncompleteRanges)},
		{"last repair", repaired},
	} {
		fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
	}
	if st.Trouble != "" {
		fmt.Fprintf(out, "trouble\t%s\n", st.Trouble)
	}
	fmt.Fprintf(out, "\nMEMBER\tADDRESS\t\n")
	for _, m := range st.Members {
		note := ""
		switch m.ID {
		case st.Self.ID:
			note = "asked"
		case st.Predecessor.ID:
			note = "predecessor"
		}
		if len(st.Successors) > 0 && m.ID == st.Successors[0].ID {
			if note != "" {
				note += ", "
			}
			note += "successor"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", m.ID, m.Addr, note)
	}
	for _, id := range st.Missed {
		note := "missed"
		if slices.Contains(st.Forgotten, id) {
			note = "missed, forgotten"
		}
		fmt.Fprintf(out, "%s\t-\t%s\n", id, note)
	}
	return out.Flush()
}
