package storage

import (
	"io/fs"
	"syscall"
)

// blocks is the number of 512-byte units a file takes.
func blocks(fi fs.FileInfo) int64 { return fi.Sys().(*syscall.Stat_t).Blocks }
