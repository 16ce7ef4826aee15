package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	// healthTimeout is what a node has to answer within: longer than a loaded
	// machine takes, and shorter than who asks is patient.
	healthTimeout = 5 * time.Second
	maxHealth     = 4 << 10 // of an answer, in bytes
	defaultHealth = "127.0.0.1:6969"
)

func newHealthCommand(stdout io.Writer) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say whether a node is well, for containers and monitoring",
		Long: `health asks the HTTP port of a node on this machine, or of any, whether it is part
of a ring and can write. It prints one line, and ends with 0 if all is well, else
with 1. The secret of a ring is not needed.`,
		Example: `  chordnode health
  chordnode health --http 10.0.0.5:6969`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, port, err := net.SplitHostPort(at); err != nil || port == "" {
				return usageError{fmt.Errorf("--http: %q is not host:port, like %s", at, defaultHealth)}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			said, err := askHealth(ctx, at)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "healthy http=%s state=%s\n", at, said)
			return nil
		},
	}
	cmd.SetContext(context.Background())
	cmd.Flags().StringVar(&at, "http", defaultHealth, "`host:port` of the node's --http")
	return cmd
}

// askHealth gives what /healthz says; an error if that is not good.
func askHealth(ctx context.Context, at string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/healthz", nil)
	if err != nil {
		return "", usageError{fmt.Errorf("--http: %w", err)}
	}
	// No proxy of the environment: the answer is to be the node's own.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "", fmt.Errorf("unhealthy: nothing listens at %s: is a chordnode running there? name its HTTP port with --http", at)
	case errors.Is(err, context.DeadlineExceeded):
		return "", fmt.Errorf("unhealthy: %s does not answer within %v", at, healthTimeout)
	case err != nil:
		return "", fmt.Errorf("unhealthy: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return "", fmt.Errorf("unhealthy: the answer of %s: %w", at, err)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	switch resp.StatusCode {
	case http.StatusOK:
		return said, nil
	case http.StatusServiceUnavailable:
		return "", fmt.Errorf("unhealthy: %s says %q", at, said)
	}
	return "", fmt.Errorf("unhealthy: what answers at %s is no chordnode: %s", at, resp.Status)
}
