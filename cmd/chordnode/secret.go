package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"chordtorrent/chord/secret"
)

func newSecretCommand(stdout io.Writer) *cobra.Command {
	passkey := false
	cmd := &cobra.Command{
		Use:   "secret [FILE]",
		Short: "Make a secret that closes a ring",
		Long: `secret writes a new secret to FILE, which must not exist and which only you can
read, or to stdout. Copy it to every machine of the ring, and give it to
chordnode and btclient with --secret-file.

With --passkey it makes nothing, but prints the passkey of the secret in FILE: other
BitTorrent clients announce at http://NODE/PASSKEY/announce.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one file, not %d", cmd.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if passkey {
				return printPasskey(stdout, args)
			}
			if len(args) == 0 {
				_, err := io.WriteString(stdout, secret.Generate())
				return err
			}
			err := secret.Write(args[0])
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already: name another file, or add a line of `chordnode secret` to it", args[0])
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&passkey, "passkey", false, "print the passkey of the secret in FILE, for other BitTorrent clients")
	return cmd
}

func printPasskey(stdout io.Writer, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("--passkey: of which secret? Name its file")}
	}
	keeper, err := secret.Open(args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, keeper.Passkey())
	return err
}

func secretWords(closed bool) string {
	if closed {
		return "closed by a secret"
	}
	return "none: whoever reaches the ring port can read and change all of it"
}
