#!/bin/bash
# What the trackers of chordnode answer for a second of CPU time, beside others, on loopback.
#
#   TRACKLOAD=/path/to/trackload scripts/bench-tracker.sh [--runs N] [--seconds S] [--tasks udp,ring,http,latency,million] [--out DIR]
#
# TRACKLOAD is a load generator that checks every answer and prints JSON. OPENTRACKER and
# CHIHAYA name those programs, if they are to be measured in turn with ours. Everything that
# answers runs on CPU 0, the load on CPU 1. LOCK, if set, is a file that is locked for each run.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

runs=3 seconds=8 tasks=udp,ring,http,latency,million out=bench/tracker
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=$2 ;;
	--seconds) seconds=$2 ;;
	--tasks) tasks=$2 ;;
	--out) out=$2 ;;
	*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift 2
done
: "${TRACKLOAD:?names the load generator}"
scripts/need.sh jq bc curl

work=$(mktemp -d)
pids=()
stop() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :
	[ ${#pids[@]} -eq 0 ] || wait "${pids[@]}" 2>/dev/null || :
	pids=()
}
trap 'stop; rm -rf "$work"' EXIT
commit=$(git rev-parse --short HEAD)
flags=$(scripts/ldflags.sh $(go env GOOS GOARCH) "$commit")
CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$work/chordnode" ./cmd/chordnode
mkdir -p "$out"

start() { # COMMAND…: in the background, on CPU 0
	taskset -c 0 "$@" >>"$work/log" 2>&1 &
	pids+=($!)
}

node() { # I: the I-th member of a ring; the first one answers clients
	local join=()
	[ "$1" = 0 ] || join=(--join 127.0.0.1:18800)
	start "$work/chordnode" --data-dir "$work/node-$1" --cluster "bench-$$" --multicast off --bind "127.0.0.1:1880$1" "${join[@]}" \
		--http "127.0.0.1:1690$1" --udp "127.0.0.1:1690$1" --source-rate 100000000 --source-peers 100000000
}

chordnode() { # N: a ring of N, until each knows all
	rm -rf "$work"/node-*
	local i
	for ((i = 0; i < $1; i++)); do node "$i"; done
	for ((i = 0; i < 150; i++)); do
		[ "$("$work/chordnode" status --node 127.0.0.1:18800 --cluster "bench-$$" --json 2>/dev/null | jq '.members | length' 2>/dev/null || echo 0)" = "$1" ] && break
		sleep 0.2
	done
	sleep 2
}

opentracker() {
	mkdir -p "$work/open"
	"$TRACKLOAD" -write-hashes "$work/open/list" "${load[@]}"
	start "$OPENTRACKER" -i 127.0.0.1 -p 16900 -P 16900 -d "$work/open" -w list
	sleep 1
}

chihaya() {
	cat >"$work/chihaya.yaml" <<-EOF
		chihaya:
		  announce_interval: "30m"
		  min_announce_interval: "15m"
		  metrics_addr: ""
		  http: {addr: "127.0.0.1:16900", read_timeout: "5s", write_timeout: "5s", idle_timeout: "30s", enable_keepalive: true, announce_routes: ["/announce"], scrape_routes: ["/scrape"], max_numwant: 100, default_numwant: 50, max_scrape_infohashes: 50}
		  udp: {addr: "127.0.0.1:16900", max_clock_skew: "10s", private_key: "a key for a benchmark", max_numwant: 100, default_numwant: 50, max_scrape_infohashes: 50}
		  storage: {name: memory, config: {gc_interval: "3m", peer_lifetime: "31m", shard_count: 1024, prometheus_reporting_interval: "1s"}}
	EOF
	start "$CHIHAYA" --config "$work/chihaya.yaml"
	sleep 1
}

ticks() { # PID…: hundredths of a second of CPU that processes have used
	local pid sum=0
	for pid in "$@"; do sum=$((sum + $(awk '{print $14 + $15}' "/proc/$pid/stat"))); done
	echo $sum
}

# one TASK NAME STARTER… -- FLAGS…: one run of a fresh tracker, a line of JSON.
one() {
	local task=$1 name=$2 starter=() others=() t
	shift 2
	while [ "$1" != -- ]; do starter+=("$1"); shift; done
	shift
	load=("$@")
	[ -z "${LOCK:-}" ] || { exec 9>"$LOCK"; flock 9; }
	"${starter[@]}"
	others=("${pids[@]:1}")
	(while :; do echo "$EPOCHREALTIME $(ticks "${others[@]}")"; sleep 0.25; done) >"$work/ticks" 9>&- & # of the members that nobody announces to
	t=$!
	timeout 100 "$TRACKLOAD" -pid "${pids[0]}" -pin 1 -addr 127.0.0.1:16900 -min-interval 1 "$@" >"$work/run.json" || :
	kill $t; wait $t 2>/dev/null || :
	local rss heap
	rss=$(for p in "${pids[@]}"; do awk '/VmRSS/ {print $2}' "/proc/$p/status"; done | paste -sd+ | bc)
	heap=null
	if [ "${starter[0]}" = chordnode ]; then
		sleep 1
		heap=$(for ((i = 0; i < ${starter[1]}; i++)); do curl -s "http://127.0.0.1:1690$i/metrics" | awk '/^go_gc_heap_live_bytes/ {printf "%d\n", $2}'; done | paste -sd+ | bc)
	fi
	stop
	[ -z "${LOCK:-}" ] || exec 9>&-
	local rest
	rest=$(awk -v s="$(jq .load.seconds "$work/run.json")" '{t[NR]=$1; c[NR]=$2} END {for (i = NR; i > 1 && t[NR] - t[i] < s; i--); print (c[NR] - c[i]) / 100}' "$work/ticks")
	jq -c --arg task "$task" --arg name "$name" --argjson others "${rest:-0}" --argjson rss "${rss:-0}" --argjson heap "${heap:-null}" --arg load_average "$(cut -d' ' -f1 /proc/loadavg)" '
		{task: $task, name: $name, ok: .ok, not_ok_because: .not_ok_because, load_average: ($load_average | tonumber), answers_per_second: .load.announces_per_s,
		 answers_per_cpu_second: .tracker.announces_per_cpu_s, cpu_seconds: .tracker.cpu_s, cpu_seconds_of_other_members: $others,
		 answers_per_cpu_second_of_all: (if .tracker.cpu_s + $others > 0 then .load.announces / (.tracker.cpu_s + $others) else null end),
		 p50_ms: (.load.latency.p50_us / 1000), p99_ms: (.load.latency.p99_us / 1000), rate: .rate, timeouts: .load.timeouts, stored_peers: .expected_stored_peers,
		 rss_kib_of_all: $rss, live_heap_bytes_of_all: $heap, rss_kib_before_of_one: .tracker.rss_before_kib}' "$work/run.json" | tee -a "$work/$task.jsonl"
}

has() { [[ ",$tasks," == *",$1,"* ]]; }

for ((r = 0; r < runs; r++)); do
	flags=(-duration "${seconds}s")
	if has udp; then
		one udp chordnode chordnode 1 -- -mode udp "${flags[@]}"
		[ -z "${CHIHAYA:-}" ] || one udp chihaya chihaya -- -mode udp "${flags[@]}"
		[ -z "${OPENTRACKER:-}" ] || one udp opentracker opentracker -- -mode udp "${flags[@]}"
	fi
	if has ring; then
		one ring one chordnode 1 -- -mode udp "${flags[@]}"
		one ring three chordnode 3 -- -mode udp "${flags[@]}"
	fi
	if has http; then
		one http chordnode chordnode 1 -- -mode http "${flags[@]}"
		[ -z "${CHIHAYA:-}" ] || one http chihaya chihaya -- -mode http "${flags[@]}"
	fi
	if has latency; then
		half=$(jq -s '[.[].answers_per_second] | max / 2 | floor' "$work/udp.jsonl" 2>/dev/null || echo 40000)
		one latency chordnode chordnode 1 -- -mode udp "${flags[@]}" -rate "$half"
	fi
	if has million && [ "$r" = 0 ]; then
		one million three chordnode 3 -- -mode udp -peers 100 -preload-limit 60s "${flags[@]}"
	fi
done

machine=$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)
for f in "$work"/*.jsonl; do
	jq -s --arg commit "$commit" --arg machine "$machine, $(nproc) cores" --arg date "$(date -u +%F)" '
		def median: sort | .[length / 2 | floor];
		{commit: $commit, machine: $machine, date: $date, task: .[0].task,
		 medians: (group_by(.name) | map({key: .[0].name, value: {answers_per_cpu_second: ([.[].answers_per_cpu_second] | median),
			answers_per_cpu_second_of_all: ([.[].answers_per_cpu_second_of_all] | median), p99_ms: ([.[].p99_ms] | median)}}) | from_entries), runs: .}' "$f" >"$out/$(basename "$f" l)"
done
