#!/usr/bin/env bash
# next-version.sh OUT: builds a chordnode of the next version of the ring protocol, which
# says so and sends one field more in every message of chord/message.go and chord/op.go.
# With it the kill-test upgrades a ring over a change of the protocol.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=$(realpath -m "${1:?next-version.sh OUT}")

WORK=$(mktemp -d "${TMPDIR:-/tmp}/next-version.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
for file in chord/message.go chord/op.go; do
	awk '/^type [A-Z][A-Za-z]* struct \{$/ { inside = 1 }
		inside && /^}/ { print "\tLater uint64"; inside = 0 }
		{ print }' "$file" >"$WORK/$(basename "$file")"
done
sed -E 's/^const Version = ([0-9]+)$/const Version = \1 + 1/' chord/rpc/kinds.go >"$WORK/kinds.go"
for file in message.go op.go kinds.go; do
	if cmp -s "$WORK/$file" "chord/$file" || cmp -s "$WORK/$file" "chord/rpc/$file"; then
		echo "next-version.sh: nothing to change was found in $file" >&2
		exit 1
	fi
done
cat >"$WORK/overlay.json" <<JSON
{"Replace": {
	"$PWD/chord/message.go": "$WORK/message.go",
	"$PWD/chord/op.go": "$WORK/op.go",
	"$PWD/chord/rpc/kinds.go": "$WORK/kinds.go"
}}
JSON
flags=$(scripts/ldflags.sh "$(go env GOOS)" "$(go env GOARCH)" next)
CGO_ENABLED=0 go build -trimpath -overlay "$WORK/overlay.json" -ldflags "$flags" -o "$OUT" ./cmd/chordnode
