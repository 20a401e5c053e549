#!/bin/sh
# abuild.sh GOAL...: runs an APKBUILD as abuild does, with stand-ins for abuild's helpers:
# what an APKBUILD may call, and what abuild does by itself for some names of subpackages.
# From the environment: APKBUILD, builddir, pkgbasedir, CTARGET.
#
# GOAL: a function of the APKBUILD; split, for all subpackages; list, what each package is and holds;
# or a variable's name with a $ before it.
# shellcheck disable=SC2034,SC2154 # the APKBUILD sets some, and reads others
set -eu

default_prepare() { cd "$builddir"; }
prepare() { default_prepare; }
# No package has them, and the APKBUILD may use them.
depends='' provides='' install_if='' options='' install='' source='' subpackages=''

# amove PATH...: from the package to the subpackage. Folders that are empty then go.
amove() {
    for path; do
        path=${path#/}
        [ -e "$pkgdir/$path" ] || [ -L "$pkgdir/$path" ] || { echo "amove: no $path in $pkgname" >&2; return 1; }
        mkdir -p "$subpkgdir/$(dirname "$path")"
        mv "$pkgdir/$path" "$subpkgdir/$path"
        (cd "$pkgdir" && rmdir -p "$(dirname "$path")" 2>/dev/null) || :
    done
}

# Those of them that are there.
amove_any() {
    for any; do [ ! -e "$pkgdir/$any" ] || amove "$any"; done
}

doc() {
    depends='' install_if="docs $pkgname=$pkgver-r$pkgrel"
    amove_any usr/share/doc usr/share/man usr/share/info usr/share/licenses
    [ ! -d "$subpkgdir/usr/share/man" ] || find "$subpkgdir/usr/share/man" -type f -exec gzip -9n {} +
}
openrc() {
    depends='' install_if="openrc $pkgname=$pkgver-r$pkgrel"
    amove_any etc/conf.d etc/init.d
}
bashcomp() {
    depends='' install_if="$pkgname=$pkgver-r$pkgrel bash-completion"
    amove usr/share/bash-completion/completions
}
zshcomp() {
    depends='' install_if="$pkgname=$pkgver-r$pkgrel zsh"
    amove usr/share/zsh/site-functions
}

# shellcheck source=/dev/null
. "$APKBUILD"
pkgdir=$pkgbasedir/$pkgname

# NAME[:FUNCTION[:ARCHITECTURE]]
subpackage() {
    subpkgname=${1%%:*} subpkgsplit='' subpkgarch=''
    case $1 in
    *:*:*) subpkgarch=${1##*:} ;;
    esac
    case $1 in
    *:*) subpkgsplit=${1#*:} subpkgsplit=${subpkgsplit%%:*} ;;
    esac
    if [ -z "$subpkgsplit" ]; then
        case $subpkgname in
        *-bash-completion) subpkgsplit=bashcomp ;;
        *-zsh-completion) subpkgsplit=zshcomp ;;
        *) subpkgsplit=${subpkgname##*-} ;;
        esac
    fi
    if [ -z "$subpkgarch" ]; then
        case $subpkgname in
        *-doc | *-openrc | *sh-completion) subpkgarch=noarch ;;
        *) subpkgarch=$arch ;;
        esac
    fi
    subpkgdir=$pkgbasedir/$subpkgname
}

# What the package says of itself, kept for the list.
say() {
    echo "$1: $2"
    for variable in depends provides install_if; do
        eval "value=\$$variable"
        [ -z "$value" ] || echo "  $variable: $value"
    done
}

split() {
    say "$pkgname" "$arch" >"$pkgbasedir/.$pkgname"
    for entry in $subpackages; do
        subpackage "$entry"
        # abuild runs each in a shell of its own, from the package's folder; of the package's
        # words provides and install_if are not a subpackage's.
        (
            provides='' install_if=''
            cd "$pkgdir"
            "$subpkgsplit"
            [ -d "$subpkgdir" ] || { echo "$subpkgname: empty" >&2; exit 1; }
            say "$subpkgname" "$subpkgarch" >"$pkgbasedir/.$subpkgname"
        )
    done
}

list() {
    for entry in "$pkgname" $subpackages; do
        name=${entry%%:*}
        cat "$pkgbasedir/.$name"
        (
            cd "$pkgbasedir/$name"
            find . -type d -empty -exec echo 'empty folder: {}' \;
            find . -type l -o -type f | LC_ALL=C sort | while read -r path; do
                if [ -L "$path" ]; then
                    echo "  ${path#./} -> $(readlink "$path")"
                else
                    echo "  ${path#./} $(stat -c %a "$path")"
                fi
            done
        )
    done
}

for goal; do
    case $goal in
    \$*) eval "echo \"$goal\"" ;;
    split | list) "$goal" ;;
    *) cd "$builddir" && "$goal" ;;
    esac
done
