package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chordtorrent/client"
	"chordtorrent/cmd/environment"
)

// What is not on the command line comes from the environment, else from a file:
//
//	# lines of flag = value, without the dashes
//	ring = 10.0.0.1:8000
//	[serve]
//	web = 0.0.0.0:8780
//
// A flag under a command's name counts for that command alone; above all of them, for
// every command that has it.

// serveFlags is a variable that the unit of btclient serve hands over as flags.
const serveFlags = "BTCLIENT_SERVE_FLAGS"

// maxConfigLine bounds a line of the file.
const maxConfigLine = 64 << 10

// setting is a line of the file.
type setting struct {
	command string // empty: for all
	flag    string
	value   string
	where   string // file and line
}

// configure gives flags that are not on the command line their values.
func (a *app) configure(cmd *cobra.Command) error {
	named := cmp.Or(a.flags.config, os.Getenv(environment.Variable(cmd.Root().Name(), "config")))
	settings, err := readConfig(cmp.Or(named, defaultConfig()))
	if errors.Is(err, fs.ErrNotExist) && named == "" {
		err = nil
	}
	if err != nil {
		return err
	}
	if err := known(cmd.Root(), settings); err != nil {
		return err
	}
	var problem error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || problem != nil || f.Name == "help" || f.Name == "config" {
			return
		}
		from := environment.Variable(cmd.Root().Name(), f.Name)
		if value, ok := os.LookupEnv(from); ok {
			problem = a.set(cmd, f.Name, []string{value}, "$"+from)
			return
		}
		// What is said for the command comes before what is said for all.
		for _, command := range []string{cmd.Name(), ""} {
			var values []string
			where := ""
			for _, s := range settings {
				if s.flag == f.Name && s.command == command {
					values, where = append(values, s.value), s.where
				}
			}
			if len(values) > 0 {
				problem = a.set(cmd, f.Name, values, where)
				return
			}
		}
	})
	return problem
}

func (a *app) set(cmd *cobra.Command, flag string, values []string, from string) error {
	a.given[flag] = from
	for _, v := range values {
		if err := cmd.Flags().Set(flag, v); err != nil {
			return fmt.Errorf("%s: --%s %q: %w", from, flag, v, err)
		}
	}
	return nil
}

// known says which line of the file names a flag or command that does not exist.
func known(root *cobra.Command, settings []setting) error {
	for _, s := range settings {
		found := false
		for _, c := range root.Commands() {
			if s.command == "" || s.command == c.Name() {
				found = found || c.Flags().Lookup(s.flag) != nil || c.InheritedFlags().Lookup(s.flag) != nil
			}
		}
		if !found {
			in := "any command"
			if s.command != "" {
				in = "btclient " + s.command
			}
			return &client.Hint{Err: fmt.Errorf("%w: %s: there is no flag %q for %s", client.ErrUsage, s.where, s.flag, in),
				Next: "btclient COMMAND --help lists the flags; in the file they stand without dashes"}
		}
	}
	return nil
}

// defaultConfig is where the file is unless somebody names another.
func defaultConfig() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "chordtorrent", "btclient.conf")
}

func readConfig(path string) ([]setting, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration: %w", err)
	}
	defer f.Close()
	var all []setting
	command := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxConfigLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		where := fmt.Sprintf("%s:%d", path, n)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			command = strings.TrimSpace(line[1 : len(line)-1])
		default:
			flag, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, fmt.Errorf("%w: %s: %q is not flag = value", client.ErrUsage, where, line)
			}
			all = append(all, setting{command, strings.TrimSpace(flag), strings.TrimSpace(value), where})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	return all, nil
}
