package lab

import "syscall"

// NoOrphan has a program that is started with it get a signal when its starter ends,
// however that ends.
func NoOrphan(s syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: s} }
