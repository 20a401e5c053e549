#!/bin/sh
# Installs what the virtual machines need, when it is missing and this is root;
# else prints the one line to run. Then fetches and builds their parts (parts.sh), but not
# with the word install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# What the tests run, and what building a kernel takes, by Debian's and Alpine's names.
debian="qemu-system-x86 qemu-system-arm ovmf qemu-efi-aarch64 lz4 bzip2 gcc libc6-dev make bc bison flex perl libelf-dev libssl-dev xz-utils zstd cpio kmod e2fsprogs gzip dosfstools mtools u-boot-tools bash"
alpine="qemu-system-x86_64 qemu-system-i386 qemu-system-aarch64 ovmf aavmf lz4 bzip2 gcc musl-dev linux-headers make bc bison flex perl elfutils-dev openssl-dev xz zstd cpio kmod e2fsprogs e2fsprogs-extra gzip diffutils findutils dosfstools mtools u-boot-tools bash"

missing=
PATH=$PATH:/usr/sbin:/sbin # where mke2fs is, for whoever is not root
for program in qemu-system-x86_64 qemu-system-i386 qemu-system-aarch64 lz4 bzip2 gcc make bc bison flex perl xz zstd pzstd cpio mke2fs gzip debugfs mkfs.vfat mcopy mkimage depmod bash; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -e /usr/include/libelf.h ] || missing="$missing libelf.h"
[ -n "$(ls /usr/share/OVMF/OVMF_CODE*.fd 2>/dev/null)" ] || missing="$missing OVMF"
[ -n "$(ls /usr/share/AAVMF/AAVMF_CODE*.fd 2>/dev/null)" ] || missing="$missing AAVMF"

if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null 2>&1; then
        install="apt-get install -y --no-install-recommends $debian"
        first="apt-get update"
    elif command -v apk >/dev/null 2>&1; then
        install="apk add $alpine"
        first=:
    else
        echo "setup: missing:$missing; this machine has neither apt-get nor apk: install them by hand" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "setup: missing:$missing; run: sudo sh -c '$first && $install'" >&2
        exit 1
    fi
    echo "setup: installing, for:$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    if ! { $first && $install; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        exit 1
    fi
    rm -f "$log"
fi
[ "${1:-}" = install ] || exec sh "$here/parts.sh" "$@"
