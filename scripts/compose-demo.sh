#!/usr/bin/env bash
# compose-demo.sh: a ring of three, a publisher and two downloaders in
# containers that find each other by multicast on the compose network. One
# node is killed; a new download still works. Everything is taken down.
set -euo pipefail
cd "$(dirname "$0")/.."

PROJECT=chordtorrent-demo-$$
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chordtorrent-compose.XXXXXX")
export SAMPLE=$WORK SAMPLE_NAME=sample.bin
MIB=${DEMO_MIB:-64}

compose() { docker-compose --project-name "$PROJECT" "$@"; }

finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP # nothing interrupts the tidying up
	if [ $status -ne 0 ]; then compose logs --tail 20 >&2 || true; fi
	compose down --volumes --timeout 5 >/dev/null 2>&1 || true
	rm -rf "$WORK"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

fail() {
	echo "compose-demo: $*" >&2
	exit 1
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "waited in vain for $what"
		sleep 0.5
	done
}
logs_say() { compose logs --no-color "$1" 2>/dev/null | grep -q "$2"; }
container() { compose ps -q "$1"; }
same() { # the file in a container is the sample
	docker cp "$(container "$1"):/data/sample.bin" "$WORK/from-$1"
	cmp "$WORK/sample.bin" "$WORK/from-$1"
}

for tool in docker docker-compose; do
	command -v $tool >/dev/null || fail "$tool is not installed"
done
docker info >/dev/null 2>&1 || fail "no docker engine answers"

echo "== build"
make build
compose build --quiet node1 2>&1 | grep -v -i -e deprecated -e buildx -e '^$' || true
head -c $((MIB * 1048576)) /dev/urandom >"$WORK/sample.bin"
chmod 755 "$WORK"
chmod 644 "$WORK/sample.bin"

echo "== up: three nodes, a publisher, two downloaders"
compose up -d node1 node2 node3 publisher
await 60 "the publisher" logs_say publisher 'published name='
compose up -d downloader1
await 60 "the first downloader" logs_say downloader1 'downloaded name='
same downloader1 || fail "downloader1 has other bytes"
echo "  downloader1 has the file"

echo "== kill one node, then download again"
docker kill --signal KILL "$(container node2)" >/dev/null
compose up -d --no-deps downloader2
await 60 "the second downloader" logs_say downloader2 'downloaded name='
same downloader2 || fail "downloader2 has other bytes"
echo "  downloader2 has the file, with one of three nodes dead"
echo "the compose demo is complete"
