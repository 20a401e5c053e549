//! The state of our OpenRC services: installed, enabled, started.

use super::files::{exists, joined, names, read};

/// The state of the services kexec-load and kexec-exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Both scripts are in /etc/init.d.
    pub are_installed: bool,
    /// One of them is another program's, with the same name.
    pub are_foreign: bool,
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

/// Whether a service's script is one of rc-kexec's: they alone ask it what the shutdown is for. Alpine's
/// wiki has services of the same names that ask nothing.
fn is_ours(script: &[u8]) -> bool {
    const QUESTION: &[u8] = b"rc-kexec going-down";
    script.windows(QUESTION.len()).any(|part| part == QUESTION)
}

/// Reads the state from OpenRC's folders /etc/runlevels and /run/openrc (rc-status(8)).
pub fn services() -> Services {
    let enabled = |runlevel: &std::ffi::OsString| {
        exists(joined(&["/etc/runlevels".as_ref(), runlevel, "kexec-load".as_ref()]))
    };
    let scripts = ["/etc/init.d/kexec-load", "/etc/init.d/kexec-exec"];
    Services {
        are_installed: scripts.iter().all(exists),
        are_foreign: scripts.iter().any(|script| read(script).is_ok_and(|text| !is_ours(&text))),
        load_started: exists("/run/openrc/started/kexec-load") || exists("/run/openrc/starting/kexec-load"),
        load_enabled: names("/etc/runlevels").iter().filter(|name| *name != "shutdown").any(enabled),
        load_misplaced: exists("/etc/runlevels/shutdown/kexec-load"),
        exec_started: exists("/run/openrc/started/kexec-exec"),
        exec_enabled: exists("/etc/runlevels/shutdown/kexec-exec"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_scripts_are_told_from_others_of_the_same_names() {
        assert!(is_ours(include_bytes!("../../openrc/kexec-load.initd")));
        assert!(is_ours(include_bytes!("../../openrc/kexec-exec.initd")));
        assert!(!is_ours(b"#!/sbin/openrc-run\nstart() {\n\tkexec -e\n}\n"));
        assert!(!is_ours(b""));
    }
}
