#!/usr/bin/env bash
# imaging-test.sh: the imaging scripts, for real. Three hosts, each a network namespace with
# a Storage of its own: repo (a ring of three, and the repository), pc1 and pc2. Partitions
# are loop devices with real file systems. Needs root; nothing outside can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
	echo "imaging-test.sh makes loop devices and network namespaces: run it as root" >&2
	exit 1
fi
scripts/need.sh ip tc losetup addpart mkfs.ext4 mkfs.vfat mcopy zstd busybox shellcheck dash
make -s build

BIN=$PWD/bin
SCRIPTS=$PWD/scripts/imaging
NET=ct-img-$$
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chordtorrent-imaging.XXXXXX")
PIDS=()
LOOPS=()

finish() {
	local status=$? pid part loop host
	trap - EXIT
	trap '' INT TERM HUP # nothing interrupts the tidying up
	for pid in ${PIDS[@]+"${PIDS[@]}"}; do kill -9 -- "-$pid" 2>/dev/null || true; done
	wait 2>/dev/null || true
	if mountpoint -q "$WORK/mnt"; then umount "$WORK/mnt"; fi
	for part in 1 2; do [ -z "${DISK-}" ] || delpart "$DISK" $part 2>/dev/null || true; done # they outlive the disk
	for loop in ${LOOPS[@]+"${LOOPS[@]}"}; do losetup -d "$loop" || true; done
	for host in repo pc1 pc2 sw; do ip netns del "$NET-$host" 2>/dev/null || true; done
	if [ $status -eq 1 ]; then
		echo "imaging-test: data and logs are kept in $WORK" >&2
	else
		rm -rf "$WORK"
	fi
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

say() { printf '\n== %s\n' "$*"; }
fail() {
	echo "imaging-test: $*" >&2
	exit 1
}
await() { # SECONDS WHAT COMMAND...: until the command succeeds
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "waited in vain for $what"
		sleep 0.05
	done
}

# on HOST COMMAND...: there, with the host's configuration.
on() {
	local host=$1
	shift
	ip netns exec "$NET-$host" env TMPDIR="$WORK" IMAGING_CONF="$WORK/$host.conf" BTCLIENT_STORAGE="$WORK/$host.storage" BTCLIENT_CLUSTER="$NET" PATH="$SCRIPTS:$PATH" "$@"
}
# start NAME HOST COMMAND...: in the background, in a process group of its own; the pid is
# that of the group, and in PID.
start() {
	local name=$1
	shift
	set -m
	on "$@" >"$WORK/$name.out" 2>"$WORK/$name.err" &
	PID=$!
	set +m
	PIDS+=("$PID")
}
killed() { # PID...: kill -9, with all that it has started
	local pid
	for pid in "$@"; do
		kill -9 -- "-$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}
# ends CODE HOST COMMAND...: it has to end so; its output is in $WORK/out and $WORK/err.
ends() {
	local want=$1 code=0
	shift
	on "$@" >"$WORK/out" 2>"$WORK/err" || code=$?
	cat "$WORK/err" >>"$WORK/err.all"
	if [ $code -ne "$want" ]; then
		cat "$WORK/out" "$WORK/err" >&2
		fail "${*:2}: ended with $code, want $want"
	fi
	sed 's/^/  /' "$WORK/out"
}
says() { grep -q -- "$1" "$WORK/out" "$WORK/err" || { cat "$WORK/out" "$WORK/err" >&2; fail "it does not say: $1"; }; }
# fetched: how many bytes came over the network, as the last command's done event says.
fetched() { sed -n 's/.*"event":"done".*"fetched":\([0-9]*\).*/\1/p' "$WORK/out"; }
json=(env BTCLIENT_JSON=true)

loop() { # SIZE: a loop device, in LOOP
	local file
	file=$(mktemp "$WORK/disk.XXXXXX")
	truncate -s "$1" "$file"
	LOOP=$(losetup -f --show "$file")
	LOOPS+=("$LOOP")
}
sum() { # FILE [BYTES]
	if [ $# -eq 2 ]; then head -c "$2" "$1" | sha256sum; else sha256sum <"$1"; fi
}
same() { # A B: B begins as A is
	[ "$(sum "$1")" = "$(sum "$2" "$(blockdev --getsize64 "$1" 2>/dev/null || stat -c %s "$1")")" ] || fail "$1 and $2 differ"
}
changing() { # DEVICE COMMAND...: while it is mounted at $WORK/mnt
	mount "$1" "$WORK/mnt"
	"${@:2}"
	umount "$WORK/mnt"
}
fill() { # MIB NAME: a file of random bytes, and some small ones
	head -c "$(($1 << 20))" /dev/urandom >"$WORK/mnt/$2"
	mkdir -p "$WORK/mnt/$2.d"
	local i
	for i in $(seq 50); do echo "$2 $i" >"$WORK/mnt/$2.d/$i"; done
}

say "the scripts are those of a POSIX sh"
for script in "$SCRIPTS"/*-image "$SCRIPTS"/*-cache "$SCRIPTS"/*-torrent "$SCRIPTS/imaging.sh"; do
	for sh in sh dash "busybox sh"; do $sh -n "$script"; done
done
(cd "$SCRIPTS" && shellcheck -x ./*-image ./*-cache ./*-torrent)
shellcheck scripts/imaging-test.sh

say "three hosts, and a ring of three and a repository on the first"
mkdir "$WORK/mnt"
ip netns add "$NET-sw"
ip -n "$NET-sw" link add br0 type bridge mcast_snooping 0
ip -n "$NET-sw" link set br0 up
addr=1
for host in repo pc1 pc2; do
	ip netns add "$NET-$host"
	ip -n "$NET-sw" link add "$host" type veth peer name eth0 netns "$NET-$host"
	ip -n "$NET-sw" link set "$host" master br0 up
	ip -n "$NET-$host" link set lo up
	ip -n "$NET-$host" addr add "10.98.0.$addr/24" dev eth0
	ip -n "$NET-$host" link set eth0 up
	ip -n "$NET-$host" route add 224.0.0.0/4 dev eth0
	addr=$((addr + 1))
	cat >"$WORK/$host.conf" <<-EOF
		REPO=http://10.98.0.1:8780
		TOKEN_FILE=$WORK/token
		STORAGE=$WORK/$host.storage
		CLUSTER=$NET
		BTCLIENT=$BIN/btclient
	EOF
done
RING=()
start_ring() {
	local k
	RING=()
	for k in 1 2 3; do
		start "node$k" repo "$BIN/chordnode" --data-dir "$WORK/node$k" --cluster "$NET" --http off --udp off
		RING+=("$PID")
	done
	for k in 1 2 3; do await 30 "chordnode $k" grep -q '^ready ' "$WORK/node$k.out"; done
}
start_repo() {
	start repo repo "$BIN/btclient" serve --web 0.0.0.0:8780
	await 30 "the repository" grep -q '^ready ' "$WORK/repo.out"
	cp "$WORK/repo.storage/daemon/token" "$WORK/token"
}
start_ring
start_repo

say "how it is asked"
for script in create-image restore-image update-cache create-torrent share-torrent receive-torrent; do
	ends 0 pc1 "$script" --help >/dev/null
	says "^usage: $script"
	[ "$script" = update-cache ] || ends 2 pc1 "$script"
	ends 2 pc1 "$script" --nonsense
	says '^hint: '
done
ends 2 pc1 create-image loop999 1 REPO lab.img
says 'there is no block device /dev/loop999p1'
ends 2 pc1 create-image loop999 x REPO lab.img
ends 2 pc1 create-image loop0 0 REPO a/b
ends 2 pc1 restore-image REPO lab.img loop0 0 PIGEON

say "a partition of ext4 on pc1 becomes an image of the repository"
loop 96M && EXT=$LOOP
mkfs.ext4 -q "$EXT"
changing "$EXT" fill 40 data
mount "$EXT" "$WORK/mnt"
ends 1 pc1 create-image "${EXT#/dev/}" 0 REPO lab.img
says 'in use'
umount "$WORK/mnt"
ends 0 pc1 create-image "${EXT#/dev/}" 0 REPO lab.img
says '^published name="lab.img" .* bytes=100663296 '
# It ends when the repository has all of it, and not before.
same "$EXT" "$WORK/repo.storage/files/lab.img"
used=$(du -B1 "$WORK/repo.storage/files/lab.img" | cut -f1)
[ "$used" -lt $((70 << 20)) ] || fail "the zeros of the image take room: $used bytes"

say "UNICAST: pc2 restores it from the repository alone, when there is no ring any more"
killed "${RING[@]}"
loop 100M && ONE=$LOOP
ends 0 pc2 "${json[@]}" restore-image REPO lab.img "$ONE" - UNICAST
grep -q '"from":\[{"addr":"http://[^}]*}\]' "$WORK/out" || fail "it came from elsewhere"
same "$EXT" "$ONE"
fsck.ext4 -fn "$ONE" >"$WORK/fsck" 2>&1 || fail "fsck: $(cat "$WORK/fsck")"
ends 3 pc2 restore-image REPO none.img "$ONE" - UNICAST
start_ring

say "TORRENT: killed -9 in the middle, the same command goes on"
loop 96M && TWO=$LOOP
ip netns exec "$NET-repo" tc qdisc add dev eth0 root tbf rate 60mbit burst 128k latency 50ms
start half pc2 env BTCLIENT_PROGRESS=json restore-image REPO lab.img "${TWO#/dev/}" 0
HALF=$PID
moved() { grep -q '"event":"progress".*"bytes_done":[6-9][0-9]\{7\}' "$WORK/half.out"; }
await 60 "some of it" moved
killed "$HALF"
before=$(sed -n 's/.*"bytes_done":\([0-9]*\).*/\1/p' "$WORK/half.out" | tail -n 1)
ip netns exec "$NET-repo" tc qdisc del dev eth0 root
ends 0 pc2 "${json[@]}" restore-image REPO lab.img "${TWO#/dev/}" 0
rest=$(fetched)
echo "  $before of 100663296 bytes were there when it was killed, $rest were fetched afterwards"
[ "$rest" -le $((100663296 - before)) ] || fail "what was verified was fetched again"
same "$EXT" "$TWO"
fsck.ext4 -fn "$TWO" >"$WORK/fsck" 2>&1 || fail "fsck: $(cat "$WORK/fsck")"

say "targets that are wrong are refused, and stay as they are"
loop 32M && SMALL=$LOOP
mkfs.ext4 -q "$SMALL"
small=$(sum "$SMALL")
ends 1 pc2 restore-image REPO lab.img "${SMALL#/dev/}" 0
for protocol in TORRENT UNICAST; do
	ends 1 pc2 restore-image REPO lab.img "${SMALL#/dev/}" 0 $protocol
done
[ "$(sum "$SMALL")" = "$small" ] || fail "what is too small was written to"
mount "$ONE" "$WORK/mnt"
ends 1 pc2 restore-image REPO lab.img "$ONE" 0
says 'in use'
umount "$WORK/mnt"

say "update-cache; then pc2 restores with its cable unplugged"
ends 0 pc2 update-cache --all
says '^downloaded name="lab.img"'
ends 0 pc2 update-cache
says '^current name="lab.img"'
loop 96M && THREE=$LOOP
ip -n "$NET-pc2" link set eth0 down
ends 0 pc2 "${json[@]}" restore-image CACHE lab.img "$THREE" 0
[ "$(fetched)" = 0 ] || fail "something was fetched"
same "$EXT" "$THREE"
ip -n "$NET-pc2" link set eth0 up
ip -n "$NET-pc2" route add 224.0.0.0/4 dev eth0

say "a new version: only what has changed is fetched, by both protocols"
ends 0 pc1 update-cache lab.img UNICAST
changing "$EXT" fill 2 more
ends 0 pc1 create-image "${EXT#/dev/}" 0 REPO lab.img
updates() { # HOST PROTOCOL
	ends 0 "$1" "${json[@]}" update-cache lab.img "$2"
	local changed
	changed=$(fetched)
	echo "  $changed of 100663296 bytes were fetched by $2"
	if [ "$changed" -eq 0 ] || [ "$changed" -ge $((12 << 20)) ]; then fail "that is not what has changed"; fi
	same "$EXT" "$WORK/$1.storage/files/lab.img"
}
updates pc1 UNICAST
updates pc2 TORRENT
ends 0 pc2 "${json[@]}" restore-image REPO lab.img "$THREE" 0
[ "$(fetched)" = 0 ] || fail "the cache was passed over"
same "$EXT" "$THREE"

say "with busybox alone, as in a live system"
mkdir "$WORK/live"
busybox --install -s "$WORK/live"
live() { on pc2 env -i IMAGING_CONF="$WORK/pc2.conf" PATH="$WORK/live" "$WORK/live/sh" "$SCRIPTS/$1" "${@:2}"; }
live restore-image CACHE lab.img "${ONE#/dev/}" 0 | sed 's/^/  /'
same "$EXT" "$ONE"
loop 96M && FOUR=$LOOP
live restore-image REPO lab.img "${FOUR#/dev/}" 0 UNICAST | sed 's/^/  /'
same "$EXT" "$FOUR"
live update-cache | grep '^current name="lab.img"' | sed 's/^/  /'

say "vfat, compressed, published from the cache of pc1 and shared from there"
loop 48M && FAT=$LOOP
mkfs.vfat "$FAT" >/dev/null
head -c 20000000 /dev/urandom >"$WORK/random"
mcopy -i "$FAT" "$WORK/random" ::random # not every kernel mounts vfat
ends 0 pc1 create-image "$FAT" 0 CACHE boot.img.zst
start share pc1 share-torrent boot.img.zst
SHARE=$PID
await 30 "the sharing" grep -q '^published ' "$WORK/share.out"
loop 48M && FATTOO=$LOOP
ends 0 pc2 restore-image REPO boot.img.zst "$FATTOO" 0
same "$FAT" "$FATTOO"
fsck.vfat -n "$FATTOO" >"$WORK/fsck" 2>&1 || fail "fsck: $(cat "$WORK/fsck")"

say "compressed: too small is refused as well, and mounted for reading alone is no use"
ends 1 pc2 restore-image REPO boot.img.zst "$SMALL" 0
says 'nothing was written'
[ "$(sum "$SMALL")" = "$small" ] || fail "what is too small was written to"
mount -o ro "$EXT" "$WORK/mnt"
ends 0 pc1 create-image "$EXT" 0 REPO lab.img.zst
mount -o remount,rw "$WORK/mnt"
ends 1 pc1 create-image "$EXT" 0 REPO lab.img.zst
says 'in use'
umount "$WORK/mnt"
echo wrong >"$WORK/wrong"
sed "s,^TOKEN_FILE=.*,TOKEN_FILE=$WORK/wrong," "$WORK/pc1.conf" >"$WORK/wrong.conf"
ends 1 pc1 env IMAGING_CONF="$WORK/wrong.conf" create-image "$FAT" 0 REPO other.img.zst
says 'the token is wrong'
! grep -q 'was not compressed' "$WORK/err" || fail "zstd is blamed for it"

say "partitions of a disk, where the kernel finds them"
loop 128M && DISK=$LOOP
addpart "$DISK" 1 2048 65536
addpart "$DISK" 2 67584 100000
mkfs.ext4 -q "${DISK}p1"
changing "${DISK}p1" fill 8 part
ends 0 pc1 create-image "${DISK#/dev/}" p1 REPO part.img
mount -o ro "${DISK}p1" "$WORK/mnt"
ends 1 pc2 restore-image REPO part.img "$DISK" 0
says "mounted at $WORK/mnt"
ends 0 pc2 restore-image REPO part.img "$DISK" 2
umount "$WORK/mnt"
same "${DISK}p1" "${DISK}p2"

say "the next version is killed on its way: the earlier one is there"
ip netns exec "$NET-pc1" tc qdisc add dev eth0 root tbf rate 60mbit burst 128k latency 50ms
start next pc1 env BTCLIENT_PROGRESS=json create-image "$EXT" 0 REPO part.img
NEXT=$PID
await 60 "the start of it" grep -q '"event":"progress".*"bytes_done":[1-9]' "$WORK/next.out"
ends 0 pc2 restore-image REPO part.img "$DISK" 2 UNICAST
killed "$NEXT"
ip netns exec "$NET-pc1" tc qdisc del dev eth0 root
ends 0 pc2 restore-image REPO part.img "$DISK" 2 UNICAST
ends 0 pc2 restore-image REPO part.img "$DISK" 2
same "${DISK}p1" "${DISK}p2"

say "create, share and receive a torrent"
ends 0 pc1 create-torrent boot.img.zst "$WORK/boot.torrent"
ends 0 pc2 receive-torrent "$WORK/boot.torrent"
same "$WORK/pc1.storage/files/boot.img.zst" "$WORK/pc2.storage/files/boot.img.zst"
killed "$SHARE"
loop 48M && FATTHREE=$LOOP
ends 0 pc2 restore-image CACHE boot.img.zst "$FATTHREE" 0
same "$FAT" "$FATTHREE"
head -c 3000000 /dev/urandom >"$WORK/file.img"
ends 0 pc1 create-torrent "$WORK/file.img" "$WORK/file.torrent"
start share pc1 share-torrent "$WORK/file.img" "$WORK/file.torrent" 1h
await 30 "the sharing" grep -q '^published ' "$WORK/share.out"
ends 0 pc2 receive-torrent "$WORK/file.torrent"
same "$WORK/file.img" "$WORK/pc2.storage/files/file.img"

say "an image that is damaged in the cache is not taken for good"
# In the magic number of the file system: elsewhere may be zeros, which the new target has as well.
damaged=$WORK/pc2.storage/files/lab.img
[ "$(od -An -tx1 -j 1080 -N 2 "$damaged")" = " 53 ef" ] || fail "there is no superblock of ext4 in $damaged"
printf 'xx' | dd of="$damaged" bs=1 seek=1080 conv=notrunc 2>/dev/null
loop 96M && FIVE=$LOOP
ip -n "$NET-pc2" link set eth0 down
ends 4 pc2 restore-image CACHE lab.img "$FIVE" 0

echo
echo "the imaging scripts do what they say"
