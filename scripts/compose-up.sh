#!/usr/bin/env bash
# compose-up.sh [ARGUMENTS of docker-compose up]: makes the secrets if there are none,
# notes in .env where they are, brings up docker-compose.yml and says how to look at it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Who keeps them elsewhere says so where compose looks: in the environment or in .env.
SECRETS=${CHORDTORRENT_SECRETS:-$(sed -n 's/^CHORDTORRENT_SECRETS=//p' .env 2>/dev/null | tail -n 1 || true)}
SECRETS=${SECRETS:-./deploy/secrets}
scripts/compose-secrets.sh "$SECRETS"
grep -qs '^CHORDTORRENT_SECRETS=' .env || echo "CHORDTORRENT_SECRETS=$SECRETS" >>.env

compose=(docker-compose)
command -v docker-compose >/dev/null || compose=(docker compose)
"${compose[@]}" up -d "$@"

# port SERVICE PORT: where it is on this machine.
port() { "${compose[@]}" port "$1" "$2"; }
cat <<END

  page    http://$(port publisher 8780)/login?token=$(cat "$SECRETS/page.token")
  status  http://$(port front 6969)/
  logs    ${compose[*]} logs -f
  end     ${compose[*]} down        (with --volumes for good)
END
