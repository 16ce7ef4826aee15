// Command interop finds out whether BitTorrent clients of others can use our ring as
// their tracker and our swarm: each seeds for btclient and fetches from it, alone and all
// together, over HTTP and UDP, with content of several shapes; and what happens to them
// when a node is killed. Every byte is compared. It needs root, as each program has a host
// of its own in a network of namespaces; scripts/interop.sh installs the clients and calls it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/scripts/lab"
)

type options struct {
	clients   []*client
	shapes    []shape
	cases     []string
	roles     []string
	bin       string // where our programs are
	scripts   string // where those of this program are
	anacrolix string // the command of that library
	work      string
	commit    string
	out       string
	doc       string
	keep      bool
	add       bool
}

var allCases = []string{"matrix", "udp", "mixed", "killed", "first-copies", "magnet", "encryption"}

// parts are what this program does when it is started by itself, on a host of its lab.
var parts = map[string]func(string, string) error{"publish-small-pieces": smallPieces, "call-encrypted": callEncrypted}

func main() {
	var err error
	if len(os.Args) == 4 && parts[os.Args[1]] != nil {
		err = parts[os.Args[1]](os.Args[2], os.Args[3])
	} else {
		err = play(os.Args[1:])
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func play(args []string) error {
	o := &options{}
	var names, forms, roles, cases string
	var quick bool
	fs := flag.NewFlagSet("interop", flag.ContinueOnError)
	fs.BoolVar(&quick, "quick", false, "aria2, transmission and libtorrent, a file and a directory, by HTTP: some minutes less")
	fs.StringVar(&names, "clients", "", "some of them only, by their names")
	fs.StringVar(&forms, "shapes", "", "some of them only, by their names")
	fs.StringVar(&roles, "roles", seeds+","+fetches, "of a client alone with btclient")
	fs.StringVar(&cases, "cases", strings.Join(allCases, ","), "which parts")
	fs.StringVar(&o.bin, "bin", "bin", "where chordnode and btclient are")
	fs.StringVar(&o.scripts, "scripts", "scripts/interop", "where libtorrent_client.py is")
	fs.StringVar(&o.anacrolix, "anacrolix", "bin/interop/torrent", "the command of anacrolix/torrent")
	fs.StringVar(&o.work, "work", "", "a directory for the data: 4 GiB")
	fs.StringVar(&o.commit, "commit", "unknown", "what is tried, for the report")
	fs.StringVar(&o.out, "out", "", "write the report, as JSON, to this file too")
	fs.StringVar(&o.doc, "doc", "", "put the tables between the marks of --out in this file")
	fs.BoolVar(&o.add, "add", false, "keep in --out what is there of clients that are not tried now")
	fs.BoolVar(&o.keep, "keep", false, "leave data and logs of all worlds in --work")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if o.anacrolix, err = filepath.Abs(o.anacrolix); err != nil { // it runs in a folder of its own
		return err
	}
	if quick {
		names, forms, cases = "aria2,transmission,libtorrent", "file,directory", "matrix"
	}
	if err := o.choose(names, forms, cases); err != nil {
		return err
	}
	o.roles = strings.Split(roles, ",")
	r := &report{began: time.Now(), Machine: lab.ThisMachine(o.commit), Versions: make(map[string]string), Shapes: make(map[string]string)}
	for _, s := range o.shapes {
		r.Shapes[s.name] = s.tells
	}
	for _, cl := range o.clients {
		v, err := cl.versionOf(o)
		if err != nil {
			return err
		}
		r.Versions[cl.name] = v
	}
	if o.add {
		if err := r.takeOver(o); err != nil {
			return err
		}
	}
	if err := o.playAll(r); err != nil {
		return err
	}
	fmt.Println("\n" + r.tables(o))
	return r.verdict()
}

// choose reads lists of names; an empty one means all.
func (o *options) choose(names, forms, cases string) error {
	for _, cl := range clients {
		if names == "" || slices.Contains(strings.Split(names, ","), cl.name) {
			o.clients = append(o.clients, cl)
		}
	}
	for _, s := range shapes {
		if forms == "" || slices.Contains(strings.Split(forms, ","), s.name) {
			o.shapes = append(o.shapes, s)
		}
	}
	for c := range strings.SplitSeq(cases, ",") {
		if !slices.Contains(allCases, c) {
			return fmt.Errorf("--cases: %q is none of %s", c, strings.Join(allCases, ", "))
		}
		o.cases = append(o.cases, c)
	}
	if len(o.clients) == 0 || len(o.shapes) == 0 {
		return errors.New("--clients or --shapes names nothing that there is")
	}
	return nil
}

// playAll plays the cases that are asked for, those that need the same world in one.
func (o *options) playAll(r *report) error {
	wants := func(c string) bool { return slices.Contains(o.cases, c) }
	steps := []struct {
		wanted bool
		hosts  int
		rate   int64 // bits per second
		play   func(*world, *report)
	}{
		{wants("matrix") || wants("udp"), 3, 0, (*world).playMatrix},
		{wants("mixed"), 3 + len(o.clients), 100e6, (*world).playMixed},
		{wants("killed"), 3, 10e6, killed("aria2")},
		{wants("killed"), 3, 10e6, killed("transmission")},
		{wants("first-copies"), 1 + crowd, 20e6, (*world).playFirstCopies},
		{wants("magnet") || wants("encryption"), 3, 0, (*world).playToCome},
	}
	for _, s := range steps {
		if !s.wanted {
			continue
		}
		w, err := newWorld(o, s.hosts, s.rate)
		if err != nil {
			return err
		}
		s.play(w, r)
		w.close()
		if err := r.save(o); err != nil { // at once: the whole takes half an hour
			return err
		}
	}
	return nil
}

// playMatrix asks of each client both directions.
func (w *world) playMatrix(r *report) {
	ask := func(cl *client, tracker string, s shape) {
		for _, role := range w.o.roles {
			took, err := w.ask(cl, role, manner{tracker: tracker}, s)
			w.endClients()
			c := cell{Client: cl.name, Role: role, Tracker: tracker, Shape: s.name}.judge(took, err)
			if c.Verdict == works && role == fetches && c.Why == "" {
				c.Why = cl.slow[s.name]
			}
			r.note(c)
		}
	}
	for _, cl := range w.o.clients {
		if slices.Contains(w.o.cases, "matrix") {
			for _, s := range w.o.shapes {
				ask(cl, "http", s)
			}
		}
		if slices.Contains(w.o.cases, "udp") {
			ask(cl, "udp", w.o.shapes[0])
		}
	}
}

// playMixed has them all in one swarm.
func (w *world) playMixed(r *report) {
	mix := func(all []*client, tracker string, s shape) {
		cells, copies := w.mixed(all, tracker, s)
		w.endClients()
		for _, c := range cells {
			r.note(c)
		}
		r.Mixed = append(r.Mixed, mixture{tracker, s.name, len(all), copies})
	}
	for _, s := range w.o.shapes {
		mix(w.o.clients, "http", s)
	}
	var udp []*client
	for _, cl := range w.o.clients {
		if _, not := cl.cannot["udp"]; !not {
			udp = append(udp, cl)
		}
	}
	mix(udp, "udp", w.o.shapes[0])
}
