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
		if err := p.says("lying"); err != nil {
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
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if err := tellRing(torrent, addr); err != nil {
		return err
	}
	fmt.Println("lying")
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_ = lieTo(c, hash, info.NumPieces()) // it hangs up on us, as it should
		}()
	}
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
	for {
		var size uint32
		if err := binary.Read(r, binary.BigEndian, &size); err != nil {
			return err
		}
		if size > 1<<20 {
			return errors.New("too long a message")
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		if size != 13 || wire.MessageID(body[0]) != wire.Request {
			continue
		}
		block := make([]byte, min(binary.BigEndian.Uint32(body[9:]), 1<<20))
		if _, err := rand.Read(block); err != nil {
			return err
		}
		m := wire.Message{ID: wire.Piece, Index: binary.BigEndian.Uint32(body[1:]), Begin: binary.BigEndian.Uint32(body[5:]), Block: block}
		if _, err := c.Write(m.Append(nil)); err != nil {
			return err
		}
	}
}
