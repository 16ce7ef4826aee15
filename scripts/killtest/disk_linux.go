package main

import (
	"fmt"
	"syscall"
)

// smallMount puts a tmpfs of so many bytes over dir, which only this process and what it
// starts see.
func smallMount(dir string, bytes int64) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", bytes))
}

func unmount(dir string) { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }
