// Package transfer answers one question: how do pieces move between peers?
//
// The main type is Engine: one listener, some event loops, some hash workers.
// Its callers (package client, and tests) Start it, Add torrents to it and hold
// a Torrent for each; every exported method may be called from any goroutine.
// Peers come in through the Announcer interface and AddPeers, bytes come from
// and go to a storage.Content, and nothing here knows of names, rings or
// trackers.
//
// # Who owns what
//
// Each loop is one goroutine over one poller. A torrent lives on one loop, with
// its picker, its choker and all of its connections, and only that goroutine
// touches them: there is no lock beside it. Other goroutines (callers, hash
// workers, announcers, other loops) post events into the loop's mailbox and wake
// it. The first loop also owns the listener: it reads the handshake of whoever
// connects and hands the descriptor to the loop of the torrent that was asked
// for.
//
//	loop.go       the loop: accept, readable, writable, posted, tick, flush
//	listen.go     the listener and the handshakes that are still coming in
//	swarm.go      one torrent on its loop: who is connected, what is there
//	book.go       the addresses that are known, and when to try which;
//	              neighbours.go how many are called
//	conn.go       one connection's life; receive.go and messages.go its input,
//	              upload.go its output, request.go what is asked of it
//	handshake.go  who is at its other end, and which of two connections to it stays
//	cover.go      the handshake with peers that want what follows hidden (package
//	              mse); crypt.go what is read and written if they insist on RC4
//	pex.go        peers tell each other of peers (BEP 11)
//	metadata.go   gives the info dictionary (BEP 9); quest.go fetches it, places.go
//	              says from whom
//	fast.go       the messages of BEP 6; steer.go which piece a seed gives to whom
//	pieces.go     piece buffers, the way to the hash workers and back
//	full.go       what happens when the disk is full
//	suspect.go    who sent a wrong piece
//	webseed.go    HTTP servers that have the files (BEP 19); webask.go when they
//	              are asked, webblocks.go for what, webfetch.go their goroutines,
//	              webanswer.go what they answer, web.go their connections
//	choke.go      who may ask us; limit.go how fast
//	hash.go       the workers
//	rest.go       torrents that nobody wants just now
//	calendar.go   when which torrent is announced; announce.go what is said
//	sock.go       calls on sockets, as each system has them
//	utp.go        how those are refused who come by µTP (BEP 29)
//
// # One block from the socket to the file
//
// Its request was made by conn.fill (request.go) when the connection had less
// under way than its rate makes good for. The header of the answer is read
// through the loop's scratch buffer, the block itself straight into the piece
// buffer (receive.go). The last block of a piece sends the buffer to a worker
// (hash.go), which computes the SHA-1, writes the piece in one go and posts
// back; the loop then tells every peer (pieces.go).
//
// # One block from the file to the socket
//
// A request waits in its connection's queue; at the end of each turn every
// connection that has something to say is flushed within a budget, so that all
// get their share (upload.go): small messages together, then each block by
// sendfile(2). Who is sent blocks when there are many is a matter of turns (turns.go).
//
// # One piece from a web seed
//
// The loop asks the picker for a gap (webask.go) and starts a goroutine that fetches it
// by Range requests (webfetch.go) and posts it in batches of blocks; the loop copies them
// into the piece buffers. Two batches per request go to and fro, so a loop or a limit
// that is late holds up the server, and memory is bounded.
//
// # Deviations
//
// BEP 3 speaks of 16 KiB requests and closing connections that ask for more
// than 128 KiB; between peers that both say so in their BEP 10 handshake
// (extension.go) requests have up to 1 MiB, and a seed that rejects one and
// suggests another piece (BEP 6) is followed: see steer.go. The choker of BEP 3, tit-for-tat
// with four slots, is made for scarce upload; here everybody interested is
// served as long as there are slots (choke.go).
package transfer
