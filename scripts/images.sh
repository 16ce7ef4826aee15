#!/usr/bin/env bash
# images.sh [TAG]: the images chordtorrent/chordnode and chordtorrent/btclient, of the
# programs in bin/; without TAG as latest. All that goes in has the time of the commit, so
# that equal programs make equal layers wherever they are built.
set -euo pipefail
cd "$(dirname "$0")/.."

TAG=${1:-latest}
for program in chordnode btclient; do
	[ -x bin/$program ] || { echo "images: bin/$program is missing: run make build first" >&2; exit 1; }
done

# BuildKit has the variable's time for what it makes itself, too; the builder before it
# has no such thing, and gives each image the time of its making.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
touch -d "@$SOURCE_DATE_EPOCH" bin/chordnode bin/btclient deploy/image/data/.keep deploy/image/data

version=$(bin/chordnode --version | cut -d' ' -f2-)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for program in chordnode btclient; do
	# What the old builder says about its age is not news.
	docker build --quiet --target $program --tag "chordtorrent/$program:$TAG" \
		--build-arg VERSION="$version" --build-arg REVISION="$revision" . 2> >(grep -v -i -e deprecated -e buildx -e '^$' >&2) >/dev/null
	docker image inspect --format '{{index .RepoTags 0}} {{.Size}}' "chordtorrent/$program:$TAG" |
		awk -v name="chordtorrent/$program:$TAG" '{ printf "  %s  %.1f MB\n", name, $NF / 1e6 }'
done
