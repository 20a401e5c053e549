#!/bin/sh
# Prints the compiler options that keep this machine's folders out of the program, so that the same
# source gives the same bytes wherever it is built. Panics name source files: those of crates under
# CARGO_HOME, and those of the standard library when rust-src is installed.
set -eu
# The same path as in the compiled standard library.
commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
printf '%s' "--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit"
# Each registry has a folder with a name from its address: a mirror has another one.
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    printf ' %s' "--remap-path-prefix=$registry=/crates"
done
