//go:build !linux

package lab

import "syscall"

// NoOrphan does nothing here. Only Linux tells of the end of a starter, and only there
// are the namespaces that a Lab is made of.
func NoOrphan(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
