#!/usr/bin/env bash
# bench-hash.sh [FILE]: what hashing costs at a publish, beside the SHA-1 of openssl, five
# times in turn; the result goes to FILE (bench/swarm/hash.json). Both are counted by the
# CPU time of their processes, so that others on the machine disturb little.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-bench/swarm/hash.json}
scripts/need.sh openssl

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/storage.test" ./transfer/storage

# The MB per CPU second of one of our benchmarks.
ours() {
	(cd transfer/storage && "$work/storage.test" -test.run '^$' -test.bench "^$1\$" -test.benchtime 2s) |
		awk '{ for (i = 2; i <= NF; i++) if ($i == "MB/cpu-s") print $(i-1) }'
}

theirs() { openssl speed -mr -seconds 2 -bytes 1048576 sha1 2>/dev/null | awk -F: '/^\+F/ { print $4 / 1e6 }'; }

for _ in 1 2 3 4 5; do
	theirs >>"$work/openssl"
	ours BenchmarkSHA1 >>"$work/sha1"
	ours BenchmarkHash >>"$work/publish"
done

list() { paste -sd, "$work/$1"; }
median() { sort -n "$work/$1" | sed -n 3p; }

cat >"$out" <<JSON
{
  "machine": {
    "cpu": "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)",
    "cores": $(nproc),
    "commit": "$(git describe --always --dirty)",
    "date": "$(date -u +%FT%TZ)"
  },
  "openssl": "$(openssl version)",
  "openssl_mb_per_cpu_sec": [$(list openssl)],
  "sha1_mb_per_cpu_sec": [$(list sha1)],
  "publish_mb_per_cpu_sec": [$(list publish)],
  "publish_over_openssl": $(awk -v a="$(median publish)" -v b="$(median openssl)" 'BEGIN { printf "%.3f", a / b }')
}
JSON
cat "$out"
