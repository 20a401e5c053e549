#!/bin/bash
# Adds rc-kexec to dracut's images if its configuration has add_dracutmodules+=" rc-kexec ".
# shellcheck disable=SC2034 # dracut reads hostonly

# 255: add it only if the configuration names it.
check() {
    require_binaries findfs mount umount mkdir cat sleep modprobe /usr/sbin/rc-kexec || return 1
    return 255
}

# The module base brings the shell.
depends() {
    echo base
}

# Drivers of disks that may not be plugged in now.
installkernel() {
    hostonly='' instmods ext4 vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 \
        sd_mod usb_storage uas xhci_pci ehci_pci
}

install() {
    inst_multiple /usr/sbin/rc-kexec /usr/sbin/kexec-load /usr/sbin/kexec-exec /usr/sbin/rc-kexec-init \
        findfs mount umount mkdir cat sleep modprobe
    # For a dump.
    inst_multiple -o date mv sync
}
