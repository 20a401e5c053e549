//! Whether the machine is rebooting, and why rc-kexec thinks so.

use crate::base::text::Shown;
use crate::known::init::Signal;
use crate::known::shutdown::{Decision, SKIP_FILE, SetUp, Verdict, WhenUnknown};
use crate::shutdown::Outcome;
use std::fmt::{self, Display, Formatter};

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::No => "no",
            Verdict::Skip => "skip",
            Verdict::Reboot => "reboot",
            Verdict::PowerOff => "poweroff",
            Verdict::Halt => "halt",
            Verdict::Unknown => "unknown",
        })
    }
}

impl Display for Decision {
    /// The reason.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Decision::OtherRunlevel(Some(runlevel)) => {
                write!(f, "the machine is not going down (RC_RUNLEVEL is {})", runlevel.shown())
            }
            Decision::OtherRunlevel(None) => {
                f.write_str("the machine is not going down (RC_RUNLEVEL is not set)")
            }
            Decision::NotGoingDown => f.write_str("the machine is not going down (RC_GOINGDOWN is not YES)"),
            Decision::Skip => write!(f, "an ordinary reboot was asked for ({SKIP_FILE} is there)"),
            Decision::Variable => f.write_str("RC_REBOOT is YES"),
            Decision::NoVariable(init) => {
                write!(f, "RC_REBOOT is not set, and {init} sets it for every reboot")
            }
            Decision::NoVariableWithAction => f.write_str(
                "RC_REBOOT is not set, and the ::reboot: line of /etc/inittab sets it for every reboot",
            ),
            Decision::Signal(signal) => {
                let name = match signal {
                    Signal::Reboot => "SIGTERM",
                    Signal::PowerOff => "SIGUSR2",
                    Signal::Halt => "SIGUSR1 or SIGPWR",
                };
                write!(f, "the first signal that init received is {name}")
            }
            Decision::SeveralSignals => f.write_str(
                "init received signals of different meaning, and rc-kexec cannot tell which it obeyed",
            ),
            Decision::Unreadable => f.write_str("rc-kexec cannot read which signals init received"),
            Decision::NoSignal => f.write_str("init received no signal to reboot, power off or halt"),
            Decision::NotArmed => f.write_str(
                "BusyBox's init does not say, and nothing watched its signals (is the service kexec-load started?)",
            ),
            Decision::OtherInit(Some(name)) => {
                write!(f, "rc-kexec does not know how {} tells a reboot from a poweroff", name.shown())
            }
            Decision::OtherInit(None) => f.write_str("rc-kexec cannot identify process 1"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => Ok(()),
            Outcome::Decided { decision, when_unknown } => {
                let verdict = decision.verdict();
                let policy = match (verdict, when_unknown) {
                    (Verdict::Unknown, WhenUnknown::Kexec) => {
                        "; --when-unknown asks for a kexec all the same"
                    }
                    _ => "",
                };
                writeln!(f, "{verdict}: {decision}{policy}")
            }
            Outcome::Skipped => f.write_str(
                "the next reboot will be an ordinary one (to undo that: rc-service kexec-load restart)\n",
            ),
            Outcome::SetUp(SetUp::Added) => {
                f.write_str("added ::reboot:/sbin/openrc reboot to /etc/inittab; init has read it\n")
            }
            Outcome::SetUp(SetUp::WasThere) => {
                f.write_str("the line is in /etc/inittab already; init has read it\n")
            }
            Outcome::SetUp(SetUp::NotNeeded) => {
                f.write_str("there is nothing to set up: this init tells services itself\n")
            }
            Outcome::NeedsRescue => f.write_str("rebooting in the ordinary way: no kernel was started\n"),
        }
    }
}
