//go:build !manual

package manual

import "github.com/spf13/cobra"

// AddTo adds nothing without the tag.
func AddTo(*cobra.Command, cobra.PositionalArgs) {}
