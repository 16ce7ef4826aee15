package discovery

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"chordtorrent/chord"
)

func addrPorts(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

var goldens = []struct {
	p   packet
	hex string
}{
	{
		packet{Kind: announce, Cluster: clusterHash("lab"), Sender: chord.ID{0xaa, 19: 1}, Epoch: 7, Seq: 300, HTTP: 6969,
			Addrs: addrPorts("10.0.0.1:8000", "[fd00::2]:8000")},
		"637472" + "01" + "01" + "00" + "CLUSTER" + "aa00000000000000000000000000000000000001" +
			"0000000000000007" + "000000000000012c" + "1b39" + "02" +
			"040a0000011f40" + "06fd0000000000000000000000000000021f40",
	},
	{
		packet{Kind: query, Cluster: clusterHash("lab"), Sender: chord.ID{1}, Epoch: 1, Seq: 1},
		"637472" + "01" + "02" + "00" + "CLUSTER" + "0100000000000000000000000000000000000000" +
			"0000000000000001" + "0000000000000001" + "0000" + "00",
	},
	{
		packet{Kind: answer, Cluster: clusterHash("lab"), Sender: chord.ID{1}, Epoch: 1, Seq: 2, Addrs: addrPorts("127.0.0.1:1")},
		"637472" + "01" + "03" + "00" + "CLUSTER" + "0100000000000000000000000000000000000000" +
			"0000000000000001" + "0000000000000002" + "0000" + "01" + "047f0000010001",
	},
	{
		packet{Kind: bye, Cluster: clusterHash("lab"), Sender: chord.ID{1}, Epoch: 1, Seq: 3},
		"637472" + "01" + "04" + "00" + "CLUSTER" + "0100000000000000000000000000000000000000" +
			"0000000000000001" + "0000000000000003" + "0000" + "00",
	},
}

const labHash = "d8d22f0ba5a70e9a" // of cluster "lab"

func golden(i int) []byte {
	b, err := hex.DecodeString(string(bytes.Replace([]byte(goldens[i].hex), []byte("CLUSTER"), []byte(labHash), 1)))
	if err != nil {
		panic(err)
	}
	return b
}

func TestGoldenPackets(t *testing.T) {
	for i, g := range goldens {
		want := golden(i)
		if got := g.p.appendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("kind %d is\n%x, want\n%x", g.p.Kind, got, want)
		}
		if back, err := parsePacket(want); err != nil || !reflect.DeepEqual(back, g.p) {
			t.Errorf("kind %d is read as %+v, %v", g.p.Kind, back, err)
		}
	}
}

func TestTheLargestPacketLeavesRoomForAnHMAC(t *testing.T) {
	p := packet{Kind: announce}
	for range MaxAddrs {
		p.Addrs = append(p.Addrs, netip.MustParseAddrPort("[fd00::2]:8000"))
	}
	b := p.appendTo(nil)
	if len(b)+macBytes > MaxPacket {
		t.Errorf("%d bytes", len(b))
	}
	if back, err := parsePacket(b); err != nil || len(back.Addrs) != MaxAddrs {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestPacketsThatAreNotRead(t *testing.T) {
	set := func(i int, at int, to ...byte) []byte {
		b := golden(i)
		copy(b[at:], to)
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, errForeign},
		{"three bytes", []byte("ctr"), errForeign},
		{"of somebody else", []byte("M-SEARCH * HTTP/1.1\r\n"), errForeign},
		{"next version", set(0, 3, 2), errVersion},
		{"next version, shorter", []byte("ctr\x02"), errVersion},
		{"header cut", golden(1)[:52], errMalformed},
		{"kind 0", set(0, 4, 0), errMalformed},
		{"kind 5", set(0, 4, 5), errMalformed},
		{"a flag", set(0, 5, 1), errMalformed},
		{"query with an address", set(0, 4, 2), errMalformed},
		{"bye with an address", set(0, 4, 4), errMalformed},
		{"announce without", set(1, 4, 1), errMalformed},
		{"too many addresses", set(0, 52, 8), errMalformed},
		{"more addresses than there are", set(0, 52, 3), errMalformed},
		{"fewer addresses than there are", set(0, 52, 1), errMalformed},
		{"address cut", golden(0)[:70], errMalformed},
		{"family 5", set(0, 53, 5), errMalformed},
		{"port 0", set(0, 58, 0, 0), errMalformed},
		{"address 0.0.0.0", set(0, 54, 0, 0, 0, 0), errMalformed},
		{"multicast address", set(0, 54, 239, 255, 4, 3), errMalformed},
		{"link-local address", set(0, 54, 169, 254, 0, 1), errMalformed},
		{"bytes behind", append(golden(0), 0), errMalformed},
		{"longer than any", append(golden(0), make([]byte, 200)...), errMalformed},
	} {
		if p, err := parsePacket(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", c.name, p, err, c.want)
		}
	}
}

// FuzzPacket checks that whatever is read is written as the same bytes.
func FuzzPacket(f *testing.F) {
	for i := range goldens {
		f.Add(golden(i))
	}
	signed := append(golden(0), make([]byte, macBytes)...)
	signed[5] = flagSigned
	f.Add(signed)
	f.Add([]byte("M-SEARCH * HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := parsePacket(in)
		if err != nil {
			if !errors.Is(err, errForeign) && !errors.Is(err, errVersion) && !errors.Is(err, errMalformed) {
				t.Fatalf("an error without a name: %v", err)
			}
			return
		}
		if p.Signed {
			in = in[:len(in)-macBytes]
		}
		if out := p.appendTo(nil); !bytes.Equal(in, out) {
			t.Fatalf("%x\nbecame %x", in, out)
		}
	})
}
