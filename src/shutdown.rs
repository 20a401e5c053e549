//! What services ask and do around a shutdown: is it a reboot? And what makes that known.

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
    /// Watch them no more.
    Disarm,
    /// Edit /etc/inittab.
    SetUp,
    /// Make the next reboot an ordinary one.
    Skip,
    /// Reboot at once, where init could not.
    Rescue,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and there is nothing to say.
    Done,
    /// The answer, and whether a kexec follows from it.
    Decided {
        /// What the evidence came to.
        decision: Decision,
        /// What the user wants where the verdict is unknown.
        when_unknown: WhenUnknown,
    },
    /// The next reboot will be an ordinary one.
    Skipped,
    /// What became of /etc/inittab.
    SetUp(SetUp),
    /// The machine would stand still: [`rescue`] reboots it.
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
    /// The exit status: of an answer, 0 when a kexec follows.
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
