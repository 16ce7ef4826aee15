// Package environment answers one question: which flag does a variable of the environment
// stand for? The programs call it before anything else is done. What a value is worth
// beside the command line, and beside a file, is theirs to say.
package environment

import (
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Variable is the name of the variable for a program's flag: CHORDNODE_LOG_LEVEL for
// --log-level of chordnode.
func Variable(program, flag string) string {
	return strings.ToUpper(program + "_" + strings.ReplaceAll(flag, "-", "_"))
}

// injected is what an orchestrator tells every container of a service that is called as the
// program, or that and more words; and the version, which those who make images set.
var injected = regexp.MustCompile(`^(?:.+_)?SERVICE_(?:HOST|PORT(?:_.+)?)=|^(?:.+_)?PORT=[a-z]+://|^(?:.+_)?PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?=|^VERSION=`)

// WarnOfStrange tells the log of each variable in environ (name=value) that begins as those of
// a program do and is for no flag of any of its commands: most likely it is misspelt. others
// are variables that count all the same.
func WarnOfStrange(log *slog.Logger, program *cobra.Command, environ []string, others ...string) {
	prefix := Variable(program.Name(), "")
	var known map[string]bool // made when it is needed: most environments have no such variable
	for _, v := range environ {
		rest, ours := strings.CutPrefix(v, prefix)
		name, _, _ := strings.Cut(v, "=")
		if !ours || injected.MatchString(rest) || slices.Contains(others, name) {
			continue
		}
		if known == nil {
			known = variables(program)
		}
		if known[name] {
			continue
		}
		args := []any{"variable", name}
		if meant := near(name, known); meant != "" {
			args = append(args, "meant", meant)
		}
		log.Warn("a variable of the environment is ignored: no flag has this name", args...)
	}
}

// variables are those of all flags of a program and its commands: a variable is for many
// commands, and does no harm to one that has no such flag.
func variables(program *cobra.Command) map[string]bool {
	known := map[string]bool{}
	add := func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "version" { // they ask for something else than the program
			known[Variable(program.Name(), f.Name)] = true
		}
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(program)
	return known
}

// near gives the known names that somebody may have meant, as cobra finds them for a
// command that is misspelt; "" if there is none.
func near(name string, known map[string]bool) string {
	words := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, k := range slices.Sorted(maps.Keys(known)) {
		words.AddCommand(&cobra.Command{Use: k, Run: func(*cobra.Command, []string) {}})
	}
	return strings.Join(words.SuggestionsFor(name), " or ")
}
