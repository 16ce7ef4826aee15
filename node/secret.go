package node

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"

	"chordtorrent/chord/discovery"
)

const (
	rereadSecret = 2 * time.Second
	sayStrangers = time.Minute // between two lines about the same
)

// keyring is how memberlist holds the secret's keys; nil without one.
func keyring(keys [][]byte) (*memberlist.Keyring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return memberlist.NewKeyring(keys, keys[0])
}

// setKeys changes the keys of a gossip that goes on: what is accepted grows
// before what is used changes, and shrinks afterwards.
func (g *gossip) setKeys(keys [][]byte) error {
	if g.keys == nil || len(keys) == 0 {
		return nil
	}
	for _, k := range keys {
		if err := g.keys.AddKey(k); err != nil {
			return fmt.Errorf("gossip key: %w", err)
		}
	}
	if err := g.keys.UseKey(keys[0]); err != nil {
		return fmt.Errorf("gossip key: %w", err)
	}
	for _, old := range g.keys.GetKeys() {
		kept := false
		for _, k := range keys {
			kept = kept || bytes.Equal(k, old)
		}
		if !kept {
			if err := g.keys.RemoveKey(old); err != nil {
				return fmt.Errorf("gossip key: %w", err)
			}
		}
	}
	return nil
}

// saySecret tells once whether the ring is closed.
func (n *Node) saySecret() {
	if !n.cfg.keeper.Closed() {
		n.log.Warn("this ring has no secret: whoever reaches its port can read and change all of it; see --secret-file")
		return
	}
	n.log.Info("the ring is closed by a secret", "secrets", n.cfg.keeper.Count())
	if n.cfg.keeper.OthersCanRead() {
		n.log.Warn("others on this machine may read the ring's secret: chmod 600 the file", "path", n.cfg.SecretFile)
	}
}

// keepSecret follows changes of the file of secrets until ctx ends, and says
// when a ring of our name was heard that we cannot join.
func (n *Node) keepSecret(ctx context.Context) {
	reread, say := time.NewTicker(rereadSecret), time.NewTicker(sayStrangers)
	defer reread.Stop()
	defer say.Stop()
	broken := ""
	for first := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-say.C:
			first = true
		case <-reread.C:
			changed, err := n.cfg.keeper.Reload()
			if changed && err == nil {
				if err = n.gossip.setKeys(n.cfg.keeper.GossipKeys()); err == nil {
					n.log.Info("the file of secrets was read again", "secrets", n.cfg.keeper.Count())
				}
			}
			switch {
			case err == nil:
				broken = ""
			case err.Error() != broken:
				broken = err.Error()
				n.log.Error("the ring's secret stays as it was", "err", err)
			}
			if first && n.sayStrange() {
				first = false
			}
		}
	}
}

// sayStrange tells of a ring nearby that is not ours, if there is one.
func (n *Node) sayStrange() bool {
	if n.multicast == nil || len(n.gossip.members()) > 1 {
		return false
	}
	why := discovery.Strange(n.multicast.Counters())
	if why != "" {
		n.log.Warn("alone: " + why)
	}
	return why != ""
}

// secretWords is the status page's line about it.
func (n *Node) secretWords() string {
	if n.cfg.keeper.Closed() {
		return "closed by a secret"
	}
	return "none: whoever reaches the ring port can read and change all of it"
}
