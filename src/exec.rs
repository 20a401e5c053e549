//! Story 2: is something loaded? may we? -> sync -> reboot(KEXEC). Returns only
//! with a failure, and the machine then goes on rebooting in the ordinary way.

use crate::cli::ExecRequest;
use crate::failure::{Failure, Result};
use crate::going_down::{self, Evidence, Verdict};
use crate::host::{facts, files, init, refusal, sys};

/// Starts the loaded kernel, or says why not.
pub fn run(request: &ExecRequest) -> Box<Failure> {
    if request.debug {
        explain_ignored(&request.ignored);
    }
    // Where /sys is gone already, reboot(2) answers.
    if matches!(facts::is_loaded(false), Ok(false)) {
        return Failure::NothingLoaded.into();
    }
    if !request.now
        && let Err(failure) = permit(&init::evidence(), request.kexec_when_unknown)
    {
        return failure;
    }
    jump(request.sync)
}

/// Only a reboot may become a kexec.
fn permit(evidence: &Evidence, kexec_when_unknown: bool) -> Result<()> {
    let decision = going_down::decide(evidence);
    match decision.verdict() {
        Verdict::Reboot => Ok(()),
        Verdict::Unknown if kexec_when_unknown => Ok(()),
        verdict => Err(Failure::NotRebooting { verdict, reason: decision.to_string() }.into()),
    }
}

/// Says of each option that it was accepted for kexec(8)'s sake.
pub fn explain_ignored(options: &[&str]) {
    for option in options {
        files::eprint(format_args!("{option} is accepted and does nothing\n"));
    }
}

/// Writes file systems' data, unless told not to, and jumps.
pub fn jump(sync: bool) -> Box<Failure> {
    if sync {
        sys::sync();
    }
    let errno = sys::reboot_kexec();
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
            init: going_down::Init::OpenRc,
            ..Evidence::default()
        };
        let reboot = Evidence { reboot: Some("YES".into()), ..down.clone() };
        let unknown = Evidence { init: going_down::Init::Hidden, ..down.clone() };
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
            assert_eq!(permit(&evidence, false).is_ok(), wanted, "{evidence:?}");
            assert_eq!(permit(&evidence, true).is_ok(), when_unknown, "{evidence:?}");
        }
    }
}
