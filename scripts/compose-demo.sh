#!/usr/bin/env bash
# compose-demo.sh: docker-compose.yml put to the test. A ring of five, a publisher and three
# downloaders; then two nodes are killed at once, one is cut off and comes back at another
# address, all are restarted, and at last everything is taken down and brought up again.
# After each step, when the ring itself says that nothing is under-replicated, every name
# must still be there, and a new file must be published, fetched and be the same.
#
#   DEMO_MIB=1024 scripts/compose-demo.sh    another size of the sample
#   DEMO_JOIN=1 scripts/compose-demo.sh      without multicast: docker-compose.join.yml
#
# No container, network, volume, image or file stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
	echo "compose-demo: $*" >&2
	exit 1
}

[ $# -eq 0 ] || fail "there are no arguments, but DEMO_MIB, DEMO_JOIN and DEMO_LIMIT in the environment"
scripts/need.sh curl
compose=(docker-compose)
command -v docker-compose >/dev/null || compose=(docker compose)
docker info >/dev/null 2>&1 || fail "no docker engine answers"
"${compose[@]}" version >/dev/null 2>&1 || fail "neither docker-compose nor docker compose is installed"

MIB=${DEMO_MIB:-64}
LIMIT=${DEMO_LIMIT:-120} # seconds, for anything that is waited for
NAMES=20
PROJECT=chordtorrent-demo-$$
WORK=$(mktemp -d "${TMPDIR:-/tmp}/chordtorrent-compose.XXXXXX")
export COMPOSE_PROJECT_NAME=$PROJECT CHORDTORRENT_TAG=$PROJECT CHORDTORRENT_SECRETS=$WORK/secrets
export LC_ALL=C # names in the order of btclient ls
export SHARE=$WORK/share SAMPLE=sample.bin PAGE_PORT=0 STATUS_PORT=0
COMPOSE_FILE=docker-compose.yml
[ -z "${DEMO_JOIN:-}" ] || COMPOSE_FILE+=:docker-compose.join.yml
export COMPOSE_FILE

# quietly COMMAND...: what it says is only of interest if it fails.
quietly() {
	"$@" >"$WORK/said" 2>&1 || {
		cat "$WORK/said" >&2
		fail "this failed: $*"
	}
}

finish() {
	local status=$? ids
	set +e # all of it, whatever fails
	trap - EXIT
	trap '' INT TERM HUP # nothing interrupts the tidying up
	if [ $status -ne 0 ]; then "${compose[@]}" logs --no-color --tail 10 >&2 || true; fi
	ids=$(docker ps -aq --filter "label=$PROJECT")
	# shellcheck disable=SC2086 # a list
	[ -z "$ids" ] || docker rm -f -v $ids >/dev/null 2>&1 || true
	"${compose[@]}" down --volumes --remove-orphans --timeout 10 >/dev/null 2>&1 || true
	docker image rm "chordtorrent/chordnode:$PROJECT" "chordtorrent/btclient:$PROJECT" >/dev/null 2>&1 || true
	rm -rf "$WORK"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# await WHAT COMMAND...: until the command succeeds; how it went last is told if it never does.
await() {
	local deadline=$((SECONDS + LIMIT)) what=$1
	shift
	until "$@" >"$WORK/last" 2>&1; do
		[ $SECONDS -lt $deadline ] || {
			tail -n 5 "$WORK/last" >&2
			fail "waited $LIMIT s in vain for $what"
		}
		sleep 0.3
	done
}

# nodes: the containers of the ring that run, without the one that is cut off.
nodes() { "${compose[@]}" ps -q chordnode front | xargs docker inspect --format '{{if .State.Running}}{{.Id}}{{end}}' | grep . | grep -v -x "${cut:-none}"; }

# status CONTAINER: the ring, as the node in it sees it.
status() { docker exec "$1" chordnode status --json; }

# whole N CONTAINER...: these are the members of a ring of N, and nothing is missing in it.
whole() {
	local n=$1 node s
	shift
	[ $# -eq "$n" ] || { echo "$# nodes run, not $n"; return 1; }
	for node in "$@"; do
		s=$(status "$node")
		echo "$s"
		[ "$(sed 's/.*"members":\[//; s/\].*//' <<<"$s" | grep -o '"id"' | wc -l)" -eq "$n" ] || return 1
		grep -q '"under_replicated":0,"incomplete_ranges":0,"last_repair":"[^"]*","counted_members":'"$n"'[,}]' <<<"$s" || return 1
	done
}

# shellcheck disable=SC2046 # a list
ring_of() { whole "$1" $(nodes); }

# ids: who the nodes are that run.
ids() { for node in $(nodes); do status "$node" | sed 's/{"id":"\([0-9a-f]*\)".*/\1/'; done | sort; }
address() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
service() { "${compose[@]}" ps -q "$1"; }
names() { docker exec "$(service publisher)" btclient ls; }
all_names() { diff <(sort "$WORK/names") <(names); }
has_name() { names | grep -qx "$1"; }

# fetch NAME: a client that was never there before downloads it; then it is compared.
fetch() {
	quietly docker run --name "$PROJECT-fetch" --label "$PROJECT" --network "${PROJECT}_ring" --no-healthcheck --read-only --cap-drop ALL \
		--volume "$CHORDTORRENT_SECRETS/ring.secret:/run/secrets/ring.secret:ro" "${CLIENT_ENV[@]}" \
		"chordtorrent/btclient:$PROJECT" download "$1" -o /data/fetched --seed-for 0s
	docker cp "$PROJECT-fetch:/data/fetched" - | tar -xO | cmp - "$SHARE/$1" >&2 || fail "$1 did not arrive as it was published"
	quietly docker rm -v "$PROJECT-fetch"
}
CLIENT_ENV=(--env BTCLIENT_CLUSTER=compose --env BTCLIENT_SECRET_FILE=/run/secrets/ring.secret)
[ -z "${DEMO_JOIN:-}" ] || CLIENT_ENV+=(--env BTCLIENT_MULTICAST=off --env "BTCLIENT_RING=chordnode:8000,front:8000")

TABLE=()
# holds STEP MEMBERS: waits until the ring of so many is whole; then all names are there,
# and one more is published, fetched and the same.
holds() {
	local step=$1 n=$2 began=$SECONDS new="new-${#TABLE[@]}.bin" whole listed
	await "a ring of $n in which nothing is missing" ring_of "$n"
	whole=$((SECONDS - began))
	await "all names" all_names
	listed=$(names | wc -l)
	head -c 3000000 /dev/urandom >"$WORK/$new"
	chmod 644 "$WORK/$new"
	mv "$WORK/$new" "$SHARE/$new"
	echo "$new" >>"$WORK/names"
	await "the publisher to publish $new" has_name "$new"
	fetch "$new"
	TABLE+=("$(printf '  %-44s %7d %9s %9s %12s %8s' "$step" "$n" "$whole s" "$listed/$listed" "same bytes" "$((SECONDS - began)) s")")
	echo "${TABLE[-1]}"
}
heading() { printf '  %-44s %7s %9s %9s %12s %8s\n' "after" members "whole in" names "new download" "in all"; }

# same SERVICE: what a downloader has is the sample.
same() { docker cp "$(service "$1"):/data/chordtorrent/Storage/files/$SAMPLE" - | tar -xO | cmp - "$SHARE/$SAMPLE"; }
done_in() { docker exec "$(service "$1")" btclient downloads | grep -q "done .* $SAMPLE"; }

echo "== images, secrets, a sample of $MIB MiB and $NAMES small files"
scripts/images.sh "$PROJECT"
scripts/compose-secrets.sh "$CHORDTORRENT_SECRETS"
mkdir -m 755 "$SHARE"
head -c $((MIB * 1048576)) /dev/urandom >"$SHARE/$SAMPLE"
for k in $(seq -w $NAMES); do echo "file number $k" >"$SHARE/small-$k.txt"; done
chmod 644 "$SHARE"/*
ls "$SHARE" >"$WORK/names"
chmod 711 "$WORK"

echo "== up: a ring of five, a publisher, three downloaders"
quietly "${compose[@]}" up -d
began=$SECONDS
for k in 1 2 3; do
	await "downloader$k to have the sample" done_in "downloader$k"
	same "downloader$k" || fail "downloader$k has other bytes"
done
echo "  three downloaders have the sample, and it is the same, after $((SECONDS - began)) s"
heading
holds "up" 5
ids >"$WORK/ids"

page=http://$("${compose[@]}" port publisher 8780)
curl -fsS -o /dev/null -H "Authorization: Bearer $(cat "$CHORDTORRENT_SECRETS/page.token")" "$page/api/v1/status" || fail "the page does not answer at $page"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$page/api/v1/status")" = 401 ] || fail "the page at $page opens without its token"
curl -fsS -o /dev/null "http://$("${compose[@]}" port front 6969)/" || fail "the status page does not answer"

mapfile -t killed < <("${compose[@]}" ps -q chordnode | head -n 2)
quietly docker kill --signal KILL "${killed[@]}"
holds "two killed at once" 3
quietly docker start "${killed[@]}"
holds "both started again" 5

# Somebody else takes the address of the one that is cut off, so that it comes back at another.
cut=$("${compose[@]}" ps -q chordnode | tail -n 1)
back=$cut
before=$(address "$cut")
quietly docker network disconnect "${PROJECT}_ring" "$cut"
holds "one cut off" 4
quietly docker run -d --label "$PROJECT" --name "$PROJECT-other" --network "${PROJECT}_ring" --no-healthcheck "chordtorrent/btclient:$PROJECT" serve
quietly docker network connect --alias chordnode "${PROJECT}_ring" "$cut"
cut=
[ "$before" != "$(address "$back")" ] || fail "the engine gave $before to two containers"
moved() { status "$back" | grep -q "\"address\":\"$(address "$back"):8000\""; }
await "the one that was cut off to be known by its new address" moved
quietly docker rm -f -v "$PROJECT-other"
holds "back, at another address" 5

mapfile -t all < <(nodes)
printf '%s\n' "${all[@]}" | quietly xargs -P 5 -n 1 docker restart
holds "all five restarted at once" 5

quietly "${compose[@]}" down --timeout 10 # without --volumes
quietly "${compose[@]}" up -d
holds "down, and up again" 5
[ "$(ids)" = "$(cat "$WORK/ids")" ] || fail "the nodes are not those of the beginning: $(ids | tr '\n' ' '), not $(tr '\n' ' ' <"$WORK/ids")"

echo
heading
printf '%s\n' "${TABLE[@]}"
echo
echo "the compose demo is complete: nothing was lost, and the five are those of the beginning"
