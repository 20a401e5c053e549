#!/bin/sh
# What tests/policy.rs cannot tell by itself: policy.sh FOLDER
#
# Whether a crate was withdrawn from crates.io, and deny.toml by cargo-deny (from the PATH, or
# FOLDER/tools/bin, where toolchain.sh puts it). What was not looked at is said.
set -eu
cd "$(dirname "$0")/.."
out=$1
PATH=$PATH:$out/tools/bin
mkdir -p "$out"
said=$(mktemp "$out/policy.XXXXXX")
trap 'rm -f "$said"' EXIT

# cargo looks at that for whoever packages.
if ! cargo package --locked --allow-dirty --no-verify --target-dir "$out/yanked" >"$said" 2>&1; then
    echo "policy: NOT LOOKED AT: whether a crate was yanked, as cargo package failed: $(grep -m 1 error "$said" || :)"
elif grep yanked "$said" >&2; then
    exit 1
else
    echo "policy: no crate of Cargo.lock was yanked"
fi

for manifest in Cargo.toml fuzz/Cargo.toml; do
    echo "policy: cargo deny check, $manifest"
    cargo-deny --locked --manifest-path "$manifest" check bans licenses sources
done
if ! cargo-deny --locked fetch db >"$said" 2>&1; then
    echo "policy: NOT LOOKED AT: advisories, as their database cannot be fetched: $(grep -m 1 -E 'fatal|ERROR' "$said" || :)"
    exit 0
fi
for manifest in Cargo.toml fuzz/Cargo.toml; do
    cargo-deny --locked --manifest-path "$manifest" check advisories
done
