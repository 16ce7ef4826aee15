#!/usr/bin/env bash
# interop.sh [--quick] [--clients aria2,…] [--shapes file,…] [--cases matrix,killed,…]
# [--out FILE] [--doc FILE]: tries clients of others with a ring as their tracker and with
# btclient in their swarms, as whole programs in network namespaces, and prints a table.
# Ends with status 1 if something failed. Needs root; the clients are installed. --help
# lists the flags; what the whole run found is in docs/interop.md.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "interop.sh makes network namespaces: run it as root" >&2
	exit 1
fi
case " $* " in
*" --quick "*) scripts/need.sh ip tc nft curl aria2c transmission-daemon transmission-remote python3-libtorrent ;;
*)
	scripts/need.sh ip tc nft curl aria2c transmission-daemon transmission-remote qbittorrent-nox rtorrent ctorrent python3-libtorrent
	(cd scripts/interop/anacrolix && CGO_ENABLED=0 go build -trimpath -o ../../../bin/interop/torrent github.com/anacrolix/torrent/cmd/torrent)
	;;
esac
make -s build
CGO_ENABLED=0 go build -trimpath -o bin/interop/interop ./scripts/interop

WORK=$(mktemp -d /dev/shm/interop.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$WORK"' EXIT
bin/interop/interop --bin "$PWD/bin" --work "$WORK" --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" "$@"
