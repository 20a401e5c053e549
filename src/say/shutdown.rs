//! Whether the machine is rebooting, and why that is the answer.

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
                write!(f, "the first signal that init was sent is {name}")
            }
            Decision::SeveralSignals => f.write_str(
                "init was sent signals of different meaning, and which it took first cannot be told",
            ),
            Decision::Unreadable => f.write_str("the signals that init was sent cannot be read"),
            Decision::NoSignal => f.write_str("init was sent no signal that says so"),
            Decision::NotArmed => f.write_str(
                "BusyBox's init does not say, and its signals were not watched (is kexec-load started?)",
            ),
            Decision::OtherInit(Some(name)) => {
                write!(f, "how {} tells a reboot from a poweroff is not known", name.shown())
            }
            Decision::OtherInit(None) => f.write_str("process 1 cannot be seen"),
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
                    (Verdict::Unknown, WhenUnknown::Kexec) => "; a kexec is wanted all the same",
                    _ => "",
                };
                writeln!(f, "{verdict}: {decision}{policy}")
            }
            Outcome::Skipped => f.write_str(
                "the next reboot will be an ordinary one (rc-service kexec-load restart takes that back)\n",
            ),
            Outcome::SetUp(SetUp::Added) => {
                f.write_str("::reboot:/sbin/openrc reboot was added to /etc/inittab, and init has read it\n")
            }
            Outcome::SetUp(SetUp::WasThere) => {
                f.write_str("the line is in /etc/inittab, and init has read it\n")
            }
            Outcome::SetUp(SetUp::NotNeeded) => {
                f.write_str("there is nothing to set up: this init says so by itself\n")
            }
            Outcome::NeedsRescue => f.write_str("rebooting in the ordinary way: no kernel was started\n"),
        }
    }
}
