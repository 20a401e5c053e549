#!/bin/sh
# Prints the compiler's options that keep this machine's folders out of the program: panics
# name source files, those of the crates under CARGO_HOME, and those of the standard library
# where rust-src is installed. So the same source gives the same bytes wherever it is built.
set -eu
# As in the library that comes compiled.
commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
printf '%s' "--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit"
# A folder for each registry, named after its address: a mirror has another one.
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    printf ' %s' "--remap-path-prefix=$registry=/crates"
done
