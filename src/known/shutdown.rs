//! Is the machine rebooting, powering off, or neither? [`decide`] makes a [`Decision`] of the
//! [`Evidence`], and that has a [`Verdict`].
//!
//! OpenRC runs the same services for a reboot, a poweroff and a halt. Whether it tells them apart
//! depends on the init. Unless the answer is certain, it is not "reboot": after an ordinary reboot
//! the machine comes back, but after a wrong kexec a machine meant to be off could overheat.

use super::init::{Init, RebootAction, Signal, Trace};
use std::ffi::OsString;

/// The file whose presence makes the next reboot an ordinary one.
pub const SKIP_FILE: &str = "/run/rc-kexec/skip";

/// All that is known about why OpenRC stops services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// RC_GOINGDOWN from the environment (openrc-run(8)).
    pub going_down: Option<OsString>,
    /// RC_RUNLEVEL from the environment.
    pub runlevel: Option<OsString>,
    /// RC_REBOOT from the environment. Only `openrc reboot` sets it.
    pub reboot: Option<OsString>,
    /// Whether [`SKIP_FILE`] exists, or may exist.
    pub skip: bool,
    /// Process 1.
    pub init: Init,
    /// The signals that process 1 was sent since they are watched.
    pub trace: Trace,
}

/// What to do when a reboot cannot be told from a poweroff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnknown {
    /// Reboot in the ordinary way.
    #[default]
    Reboot,
    /// Kexec. A machine that was meant to be off then starts again.
    Kexec,
}

impl WhenUnknown {
    /// From the word of an option or a setting; `None` for any other word.
    pub fn from_word(word: &[u8]) -> Option<WhenUnknown> {
        match word {
            b"reboot" => Some(WhenUnknown::Reboot),
            b"kexec" => Some(WhenUnknown::Kexec),
            _ => None,
        }
    }
}

/// The answer, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The machine is not going down.
    No,
    /// It is going down, and the user wants an ordinary reboot.
    Skip,
    /// It is going to reboot.
    Reboot,
    /// It is going to power off, or to halt where nothing tells the two apart.
    PowerOff,
    /// It is going to halt.
    Halt,
    /// It is going down, and the evidence does not say to what end.
    Unknown,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// RC_RUNLEVEL is not shutdown.
    OtherRunlevel(Option<OsString>),
    /// RC_GOINGDOWN is not YES.
    NotGoingDown,
    /// [`SKIP_FILE`] exists.
    Skip,
    /// RC_REBOOT is YES.
    Variable,
    /// RC_REBOOT is not YES, under this init, which sets it for every reboot.
    NoVariable(&'static str),
    /// RC_REBOOT is not YES, with BusyBox's `reboot` action in force.
    NoVariableWithAction,
    /// The first signal to BusyBox's init was this one.
    Signal(Signal),
    /// BusyBox's init was sent different signals.
    SeveralSignals,
    /// The signals to BusyBox's init cannot be read.
    Unreadable,
    /// BusyBox's init was sent no signal.
    NoSignal,
    /// BusyBox's init has no `reboot` action in force, and nothing watches its signals.
    NotArmed,
    /// This init tells nothing, or cannot be seen.
    OtherInit(Option<OsString>),
}

/// Whether the machine could stand still at the end of this shutdown. After `openrc-shutdown -K`,
/// openrc-init calls reboot(2) for a kexec alone. When no kernel is loaded, that fails, and init
/// waits for commands with everything else dead. Services cannot tell this from a reboot, so it is
/// true for a reboot as well, which then ends here.
pub fn needs_rescue(evidence: &Evidence) -> bool {
    evidence.init == Init::OpenRc
        && is(&evidence.runlevel, "shutdown")
        && is(&evidence.going_down, "YES")
        && is(&evidence.reboot, "YES")
}

fn is(value: &Option<OsString>, wanted: &str) -> bool {
    value.as_deref().is_some_and(|value| value == wanted)
}

/// Decides with the first rule that applies.
pub fn decide(evidence: &Evidence) -> Decision {
    // RC_GOINGDOWN alone is not enough: `openrc single` sets it, too.
    if !is(&evidence.runlevel, "shutdown") {
        return Decision::OtherRunlevel(evidence.runlevel.clone());
    }
    if !is(&evidence.going_down, "YES") {
        return Decision::NotGoingDown;
    }
    if evidence.skip {
        return Decision::Skip;
    }
    // BusyBox's init acts on its signals alone. With an inittab whose ::shutdown: line runs
    // `openrc reboot`, RC_REBOOT is YES for a poweroff, too.
    let signals = if evidence.init.may_be_watched() { evidence.trace } else { Trace::NotArmed };
    if is(&evidence.reboot, "YES") {
        return match signals {
            Trace::First(signal @ (Signal::PowerOff | Signal::Halt)) => Decision::Signal(signal),
            Trace::Several => Decision::SeveralSignals,
            Trace::Unreadable => Decision::Unreadable,
            _ => Decision::Variable,
        };
    }
    match (&evidence.init, evidence.trace) {
        (Init::OpenRc, _) => Decision::NoVariable("openrc-init"),
        (Init::SysVinit, _) => Decision::NoVariable("sysvinit"),
        (Init::BusyBox(RebootAction::InForce), _) => Decision::NoVariableWithAction,
        (Init::BusyBox(_), Trace::First(signal)) => Decision::Signal(signal),
        (Init::BusyBox(_), Trace::Several) => Decision::SeveralSignals,
        (Init::BusyBox(_), Trace::Unreadable) => Decision::Unreadable,
        (Init::BusyBox(_), Trace::Nothing) => Decision::NoSignal,
        (Init::BusyBox(_), Trace::NotArmed) => Decision::NotArmed,
        (Init::Other(name), _) => Decision::OtherInit(Some(name.clone())),
        (Init::Hidden, _) => Decision::OtherInit(None),
    }
}

impl Decision {
    /// The answer that follows from the rule.
    pub fn verdict(&self) -> Verdict {
        match self {
            Decision::OtherRunlevel(_) | Decision::NotGoingDown => Verdict::No,
            Decision::Skip => Verdict::Skip,
            Decision::Variable | Decision::Signal(Signal::Reboot) => Verdict::Reboot,
            Decision::NoVariable(_) | Decision::NoVariableWithAction | Decision::Signal(Signal::PowerOff) => {
                Verdict::PowerOff
            }
            Decision::Signal(Signal::Halt) => Verdict::Halt,
            Decision::SeveralSignals
            | Decision::Unreadable
            | Decision::NoSignal
            | Decision::NotArmed
            | Decision::OtherInit(_) => Verdict::Unknown,
        }
    }
}

/// The result of setting up /etc/inittab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// The line was added.
    Added,
    /// The line was there already.
    WasThere,
    /// This init sets RC_REBOOT without the line.
    NotNeeded,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::init::Init::{BusyBox, Hidden, OpenRc, SysVinit};
    use crate::known::init::RebootAction::{Absent, Different, InForce, Unsupported};
    use crate::known::init::Signal;

    const SHUTDOWN: Option<&str> = Some("shutdown");
    const YES: Option<&str> = Some("YES");

    #[test]
    fn the_table_of_decisions() {
        let other = || Init::Other("s6-svscan".into());
        let (no, unknown) = (Verdict::No, Verdict::Unknown);
        let (reboot, off, halt) = (Verdict::Reboot, Verdict::PowerOff, Verdict::Halt);
        let term = Trace::First(Signal::Reboot);
        // RC_RUNLEVEL, RC_GOINGDOWN, RC_REBOOT, init, trace -> verdict
        let table = [
            // Not going down, whatever else there is.
            (None, None, None, BusyBox(Absent), term, no),
            (None, YES, YES, OpenRc, term, no),
            (Some("single"), YES, None, BusyBox(Absent), term, no),
            (Some("single"), YES, YES, SysVinit, term, no),
            (Some("default"), YES, YES, BusyBox(InForce), term, no),
            (Some("default"), None, None, OpenRc, Trace::NotArmed, no),
            (Some("shutdown "), YES, YES, OpenRc, term, no),
            (SHUTDOWN, None, YES, OpenRc, term, no),
            (SHUTDOWN, Some("NO"), YES, BusyBox(Absent), term, no),
            // RC_REBOOT says so under every init.
            (SHUTDOWN, YES, YES, OpenRc, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, SysVinit, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, BusyBox(InForce), Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, BusyBox(Unsupported), term, reboot),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Nothing, reboot),
            (SHUTDOWN, YES, YES, OpenRc, Trace::First(Signal::Halt), reboot),
            // Unless BusyBox's init was sent something else.
            (SHUTDOWN, YES, YES, BusyBox(Unsupported), Trace::First(Signal::Halt), halt),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::First(Signal::PowerOff), off),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Several, unknown),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Unreadable, unknown),
            (SHUTDOWN, YES, YES, other(), Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, Hidden, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, Hidden, Trace::First(Signal::PowerOff), off),
            // Its absence says something where it is always set.
            (SHUTDOWN, YES, None, OpenRc, Trace::NotArmed, off),
            (SHUTDOWN, YES, None, OpenRc, term, off),
            (SHUTDOWN, YES, None, SysVinit, term, off),
            (SHUTDOWN, YES, Some("NO"), SysVinit, Trace::NotArmed, off),
            (SHUTDOWN, YES, None, BusyBox(InForce), Trace::NotArmed, off),
            (SHUTDOWN, YES, None, BusyBox(InForce), term, off),
            // Else the trace does, for BusyBox's init alone.
            (SHUTDOWN, YES, None, BusyBox(Unsupported), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Absent), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Different), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::First(Signal::PowerOff), off),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::First(Signal::Halt), halt),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Several, unknown),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Unreadable, unknown),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Nothing, unknown),
            (SHUTDOWN, YES, None, BusyBox(Unsupported), Trace::NotArmed, unknown),
            (SHUTDOWN, YES, None, other(), term, unknown),
            (SHUTDOWN, YES, None, Hidden, term, unknown),
        ];
        for (runlevel, going_down, variable, init, trace, wanted) in table {
            let mut evidence = Evidence {
                going_down: going_down.map(OsString::from),
                runlevel: runlevel.map(OsString::from),
                reboot: variable.map(OsString::from),
                skip: false,
                init,
                trace,
            };
            let decision = decide(&evidence);
            assert_eq!(decision.verdict(), wanted, "{evidence:?}: {decision}");
            // Asking for an ordinary reboot never makes anything else of "no".
            evidence.skip = true;
            let wanted = if wanted == no { no } else { Verdict::Skip };
            assert_eq!(decide(&evidence).verdict(), wanted, "{evidence:?}");
        }
    }

    #[test]
    fn only_openrc_init_on_its_way_to_a_reboot_is_rescued() {
        let reboot = Evidence {
            going_down: YES.map(OsString::from),
            runlevel: SHUTDOWN.map(OsString::from),
            reboot: YES.map(OsString::from),
            init: OpenRc,
            ..Evidence::default()
        };
        assert!(needs_rescue(&reboot));
        assert!(needs_rescue(&Evidence { skip: true, ..reboot.clone() }));
        for other in [
            Evidence { init: SysVinit, ..reboot.clone() },
            Evidence { init: BusyBox(InForce), ..reboot.clone() },
            Evidence { init: Hidden, ..reboot.clone() },
            Evidence { reboot: None, ..reboot.clone() },
            Evidence { going_down: None, ..reboot.clone() },
            Evidence { runlevel: Some("single".into()), ..reboot },
        ] {
            assert!(!needs_rescue(&other), "{other:?}");
        }
    }
}
