package client

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Completed is a download that is complete.
type Completed struct {
	Name     string
	Path     string // absolute
	InfoHash string // 40 hex digits
}

// RunHook runs a person's command by sh when a download is complete. It finds
// BT_NAME, BT_PATH (absolute) and BT_INFO_HASH (40 hex digits) in its
// environment; what it prints goes to out. RunHook blocks until it ends; when
// ctx ends first, the command gets a SIGTERM and 5 s to go.
func RunHook(ctx context.Context, command string, d Completed, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "BT_NAME="+d.Name, "BT_PATH="+d.Path, "BT_INFO_HASH="+d.InfoHash)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return hint(fmt.Errorf("the command given with --exec failed: %w", err), "the download itself is complete: %s", d.Path)
	}
	return nil
}
