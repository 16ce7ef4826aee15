package main

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"chordtorrent/communicator"
)

// torrent makes a metainfo of its own for a name.
func torrent(name string) (metainfo []byte, infoHash [20]byte) {
	info := fmt.Sprintf("d6:lengthi1e4:name%d:%s12:piece lengthi16384e6:pieces20:%se", len(name), name, "01234567890123456789")
	return []byte("d4:info" + info + "e"), sha1.Sum([]byte(info))
}

func (l *load) anyRing() *communicator.Communicator { return l.ring[rand.IntN(len(l.ring))] }

func (l *load) publish(ctx context.Context) {
	name := fmt.Sprintf("kt-%06d", l.next.Add(1)%names)
	metainfo, hash := torrent(name)
	l.files.begin(name)
	_, err := l.anyRing().Publish(ctx, communicator.Version{Name: name, InfoHash: hash, Size: 1, Pieces: 1}, metainfo)
	if err != nil {
		if ctx.Err() == nil { // else the load has ended, and this with it
			l.notPublished.Add(1)
		}
		return
	}
	l.published.Add(1)
	l.files.ack(name, time.Now())
}

// announceLoop has one peer announce as often as it is told.
func (l *load) announceLoop(ctx context.Context, i int) {
	var id [20]byte
	binary.BigEndian.PutUint64(id[12:], uint64(i)+1)
	name := fmt.Sprintf("%x", id)
	l.peers.begin(name)
	l.wg.Go(func() {
		for {
			swarm, err := l.anyRing().Announce(ctx, communicator.Announce{
				InfoHash: l.hash, PeerID: id, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 99, 1, byte(i)}), 7000), Size: 1, Want: -1,
			})
			pause := time.Second
			if err == nil {
				l.peers.ack(name, time.Now())
				pause = max(swarm.Interval, time.Second)
			}
			if !pauseFor(ctx, min(pause, 30*time.Second)) {
				return
			}
		}
	})
}

// readLists reads the list of all files and the peers from a ring that is
// whole: only then are those reads confirmed, which they do not tell of
// themselves.
func (l *load) readLists(ctx context.Context) error {
	began := time.Now()
	files, err := l.anyRing().Files(ctx, "kt-")
	if err != nil {
		return fmt.Errorf("listing in a whole ring: %w", err)
	}
	var there []string
	for _, f := range files {
		there = append(there, f.Name)
	}
	for _, name := range l.files.read(began, there) {
		l.violate("all_files: %s was acknowledged, now it is not listed", name)
	}
	began = time.Now()
	swarm, err := l.anyRing().Peers(ctx, "", l.hash, 2*announcers)
	if err != nil {
		return fmt.Errorf("peers in a whole ring: %w", err)
	}
	there = nil
	for _, p := range swarm.Peers {
		there = append(there, fmt.Sprintf("%x", p.PeerID))
	}
	l.peers.read(began, there)
	l.listsRead.Add(1)
	return nil
}
