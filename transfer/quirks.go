package transfer

import "strings"

// anacrolixQueue is how many requests a client made of anacrolix/torrent can have. It
// says 1024, but takes them in any order while it has room for 1 MiB of answers, given
// out in the order in which they came: with more under way it waits for ever for room
// that is set aside for others (v1.59.1, peerConn.servePeerRequest).
const anacrolixQueue = (1 << 20) / blockLen

// takes is how many requests may wait at a client that says so many.
func takes(client string, says int) int {
	if strings.Contains(client, "anacrolix/torrent") {
		return min(says, anacrolixQueue)
	}
	return says
}
