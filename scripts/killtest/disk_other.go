//go:build !linux

package main

import "errors"

// smallMount needs Linux, as the networks of the kill-test do.
func smallMount(string, int64) error { return errors.New("only Linux has disks for one process") }

func unmount(string) {}
