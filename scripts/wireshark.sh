#!/usr/bin/env bash
# wireshark.sh: a btclient and an aria2 fetch from a btclient, each on a host of its own
# in network namespaces; what the seed says and hears is captured, and tshark has to make
# it out. Ends with 1 when it does not; captures and logs are then kept. Needs root, and
# some seconds. docs/wireshark.md has what to know when one looks oneself.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "wireshark.sh makes network namespaces: run it as root" >&2
	exit 1
fi
scripts/need.sh ip tc aria2c tshark dumpcap
make -s build
CGO_ENABLED=0 go build -trimpath -o bin/wireshark ./scripts/wireshark

# What a run has left that was itself killed: labs carry the pid of their maker.
ip netns list | sed -n 's/^ws\([0-9]*\)-.*/\1/p' | sort -u | while read -r pid; do
	if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != wireshark ]; then
		ip netns list | sed -n "s/^\(ws$pid-[^ ]*\).*/\1/p" | xargs -r -n 1 ip netns del
	fi
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/wireshark.XXXXXX")
if bin/wireshark --bin "$PWD/bin" --work "$WORK"; then
	rm -rf "$WORK"
else
	echo "wireshark.sh: captures and logs are kept in $WORK" >&2
	exit 1
fi
