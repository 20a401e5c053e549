//! What services ask around a shutdown (is it a reboot?), and the preparations for the answer.

use crate::failure::{Failure, Result};
use crate::host::init;
use crate::host::sys::kexec::reboot_now;
use crate::known::shutdown::{Decision, SetUp, Verdict, WhenUnknown, decide, needs_rescue};

/// What going-down is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say whether the machine is rebooting.
    Decide {
        /// What to do when that is not known.
        when_unknown: WhenUnknown,
    },
    /// Watch init's signals.
    Arm,
    /// Stop watching them.
    Disarm,
    /// Edit /etc/inittab.
    SetUp,
    /// Make the next reboot an ordinary one.
    Skip,
    /// Reboot at once, if init cannot.
    Rescue,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with nothing to say.
    Done,
    /// The answer to "is it a reboot?".
    Decided {
        /// What the evidence came to.
        decision: Decision,
        /// What the user wants when the verdict is unknown.
        when_unknown: WhenUnknown,
    },
    /// The next reboot will be an ordinary one.
    Skipped,
    /// What happened to /etc/inittab.
    SetUp(SetUp),
    /// The machine would hang: [`rescue`] reboots it.
    NeedsRescue,
}

/// Does what going-down is asked to.
pub fn run(action: Action) -> Result<Outcome> {
    match action {
        Action::Decide { when_unknown } => {
            return Ok(Outcome::Decided { decision: decide(&init::evidence()), when_unknown });
        }
        Action::Arm => init::arm()?,
        Action::Disarm => init::disarm()?,
        Action::Skip => {
            init::skip()?;
            return Ok(Outcome::Skipped);
        }
        Action::Rescue if needs_rescue(&init::evidence()) => return Ok(Outcome::NeedsRescue),
        Action::Rescue => {}
        Action::SetUp => return init::set_up().map(Outcome::SetUp),
    }
    Ok(Outcome::Done)
}

/// Reboots at once, in the ordinary way. It returns only with a failure.
pub fn rescue() -> Box<Failure> {
    Failure::RebootRefused(reboot_now()).into()
}

impl Outcome {
    /// The exit status. For an answer it is 0 when a kexec follows.
    pub fn exit_status(&self) -> u8 {
        match self {
            Outcome::Decided { decision, when_unknown } => match (decision.verdict(), when_unknown) {
                (Verdict::Reboot, _) | (Verdict::Unknown, WhenUnknown::Kexec) => 0,
                _ => 1,
            },
            _ => 0,
        }
    }
}
