package client

import "context"

// Wanted says whether the ring knows of anybody who is fetching what is served. One that was
// killed is known for a while. Of what the ring does not know nobody is.
func (p *Publication) Wanted(ctx context.Context) (bool, error) {
	return p.c.wanted(ctx, p.Name, p.InfoHash, p.Foreign)
}

// Wanted is Publication.Wanted for what was downloaded.
func (d *Download) Wanted(ctx context.Context) (bool, error) {
	return d.c.wanted(ctx, d.Name, d.InfoHash, d.Foreign)
}

func (c *Client) wanted(ctx context.Context, name string, infoHash [20]byte, foreign bool) (_ bool, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	if foreign {
		name = ""
	}
	swarm, err := c.ring.Peers(ctx, name, infoHash, 1)
	return swarm.Leechers > 0, err
}
