# shellcheck shell=sh
# imaging.sh: what the imaging scripts have in common. It is sourced, needs a POSIX sh and
# the commands of busybox, and of programs of its own nothing but btclient.

PROGRAM=${0##*/}

# fail CODE WHAT [NEXT]: ends with an exit code of btclient's, saying what to do next.
fail() {
	echo "$PROGRAM: $2" >&2
	[ -z "${3-}" ] || echo "hint: $3" >&2
	exit "$1"
}

misuse() { fail 2 "$1" "$PROGRAM --help shows how to ask"; }

# configure reads the configuration, and hands it to btclient in its environment.
configure() {
	IMAGING_CONF=${IMAGING_CONF:-/etc/chordtorrent/imaging.conf}
	if [ -r "$IMAGING_CONF" ]; then
		# shellcheck source=imaging.conf
		. "$IMAGING_CONF"
	fi
	REPO=${REPO-}
	STORAGE=${STORAGE:-${BTCLIENT_STORAGE:-${XDG_DATA_HOME:-${HOME-}/.local/share}/chordtorrent/Storage}}
	if [ -z "${BTCLIENT-}" ]; then
		BTCLIENT=btclient
		[ ! -x "$HERE/btclient" ] || BTCLIENT=$HERE/btclient
	fi
	command -v "$BTCLIENT" >/dev/null || fail 1 "there is no $BTCLIENT" "copy btclient, which is one static file, into $HERE or a directory of \$PATH, or name it by BTCLIENT in $IMAGING_CONF"
	export BTCLIENT_STORAGE="$STORAGE"
	[ -z "${TOKEN_FILE-}" ] || export BTCLIENT_TOKEN_FILE="$TOKEN_FILE"
	[ -z "${CLUSTER-}" ] || export BTCLIENT_CLUSTER="$CLUSTER"
	[ -z "${SECRET_FILE-}" ] || export BTCLIENT_SECRET_FILE="$SECRET_FILE"
	[ -z "${RING-}" ] || export BTCLIENT_RING="$RING"
}

need_repo() {
	[ -n "$REPO" ] || fail 2 "which machine is the repository?" "write REPO=http://HOST:8780 into $IMAGING_CONF, where btclient serve --web 0.0.0.0:8780 runs on HOST"
}

# check_name NAME: the scripts read names out of lines of text, so they take plain ones.
check_name() {
	case $1 in
	'' | -* | .* | *[!A-Za-z0-9._+-]*) misuse "the image name '$1' is not made of letters, digits and . _ + - alone, or begins with . or -" ;;
	esac
}

# is_packed NAME: whether an image is compressed is told by its name.
is_packed() {
	case $1 in *.zst) ;; *) return 1 ;; esac
	command -v zstd >/dev/null || fail 1 "$1 is compressed, and there is no zstd here" "install zstd, or take an image whose name does not end in .zst"
}

# device_of DISK PART: prints the device, as /dev/sda1 for sda 1. PART 0 or - is the whole
# disk.
device_of() {
	disk=$1
	case $disk in /*) ;; *) disk=/dev/$disk ;; esac
	case $2 in
	0 | -) set -- "$disk" ;;
	*)
		part=${2#p}
		case $part in '' | *[!0-9]*) misuse "the partition '$2' is no number: use 1, 2 …, or 0 for the whole disk" ;; esac
		set -- "$disk$part" "${disk}p$part" "$disk-part$part"
		case $disk in *[0-9]) set -- "${disk}p$part" "$disk-part$part" ;; esac
		;;
	esac
	for device in "$@"; do
		if [ -b "$device" ]; then
			readlink -f "$device"
			return
		fi
	done
	fail 2 "there is no block device $1" "cat /proc/partitions lists them; a new partition table is read by partprobe or blockdev --rereadpt"
}

# bytes_of DEVICE: prints its size.
bytes_of() {
	read -r sectors <"/sys/class/block/${1##*/}/size" && echo $((sectors * 512))
}

# uses_of DEVICE [read-only]: prints who uses it or a partition of it, and may write to it.
uses_of() {
	for sys in "/sys/class/block/${1##*/}" "/sys/class/block/${1##*/}/${1##*/}"*; do
		[ -r "$sys/dev" ] || continue
		read -r number <"$sys/dev"
		while read -r _ _ at _ where rest; do
			case "${2-} ${rest##* - }" in "read-only "*" "*" ro" | "read-only "*" "*" ro,"*) continue ;; esac
			case "$at $rest " in "$number "* | *" - "*" /dev/${sys##*/} "*) echo "mounted at $where" ;; esac
		done </proc/self/mountinfo
		while read -r swap _; do
			[ "$swap" != "/dev/${sys##*/}" ] || echo "swap space"
		done </proc/swaps
		for holder in "$sys"/holders/*; do
			[ ! -e "$holder" ] || echo "what ${holder##*/} is built on"
		done
	done
}

# free_or_fail DEVICE [read-only]: for what does not go through btclient, which looks itself.
free_or_fail() {
	uses=$(uses_of "$@" | head -n 1)
	[ -z "$uses" ] || [ -n "$FORCE" ] || fail 1 "$1 is in use: it is $uses" "unmount it, and let go of it what else uses it; --force goes on all the same"
}

# unpacked_size FILE: prints how many bytes a zstd frame that begins as the file does, with
# 18 bytes, says that it holds (RFC 8878, 3.1.1.1); nothing if it does not say.
unpacked_size() {
	# shellcheck disable=SC2046 # a number for each byte
	set -- $(od -A n -v -t u1 "$1")
	[ $# -eq 18 ] && [ "$1 $2 $3 $4" = "40 181 47 253" ] || return 0
	size=$(($5 >> 6)) single=$(($5 >> 5 & 1)) dict=$(($5 & 3))
	[ $dict -ne 3 ] || dict=4
	shift $((6 - single + dict))
	case $size$single in
	00) ;;
	01) echo "$1" ;;
	1?) echo $(($1 + ($2 << 8) + 256)) ;;
	2?) echo $(($1 + ($2 << 8) + ($3 << 16) + ($4 << 24))) ;;
	*) echo $(($1 + ($2 << 8) + ($3 << 16) + ($4 << 24) + ($5 << 32) + ($6 << 40) + ($7 << 48))) ;;
	esac
}

# held WHERE NAME: prints the info hash of what is at WHERE, storage or the URL of a daemon.
held() {
	"$BTCLIENT" --json ls --from "$1" "$2" >"$WORK/held" || return
	sed -n 's/^{"name":"'"$2"'",.*"info_hash":"\([0-9a-f]*\)".*/\1/p' "$WORK/held"
}

# newest NAME PROTOCOL: prints the info hash of what the repository has: by UNICAST the
# machine itself is asked, by TORRENT the ring.
newest() {
	if [ "$2" = UNICAST ]; then
		need_repo
		held "$REPO" "$1" >"$WORK/newest" || return
		[ -s "$WORK/newest" ] || fail 3 "the repository $REPO has no image $1" "$BTCLIENT ls --from $REPO shows what it has"
	else
		"$BTCLIENT" --json=false show "$1" >"$WORK/shown" || return
		sed -n 's/^info_hash *//p' "$WORK/shown" >"$WORK/newest"
	fi
	cat "$WORK/newest"
}

check_protocol() {
	case $1 in TORRENT | UNICAST) ;; *) misuse "the protocol is '$1': use TORRENT, from everyone who has it, or UNICAST, from the repository alone" ;; esac
}

# workspace makes WORK, a directory for as long as this runs.
workspace() {
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/imaging.XXXXXX") || fail 1 "no directory for temporary files in ${TMPDIR:-/tmp}"
	trap 'rm -rf "$WORK"' EXIT
	trap stop INT TERM HUP
	CHILD=
}

# stop: what runs is ended in order, so that the same command can go on with it.
stop() {
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		kill "$CHILD" 2>/dev/null
		wait "$CHILD"
	fi
	exit 130
}

# run COMMAND...: as the command, but it hears when this script is asked to end.
run() {
	"$@" &
	CHILD=$!
	wait "$CHILD"
	code=$?
	CHILD=
	return "$code"
}
