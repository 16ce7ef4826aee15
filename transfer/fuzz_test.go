package transfer

import (
	"bytes"
	"crypto/sha1"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/wire"
)

// FuzzExtended: whatever a peer says in its extension handshake is taken within
// bounds or refused, and what is taken can be printed.
func FuzzExtended(f *testing.F) {
	f.Add([]byte("d1:md6:ut_pexi1ee1:pi6881e4:reqqi250e1:v7:client!e"))
	f.Add([]byte("d14:ct_max_requesti1048576e1:md0:i1eee"))
	f.Add([]byte("d4:reqqi-5e14:ct_max_requesti99999999999e1:pi70000e1:v3:\x00\x1b\xffe"))
	f.Add([]byte("d1:mllllleeeeee"))
	f.Add([]byte("le"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		x, err := parseExtended(payload)
		if err != nil {
			return
		}
		if x.Queue != 0 && (x.Queue < 2 || x.Queue > ownQueue) {
			t.Errorf("queue %d", x.Queue)
		}
		if x.MaxRequest != 0 && (x.MaxRequest < blockLen || x.MaxRequest > largestRequest) {
			t.Errorf("requests of %d bytes", x.MaxRequest)
		}
		if x.Port < 0 || x.Port > 65535 {
			t.Errorf("port %d", x.Port)
		}
		for _, r := range x.Client {
			if r < ' ' || r == 0x7f {
				t.Errorf("client %q", x.Client)
			}
		}
	})
}

// FuzzPex: whatever a peer tells of others is refused, or so many addresses.
func FuzzPex(f *testing.F) {
	f.Add([]byte("d5:added6:\x0a\x00\x00\x01\x1b\x587:added.f1:\x107:dropped0:e"))
	f.Add([]byte("d6:added618:\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1b\x58e"))
	f.Add([]byte("d5:added5:abcdee"))
	f.Add([]byte("d5:added99999999:"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		added, err := parsePex(payload)
		if err != nil && added != nil || len(added) > pexTaken {
			t.Errorf("%d addresses, %v", len(added), err)
		}
		for _, a := range added {
			if !a.IsValid() || a.Addr().Is4In6() {
				t.Errorf("address %v", a)
			}
		}
	})
}

// FuzzMetadata: whatever comes as a message of metadata exchange is refused, or a
// dictionary and what follows on it.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte("d8:msg_typei0e5:piecei3ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei5eehello"))
	f.Add([]byte("d8:msg_typei-1e5:piecei99999999999999999999ee"))
	f.Add([]byte("d8:msg_type99999999:"))
	f.Add([]byte("d1:xd1:y1:zeee"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, part, err := parseMetadata(payload)
		if err != nil {
			if m != (metadataMessage{}) || part != nil {
				t.Errorf("%+v and %d bytes with %v", m, len(part), err)
			}
			return
		}
		if head, ok := bytes.CutSuffix(payload, part); !ok || len(head) < 2 || head[len(head)-1] != 'e' {
			t.Errorf("%q follows on %q in %q", part, head, payload)
		}
	})
}

// FuzzQuest sends arbitrary bytes after a right handshake to who looks for an info
// dictionary: none is found, and the connection may end, nothing else.
func FuzzQuest(f *testing.F) {
	e := start(f)
	hash := sha1.Sum([]byte("nobody has it"))
	end, cancel := seek(f, e, MetadataSpec{InfoHash: hash})
	tor := e.torrent(hash)
	f.Cleanup(func() {
		cancel()
		if r := <-end; r.info != nil {
			f.Errorf("it found %d bytes", len(r.info))
		}
	})
	offer := wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x00d1:md11:ut_metadatai7ee13:metadata_sizei20000ee")}.Append(nil)
	part := append([]byte("\x02d8:msg_typei1e5:piecei0e10:total_sizei20000ee"), make([]byte, metadataPart)...)
	f.Add(offer)
	f.Add(wire.Message{ID: wire.ExtendedMsg, Payload: part}.Append(bytes.Clone(offer)))
	f.Add(wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x02d8:msg_typei2e5:piecei0ee")}.Append(bytes.Clone(offer)))
	f.Add(wire.Message{ID: wire.Bitfield, Bits: make([]byte, 1000)}.Append(wire.Message{ID: wire.Have, Index: 1 << 31}.Append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		hello := wire.Handshake{InfoHash: hash, PeerID: peerID(len(b))}
		hello.Set(wire.Extended)
		hello.Set(wire.Fast)
		pastTheDoor(t, tor, hello, b)
	})
}

// pastTheDoor has a peer say b to a torrent, read what it is told, and go. It comes over
// a socket pair: TCP ports would run out.
func pastTheDoor(t *testing.T, tor *Torrent, hello wire.Handshake, b []byte) {
	t.Helper()
	ours, c := socketPair(t)
	tor.l.post(adopt{t: tor, fd: ours, from: netip.MustParseAddrPort("192.0.2.1:6881"), hello: hello})
	p := &testPeer{t: t, Conn: c, lim: wire.DefaultLimits(100)}
	p.readHello()
	c.Write(b)
	c.(*net.UnixConn).CloseWrite()
	for {
		if _, err := p.read(); err != nil {
			break
		}
	}
	c.Close()
	until(t, "the connection to be gone", func() bool { return len(tor.Status().Peers) == 0 })
	sound(t, tor)
}

// socketPair returns a non-blocking descriptor and a connection to it.
func socketPair(t testing.TB) (int, net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	must(t, unix.SetNonblock(fds[0], true))
	file := os.NewFile(uintptr(fds[1]), "peer")
	defer file.Close()
	c, err := net.FileConn(file)
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(hung)))
	return fds[0], c
}

// FuzzPeer sends arbitrary bytes after a right handshake to a download and to a
// seed: the connection may end, nothing else may.
func FuzzPeer(f *testing.F) {
	fix := makeTorrent(f, 80, 32<<10, 100<<10)
	e := start(f)
	seeded := makeTorrent(f, 81, 32<<10, 100<<10)
	torrents := []*Torrent{e.add(f, fix.leechSpec(f)), e.add(f, seeded.seedSpec(f))}
	msg := func(ms ...wire.Message) (b []byte) {
		for _, m := range ms {
			b = m.Append(b)
		}
		return b
	}
	f.Add(msg(wire.Message{ID: wire.Bitfield, Bits: fix.all().Bytes()}, wire.Message{ID: wire.Unchoke},
		wire.Message{ID: wire.Piece, Index: 1, Block: make([]byte, 16384)}))
	f.Add(msg(wire.Message{ID: wire.Interested}, wire.Message{ID: wire.Request, Index: 3, Length: 1000}, wire.Message{ID: wire.Cancel, Index: 3, Length: 1000}))
	f.Add(msg(wire.Message{ID: wire.Have, Index: 2}, wire.Message{ID: wire.KeepAlive}, wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x00de")}))
	f.Add(msg(wire.Message{ID: wire.Choke}, wire.Message{ID: wire.NotInterested}, wire.Message{ID: wire.Port, Payload: []byte{1, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, hash := range [][20]byte{fix.hash, seeded.hash} {
			tor := torrents[i]
			pastTheDoor(t, tor, wire.Handshake{InfoHash: hash, PeerID: peerID(len(b))}, b)
			if st := tor.Status(); tor.Err() != nil || i == 0 && st.BytesDone != 0 {
				t.Fatalf("%v %+v", tor.Err(), st)
			}
		}
	})
}
