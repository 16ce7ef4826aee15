// Package client answers: what does a person want done with files, the
// ring and other people's torrents, and what is remembered of it?
//
// Its main type is [Client]: it publishes files and downloads them by name,
// with a [communicator.Communicator] to ask the ring and a transfer engine to
// move pieces, and keeps what it did in a [Storage] folder. A command makes
// one for the time it runs, a daemon for its whole life; all methods may be
// called from any goroutine, and those that take a context block until done.
//
// What the ring does not know is foreign: a .torrent or magnet link with trackers of its
// own, for which no ring is needed. See find.go for what a person may name, sources.go for
// where peers come from.
//
// It leaves to others: how the ring stores things (package communicator), how trackers
// are asked (package trackers),
// sockets and pieces (package transfer), flags, terminals and signals
// (cmd/btclient).
//
// # Storage
//
//	client.json                the numeric id that the ring assigned on the first run: {"id": 7}
//	torrents/NAME.torrent      the .torrent of each name published or downloaded
//	torrents/foreign/HASH.torrent  the .torrent of what the ring does not know, by info hash
//	files/NAME                 downloads without a target of their own, and published copies
//	files/.incoming/           what is coming in and not whole yet; locked by who works on it, else removed
//	records/ID.json            one per publication or download: see Record
//	journals/ID-HASH.journal   the verified pieces of a download that is not complete
//	locks/HASH.lock            while a process works on a name, or serves it, or on the info hash of
//	                           what is foreign; says which
//	owners/ID.lock             locked as long as such a process lives
//	node/                      the data of a ring member inside the client (--embedded)
//	ring-members.json          ring members seen before (the communicator's)
//
// ID is a hash of kind and name, for a download of the target too, so running
// a command again finds its record. A NAME too long for a file name with its
// ending is cut and gets its SHA-1 appended. Files are replaced as a whole, so
// a crash leaves the old one or the new one.
//
// Any number of processes may use one Storage: each has its own port and peer
// id, and a name that one of them publishes or downloads is refused to the
// others with the pid of the holder ([ErrBusy]). Listing takes no lock.
//
// # A download's life
//
// Data gathers in TARGET.part beside the target and is renamed into place when
// every piece has been verified. A piece is entered into the journal once it
// is verified and written; after an orderly stop the journal is trusted if the
// partial files are as they were left, after a crash they are hashed again.
// Something at the place of TARGET.part that this download did not leave there
// is refused. What is at the target already is used if it is the right data,
// replaced at the end if it is an earlier version that this Storage put there
// and nobody has touched, also not during the download, and otherwise never
// overwritten ([ErrTargetExists]).
package client
