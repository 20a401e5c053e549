#!/bin/sh
# Builds a kernel configured as Alpine's from Debian's kernel source.
#
# kernel.sh SOURCE FOLDER STAMP: makes FOLDER/vmlinuz-STAMP, vmlinuz as a link to it, and vmlinux with the
# debug information.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$1 folder=$2 stamp=$3
build=$folder/build
tree=$folder/linux-source-6.12

fail() { echo "kernel: $*" >&2; exit 1; }

rm -rf "$folder"
mkdir -p "$build"
echo "kernel: unpacking the source"
tar -C "$folder" -xf "$source"
# The effect of Alpine's patch, with early_param (contrib/alpine-kernel): this version drops boot
# options that begin with "kexec" before __setup handlers see them. The same handler is registered
# with __setup as well, under another name that begins so, to show that.
core=$tree/kernel/kexec_core.c
grep -q '^static int kexec_load_disabled;$' "$core" || fail "kexec_core.c is not as expected"
awk '/^static int kexec_load_disabled;$/ {
    print "static int kexec_load_disabled = 1;"
    print "static int __init kexec_load_disabled_setup(char *str)"
    print "{ return kstrtoint(str, 0, &kexec_load_disabled); }"
    print "early_param(\"kexec_load_disabled\", kexec_load_disabled_setup);"
    print "static int __init kexec_load_disabled_late(char *str)"
    print "{ return !kexec_load_disabled_setup(str); }"
    print "__setup(\"kexec_load_disabled_setup=\", kexec_load_disabled_late);"
    next } { print }' "$core" >"$core.new"
mv "$core.new" "$core"
echo "kernel: building one configured as Alpine's (about 4 minutes on 2 cores)"
{
    make -C "$tree" O="$build" tinyconfig
    cat "$here/alpine.config" >>"$build/.config"
    make -C "$tree" O="$build" olddefconfig
    make -C "$tree" O="$build" -j"$(nproc)" bzImage
} >"$folder/build.log" 2>&1 || { tail -n 30 "$folder/build.log" >&2; fail "the build failed"; }
while read -r line; do
    case $line in
    CONFIG_*=y) grep -qx "$line" "$build/.config" || fail "$line did not take" ;;
    esac
done <"$here/alpine.config"
cp "$build/vmlinux" "$folder/vmlinux"
cp "$build/arch/x86/boot/bzImage" "$folder/vmlinuz-$stamp"
ln -sf "vmlinuz-$stamp" "$folder/vmlinuz"
rm -rf "$tree" "$build"
