//go:build tools

// Package anacrolix pins the client that is tried as the others of Go, in a module of its
// own: the product needs none of what it needs.
package anacrolix

import _ "github.com/anacrolix/torrent/cmd/torrent"
