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

WORK=$(mktemp -d "${TMPDIR:-/tmp}/wireshark.XXXXXX")
if bin/wireshark --bin "$PWD/bin" --work "$WORK"; then
	rm -rf "$WORK"
else
	echo "wireshark.sh: captures and logs are kept in $WORK" >&2
	exit 1
fi
