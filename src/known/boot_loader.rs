//! The boot loaders whose kernel options an administrator can edit.

use std::ffi::OsString;

/// The boot option with which Alpine's kernels permit loads.
pub const OPTION: &str = "kexec_load_disabled=0";

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
