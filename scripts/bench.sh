#!/usr/bin/env bash
# bench.sh [--clients btclient,aria2,libtorrent,copy,chain] [--leechers N] [--size 256m]
# [--rate 100m] [--runs N] [--out FILE], and more that swarmbench --help tells: times a
# seed and N that fetch from it and each other, as whole programs in network namespaces,
# and prints a table. Needs root; other clients and a tracker for them are installed when
# they are asked for. The data is in /dev/shm, so that the disk plays no part: that takes
# N+2 times the size. Measure on a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "bench.sh makes network namespaces: run it as root" >&2
	exit 1
fi
scripts/need.sh ip tc
case " $* " in *aria2*) scripts/need.sh aria2c opentracker curl ;; esac
case " $* " in *libtorrent*) scripts/need.sh python3-libtorrent opentracker curl ;; esac
make -s build
CGO_ENABLED=0 go build -trimpath -o bin/swarmbench ./scripts/swarmbench

exec bin/swarmbench --bin "$PWD/bin" --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" "$@"
