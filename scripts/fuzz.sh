#!/usr/bin/env bash
# fuzz.sh DURATION [PATTERN]: runs every fuzz target of the module (or those
# whose name matches PATTERN) for that long, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:-60s}
pattern=${2:-.}
targets=0
while IFS=: read -r file name; do
	[[ $name =~ $pattern ]] || continue
	echo "== $name in ${file%/*} for $duration"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "./${file%/*}"
	targets=$((targets + 1))
done < <(git ls-files '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //')
echo "$targets fuzz targets, nothing found"
