// Package storage answers one question: where do the bytes of a torrent lie on
// disk?
//
// The main types are [Layout], what a .torrent says about files and pieces
// (BEP 3, BEP 47), checked so that nothing in it can lead anywhere bad, and
// [Content], those files on a disk: opened to be served ([OpenSource]) or to be
// filled ([OpenTarget]). [Build] makes a .torrent out of files, [Verify] tells
// which pieces are right and [Content.Compare] which files are not, [Oddities] what is
// unusual about a .torrent, [Journal] remembers that over a restart.
//
// A Content may be used from any number of goroutines: the event loop of
// package transfer takes [Content.Spans] for sendfile, its workers call
// [Content.WritePiece] and [Content.ReadAt]. All calls block on the disk. The
// only goroutines of this package are the hashing workers of Build and Verify,
// which are gone when those return.
//
// # What never happens
//
//   - A name in a torrent is never used before [FromInfo] has checked it, and
//     below the target everything goes through an os.Root: no "..", no absolute
//     path and no symbolic link writes outside of it.
//   - A published file that has changed is not served: every ReadAt and every
//     Spans compares size and modification time of the open file with those
//     noted, and says [ErrChanged] with its path.
//   - A symbolic link of a torrent (BEP 47) leads to something in the torrent, and is made
//     by Finish, when nothing is written any more.
//   - Finish never overwrites what is in the way ([ErrExists]).
//
// # What is on disk when
//
// Files are written in place by pwrite, into a partial file or directory that
// bears another name until Finish. Nothing is synced while pieces come in: a
// kill loses nothing, as the kernel has the data; after a power failure the
// journal is not believed (it names the boot of the machine) and the pieces are
// hashed again. Finish syncs the data (fsync per file, or syncfs when there are
// more than 64), renames, then syncs the directory: a file under its final name
// is whole. Runs of zeros become holes; holes are neither read nor hashed again
// and again.
//
// At most 128 files are kept open; ranges that are being sent right now may add
// up to four each.
//
// It leaves to others: the wire (package wire), which piece is wanted (package
// picker), locks between processes and where things are stored (package client).
package storage
