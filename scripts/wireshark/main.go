// Command wireshark answers one question: does an outsider who listens understand what
// btclient says? It lets a btclient and an aria2 fetch from a btclient, each on a host of
// its own, captures what the seed's host sends and receives, and has tshark dissect it.
// scripts/wireshark.sh builds what it needs.
package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/scripts/lab"
)

const (
	size     = 12 << 20
	rate     = 200_000_000 // bits per second: what a capture keeps up with
	patience = 2 * time.Minute
	cluster  = "wireshark"
	ports    = "7000-7999" // of btclients
)

// Hosts of the lab.
const (
	ringHost = iota
	seedHost
	ourHost
	othersHost
	hosts
)

func main() {
	bin := flag.String("bin", "bin", "`folder` of the programs")
	work := flag.String("work", "", "`folder` for data, captures and logs")
	flag.Parse()
	s := &stage{bin: *bin, dir: *work, lab: lab.Lab{Prefix: fmt.Sprint("ws", os.Getpid()), Hosts: hosts}}
	if err := s.play(); err != nil {
		fmt.Fprintln(os.Stderr, "wireshark:", err)
		os.Exit(1)
	}
}

// stage is the hosts and what runs on them.
type stage struct {
	bin, dir string
	lab      lab.Lab
	cast     []*lab.Process
}

func (s *stage) play() error {
	defer s.lab.Remove()
	defer s.end()
	if err := s.lab.Build(); err != nil {
		return err
	}
	if err := s.lab.Shape(seedHost, rate); err != nil {
		return err
	}
	if err := s.startRing(); err != nil {
		return err
	}
	// Above 16 MiB pieces have more than 16 KiB, and btclients ask each other for more.
	for _, sc := range []scene{
		{"small", size, "btclient", true},
		{"small", size, "aria2", true},
		{"large", 2 * size, "btclient", false},
	} {
		if err := s.watch(sc); err != nil {
			return fmt.Errorf("btclient to %s, %s: %w", sc.to, sc.payload, err)
		}
	}
	return nil
}

// scene is one download: of what, how much, by whom, and whether tshark is to make out
// every byte of it.
type scene struct {
	payload string
	bytes   int
	to      string
	all     bool
}

// watch has somebody fetch a payload while the seed's host is listened to.
func (s *stage) watch(sc scene) error {
	content, err := s.publish(sc.payload, sc.bytes)
	if err != nil {
		return err
	}
	host, dir := ourHost, s.path(sc.to+"-"+sc.payload)
	out := filepath.Join(dir, sc.payload)
	argv := []string{s.bin + "/btclient", "--cluster", cluster, "--storage", dir + "-storage", "download", sc.payload, "-o", out,
		"--progress", "none", "--seed-for", "0s"}
	if sc.to == "aria2" {
		host = othersHost
		argv = []string{"aria2c", "--dir=" + dir, "--seed-time=0", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
			"--file-allocation=none", "--listen-port=6881", "--summary-interval=0", "http://" + s.lab.Addr(ringHost) + ":6969/t/" + sc.payload + ".torrent"}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	capture := dir + ".pcapng"
	if err := s.capture(capture, host, argv); err != nil {
		return err
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, content) {
		return errors.Join(errors.New("it has not got what was published"), err)
	}
	talk, err := dissect(capture, s.lab.Addr(seedHost), s.lab.Addr(host))
	if err == nil {
		err = talk.check(sc.all)
	}
	if err != nil {
		return fmt.Errorf("captured in %s: %w", capture, err)
	}
	fmt.Printf("btclient to %-8s %s: %s\n", sc.to, sc.payload, talk)
	return nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// startRing starts three nodes, whose trackers are for aria2.
func (s *stage) startRing() error {
	for k := range 3 {
		node, err := s.start(ringHost, s.bin+"/chordnode", "--data-dir", s.path(fmt.Sprint("node-", k)), "--cluster", cluster,
			"--bind", fmt.Sprintf("%s:81%02d", s.lab.Addr(ringHost), k), "--http", fmt.Sprintf("%s:%d", s.lab.Addr(ringHost), 6969+k), "--udp", "off")
		if err != nil {
			return err
		}
		if err := node.Says("ready id="); err != nil {
			return err
		}
	}
	return nil
}

// publish makes a payload, of what nothing can be saved of, and has it seeded; once.
func (s *stage) publish(name string, n int) ([]byte, error) {
	content, err := os.ReadFile(s.path(name))
	if err == nil {
		return content, nil
	}
	content = make([]byte, n)
	_, _ = rand.Read(content) // never fails
	if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
		return nil, err
	}
	seed, err := s.start(seedHost, s.bin+"/btclient", "--cluster", cluster, "--storage", s.path("seed"), "publish", s.path(name))
	if err != nil {
		return nil, err
	}
	return content, seed.Says("published name=")
}

// capture runs a program to its end while the seed's host is listened to.
func (s *stage) capture(file string, host int, argv []string) error {
	ear, err := s.start(seedHost, "dumpcap", "-q", "-i", "eth0", "-B", "64", "-w", file, "-f", "tcp portrange "+ports)
	if err != nil {
		return err
	}
	if err := logs(ear, "File:"); err != nil {
		return err
	}
	p, err := s.start(host, argv...)
	if err != nil {
		return err
	}
	if err := ends(p); err != nil {
		return err
	}
	if err := settled(file); err != nil {
		return err
	}
	if err := ear.Stop(); err != nil {
		return err
	}
	return ends(ear)
}

// settled waits until a file has not grown for a second: a capture lags behind.
func settled(file string) error {
	for size, since := int64(-1), time.Now(); ; time.Sleep(50 * time.Millisecond) {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if info.Size() != size {
			size, since = info.Size(), time.Now()
		} else if time.Since(since) > time.Second {
			return nil
		}
	}
}
