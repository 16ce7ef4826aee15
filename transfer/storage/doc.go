// Package storage answers one question: where do the bytes of a torrent lie on disk?
package storage
