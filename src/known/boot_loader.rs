//! The boot loaders whose kernel options an administrator can edit.

use std::ffi::OsString;

/// The boot option with which Alpine's kernels permit loads.
pub const OPTION: &str = "kexec_load_disabled=0";

/// A configuration that is edited by hand.
#[derive(Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The boot loader.
    pub name: &'static str,
    /// The lines with the kernel's command lines.
    pub lines: &'static str,
    /// Where the file may be.
    pub files: &'static [&'static str],
}

/// U-Boot reads the file that extlinux has in a folder of its own (its doc/develop/distro.rst);
/// update-extlinux writes /boot/extlinux.conf. Limine looks for its file in these folders of each
/// partition, and beside its own program (its CONFIG.md); its older releases had another form.
pub const BY_HAND: [Configuration; 3] = [
    Configuration { name: "U-Boot", lines: "the append lines", files: &["/boot/extlinux/extlinux.conf"] },
    Configuration {
        name: "limine",
        lines: "the cmdline: lines",
        files: &[
            "/boot/limine.conf",
            "/boot/limine/limine.conf",
            "/boot/EFI/limine/limine.conf",
            "/boot/EFI/BOOT/limine.conf",
            "/boot/efi/limine.conf",
            "/boot/efi/limine/limine.conf",
            "/boot/efi/EFI/limine/limine.conf",
            "/boot/efi/EFI/BOOT/limine.conf",
            "/efi/limine.conf",
            "/efi/limine/limine.conf",
            "/efi/EFI/limine/limine.conf",
            "/efi/EFI/BOOT/limine.conf",
        ],
    },
    Configuration {
        name: "limine",
        lines: "the CMDLINE= lines",
        files: &["/boot/limine.cfg", "/boot/limine/limine.cfg", "/boot/EFI/BOOT/limine.cfg"],
    },
];

/// A boot loader whose configuration is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootLoader {
    /// Alpine's update-extlinux.
    Extlinux {
        /// Whether `default_kernel_opts="` begins a line of /etc/update-extlinux.conf.
        has_line: bool,
    },
    /// GRUB.
    Grub {
        /// Whether `GRUB_CMDLINE_LINUX_DEFAULT="` begins a line of /etc/default/grub.
        has_line: bool,
    },
    /// systemd-boot.
    SystemdBoot {
        /// The folder with its entries.
        dir: &'static str,
    },
    /// Unified kernel images from Alpine's secureboot-hook.
    UnifiedImage,
    /// One whose configuration is edited by hand.
    ByHand {
        /// What to edit.
        what: &'static Configuration,
        /// The file that is there.
        file: &'static str,
    },
    /// The Raspberry Pi's firmware.
    RaspberryPi {
        /// The file with the command line.
        file: &'static str,
    },
    /// The boot medium of a diskless Alpine.
    Diskless {
        /// The boot loader configurations on media below /media.
        files: Vec<OsString>,
    },
}
