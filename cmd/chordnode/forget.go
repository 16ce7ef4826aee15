package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"chordtorrent/chord"
)

func newForgetCommand(stdout io.Writer) *cobra.Command {
	var ring ringFlags
	var member string
	cmd := &cobra.Command{
		Use:   "forget ID",
		Short: "Declare a member gone for good",
		Long: `forget tells every member that the one with that id does not come back.

A ring mends the loss of any two members by itself. When more are gone at once,
what is left cannot know whether they hold something that it does not: it reads
what it has, says so, and acknowledges no writes. Forget them one by one, and
the others take what they hold together for all there is. "chordnode status"
lists who is missed; all of them have to be forgotten, or to return.

What only the forgotten members had is lost. If one returns after all, what it
holds is merged in. A member that is the last one left, and knows of no other, is
told so by its own id.

On success it prints

  forgotten id=<40 hex digits> told=<members that have taken note> of=<members>`,
		Example: `  chordnode forget 3f1c…
  chordnode forget --node 10.0.0.5:8000 3f1c…`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the id of one member, not %d arguments", cmd.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := chord.ParseID(args[0])
			if err != nil {
				return usageError{fmt.Errorf("forget %q: %w", args[0], err)}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
			defer cancel()
			r, err := carryOut[chord.ForgetReply](ctx, member, ring, chord.Forget{ID: id})
			if err == nil {
				err = forgetError(id, r)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "forgotten id=%s told=%d of=%d\n", id, r.Told, r.Of)
			return nil
		},
	}
	cmd.SetContext(context.Background())
	registerNode(cmd.Flags(), &member)
	ring.register(cmd.Flags())
	return cmd
}

// forgetError says what kept a member from being forgotten, if anything did.
func forgetError(id chord.ID, r chord.ForgetReply) error {
	switch {
	case r.Code == chord.CodeOK && r.Told >= r.Of:
		return nil
	case r.Code == chord.CodeOK:
		return fmt.Errorf("forget %s: %d of %d members have taken note; run it again when the others answer", id, r.Told, r.Of)
	case r.Code == chord.CodeBadRequest:
		return fmt.Errorf("forget %s: it lives; only a member that is gone can be forgotten, or the last one that is left", id)
	}
	return fmt.Errorf("forget %s: %w", id, r.Code.Err())
}
