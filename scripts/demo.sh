#!/usr/bin/env bash
# demo.sh: the main job, for real, on this machine alone.
#
# Three chordnodes find each other by multicast on the loopback interface. One
# client publishes a file of 256 MiB and a directory of thousands of files (the
# Go source tree), three others download both. In the middle one chordnode is
# killed with -9; publishing and downloading go on. Every byte is compared. A
# table tells who got what from whom. No process and no file stays behind.
#
#   DEMO_MIB=1024 scripts/demo.sh      another file size
#   DEMO_TREE=/path scripts/demo.sh    another directory
set -euo pipefail
cd "$(dirname "$0")/.."

MIB=${DEMO_MIB:-256}
TREE=${DEMO_TREE:-$(go env GOROOT)/src}
CLIENTS=3
BIN=$PWD/bin
CLUSTER=demo-$$-$RANDOM
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chordtorrent-demo.XXXXXX")
PIDS=()

# start LOG COMMAND...: runs it in the background, its pid kept in PID and PIDS.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>"$log.err" &
	PID=$!
	PIDS+=("$PID")
}

# stop PID...: ends processes in order; what has not ended after 10 s is killed.
stop() {
	local pid deadline=$((SECONDS + 10))
	for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
	for pid in "$@"; do
		while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP # nothing interrupts the tidying up
	# The clients first: each tells the ring that it goes.
	stop ${PIDS[@]+"${PIDS[@]:3}"}
	stop ${PIDS[@]+"${PIDS[@]:0:3}"}
	rm -rf "$WORK"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

fail() {
	echo "demo: $*" >&2
	for log in "$WORK"/*.err; do
		[ -s "$log" ] && { echo "--- $(basename "$log" .err)"; tail -n 5 "$log"; } >&2
	done
	exit 1
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "waited in vain for $what"
		sleep 0.05
	done
}

# as STORAGE: sets CLIENT to the command of the client with that Storage.
as() { CLIENT=("$BIN/btclient" --storage "$WORK/$1" --cluster "$CLUSTER" --multicast-ttl 0); }

members() { # the ring size that node 1 reports
	"$BIN/chordnode" status --json --cluster "$CLUSTER" --node "$RING1" |
		sed 's/.*"members":\[//; s/\].*//' | grep -o '"id"' | wc -l
}
ring_is() { [ "$(members)" = "$1" ]; }

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

[ -x "$BIN/chordnode" ] && [ -x "$BIN/btclient" ] || fail "bin/ is empty: run make build first"
[ -d "$TREE" ] || fail "$TREE is no directory: give another with DEMO_TREE"

echo "== a ring of three, found by multicast on the loopback interface"
for k in 1 2 3; do
	start "$WORK/node$k" "$BIN/chordnode" --data-dir "$WORK/node$k.data" --bind 127.0.0.1:0 --http 127.0.0.1:0 --udp 127.0.0.1:0 \
		--cluster "$CLUSTER" --multicast-ttl 0
	eval "NODE$k=$PID"
done
for k in 1 2 3; do await 15 "chordnode $k" grep -q '^ready ' "$WORK/node$k"; done
RING1=$(sed -n 's/.* ring=\([^ ]*\).*/\1/p' "$WORK/node1")
await 15 "a ring of three" ring_is 3
sed 's/^/  /' "$WORK"/node[123]

echo "== publish a file of $MIB MiB and $(find "$TREE" -type f | wc -l) files of $TREE"
head -c $((MIB * 1048576)) /dev/urandom >"$WORK/image.bin"
as publisher
start "$WORK/publish-image" "${CLIENT[@]}" publish "$WORK/image.bin" --seed-for 1h --json
start "$WORK/publish-tree" "${CLIENT[@]}" publish "$TREE" --name go-source --seed-for 1h --json
for what in image tree; do
	await 60 "the publishing of the $what" grep -q '"event":"published"' "$WORK/publish-$what"
done
as looker
"${CLIENT[@]}" ls | sed 's/^/  /'

echo "== $CLIENTS clients download both; one chordnode is killed in the middle"
began=$(now)
downloads=()
for k in $(seq $CLIENTS); do
	as "client$k"
	for name in image.bin go-source; do
		start "$WORK/get-$k-$name" "${CLIENT[@]}" download "$name" -o "$WORK/got$k/$name" \
			--progress json --seed-for 1h
		downloads+=("$WORK/get-$k-$name")
	done
done
moving() { grep -q '"event":"progress".*"bytes_done":[1-9]' "${downloads[@]}"; }
await 30 "the first bytes" moving
kill -9 "$NODE3"
wait "$NODE3" 2>/dev/null || true
echo "  killed chordnode 3 (pid $NODE3) after $(since "$began") s"
echo "published when one of three was dead" >"$WORK/late.txt"
as publisher
start "$WORK/publish-late" "${CLIENT[@]}" publish "$WORK/late.txt" --seed-for 1h --json
for log in "${downloads[@]}"; do
	await 120 "$(basename "$log")" grep -q '"event":"done"' "$log"
done
echo "  all downloads done after $(since "$began") s"
await 30 "a publish with one of three nodes dead" grep -q '"event":"published"' "$WORK/publish-late"
as client1
"${CLIENT[@]}" download late.txt -o "$WORK/got1/late.txt" --seed-for 0s >/dev/null || fail "late.txt did not arrive"
echo "  published and downloaded one more file after $(since "$began") s"

echo "== compare"
for k in $(seq $CLIENTS); do
	cmp "$WORK/image.bin" "$WORK/got$k/image.bin" || fail "client $k has another image.bin"
	diff -r "$TREE" "$WORK/got$k/go-source" >&2 || fail "client $k has another go-source"
done
cmp "$WORK/late.txt" "$WORK/got1/late.txt" || fail "late.txt differs"
echo "  every byte is the same"

# The done event says from which address each byte came: the publisher's two
# ports are known from its published events.
port_of() { sed -n 's/.*"event":"published".*"port":\([0-9]*\).*/\1/p' "$1"; }
echo
printf '  %-8s %-10s %9s %8s %9s %15s %13s\n' client name MB seconds MB/s 'from publisher' 'from others'
for k in $(seq $CLIENTS); do
	for what in image.bin:image go-source:tree; do
		name=${what%:*}
		grep -h '"event":"done"' "$WORK/get-$k-$name" | awk -v k="$k" -v name="$name" -v port="$(port_of "$WORK/publish-${what#*:}")" '
			function number(key,   at) {
				at = index($0, "\"" key "\":")
				return at ? substr($0, at + length(key) + 3) + 0 : 0
			}
			{
				total = number("bytes"); seconds = number("seconds"); rest = $0
				while (match(rest, /"addr":"[^"]*"[^}]*"bytes":[0-9]+/)) {
					source = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
					addr = source; sub(/^"addr":"/, "", addr); sub(/".*/, "", addr)
					bytes = source; sub(/.*"bytes":/, "", bytes)
					if (addr ~ ":" port "$") own += bytes; else others += bytes
				}
				all = own + others; if (all == 0) all = 1
				printf "  %-8s %-10s %9.1f %8.2f %9.1f %14.0f%% %12.0f%%\n", k, name, total / 1e6, seconds, (seconds > 0) ? total / 1e6 / seconds : 0, 100 * own / all, 100 * others / all
			}'
	done
done
echo
echo "the demo is complete: nothing was configured, one node died, nothing was lost"
