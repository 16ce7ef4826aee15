#!/usr/bin/env bash
# check-units.sh: systemd understands the units of deploy/systemd, with and without a
# secret; takes them for well shut in (an exposure of 2.0 at most, of 10); and what the
# files in deploy/default name are flags of the programs in bin/. Starts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh systemd-analyze
WORK=$(mktemp -d "${TMPDIR:-/tmp}/check-units.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

failed=0
complain() {
	echo "check-units: $*" >&2
	failed=1
}

# The programs are where make build puts them.
install() { # INTO FILE...
	mkdir -p "$1"
	for file in "${@:2}"; do
		sed "s,^ExecStart=/usr/bin/,ExecStart=$PWD/bin/," "$file" >"$1/$(basename "$file")"
	done
}

understood() { # WHAT ARGUMENTS...
	local said
	if ! said=$(XDG_RUNTIME_DIR=$WORK systemd-analyze verify --man=no --recursive-errors=yes "${@:2}" 2>&1) || [ -n "$said" ]; then
		complain "$1: ${said:-systemd-analyze verify refuses it}"
	fi
}

install "$WORK/open" deploy/systemd/*.service deploy/systemd/*.socket
install "$WORK/closed" deploy/systemd/*.service deploy/systemd/*.socket
for unit in chordnode btclient; do install "$WORK/closed/$unit.service.d" deploy/systemd/secret.conf; done
install "$WORK/user" deploy/systemd/user/*.service
understood "the units" "$WORK"/open/*.s*
understood "the units with a secret" "$WORK"/closed/*.service "$WORK"/closed/*.socket
understood "the units of users" --user "$WORK"/user/*.service

for unit in chordnode btclient; do
	said=$(systemd-analyze security --offline=true --no-pager --threshold=20 "deploy/systemd/$unit.service" 2>&1) ||
		complain "$unit.service is open to more than an exposure of 2.0: $(grep '✗' <<<"$said")"
	tail -n 1 <<<"$said" | sed 's/^→ //'
done

flags() { # PREFIX HELP...: every variable of the file is a flag of one of the commands
	local name flag
	for name in $(sed -n "s/^#\{0,1\}$1_\([A-Z_]*\)=.*/\1/p" "$2"); do
		flag=--$(tr 'A-Z_' 'a-z-' <<<"$name")
		[ "$name" = SERVE_FLAGS ] || grep -q -- "$flag " <<<"$3" || complain "$2: $1_$name: there is no flag $flag"
	done
}
flags CHORDNODE deploy/default/chordnode "$(bin/chordnode --help)"
flags BTCLIENT deploy/default/btclient "$(bin/btclient serve --help)"

[ "$failed" -eq 0 ] || exit 1
echo "systemd understands the units, and every variable is a flag"
