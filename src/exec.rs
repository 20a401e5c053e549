//! Story 2: is something loaded? may we? -> sync -> reboot(KEXEC). Returns only
//! with a failure, and the machine then goes on rebooting in the ordinary way.

use crate::cli::ExecRequest;
use crate::failure::Failure;
use crate::running_kernel::{facts, files, syscalls};
use std::ffi::OsString;

/// What OpenRC tells a service of what the machine is doing (openrc-run(8)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoingDown {
    /// RC_GOINGDOWN
    pub going_down: Option<OsString>,
    /// RC_RUNLEVEL
    pub runlevel: Option<OsString>,
}

impl GoingDown {
    /// As the environment has it.
    pub fn from_environment() -> GoingDown {
        GoingDown {
            going_down: syscalls::environment(c"RC_GOINGDOWN"),
            runlevel: syscalls::environment(c"RC_RUNLEVEL"),
        }
    }

    /// Whether the machine is going down. RC_GOINGDOWN alone does not say so: it
    /// is set on the way to single-user mode, too.
    pub fn is_shutdown(&self) -> bool {
        let is =
            |value: &Option<OsString>, wanted: &str| value.as_deref().is_some_and(|value| value == wanted);
        is(&self.going_down, "YES") && is(&self.runlevel, "shutdown")
    }
}

/// Starts the loaded kernel, or says why not.
pub fn run(request: &ExecRequest, going_down: &GoingDown) -> Failure {
    match check(request, going_down) {
        Ok(()) => jump(request.sync),
        Err(failure) => failure,
    }
}

fn check(request: &ExecRequest, going_down: &GoingDown) -> Result<(), Failure> {
    if request.debug {
        explain_ignored(&request.ignored);
    }
    // Where /sys is gone already, reboot(2) answers.
    if matches!(facts::is_loaded(false), Ok(false)) {
        return Err(Failure::NothingLoaded);
    }
    if !request.now && !going_down.is_shutdown() {
        return Err(Failure::NotGoingDown {
            runlevel: going_down.runlevel.clone(),
            going_down: going_down.going_down.is_some(),
        });
    }
    Ok(())
}

/// Says of each option that it was accepted for kexec(8)'s sake.
pub fn explain_ignored(options: &[&str]) {
    for option in options {
        files::complain(format_args!("{option} is accepted and does nothing\n"));
    }
}

/// Writes file systems' data, unless told not to, and jumps.
pub fn jump(sync: bool) -> Failure {
    if sync {
        syscalls::sync();
    }
    let errno = syscalls::reboot_kexec();
    Failure::ExecRefused { errno, facts: Box::new(facts::refusal()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_down_is_the_shutdown_runlevel_and_nothing_else() {
        let table = [
            (None, None, false),
            (Some("YES"), None, false),
            (None, Some("shutdown"), false),
            (Some("YES"), Some("single"), false),
            (Some("YES"), Some("default"), false),
            (Some("NO"), Some("shutdown"), false),
            (Some("YES"), Some("shutdown"), true),
        ];
        for (going_down, runlevel, wanted) in table {
            let environment = GoingDown {
                going_down: going_down.map(OsString::from),
                runlevel: runlevel.map(OsString::from),
            };
            assert_eq!(environment.is_shutdown(), wanted, "{environment:?}");
        }
    }
}
