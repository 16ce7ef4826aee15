package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"chordtorrent/transfer/wire"
)

// startLiars starts peers that say they have all, and send noise.
func (g *game) startLiars() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for k := range g.o.liars {
		host := 1 + g.o.seeds + g.o.leechers + k
		p, err := g.start(host, self, "lie", g.torrent, g.lab.Addr(host)+":7000")
		if err != nil {
			return err
		}
		if err := p.Says("lying"); err != nil {
			return err
		}
	}
	return nil
}

// lie serves whoever connects wrong data, after it has announced itself.
func lie(torrent, addr string) error {
	hash, info, err := load(torrent)
	if err != nil {
		return err
	}
	ready := func() error {
		fmt.Println("lying")
		return nil
	}
	announce := func() error { return tellRing(torrent, addr) }
	return serveEach(addr, func() error { return inOrder(announce, ready) },
		func(c net.Conn) { _ = lieTo(c, hash, info.NumPieces()) }) // it hangs up on us, as it should
}

func lieTo(c net.Conn, hash [20]byte, pieces int) error {
	r := bufio.NewReader(c)
	theirs := make([]byte, 68)
	if _, err := io.ReadFull(r, theirs); err != nil {
		return err
	}
	mine := wire.Handshake{InfoHash: hash}
	copy(mine.PeerID[:], fmt.Sprintf("-LI0000-%012x", os.Getpid()))
	have := wire.NewBits(pieces)
	have.SetAll()
	out := mine.Append(nil)
	out = wire.Message{ID: wire.Bitfield, Bits: have.Bytes()}.Append(out)
	out = wire.Message{ID: wire.Unchoke}.Append(out)
	if _, err := c.Write(out); err != nil {
		return err
	}
	limits := wire.DefaultLimits(pieces)
	limits.MaxPayload = 1 << 16 // of extended messages, which are passed over
	for {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > 1<<20 {
			return errors.New("too long a message")
		}
		frame := append(size[:], make([]byte, n)...)
		if _, err := io.ReadFull(r, frame[4:]); err != nil {
			return err
		}
		ask, _, err := wire.Parse(frame, limits)
		if err != nil {
			return err
		}
		if ask.ID != wire.Request {
			continue
		}
		block := make([]byte, ask.Length)
		if _, err := rand.Read(block); err != nil {
			return err
		}
		if _, err := c.Write(wire.Message{ID: wire.Piece, Index: ask.Index, Begin: ask.Begin, Block: block}.Append(nil)); err != nil {
			return err
		}
	}
}
