#!/bin/bash
# rc-kexec in dracut's images: add_dracutmodules+=" rc-kexec ".
# shellcheck disable=SC2034 # dracut reads hostonly

# 255: only when it is asked for.
check() {
    require_binaries findfs mount umount mkdir cat sleep modprobe /usr/sbin/rc-kexec || return 1
    return 255
}

# The shell.
depends() {
    echo base
}

# Those of a disk that is not plugged in now, too.
installkernel() {
    hostonly='' instmods ext4 vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 \
        sd_mod usb_storage uas xhci_pci ehci_pci
}

install() {
    inst_multiple /usr/sbin/rc-kexec /usr/sbin/kexec-load /usr/sbin/kexec-exec /usr/sbin/rc-kexec-init \
        findfs mount umount mkdir cat sleep modprobe
}
