// Command told prints the timer slack of its first thread, in nanoseconds, its
// arguments and what TOLD is.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	_ "chordtorrent/cmd/start"
)

func main() {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println(slack, strings.Join(os.Args[1:], ","), os.Getenv("TOLD"))
}
