#!/usr/bin/env bash
# check-dist.sh: two clones of the commit that is checked out, in different folders and
# with different caches of Go, give the same packages; lintian finds nothing in the .deb,
# and it can be installed, removed and purged, below a folder. Packages are those of
# PLATFORMS, by default for linux/amd64 alone. Needs root for dpkg, and a Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

export PLATFORMS=${PLATFORMS:-linux/amd64}
scripts/need.sh git lintian
WORK=$(mktemp -d "${TMPDIR:-/tmp}/check-dist.XXXXXX")
trap 'chmod -R u+w "$WORK" && rm -rf "$WORK"' EXIT
fail() {
	echo "check-dist: $*" >&2
	exit 1
}

[ -z "$(git status --porcelain --untracked-files=no)" ] || echo "check-dist: of the commit, without what was changed since" >&2
goenv=$(go env GOENV) modules=$(go env GOMODCACHE)
git clone -q . "$WORK/one"
git clone -q . "$WORK/another/place"
"$WORK/one/scripts/dist.sh" >/dev/null
(
	cd "$WORK/another/place"
	umask 077
	HOME=$WORK/home GOENV=$goenv GOMODCACHE=$modules GOCACHE=$WORK/cache TZ=Asia/Tokyo LANG=fr_FR.UTF-8 MAKEFLAGS='' scripts/dist.sh >/dev/null
)
diff "$WORK/one/dist/SHA256SUMS" "$WORK/another/place/dist/SHA256SUMS" || fail "the same commit gives other packages in another folder"
(cd "$WORK/one/dist" && sha256sum --quiet -c SHA256SUMS)
sed 's/^/  /' "$WORK/one/dist/SHA256SUMS"

deb=$(echo "$WORK"/one/dist/*_"$(dpkg --print-architecture)".deb)
[ -f "$deb" ] || fail "PLATFORMS has nothing for this machine, which could be installed"
# Whoever publishes it names an address of their own.
lintian --allow-root --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog --fail-on warning,error "$deb" ||
	fail "lintian does not like $(basename "$deb")"

root=$WORK/root
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} "$root/etc" "$root/tmp"
touch "$root"/var/lib/dpkg/{status,available}
# The scripts run here, with DPKG_ROOT: there is no shell below the folder.
package() { dpkg --root="$root" --force-script-chrootless --log="$WORK/log" "$@" >/dev/null; }
is() { [ -e "$root/$1" ] || [ -L "$root/$1" ] || fail "$2: /$1 is not there"; }
isnt() { if [ -e "$root/$1" ] || [ -L "$root/$1" ]; then fail "$2: /$1 is there"; fi; }
link=etc/systemd/system/multi-user.target.wants/chordnode.service

package -i "$deb"
for file in usr/bin/chordnode usr/bin/btclient usr/lib/systemd/system/btclient.socket etc/default/chordnode usr/share/man/man1/btclient-download.1.gz usr/share/man/man1/chordnode-forget.1.gz; do
	is $file "installed"
done
isnt $link "an installation enables nothing"
version=$(dpkg-deb -f "$deb" Version)
for program in chordnode btclient; do
	said=$("$root/usr/bin/$program" --version)
	[[ $said == "$program"*" $version "* ]] || fail "$program says that it is $said, and the package is $version"
done
systemctl --root="$root" enable --quiet chordnode.service
is $link "enabled"
mkdir -p "$root"/var/lib/private/{chordnode,btclient}
echo CHORDNODE_CLUSTER=ours >>"$root/etc/default/chordnode"
package -i "$deb"
is $link "an upgrade leaves what an operator enabled"
grep -q CHORDNODE_CLUSTER=ours "$root/etc/default/chordnode" || fail "an upgrade replaces what an operator wrote"
package -r chordtorrent
isnt usr/bin/chordnode "removed"
is etc/default/chordnode "removed, not purged"
is var/lib/private/chordnode "removed, not purged"
package -P chordtorrent 2>"$WORK/said"
isnt etc/default/chordnode "purged"
isnt var/lib/private/chordnode "purged"
isnt $link "purged"
is var/lib/private/btclient "a purge leaves what was downloaded"
grep -q "the files of the btclient service are left in" "$WORK/said" || fail "a purge does not say what it leaves: $(cat "$WORK/said")"
left=$(cd "$root" && find . -type f -not -path './var/lib/dpkg/*' -not -path './var/lib/systemd/*')
[ -z "$left" ] || fail "a purge leaves $left"
echo "two clones give the same packages; the .deb can be installed, upgraded, removed and purged"
