#!/usr/bin/env bash
# kill-test.sh [--mode rounds|constant|cuts|latency] [--rounds N] [--join] …:
# a ring of 12 real chordnodes in network namespaces, under constant writes and
# reads; members are killed -9, two neighbours at a time, or cut off from each
# other. Ends with a table, and status 1 if a promise was broken. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "kill-test.sh makes network namespaces: run it as root" >&2
	exit 1
fi
scripts/need.sh ip nft
make -s build
mkdir -p bin
CGO_ENABLED=0 go build -trimpath -o bin/killtest ./scripts/killtest

work=$(mktemp -d "${TMPDIR:-/tmp}/killtest.XXXXXX")
keep=
tidy() {
	trap '' INT TERM
	if [ -n "$keep" ]; then
		echo "logs are kept in $work" >&2
	else
		rm -rf "$work"
	fi
}
trap tidy EXIT
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
status=0
bin/killtest --work "$work" --commit "$commit" "$@" || status=$?
[ "$status" -eq 0 ] || keep=1
exit "$status"
