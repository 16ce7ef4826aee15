#!/usr/bin/env bash
# lab.sh [--hosts 40] [--size 128m] [--rate 50m] [--slow 5m] [--late 10 --within 20s]
# [--vanish 3] [--nodes 3] [--file PATH] [--judge] …: tries on this one machine how long
# our programs take to bring a file to so many, each on a host of its own in a network
# of namespaces with limited links, and says how near that is to the least possible.
# Needs root, ip and tc; nothing in it can be reached from outside. --help lists the
# flags, docs/lab.md explains them. Ends with 0 when everybody has the file, 1 if not or
# if --judge finds harm, 2 for a wrong command line, 3 when --judge could not tell, 130
# when interrupted.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."

case " $* " in *" --help "* | *" -h "*) ;; *)
	if [ "$(id -u)" -ne 0 ]; then
		echo "lab.sh makes network namespaces, which takes root: sudo scripts/lab.sh $*" >&2
		exit 1
	fi
	;;
esac

# Under sudo the programs are built as the person who said it: root may have no Go, and
# what it builds would be root's.
as_me() {
	if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
		sudo -u "$SUDO_USER" -H bash -lc 'cd "$1" && shift && exec "$@"' bash "$PWD" "$@"
	else
		"$@"
	fi
}
as_me make -s build
as_me env CGO_ENABLED=0 go build -trimpath -o bin/swarmbench ./scripts/swarmbench
commit=$(as_me git describe --always --dirty 2>/dev/null || echo unknown)

bin=$PWD/bin
cd "$here" # paths in flags are the caller's
exec "$bin/swarmbench" lab --bin "$bin" --commit "$commit" "$@"
