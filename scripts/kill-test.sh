#!/usr/bin/env bash
# kill-test.sh [--mode rounds|constant|cuts|full-disk|upgrade|rotate|latency] [--rounds N] [--join] …:
# a ring of 12 real chordnodes in network namespaces, under constant writes and
# reads; members are killed -9, two neighbours at a time, or cut off from each
# other, upgraded one by one (--upgrade-to next: to the next version of the ring
# protocol), or given another secret. Ends with a table, and status 1 if a promise was broken. Needs root;
# nothing in it can be reached from outside. --help lists the flags; the results
# of long runs are in bench/ring/.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "kill-test.sh makes network namespaces: run it as root" >&2
	exit 1
fi
scripts/need.sh ip nft
make -s build
CGO_ENABLED=0 go build -trimpath -o bin/killtest ./scripts/killtest
args=("$@")
for i in "${!args[@]}"; do
	if [ "$i" -gt 0 ] && [ "${args[i - 1]}" = --upgrade-to ] && [ "${args[i]}" = next ]; then
		args[i]=bin/chordnode-next
		scripts/next-version.sh bin/chordnode-next
	fi
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/killtest.XXXXXX")
PID=
finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP # nothing interrupts the tidying up
	if [ -n "$PID" ]; then
		kill "$PID" 2>/dev/null || true
		wait "$PID" 2>/dev/null || true
	fi
	if [ "$status" -eq 1 ] && ! rmdir "$WORK" 2>/dev/null; then
		echo "kill-test: data and logs are kept in $WORK" >&2
	else
		rm -rf "$WORK"
	fi
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

bin/killtest --work "$WORK" --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" "${args[@]}" &
PID=$!
status=0
wait "$PID" || status=$?
PID=
exit "$status"
