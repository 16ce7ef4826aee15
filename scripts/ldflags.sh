#!/bin/sh
# ldflags.sh GOOS GOARCH VERSION: what the programs are linked with, by whatever builds
# those that are shipped or measured. Where package cmd/start has instructions for the platform,
# they begin there.
set -eu
case $1/$2 in
linux/amd64 | linux/arm64) start='-E chordtorrent_start ' ;;
*) start= ;;
esac
printf "%s\n" "$start-s -w -X chordtorrent/version.release=$3"
