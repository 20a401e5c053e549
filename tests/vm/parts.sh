#!/bin/sh
# Fetches the real parts that the virtual machines are made of into target/vm,
# once: Debian's packages by apt-get from the mirror that this machine uses, in a
# configuration of their own, nothing installed. Builds from Debian's kernel
# source a kernel configured as Alpine's (alpine.config, kernel.sh).
#
# parts.sh [demo]: only what `make demo` needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=${CARGO_TARGET_DIR:-$top/target}/vm

fail() { echo "parts: $*" >&2; exit 1; }
mkdir -p "$vm/debs"

# On Alpine there are no packages of Debian's; its own kernel and BusyBox do for the demo.
if ! command -v apt-get >/dev/null 2>&1 && command -v apk >/dev/null 2>&1; then
    [ "${1:-}" = demo ] || fail "the tests' kernels come from Debian's packages, by apt-get, which this machine lacks"
    if [ ! -e "$vm/debian/vmlinuz" ]; then
        mkdir -p "$vm/debian" "$vm/busybox/usr/bin"
        apk fetch -q --stdout busybox-static | tar -xzf - -C "$vm/busybox" bin/busybox.static
        mv "$vm/busybox/bin/busybox.static" "$vm/busybox/usr/bin/busybox"
        apk fetch -q --stdout linux-virt | tar -xzf - -C "$vm/debian" boot/vmlinuz-virt
        mv "$vm/debian/boot/vmlinuz-virt" "$vm/debian/vmlinuz"
    fi
    exit 0
fi

# The packages of which release, for which machines.
suite=trixie arch=amd64

# apt COMMAND...: with a configuration of its own for each release and architecture.
apt() {
    command -v apt-get >/dev/null 2>&1 ||
        fail "the test kernels come from Debian's packages, by apt-get, which this machine lacks"
    of=$vm/apt/$suite-$arch
    if [ ! -e "$of/conf" ]; then
        keyring=/usr/share/keyrings/debian-archive-keyring.gpg
        [ -e "$keyring" ] || fail "$keyring is missing; run: apt-get install debian-archive-keyring"
        # The mirror of this machine's own Debian sources.
        mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -n -e 's/^URIs: *\([^ ]*\/debian\)\/* *$/\1/p' -e 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\/debian\)\/* .*/\2/p' |
            head -n 1)
        [ -n "$mirror" ] || fail "no Debian mirror is among this machine's apt sources"
        mkdir -p "$of/state/lists/partial" "$of/cache/archives/partial"
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: %s\nSigned-By: %s\n' \
            "$mirror" "$suite" "$arch" "$keyring" >"$of/debian.sources"
        cat >"$of/conf" <<CONF
Dir::Etc::sourcelist "$of/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State "$of/state";
Dir::State::status "/dev/null";
Dir::Cache "$of/cache";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "";
CONF
    fi
    [ -e "$of/updated" ] || { APT_CONFIG="$of/conf" apt-get -qq update && : >"$of/updated"; }
    APT_CONFIG="$of/conf" "$@"
}

# unpack PACKAGE FOLDER: once, with a mark when it is whole.
unpack() {
    [ -e "$vm/$2/.$1" ] && return
    echo "parts: fetching $1 ($suite, $arch)"
    (cd "$vm/debs" && apt apt-get -qq download "$1") || fail "apt-get download $1"
    mkdir -p "$vm/$2"
    deb=$(find "$vm/debs" -name "${1}_*.deb" | head -n 1)
    dpkg -x "$deb" "$vm/$2" || fail "dpkg -x $deb"
    rm -f "$deb"
    : >"$vm/$2/.$1"
}

# unpack_kernel PACKAGE FOLDER: the kernel that a package without one stands for.
unpack_kernel() {
    [ -e "$vm/$2/vmlinuz" ] && return
    image=$(apt apt-cache depends "$1" | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    [ -n "$image" ] || fail "no linux-image for $1"
    unpack "$image" "$2"
    cp "$vm/$2"/boot/vmlinuz-* "$vm/$2/vmlinuz.new"
    mv "$vm/$2/vmlinuz.new" "$vm/$2/vmlinuz"
}

unpack busybox-static busybox

unpack_kernel linux-image-cloud-amd64 debian
[ "${1:-}" = demo ] && exit 0

# A kernel that runs as a process, and unpacks initrds: of the release whose C library is no newer
# than this machine's.
suite=bookworm
unpack user-mode-linux uml
suite=trixie

# Where the disks are: on Alpine's kernels that driver is a module, too, and its
# initramfs brings it.
if [ ! -e "$vm/debian/virtio_blk.ko" ]; then
    module=$(find "$vm/debian" -name 'virtio_blk.ko*' | head -n 1)
    case $module in
    *.xz) xz -dc "$module" >"$vm/debian/virtio_blk.new" ;;
    *.ko) cp "$module" "$vm/debian/virtio_blk.new" ;;
    *) fail "Debian's kernel has no virtio_blk module" ;;
    esac
    mv "$vm/debian/virtio_blk.new" "$vm/debian/virtio_blk.ko"
fi

# OpenRC and its own init with the libraries that they need, and sysvinit.
for package in openrc librc1t64 libeinfo1 libpam0g libaudit1 libselinux1 libpcre2-8-0 libcap-ng0 libcap2 libc6; do
    unpack "$package" openrc
done
unpack sysvinit-core sysvinit

# For rc_depend.rs: OpenRC's rc-depend of this release and of the newest, each in a root of its
# own with valgrind, a shell, and Debian's services. valgrind needs libc6-dbg.
for suite in trixie testing; do
    root=$vm/rc-depend/$suite
    [ ! -e "$root/.whole" ] || continue
    # The names of librc and libeinfo differ between releases.
    libraries=$(apt apt-cache depends openrc | sed -n 's/^ *Depends: \(lib\(rc\|einfo\)[0-9][^ ]*\)$/\1/p')
    [ -n "$libraries" ] || fail "no librc for openrc ($suite)"
    for package in openrc $libraries libc6 libc6-dbg valgrind busybox-static initscripts insserv; do
        unpack "$package" "rc-depend/$suite"
    done
    for dir in bin sbin lib lib64; do ln -sfn "usr/$dir" "$root/$dir"; done
    mkdir -p "$root/etc" "$root/run" "$root/proc" "$root/tmp"
    for name in $("$root/usr/bin/busybox" --list); do
        [ -e "$root/usr/bin/$name" ] || ln -sf busybox "$root/usr/bin/$name"
    done
    : >"$root/.whole"
done
suite=trixie

# What unlocks an encrypted root, with its libraries.
for package in cryptsetup-bin libcryptsetup12 libdevmapper1.02.1 libjson-c5 libssl3t64 libblkid1 \
    libuuid1 libpopt0 libudev1 libcap2 libselinux1 libpcre2-8-0 zlib1g libzstd1 libc6; do
    unpack "$package" luks
done

# systemd with udev, D-Bus (logind turns a reboot into a kexec) and the libraries that they need.
for package in systemd libsystemd-shared libsystemd0 udev libudev1 dbus dbus-daemon dbus-bin dbus-system-bus-common \
    dbus-session-bus-common libdbus-1-3 libexpat1 mount libmount1 libblkid1 libsmartcols1 libacl1 libapparmor1 libaudit1 \
    libcap-ng0 libcap2 libcrypt1 libkmod2 libpam0g libpcre2-8-0 libseccomp2 libselinux1 libssl3t64 zlib1g libzstd1 \
    liblzma5 libc6; do
    unpack "$package" systemd
done

# unpack_peer FOLDER: kexec-tools, for the bench, with the libraries that it needs.
unpack_peer() {
    for package in kexec-tools libc6 zlib1g liblzma5 libzstd1 libxenmisc4.20 libxentoollog1 libxentoolcore1 libxencall1 \
        libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenstore4; do
        unpack "$package" "$1"
    done
}
unpack_peer peer

# Another program that writes and reads dumps, with the libraries that it needs.
for package in makedumpfile libdw1t64 libelf1t64 zlib1g libbz2-1.0 liblzo2-2 libzstd1 liblzma5 libc6; do
    unpack "$package" makedumpfile
done

# crash(8), which reads dumps with the kernel's debug information.
for package in crash libgcc-s1 liblzo2-2 libncursesw6 libsnappy1v5 libstdc++6 libtinfo6 libzstd1 zlib1g libc6; do
    unpack "$package" crash
done

# What the kernel's own test of kexec_file_load looks at an image with.
for package in pesign libefivar1t64 libnspr4 libnss3 libpopt0 libuuid1 libsqlite3-0 zlib1g attr libattr1 coreutils bash \
    libtinfo6 libc6; do
    unpack "$package" selftests
done

# Of the kernel's source: its own tests of kexec, and the texts that tests/oracle quotes.
unpack linux-source-6.12 source
texts="Documentation/arch/x86 arch/x86/boot arch/x86/include arch/x86/kernel drivers/firmware include/uapi/linux
    include/linux kernel/kexec.c kernel/kexec_core.c tools/testing/selftests/kexec"
mark=$vm/source/.texts-$(echo "$texts" | cksum | tr ' ' -)
if [ ! -e "$mark" ]; then
    echo "parts: unpacking texts of the kernel's source"
    # shellcheck disable=SC2046,SC2086 # lists of words
    tar -C "$vm/source" -xf "$vm/source/usr/src/linux-source-6.12.tar.xz" $(printf 'linux-source-6.12/%s ' $texts) ||
        fail "tar -xf linux-source-6.12.tar.xz"
    : >"$mark"
fi

# Generators of initramfs images, for their hooks: of a release whose dracut runs on newer
# ones, too; and klibc, which an image has where there is no BusyBox.
suite=bookworm
unpack dracut-core dracut
for package in initramfs-tools-core klibc-utils libklibc; do
    unpack "$package" initramfs-tools
done
suite=trixie

# Machines of other architectures.
arch=arm64
unpack busybox-static arm64/busybox
unpack_kernel linux-image-cloud-arm64 arm64
unpack_peer arm64/peer
# The last release of Debian that has a kernel for 32-bit x86.
suite=bookworm arch=i386
unpack busybox-static i386/busybox
unpack_kernel linux-image-686-pae i386
suite=trixie arch=amd64

# A kernel configured as Alpine's: KEXEC without KEXEC_FILE, and disabled unless
# the boot option says otherwise.
stamp=$(cat "$here/alpine.config" "$here/kernel.sh" | cksum | tr ' ' -)
if [ ! -e "$vm/alpine/vmlinuz-$stamp" ]; then
    sh "$here/kernel.sh" "$vm/source/usr/src/linux-source-6.12.tar.xz" "$vm/alpine" "$stamp"
fi
