// Package store answers one question: what does a ring member hold, over
// crashes, full disks and damaged files?
//
// Its main type is [DB], which implements chord.Store: hard keys in a bbolt
// file, soft keys in memory with a snapshot every 30 s. Reads may come from
// any goroutine and never wait for the disk's write side; writes go through
// [DB.Apply], which returns at once: one goroutine gathers them into group
// commits and reports each op after its fsync.
//
// Layout of a data directory:
//
//	lock       flock by the running process, its pid inside
//	ring.db    bbolt, three buckets:
//	             keys    SHA-1(key)             -> key
//	             fields  SHA-1(key) ‖ name      -> CRC-32C ‖ flags ‖ stamp ‖ expires ‖ value
//	             meta    "format", "state"
//	soft.snap  the soft keys as of the last snapshot
//	ring.db.damaged-<time>  a file that failed its check, kept for whoever wants to look
//
// Both buckets are ordered by place on the ring, so a range of the ring is a
// range of the file. A key row proves itself by its SHA-1, a field row by its
// CRC, which covers the row's key too; a row that does not match counts as
// absent and is reported.
//
// bbolt maps its file into memory and follows its page numbers without
// question, so a flipped bit could end the process. Therefore the whole file
// is read and checked without mapping it before bbolt sees it (check.go), and
// every access to the map turns a fault into an error (guard.go).
//
// It leaves to others: what merging, replicating and repairing mean (package
// chord), and the node's identity (package node, which keeps it in the same
// directory under the same lock).
package store
