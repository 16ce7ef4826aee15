//go:build manual

package manual

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEveryCommandHasAPageButThisOne(t *testing.T) {
	program := &cobra.Command{Use: "prog", Short: "Do it"}
	program.AddCommand(&cobra.Command{Use: "sub ARG", Short: "Do a part of it", Run: func(*cobra.Command, []string) {}})
	program.CompletionOptions.DisableDefaultCmd = true
	AddTo(program, cobra.ExactArgs(1))
	dir := filepath.Join(t.TempDir(), "new")
	program.SetArgs([]string{"man", dir})
	if err := program.Execute(); err != nil {
		t.Fatal(err)
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 2 || found[0].Name() != "prog-sub.1" || found[1].Name() != "prog.1" {
		t.Fatalf("pages: %v, %v", found, err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "prog-sub.1"))
	if err != nil || !strings.Contains(string(page), "Do a part of it") || !strings.Contains(string(page), "chordtorrent") {
		t.Errorf("%v: %s", err, page)
	}
	program.SetArgs([]string{"man"})
	program.SilenceErrors, program.SilenceUsage = true, true
	if err := program.Execute(); err == nil {
		t.Error("no directory is not refused")
	}
}
