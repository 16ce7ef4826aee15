#!/usr/bin/env bash
# need.sh COMMAND...: makes sure that each command is there, installing it by
# the machine's package manager when it is not. python3-libtorrent is a library of
# /usr/bin/python3, as Debian calls it.
set -euo pipefail

there() {
	case $1 in
	python3-libtorrent) /usr/bin/python3 -c 'import libtorrent' >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing=()
for command in "$@"; do
	there "$command" || missing+=("$command")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# The package that brings a command, where the names differ.
package() {
	case $1 in
	cc) echo gcc libc6-dev ;;
	mkswap) echo util-linux ;;
	aria2c) echo aria2 ;;
	ip | tc) echo iproute2 ;;
	mkfs.ext4 | fsck.ext4) echo e2fsprogs ;;
	mkfs.vfat | fsck.vfat) echo dosfstools ;;
	mcopy) echo mtools ;;
	losetup | mount) echo mount ;;
	addpart) echo util-linux ;;
	sfdisk) echo fdisk ;;
	chromium) echo chromium fonts-liberation ;;
	nft) echo nftables ;;
	systemd-analyze) echo systemd ;;
	promtool) echo prometheus ;;
	dumpcap) echo wireshark-common ;;
	transmission-remote) echo transmission-cli ;;
	qemu-*-static) echo qemu-user-static ;;
	*) echo "$1" ;;
	esac
}

packages=()
for command in "${missing[@]}"; do
	read -ra names <<<"$(package "$command")"
	packages+=("${names[@]}")
done

sudo=()
if [ "$(id -u)" -ne 0 ]; then
	sudo=(sudo)
fi
echo "installing ${packages[*]} (for ${missing[*]})" >&2
if command -v apt-get >/dev/null 2>&1; then
	"${sudo[@]}" apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
elif command -v dnf >/dev/null 2>&1; then
	"${sudo[@]}" dnf install -y -q "${packages[@]/libc6-dev/glibc-devel}" >&2
elif command -v apk >/dev/null 2>&1; then
	"${sudo[@]}" apk add -q "${packages[@]/libc6-dev/musl-dev}" >&2
else
	echo "need.sh: no apt-get, dnf or apk here; please install: ${missing[*]}" >&2
	exit 1
fi
for command in "${missing[@]}"; do
	there "$command" || {
		echo "need.sh: $command is still missing after installing ${packages[*]}" >&2
		exit 1
	}
done
