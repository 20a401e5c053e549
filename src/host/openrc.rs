//! The state of our OpenRC services: installed, enabled, started.

use super::files::{exists, joined, names};

/// The state of the services kexec-load and kexec-exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Both scripts are in /etc/init.d.
    pub are_installed: bool,
    /// kexec-load is started, or starting.
    pub load_started: bool,
    /// kexec-load is in a runlevel other than shutdown.
    pub load_enabled: bool,
    /// kexec-load is in the shutdown runlevel, where OpenRC does not stop it.
    pub load_misplaced: bool,
    /// kexec-exec is started, before a shutdown.
    pub exec_started: bool,
    /// kexec-exec is in the shutdown runlevel.
    pub exec_enabled: bool,
}

/// Reads the state from OpenRC's folders /etc/runlevels and /run/openrc (rc-status(8)).
pub fn services() -> Services {
    let enabled = |runlevel: &std::ffi::OsString| {
        exists(joined(&["/etc/runlevels".as_ref(), runlevel, "kexec-load".as_ref()]))
    };
    Services {
        are_installed: exists("/etc/init.d/kexec-load") && exists("/etc/init.d/kexec-exec"),
        load_started: exists("/run/openrc/started/kexec-load") || exists("/run/openrc/starting/kexec-load"),
        load_enabled: names("/etc/runlevels").iter().filter(|name| *name != "shutdown").any(enabled),
        load_misplaced: exists("/etc/runlevels/shutdown/kexec-load"),
        exec_started: exists("/run/openrc/started/kexec-exec"),
        exec_enabled: exists("/etc/runlevels/shutdown/kexec-exec"),
    }
}
