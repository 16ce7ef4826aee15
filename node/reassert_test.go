package node

import (
	"crypto/sha1"
	"net/netip"
	"strings"
	"testing"

	"chordtorrent/chord"
	"chordtorrent/communicator"
)

// A publisher that dies behind the torrent's header leaves a name that nobody
// sees in the list. The torrent's owner puts that right.
func TestTheOwnerMendsWhatAPublisherLeftUndone(t *testing.T) {
	_, nodes := ring(t, 3)
	c := communicator.New(nodes[0], netip.Addr{})
	t.Cleanup(func() { _ = c.Close() })
	info := "d6:lengthi3e4:name1:f12:piece lengthi16384e6:pieces20:" + strings.Repeat("x", 20) + "e"
	v := communicator.Version{Name: "left undone", InfoHash: sha1.Sum([]byte(info)), Size: 3, Pieces: 1}
	eventually(t, "the publish", func() bool {
		_, err := c.Publish(t.Context(), v, []byte("d4:info"+info+"e"))
		return err == nil
	})

	// The list of all files is what the publisher did not get to.
	listing, shard := listed(t, nodes[0], v.Name)
	if !listing {
		t.Fatal("published, and not in any list")
	}
	reply := call[chord.PutReply](t, nodes[0], chord.Put{Key: shard, Updates: []chord.Update{{Name: v.Name, Delete: true}}})
	if reply.Code != chord.CodeOK {
		t.Fatalf("taking it off the list: %+v", reply)
	}
	if files, err := c.Files(t.Context(), ""); err != nil || len(files) != 0 {
		t.Fatalf("still listed: %v, %v", files, err)
	}

	for _, n := range nodes {
		n.reassert(t.Context())
	}
	files, err := c.Files(t.Context(), "")
	if err != nil || len(files) != 1 || files[0].Name != v.Name || files[0].InfoHash != v.InfoHash {
		t.Errorf("after its owner looked: %v, %v", files, err)
	}
}

// listed finds the list that has a name: the key whose map has such a field
// and is no torrent's.
func listed(t *testing.T, n *Node, name string) (bool, chord.Key) {
	t.Helper()
	var key chord.Key
	err := n.db.Keys(chord.Hard, n.self.ID, n.self.ID, func(k chord.Key) bool {
		if _, torrent := communicator.TorrentName(k); torrent {
			return true
		}
		// The list of a shard has the shortest key of those with the field.
		_ = n.db.Fields(k, name, "", func(f chord.Field) bool {
			if f.Name == name && (key == "" || len(k) < len(key)) {
				key = k
			}
			return false
		})
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return key != "", key
}
