package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chordtorrent/cmd/environment"
)

// fromEnvironment gives flags that are not on the command line their values. An empty
// variable counts as none, as files of variables have lines to be filled in.
func fromEnvironment(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := environment.Variable(cmd.Root().Name(), f.Name)
		value := os.Getenv(name)
		if f.Changed || value == "" || err != nil || f.Name == "help" || f.Name == "version" {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = usageError{fmt.Errorf("$%s: --%s %q: %w", name, f.Name, value, e)}
		}
	})
	return err
}
