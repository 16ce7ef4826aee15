//go:build manual

package manual

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"chordtorrent/version"
)

// AddTo adds a hidden command, man DIR, that writes a page for each command of the program.
// args is to refuse anything but one argument.
func AddTo(program *cobra.Command, args cobra.PositionalArgs) {
	program.AddCommand(&cobra.Command{
		Use: "man DIR", Short: "Write manual pages of all commands into a directory", Hidden: true,
		Args: args,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			program.DisableAutoGenTag = true // the same input gives the same pages
			epoch := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Title: strings.ToUpper(program.Name()), Section: "1", Source: "chordtorrent " + version.String(), Manual: "chordtorrent", Date: &epoch}
			if err := doc.GenManTree(program, header, args[0]); err != nil {
				return fmt.Errorf("writing the manual: %w", err)
			}
			return nil
		},
	})
}
