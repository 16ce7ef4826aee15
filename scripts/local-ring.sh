#!/usr/bin/env bash
# local-ring.sh: a ring with its clients, on this machine alone. `local-ring.sh help` says
# what it does. Only what it started itself, by the files of pids in its folder, is ever
# ended. Needs the programs of `make build`, and Linux.
set -euo pipefail

usage() {
	cat <<'END'
A ring of chordnodes and clients on this machine alone. Nothing reaches the network:
discovery does not leave the machine, and the ring has a name of its own.

  local-ring.sh start            a first ring of 3 nodes; again: those that have died
  local-ring.sh add              one more node, which joins the ring
  local-ring.sh clients N        N clients in all, each a daemon with a Storage of its own
                                 that fetches whatever is published
  local-ring.sh btclient ARG…    btclient in this ring, with a Storage of its own:
                                 local-ring.sh btclient publish disk.img
  local-ring.sh status           what runs, where, and how the ring is doing
  local-ring.sh stop             ends all of it; data stays for the next start
  local-ring.sh clean            stop, and remove the data

  --tmux       with any of these: panes with every node and client, in tmux; alone
               too. It opens them at a terminal, and says elsewhere how to
  --dir DIR    where data, logs and pids are ($LOCAL_RING, else
               chordtorrent/local-ring in the user's state directory)
END
}

say() { echo "local-ring: $*"; }
fail() {
	say "$@" >&2
	exit 1
}
misuse() {
	say "$@" >&2
	exit 2
}

export BIN=${BIN:-$(cd "$(dirname "$0")/.." && pwd)/bin}
SELF=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
DIR=${LOCAL_RING:-${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/chordtorrent/local-ring}
NODES=3

# --- processes, each known by NAME.pid: its pid and when it began

# born PID: when that process began, in this run of the machine; fails if there is none.
born() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra stat <<<"${stat##*) }" # the name before it may hold anything
	[ "${stat[0]}" != Z ] || return 1
	echo "$(cat /proc/sys/kernel/random/boot_id)/${stat[19]}"
}

# pid NAME: that of the process, if it lives and is still the one that was started.
pid() {
	local number began
	[ -f "$DIR/$1.pid" ] && read -r number began <"$DIR/$1.pid" || return 1
	[ -n "${began:-}" ] && [ "$(born "$number")" = "$began" ] || return 1
	echo "$number"
}

runs() { pid "$1" >/dev/null; }

# launch NAME COMMAND…: in a session of its own, which neither Ctrl-C nor the end of the
# terminal reaches.
launch() {
	local name=$1
	shift
	: >"$DIR/$name.out"
	setsid "$@" >"$DIR/$name.out" 2>>"$DIR/$name.log" </dev/null 9>&- &
	echo "$! $(born $!)" >"$DIR/$name.pid"
}

# names KIND: node-1, node-2 …, those that there have ever been, in order.
names() {
	local each
	for each in "$DIR/$1"-*.pid "$DIR/$1"-*/; do
		each=$(basename "$each" .pid)
		if [[ $each =~ ^$1-[0-9]+$ ]]; then echo "$each"; fi
	done | sort -t - -k 2n -u
}

running() {
	local each
	for each in $(names "$1"); do
		if runs "$each"; then echo "$each"; fi
	done
}

# await SECONDS WHAT CONDITION…
await() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt "$deadline" ] || fail "waited in vain for $what; the logs are in $DIR"
		sleep 0.1
	done
}

ready() { # NAME
	grep -q '^ready ' "$DIR/$1.out" 2>/dev/null && return
	runs "$1" || {
		tail -n 5 "$DIR/$1.log" >&2
		fail "$1 has ended; all that it said is in $DIR/$1.log"
	}
	return 1
}

# told NAME WORD: what the ready line of a process says of ring, http, web …
told() { sed -n "s/^ready .*\b$2=\([^ ]*\).*/\1/p" "$DIR/$1.out" 2>/dev/null; }

# --- the ring

cluster() { cat "$DIR/cluster" 2>/dev/null; }

members() { # the size of the ring, as a node sees it
	"$BIN/chordnode" status --json --cluster "$(cluster)" --node "$(told "$1" ring)" 2>/dev/null |
		sed 's/.*"members":\[//; s/\].*//' | grep -o '"id"' | wc -l
}

ring_is_whole() {
	local nodes each
	nodes=$(running node)
	for each in $nodes; do
		[ "$(members "$each")" = "$(wc -l <<<"$nodes")" ] || return 1
	done
}

launch_node() {
	launch "$1" "$BIN/chordnode" --data-dir "$DIR/$1" --cluster "$(cluster)" --multicast-ttl 0 \
		--bind 127.0.0.1:0 --http 127.0.0.1:0 --udp 127.0.0.1:0
}

need_ring() {
	[ -n "$(running node)" ] || fail "no ring runs in $DIR: begin with $0 start"
}

start() {
	local last=$NODES each began=()
	[ -s "$DIR/cluster" ] || echo "local-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')" >"$DIR/cluster"
	each=$(names node | tail -n 1)
	if [ -n "$each" ] && [ "${each#node-}" -gt "$last" ]; then last=${each#node-}; fi
	for k in $(seq "$last"); do
		runs "node-$k" && continue
		launch_node "node-$k"
		began+=("node-$k")
	done
	for each in ${began[@]+"${began[@]}"}; do await 60 "$each" ready "$each"; done
	await 60 "a ring of $last" ring_is_whole
	if [ ${#began[@]} -eq 0 ]; then
		say "all $last nodes run already; $0 add starts one more"
	else
		say "started ${began[*]}: a ring of $last"
	fi
}

add() {
	need_ring
	local last
	last=$(names node | tail -n 1)
	last=node-$((${last#node-} + 1))
	launch_node "$last"
	await 60 "$last" ready "$last"
	await 60 "its place in the ring" ring_is_whole
	say "started $last: a ring of $(running node | wc -l)"
}

# --- clients

btclient() { # STORAGE ARGUMENTS…
	"$BIN/btclient" --storage "$DIR/$1" --cluster "$(cluster)" --multicast-ttl 0 "${@:2}"
}

clients() {
	[[ ${1:-} =~ ^[1-9][0-9]{0,2}$ ]] || misuse "clients: how many? $0 clients 4"
	need_ring
	local k began=()
	for k in $(seq "$1"); do
		runs "client-$k" && continue
		launch "client-$k" "$BIN/btclient" --storage "$DIR/client-$k" --cluster "$(cluster)" --multicast-ttl 0 serve --web 127.0.0.1:0
		began+=("client-$k")
	done
	for k in ${began[@]+"${began[@]}"}; do await 60 "$k" ready "$k"; done
	runs fetcher || launch fetcher "$SELF" --dir "$DIR" fetch
	say "$(running client | wc -l) clients run; they fetch what is published"
}

# fetch has every client fetch every name, and its newer versions. It is a process of its
# own, and those that it begins end with it.
fetch() {
	local each name
	declare -A asked
	while :; do
		while IFS= read -r name; do
			for each in $(running client); do
				[ -z "${asked[$each/$name]:-}" ] || continue
				asked[$each/$name]=yes
				# What it published itself is no download.
				! btclient "$each" downloads --json 2>/dev/null | grep -qF "\"name\":\"$name\"" || continue
				btclient "$each" download --follow -- "$name" >>"$DIR/$each.fetched" 2>&1 </dev/null &
			done
		done < <(btclient looker ls 2>/dev/null)
		sleep 1
	done
}

# --- what there is

status() {
	local each number files
	say "the ring $(cluster), in $DIR"
	for each in $(names node) $(names client); do
		if ! number=$(pid "$each"); then
			echo "  $each  does not run"
		elif [ "${each%-*}" = node ]; then
			echo "  $each  pid $number  ring $(told "$each" ring)  http://$(told "$each" http)/"
		else
			files=$(btclient "$each" downloads --json 2>/dev/null | grep -c '"state":"done"') || true
			echo "  $each  pid $number  $(told "$each" web)  has $files"
		fi
	done
	each=$(running node)
	each=${each%%$'\n'*}
	[ -n "$each" ] || fail "no node runs: $0 start"
	"$BIN/chordnode" status --cluster "$(cluster)" --node "$(told "$each" ring)" | sed 's/^/  /'
}

# --- the end

# end NAME…: asks each to end, and kills what has not after 20 s. What runs under the pid of
# one that has died is let alone.
end() {
	local each number told=() deadline=$((SECONDS + 20))
	for each in "$@"; do
		if number=$(pid "$each"); then
			# The fetcher ends with all that it began.
			if [ "$each" = fetcher ]; then kill -TERM -- "-$number"; else kill -TERM "$number"; fi 2>/dev/null || true
			told+=("$each")
		else
			rm -f "$DIR/$each.pid"
		fi
	done
	for each in ${told[@]+"${told[@]}"}; do
		while number=$(pid "$each"); do
			[ $SECONDS -lt "$deadline" ] || {
				say "$each (pid $number) does not end, and is killed"
				kill -KILL "$number" 2>/dev/null || true
			}
			sleep 0.1
		done
		rm -f "$DIR/$each.pid"
		ended=$((ended + 1))
	done
}

stop() {
	ended=0
	tm kill-server 2>/dev/null || true
	end fetcher
	end $(names client)
	end $(names node)
	if [ "$ended" -eq 0 ]; then say "nothing ran"; else say "ended $ended processes; the data is in $DIR"; fi
}

clean() {
	stop
	rm -rf "$DIR"/{node,client}-* "$DIR"/{me,looker} "$DIR"/fetcher.* "$DIR/cluster" "$DIR/lock"
	rmdir "$DIR" 2>/dev/null || say "what else is in $DIR was not made here, and stays"
}

# --- tmux, on a server of its own

tm() { tmux -L "$(cluster)" -f /dev/null "$@" 9>&-; }

panes() {
	command -v tmux >/dev/null || fail "--tmux needs tmux: install it, or look into the logs in $DIR"
	need_ring
	local each command first=yes
	tm kill-server 2>/dev/null || true
	for each in $(running node) $(running client); do
		if [ "${each%-*}" = node ]; then
			command="tail -q -n 20 -F $(printf '%q ' "$DIR/$each.log" "$DIR/$each.out")"
		else
			command=$(printf '%q ' "$BIN/btclient" --storage "$DIR/$each" downloads)
			command="$command; $command --watch; tail -n 20 -F $(printf %q "$DIR/$each.log")"
		fi
		if [ -n "$first" ]; then
			tm new-session -d -s ring -x "${COLUMNS:-200}" -y "${LINES:-60}" "$command"
			tm set-option -g pane-border-status top \; set-option -g pane-border-format ' #{pane_title} '
			first=
		else
			tm split-window -t ring "$command"
		fi
		tm select-pane -t ring -T "$each" \; select-layout -t ring tiled >/dev/null
	done
	if [ -t 1 ] && [ -z "${TMUX:-}" ]; then
		exec 9>&-
		tmux -L "$(cluster)" attach -t ring
	else
		say "to see the panes: tmux -L $(cluster) attach"
	fi
}

TMUX_WANTED= COMMAND= ARGUMENTS=()
while [ $# -gt 0 ]; do
	if [ "$COMMAND" = btclient ]; then # the rest is its own
		ARGUMENTS+=("$@")
		break
	fi
	case $1 in
	--tmux) TMUX_WANTED=yes ;;
	--dir)
		[ -n "${2:-}" ] || misuse "--dir: which?"
		DIR=$2
		shift
		;;
	-h | --help) COMMAND=help ;;
	-*) misuse "there is no $1; $0 help lists what there is" ;;
	*) if [ -z "$COMMAND" ]; then COMMAND=$1; else ARGUMENTS+=("$1"); fi ;;
	esac
	shift
done

case $COMMAND in
help) usage && exit ;;
start | add | clients | status | stop | clean | btclient | fetch) ;;
'') [ -n "$TMUX_WANTED" ] || { usage >&2 && exit 2; } ;;
*) misuse "there is no command $COMMAND; $0 help lists them" ;;
esac
[ "$COMMAND" = clients ] || [ "$COMMAND" = btclient ] || [ ${#ARGUMENTS[@]} -eq 0 ] || misuse "$COMMAND takes no ${ARGUMENTS[0]}"
[ -e /proc/self/stat ] || fail "only Linux tells which process is which"
[ -x "$BIN/chordnode" ] && [ -x "$BIN/btclient" ] || fail "no programs in $BIN: run make build first"
if [ "$COMMAND" = start ]; then
	mkdir -p "$DIR"
elif [ ! -s "$DIR/cluster" ]; then
	case $COMMAND in
	stop | clean) say "nothing was ever started in $DIR" && exit ;;
	esac
	fail "nothing was ever started in $DIR: begin with $0 start"
fi
DIR=$(cd "$DIR" && pwd)
case $COMMAND in
start | add | clients | stop | clean) # one at a time
	exec 9>"$DIR/lock"
	flock -w 120 9 || fail "another local-ring.sh has been at work in $DIR for two minutes"
	;;
esac
case $COMMAND in
'') ;;
btclient)
	need_ring
	exec "$BIN/btclient" --storage "$DIR/me" --cluster "$(cluster)" --multicast-ttl 0 ${ARGUMENTS[@]+"${ARGUMENTS[@]}"}
	;;
*) "$COMMAND" ${ARGUMENTS[@]+"${ARGUMENTS[@]}"} ;;
esac
[ -z "$TMUX_WANTED" ] || panes
