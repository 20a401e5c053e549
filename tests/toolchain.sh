#!/bin/sh
# Looks for what the build and the tests need: toolchain.sh WHAT...
#
# WHAT is a Rust target to build for, or: source (of the standard library), check, package, fuzz,
# lint (whose cargo-deny is kept in target/tools).
#
# With SETUP=yes in the environment it installs what is missing: with rustup, and as root with
# apt-get or apk. Otherwise, or where it cannot, it prints the one line to run, and fails.
set -eu
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-$PWD/target}
[ "${out#/}" != "$out" ] || out=$PWD/$out

fail() { echo "toolchain: $*" >&2; exit 1; }

command -v cargo >/dev/null 2>&1 ||
    fail "cargo is missing; install Rust 1.88 or later: from https://rustup.rs, or from this system's packages"
sysroot=$(rustc --print sysroot)

# What rustup, the system's packages and cargo have to bring; each word has a space before it.
targets='' components='' debian='' alpine='' deny=''

# needs PROGRAM DEBIAN ALPINE: a program, and the packages that bring it.
needs() {
    command -v "$1" >/dev/null 2>&1 || debian="$debian $2" alpine="$alpine $3"
}

# The crates' build scripts and macros are linked with it.
needs cc "gcc libc6-dev" "gcc musl-dev"
for what; do
    case $what in
    source)
        minor=$(rustc --version | sed 's/^rustc 1\.\([0-9]*\)\..*/\1/')
        [ "$minor" -ge 92 ] ||
            fail "the small build needs Rust 1.92 or later (panic=immediate-abort), and this is 1.$minor; run: rustup update"
        [ -d "$sysroot/lib/rustlib/src/rust/library/std" ] || components="$components rust-src"
        ;;
    check)
        # A test asks bash what it would complete.
        needs bash bash bash
        ;;
    package)
        needs busybox busybox busybox
        needs git git git
        # Rust from rustup brings a linker that gcc can use.
        [ -n "$(ls "$sysroot"/lib/rustlib/*/bin/gcc-ld/ld.lld 2>/dev/null)" ] || needs ld.lld lld lld
        ;;
    fuzz)
        # libFuzzer is written in C++.
        needs c++ g++ g++
        ;;
    lint)
        cargo fmt --version >/dev/null 2>&1 || components="$components rustfmt"
        cargo clippy --version >/dev/null 2>&1 || components="$components clippy"
        needs shellcheck shellcheck shellcheck
        needs mandoc mandoc mandoc
        needs zsh zsh zsh
        PATH=$PATH:$out/tools/bin command -v cargo-deny >/dev/null 2>&1 || deny=cargo-deny@0.20.2
        ;;
    *)
        [ -d "$sysroot/lib/rustlib/$what/lib" ] || targets="$targets $what"
        ;;
    esac
done

# The commands that bring it all, as one line.
line=''
add() { line="${line:+$line && }$*"; }
[ -z "$targets" ] || add "rustup target add$targets"
[ -z "$components" ] || add "rustup component add$components"
[ -z "$line" ] || command -v rustup >/dev/null 2>&1 ||
    fail "this Rust is not complete, and there is no rustup to add to it; install it from https://rustup.rs, then run: $line"
may_install=${SETUP:-no}
if [ -n "$debian" ]; then
    [ "$(id -u)" = 0 ] || may_install=no
    case $(id -u),$(command -v apt-get || command -v apk || :) in
    0,*apt-get) add "apt-get -qq update && apt-get -qq install -y --no-install-recommends$debian" ;;
    *apt-get) add "sudo apt-get install$debian" ;;
    0,*apk) add "apk add -q$alpine" ;;
    *apk) add "sudo apk add$alpine" ;;
    *) fail "this machine has neither apt-get nor apk; install these packages, or what they are called here:$debian" ;;
    esac
fi
# A build in / needs none of this project's flags, which are for another target; unoptimised it
# needs less than a minute.
[ -z "$deny" ] ||
    add "(cd / && CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root '$out/tools' $deny)"
[ -n "$line" ] || exit 0
[ "$may_install" = yes ] || fail "something that is needed here is missing; run: $line"
sh -c "$line" || fail "this failed: $line"
