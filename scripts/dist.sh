#!/usr/bin/env bash
# dist.sh: packages of the commit that is checked out, into dist/: for each platform a
# tar.gz with both programs, their manual pages and completions; for Linux a .deb too;
# and SHA256SUMS. The same commit and Go version give the same bytes, wherever it is run.
#
#   PLATFORMS="linux/amd64 darwin/arm64" scripts/dist.sh    not all of them
#   MAINTAINER="Name <address>"                             who answers for the .deb
set -euo pipefail
cd "$(dirname "$0")/.."

PLATFORMS=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}
export MAINTAINER=${MAINTAINER:-chordtorrent <chordtorrent@localhost>}
ROOT=$PWD
WORK=$(mktemp -d "${TMPDIR:-/tmp}/dist.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

# Nothing of the machine may get into a package: not its time, language, file modes or
# settings of Go.
umask 022
export LC_ALL=C TZ=UTC GOFLAGS= GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= CGO_ENABLED=0
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# The newest tag, and how many commits later; without one the day and the commit.
version() {
	local said
	if said=$(git describe --tags --match 'v[0-9]*' --abbrev=12 2>/dev/null); then
		said=$(sed -E 's/^v//; s/-([0-9]+)-g/+\1./' <<<"$said")
	else
		said=0.0.0+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d).$(git rev-parse --short=12 HEAD)
	fi
	[ -z "$(git status --porcelain --untracked-files=no)" ] || said=$said+dirty
	echo "$said"
}
PACKAGE_VERSION=$(version)
export PACKAGE_VERSION

build() { # GOOS GOARCH INTO FLAG...
	local flags
	flags=$(scripts/ldflags.sh "$1" "$2" "$PACKAGE_VERSION")
	mkdir -p "$3"
	GOOS=$1 GOARCH=$2 go build "${@:4}" -trimpath -buildvcs=false -ldflags "-buildid= $flags" \
		-o "$3/" ./cmd/chordnode ./cmd/btclient
}

# What the programs say of themselves, under share/ in $WORK/common.
describe() {
	local own="$WORK/own" share="$WORK/common/share" program
	build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$own" -tags manual
	mkdir -p "$share"/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
	for program in chordnode btclient; do
		# A default in the home directory is not to be that of whoever builds.
		env -u XDG_DATA_HOME HOME='~' "$own/$program" man "$share/man/man1"
		"$own/$program" completion bash >"$share/bash-completion/completions/$program"
		"$own/$program" completion zsh >"$share/zsh/site-functions/_$program"
		"$own/$program" completion fish >"$share/fish/vendor_completions.d/$program.fish"
	done
}

stamp() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

tarball() { # GOOS GOARCH
	local name="chordtorrent-$PACKAGE_VERSION-$1-$2"
	local into="$WORK/$name"
	mkdir -p "$into/docs"
	build "$1" "$2" "$into/bin"
	cp -r "$WORK/common/share" "$into/"
	cp README.md CHANGELOG.md LICENSE "$into/"
	cp docs/*.md "$into/docs/"
	[ "$1" != linux ] || cp -r deploy/systemd deploy/default deploy/firewall "$into/"
	tar -C "$WORK" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
		--mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$OUT/$name.tar.gz"
}

deb() { # GOARCH, of which the tarball has been made
	local from="$WORK/chordtorrent-$PACKAGE_VERSION-linux-$1" stage="$WORK/deb-$1"
	local doc="$stage/usr/share/doc/chordtorrent"
	mkdir -p "$stage/usr/bin" "$stage"/usr/lib/systemd/{system,user} "$stage/usr/lib/firewalld/services" "$doc/examples" \
		"$stage/usr/share/lintian/overrides" "$stage/etc/ufw/applications.d"
	cp "$from"/bin/* "$stage/usr/bin/"
	cp -r "$from"/share/* "$stage/usr/share/"
	mv "$stage/usr/share/zsh/site-functions" "$stage/usr/share/zsh/vendor-completions"
	gzip -9n "$stage"/usr/share/man/man1/*.1
	cp deploy/systemd/*.service deploy/systemd/*.socket "$stage/usr/lib/systemd/system/"
	cp deploy/systemd/user/* "$stage/usr/lib/systemd/user/"
	cp deploy/systemd/secret.conf "$doc/examples/"
	cp -r deploy/default "$stage/etc/"
	cp deploy/firewall/*.xml "$stage/usr/lib/firewalld/services/"
	cp deploy/firewall/chordtorrent.ufw "$stage/etc/ufw/applications.d/chordtorrent"
	cp README.md docs/*.md "$doc/"
	cp packaging/deb/copyright "$doc/"
	gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
	printf 'chordtorrent (%s) unstable; urgency=medium\n\n  * CHANGELOG.md says what is new.\n\n -- %s  %s\n' "$PACKAGE_VERSION" "$MAINTAINER" \
		"$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"
	cp packaging/deb/lintian-overrides "$stage/usr/share/lintian/overrides/chordtorrent"
	mkdir "$stage/scripts"
	cp packaging/deb/{postinst,prerm,postrm} "$stage/scripts/"
	stamp "$stage"
	(cd "$stage" && ARCH=$1 "$WORK/nfpm" package --config "$ROOT/packaging/nfpm.yaml" --packager deb --target "$OUT/chordtorrent_${PACKAGE_VERSION}_$1.deb" >/dev/null)
}

OUT=$ROOT/dist
rm -rf "$OUT"
mkdir "$OUT"
case " $PLATFORMS" in
*" linux/"*) (cd packaging && go build -trimpath -buildvcs=false -o "$WORK/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm) ;;
esac
describe
for platform in $PLATFORMS; do
	tarball "${platform%/*}" "${platform#*/}"
	[ "${platform%/*}" != linux ] || deb "${platform#*/}"
done
sums=$(cd "$OUT" && sha256sum -- *)
echo "$sums" | tee "$OUT/SHA256SUMS"
