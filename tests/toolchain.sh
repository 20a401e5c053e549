#!/bin/sh
# Sees to the Rust toolchain: toolchain.sh TARGET | source | check | lint FOLDER | package
# cargo-deny is kept in FOLDER/tools.
# Adds what is missing by rustup where there is rustup; else says what to run.
set -eu

fail() { echo "toolchain: $*" >&2; exit 1; }

command -v cargo >/dev/null 2>&1 ||
    fail "cargo is missing; install Rust 1.88 or later: by rustup, or by this system's packages"

# add WHAT...: by rustup, or in words.
add() {
    if command -v rustup >/dev/null 2>&1; then
        rustup --quiet "$@" || fail "rustup $* failed"
    else
        fail "this Rust lacks something and there is no rustup; what was wanted: rustup $*"
    fi
}

# installed PROGRAM DEBIAN ALPINE: by these packages' names, where it is missing.
installed() {
    ! command -v "$1" >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2086 # lists of words
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get -qq update && apt-get -qq install -y --no-install-recommends $2
    elif [ "$(id -u)" = 0 ] && command -v apk >/dev/null 2>&1; then
        apk add -q $3
    else
        fail "$1 is missing; run: sudo apt-get install $2 (or: apk add $3)"
    fi
}

# What the crates' build scripts and macros are linked with.
installed cc "gcc libc6-dev" "gcc musl-dev"

sysroot=$(rustc --print sysroot)
tools=
[ -z "${2:-}" ] || { mkdir -p "$2" && tools=$(cd "$2" && pwd)/tools; }
case $1 in
source)
    minor=$(rustc --version | sed 's/^rustc 1\.\([0-9]*\)\..*/\1/')
    [ "$minor" -ge 92 ] || fail "the small build takes Rust 1.92 or later (panic=immediate-abort), this is 1.$minor; run: rustup update"
    [ -d "$sysroot/lib/rustlib/src/rust/library/std" ] || add component add rust-src
    ;;
lint)
    cargo fmt --version >/dev/null 2>&1 || add component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || add component add clippy
    installed shellcheck shellcheck shellcheck
    installed mandoc mandoc mandoc
    installed zsh zsh zsh
    # Unoptimised it takes less than a minute to build. A build of cargo's own
    # needs none of this project's flags, which are for another target.
    if ! PATH=$PATH:$tools/bin command -v cargo-deny >/dev/null 2>&1; then
        (cd / && CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root "$tools" cargo-deny@0.20.2) ||
            fail "cargo install cargo-deny failed"
    fi
    ;;
check)
    # Its completion is called by it.
    installed bash bash bash
    ;;
fuzz)
    # libFuzzer is made of C++.
    installed c++ g++ g++
    ;;
package)
    installed busybox busybox busybox
    installed git git git
    # rustup's Rust brings one that gcc can be told of.
    [ -n "$(ls "$sysroot"/lib/rustlib/*/bin/gcc-ld/ld.lld 2>/dev/null)" ] || installed ld.lld lld lld
    ;;
*)
    [ -d "$sysroot/lib/rustlib/$1/lib" ] || add target add "$1"
    ;;
esac
