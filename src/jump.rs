//! Starts the loaded kernel: checks that one is loaded and that the machine is rebooting, then calls
//! sync(2) and reboot(2). It returns only with a failure; the ordinary reboot then goes on.

use crate::failure::{Failure, NotDone, Result};
use crate::host::sys::kexec::{self, reboot_kexec};
use crate::host::{init, kernel, refusal};
use crate::known::shutdown::{Evidence, Verdict, WhenUnknown, decide};

/// A jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// When the jump is permitted.
    pub when: When,
    /// Write cached data to the disks first.
    pub sync: bool,
}

/// When a jump is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only when the machine is rebooting; the value decides when that is unknown.
    Rebooting(WhenUnknown),
    /// Always.
    Now,
    /// As a user expects of `kexec -e`: always, but not from a service in the shutdown runlevel, where
    /// it is in the place of kexec-exec. Many such services do not ask what the shutdown is for.
    ByHand,
}

impl Default for When {
    fn default() -> When {
        When::Rebooting(WhenUnknown::Reboot)
    }
}

/// Starts the loaded kernel, or says why not.
pub fn run(request: Request) -> Box<Failure> {
    // If /sys is already unmounted, reboot(2) answers.
    if matches!(kernel::is_loaded(false), Ok(false)) {
        return Failure::NothingLoaded.into();
    }
    let asks = match request.when {
        When::Rebooting(when_unknown) => Some(when_unknown),
        When::ByHand if init::is_in_shutdown_service() => Some(WhenUnknown::Reboot),
        When::ByHand | When::Now => None,
    };
    if let Some(when_unknown) = asks
        && let Err(failure) = permit(&init::evidence(), when_unknown)
    {
        return failure;
    }
    jump(request.sync)
}

/// Only a reboot may become a kexec.
fn permit(evidence: &Evidence, when_unknown: WhenUnknown) -> Result<()> {
    let decision = decide(evidence);
    match decision.verdict() {
        Verdict::Reboot => Ok(()),
        Verdict::Unknown if when_unknown == WhenUnknown::Kexec => Ok(()),
        _ => Err(Failure::NotRebooting { decision }.into()),
    }
}

/// Writes cached data to the disks, if `sync` says so, and jumps. Fails where a jump would switch the
/// machine off, whoever loaded the kernel.
pub fn jump(sync: bool) -> Box<Failure> {
    let xen = kernel::xen();
    if xen.forbids_kexec() {
        return NotDone::Xen(xen).into();
    }
    if sync {
        kexec::sync();
    }
    let errno = reboot_kexec();
    Failure::ExecRefused { errno, facts: Box::new(refusal::known()) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reboot_is_permitted_and_what_is_unknown_on_demand() {
        let down = Evidence {
            going_down: Some("YES".into()),
            runlevel: Some("shutdown".into()),
            init: crate::known::init::Init::OpenRc,
            ..Evidence::default()
        };
        let reboot = Evidence { reboot: Some("YES".into()), ..down.clone() };
        let unknown = Evidence { init: crate::known::init::Init::Hidden, ..down.clone() };
        let skip = Evidence { skip: true, ..reboot.clone() };
        // evidence, permitted, permitted when unknown
        let table = [
            (Evidence::default(), false, false),
            (down, false, false),
            (reboot, true, true),
            (unknown, false, true),
            (skip, false, false),
        ];
        for (evidence, wanted, when_unknown) in table {
            assert_eq!(permit(&evidence, WhenUnknown::Reboot).is_ok(), wanted, "{evidence:?}");
            assert_eq!(permit(&evidence, WhenUnknown::Kexec).is_ok(), when_unknown, "{evidence:?}");
        }
    }
}
