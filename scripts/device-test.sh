#!/usr/bin/env bash
# device-test.sh: block devices as source and target of btclient, for real, on loop devices.
#
# A device is published, restored to others, with old data on them, interrupted, killed with
# -9 and written to in between; those that are mounted, too small or a swap are refused. Every
# byte is compared. Needs root. No process, device, mount or file stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."

# Whoever makes a mount namespace meanwhile would keep what is mounted here.
[ -n "${DEVICE_NAMESPACE:-}" ] || exec env DEVICE_NAMESPACE=1 unshare -m scripts/device-test.sh

MIB=${DEVICE_MIB:-64}
BIN=$PWD/bin
CLUSTER=device-$$-$RANDOM
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chordtorrent-device.XXXXXX")
PIDS=()
LOOPS=()

finish() {
	local status=$? pid loop
	trap - EXIT
	trap '' INT TERM HUP
	for pid in ${PIDS[@]+"${PIDS[@]}"}; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
	umount "$WORK/mnt" 2>/dev/null || true
	for loop in ${LOOPS[@]+"${LOOPS[@]}"}; do
		swapoff "$loop" 2>/dev/null || true
		losetup -d "$loop"
	done
	rm -rf "$WORK"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "device-test: $*" >&2
	tail -n 5 "$WORK"/*.err >&2 || true
	exit 1
}
step() { echo "device-test: $*"; }

# device NAME BYTES: a loop device full of noise, its path in DEVICE.
device() {
	head -c "$2" /dev/urandom >"$WORK/$1"
	DEVICE=$(losetup -f --show "$WORK/$1")
	LOOPS+=("$DEVICE")
}

# bt CODE USER COMMAND...: runs btclient, whose exit code has to be CODE; its output is in OUT and ERR.
bt() {
	local want=$1 user=$2 code=0
	shift 2
	"$BIN/btclient" --storage "$WORK/storage-$user" --cluster "$CLUSTER" --multicast-ttl 0 "$@" >"$WORK/out" 2>"$WORK/last.err" || code=$?
	OUT=$(cat "$WORK/out") ERR=$(cat "$WORK/last.err")
	[ "$code" = "$want" ] || fail "btclient $* ended with $code, not $want: $OUT $ERR"
}

# spawn USER COMMAND...: runs btclient beside, its pid in PID and its output in USER.out.
spawn() {
	local user=$1
	shift
	"$BIN/btclient" --storage "$WORK/storage-$user" --cluster "$CLUSTER" --multicast-ttl 0 "$@" >"$WORK/$user.out" 2>"$WORK/$user.err" &
	PID=$!
	PIDS+=("$PID")
}

await() {
	local file=$1 what=$2 deadline=$((SECONDS + 60))
	until grep -q "$what" "$file" 2>/dev/null; do
		[ $SECONDS -lt $deadline ] || fail "no $what in $file: $(cat "$file")"
		sleep 0.05
	done
}

says() { [[ $1 == *"$2"* ]] || fail "\"$1\" does not say \"$2\""; }

"$BIN/chordnode" --data-dir "$WORK/node" --bind 127.0.0.1:0 --http 127.0.0.1:0 --udp off --cluster "$CLUSTER" --multicast-ttl 0 >"$WORK/node.out" 2>"$WORK/node.err" &
PIDS+=("$!")
await "$WORK/node.out" '^ready'

bytes=$((MIB << 20))
step "a disk with a file system, of $MIB MiB, is published"
device source "$bytes"
source=$DEVICE
mkfs.ext4 -q -F "$source"
mkdir "$WORK/mnt"
mount "$source" "$WORK/mnt"
head -c $((bytes / 4)) /dev/urandom >"$WORK/mnt/data"
bt 1 seed publish "$source" --name disk
says "$ERR" "$source is in use: it is mounted at $WORK/mnt"
mount -o remount,ro "$WORK/mnt"
bt 0 seed publish "$source" --name readonly --seed-for 0s
umount "$WORK/mnt"
cp "$WORK/source" "$WORK/image"
spawn seed serve --web 127.0.0.1:0
await "$WORK/seed.out" '^ready '
bt 0 seed publish "$source" --name disk
says "$OUT" "published name=\"disk\" info_hash="
says "$OUT" " bytes=$bytes "
cmp "$WORK/image" "$WORK/storage-seed/files/disk" || fail "the copy differs"
[ "$(stat -c %b "$WORK/storage-seed/files/disk")" -lt $((bytes / 512 * 3 / 4)) ] || fail "the copy has no holes"

# fetched: how many bytes the last command got over the network.
fetched() { sed -n 's/.*"event":"done".*"fetched":\([0-9]*\).*/\1/p' <<<"$OUT"; }

step "it is restored to a larger one, whose end stays"
device target $((bytes + 4096))
target=$DEVICE
tail -c 4096 "$WORK/target" >"$WORK/end"
bt 0 a --json download disk -o "$target" --seed-for 0s
says "$OUT" "\"event\":\"downloaded\",\"name\":\"disk\",\"path\":\"$target\""
all=$(fetched)
cmp -n "$bytes" "$WORK/image" "$target" || fail "the target differs"
cmp "$WORK/end" <(tail -c 4096 "$target") || fail "what lies behind was written to"
[ -z "$(find "$WORK/storage-a/records" "$WORK/storage-a/journals" -type f)" ] || fail "something of it is remembered"
mount -o ro "$target" "$WORK/mnt"

step "one that is mounted, a swap, or too small is refused"
bt 1 a download disk -o "$target"
says "$ERR" "$target is in use: it is mounted at $WORK/mnt"
umount "$WORK/mnt"
device swap $((bytes + 4096))
mkswap -q "$DEVICE" 2>/dev/null
if swapon "$DEVICE" 2>/dev/null; then
	bt 1 a download disk -o "$DEVICE"
	says "$ERR" "it is swap space"
	swapoff "$DEVICE"
fi
device small $((bytes - 512))
before=$(sha1sum <"$DEVICE")
bt 1 a download disk -o "$DEVICE" --force
says "$ERR" "has $((bytes - 512)) bytes, and \"disk\" needs $bytes; nothing was written"
[ "$before" = "$(sha1sum <"$DEVICE")" ] || fail "the small device was written to"

# half SIGNAL: a download to a new device, slowed down, ended by a signal when a part is there.
half() {
	bt 0 seed limit --up $((MIB / 8))M
	device "to-$1" "$bytes"
	spawn "$1" download disk -o "$DEVICE" --progress json --seed-for 0s
	# The first line has what is zeros, the others also what has come.
	until [ "$(grep -o '"bytes_done":[1-9][0-9]*' "$WORK/$1.out" | sort -u | wc -l)" -ge 2 ]; do sleep 0.05; done
	kill "-$1" "$PID"
	wait "$PID" 2>/dev/null || true
	bt 0 seed limit --up none
}

for signal in INT KILL; do
	step "SIG$signal in the middle, and the same command goes on"
	half $signal
	bt 0 $signal --json download disk -o "$DEVICE" --seed-for 0s
	cmp "$WORK/image" "$DEVICE" || fail "the target differs"
	[ "$(fetched)" -lt "$all" ] || fail "$(fetched) bytes of $all were fetched in the second run"
done

step "a device that was written to in between is found out"
half TERM
dd if=/dev/urandom of="$DEVICE" bs=1M count=$MIB conv=fsync status=none
bt 0 TERM --json download disk -o "$DEVICE" --seed-for 0s
cmp "$WORK/image" "$DEVICE" || fail "the target differs"
[ "$(fetched)" = "$all" ] || fail "$(fetched) bytes of $all were fetched for what was written over"

step "all is as it should be"
