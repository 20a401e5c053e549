//! The boot loaders that a machine may have, as far as an administrator edits their options.

use std::ffi::OsString;

/// The boot option that unlocks Alpine's kernels.
pub const OPTION: &str = "kexec_load_disabled=0";

/// A boot loader, by its configuration on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootLoader {
    /// Alpine's update-extlinux; whether the option's line has the usual form.
    Extlinux {
        /// `default_kernel_opts="` begins a line.
        has_line: bool,
    },
    /// GRUB.
    Grub {
        /// `GRUB_CMDLINE_LINUX_DEFAULT="` begins a line.
        has_line: bool,
    },
    /// systemd-boot.
    SystemdBoot {
        /// The entries' folder.
        dir: &'static str,
    },
    /// Alpine's secureboot-hook: unified kernel images.
    UnifiedImage,
    /// The Raspberry Pi's own.
    RaspberryPi {
        /// The file with the command line.
        file: &'static str,
    },
    /// Alpine's diskless medium.
    Diskless {
        /// The configurations found on it.
        files: Vec<OsString>,
    },
}
