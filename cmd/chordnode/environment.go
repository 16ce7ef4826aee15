package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix begins the name of a variable: --log-level is CHORDNODE_LOG_LEVEL.
const envPrefix = "CHORDNODE_"

// fromEnvironment gives flags that are not on the command line their values. An empty
// variable counts as none, as files of variables have lines to be filled in.
func fromEnvironment(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
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
