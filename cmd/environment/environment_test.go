package environment

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// program has flags of its own, of all commands, and of one of them.
func program() *cobra.Command {
	root := &cobra.Command{Use: "prog"}
	root.Flags().String("join", "", "")
	root.Flags().String("log-level", "", "")
	root.Flags().String("log-format", "", "")
	root.PersistentFlags().String("cluster", "", "")
	sub := &cobra.Command{Use: "sub"}
	sub.Flags().String("node", "", "")
	root.AddCommand(sub)
	return root
}

func TestAVariableThatIsForNoFlagIsToldOf(t *testing.T) {
	const ignored = `level=WARN msg="a variable of the environment is ignored: no flag has this name" variable=`
	for variable, want := range map[string]string{
		"PROG_JION=10.0.0.5:8000": ignored + "PROG_JION meant=PROG_JOIN",
		"PROG_JOINS=":             ignored + "PROG_JOINS meant=PROG_JOIN",
		"PROG_LOG=debug":          ignored + `PROG_LOG meant="PROG_LOG_FORMAT or PROG_LOG_LEVEL"`,
		"PROG_CLUSTRE=x":          ignored + "PROG_CLUSTRE meant=PROG_CLUSTER",
		"PROG_NODES=x":            ignored + "PROG_NODES meant=PROG_NODE",
		"PROG_SOMETHING_ELSE=x":   ignored + "PROG_SOMETHING_ELSE",
		"PROG_HELP=true":          ignored + "PROG_HELP",
		"PROG_PORT=8000":          ignored + "PROG_PORT",

		"PROG_JOIN=x":      "",
		"PROG_LOG_LEVEL=x": "",
		"PROG_CLUSTER=x":   "",
		"PROG_NODE=x":      "", // of another command
		"PROG_OTHER=x":     "",
		"PROGRAM_JION=x":   "",
		"PATH=/bin":        "",

		// What Kubernetes tells of services called prog and prog-web.
		"PROG_SERVICE_HOST=10.0.0.11":             "",
		"PROG_SERVICE_PORT=8000":                  "",
		"PROG_SERVICE_PORT_RING=8000":             "",
		"PROG_PORT=tcp://10.0.0.11:8000":          "",
		"PROG_PORT_8000_TCP=tcp://10.0.0.11:8000": "",
		"PROG_PORT_8000_TCP_PROTO=tcp":            "",
		"PROG_PORT_8000_UDP_PORT=8000":            "",
		"PROG_PORT_8000_TCP_ADDR=10.0.0.11":       "",
		"PROG_WEB_SERVICE_HOST=10.0.0.12":         "",
		"PROG_WEB_PORT=udp://10.0.0.12:80":        "",
		"PROG_WEB_PORT_80_TCP_ADDR=10.0.0.12":     "",
		"PROG_VERSION=1.2":                        "",
	} {
		var out bytes.Buffer
		WarnOfStrange(slog.New(slog.NewTextHandler(&out, nil)), program(), []string{variable}, "PROG_OTHER")
		_, said, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), " ") // after the time
		if said != want {
			t.Errorf("%s: %q, want %q", variable, said, want)
		}
	}
}
