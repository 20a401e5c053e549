#!/bin/sh
# dist.sh OUT makes OUT/rc-kexec-VERSION.tar.gz from what is committed: the same bytes from
# every clone. It also makes OUT/alpine, where `abuild -r` builds the packages: the tarball
# cannot hold the APKBUILD with its own checksum.
set -eu
out=$1
cd "$(dirname "$0")/.."

fail() { echo "make dist: $*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
agrees() { [ "$2" = "$version" ] || fail "$1 says version ${2:-(none)}, Cargo.toml $version"; }
agrees alpine/APKBUILD "$(sed -n 's/^pkgver=//p' alpine/APKBUILD)"
agrees CHANGELOG.md "$(sed -n 's/^## \[*\([0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)"
changes=$(git status --porcelain) || fail "it needs git, and a clone to pack"
[ -z "$changes" ] || fail "the tarball would lack these changes, which are not committed:
$changes"

name=rc-kexec-$version
alpine=$out/alpine
rm -rf "$alpine"
mkdir -p "$alpine"
# Files get the time of the commit; nobody's own settings matter.
git -c core.autocrlf=false -c tar.umask=0022 archive --format=tar --prefix="$name/" -o "$alpine/$name.tar" HEAD
gzip -9n "$alpine/$name.tar"
cp "$alpine/$name.tar.gz" "$out/"
cp alpine/rc-kexec.post-install "$alpine/"
sums=$(cd "$alpine" && sha512sum "$name.tar.gz")
awk -v sums="$sums" '/^sha512sums=""$/ { print "sha512sums=\"\n" sums "\n\""; next } { print }' alpine/APKBUILD >"$alpine/APKBUILD"
echo "$out/$name.tar.gz"
