#!/usr/bin/env bash
# compose-secrets.sh DIR: what docker-compose.yml wants as secrets, in DIR: ring.secret,
# which closes the ring, and page.token, which opens the web page. What is there stays.
#
# In a container they are read by the user 65532, and compose hands over a file as it is,
# with its owner. Who may give files away gives them to that user; anybody else lets all
# read them, in a directory that nobody else can enter.
set -euo pipefail

DIR=${1:?a directory for the secrets}
PROGRAM=$(dirname "$0")/../bin/chordnode
mkdir -p "$DIR"
chmod 700 "$DIR"
[ -e "$DIR/ring.secret" ] || "$PROGRAM" secret "$DIR/ring.secret"
[ -e "$DIR/page.token" ] || (
	umask 077
	head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$DIR/page.token"
)
for file in "$DIR/ring.secret" "$DIR/page.token"; do
	if [ "$(id -u)" -eq 0 ]; then
		chown 65532:65532 "$file"
	else
		chmod 644 "$file"
	fi
done
