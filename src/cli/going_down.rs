//! The options of going-down.

use super::words::Words;
use super::{Action, Command};
use crate::failure::Result;
use argh::ArgsInfo;

/// Say whether the machine is rebooting (exit status 0), and why it is thought so:
/// no, skip, reboot, poweroff, halt or unknown. For services, which OpenRC stops and
/// starts alike in every case.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// what to make of unknown: reboot (in the ordinary way, the default) or kexec
    #[argh(option, arg_name = "WHAT")]
    when_unknown: Option<String>,
    /// begin to watch init's signals, if nothing else tells a reboot from a poweroff
    #[argh(switch)]
    arm: bool,
    /// undo --arm, and remove all that is under /run/rc-kexec
    #[argh(switch)]
    disarm: bool,
    /// let BusyBox init say it: add ::reboot:/sbin/openrc reboot to /etc/inittab
    #[argh(switch)]
    setup: bool,
    /// make the next reboot an ordinary one
    #[argh(switch)]
    skip: bool,
    /// reboot at once when openrc-init, told to kexec, would stand still
    #[argh(switch)]
    rescue: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
}

/// `going-down ...`
pub fn command(words: &Words) -> Result<Command> {
    let when_unknown = super::when_unknown(words)?;
    let errands = &[
        ("--arm", Action::Arm),
        ("--disarm", Action::Disarm),
        ("--setup", Action::SetUp),
        ("--skip", Action::Skip),
        ("--rescue", Action::Rescue),
    ];
    let mut asked = errands.iter().filter(|(name, _)| words.has(name));
    match (asked.next(), asked.next()) {
        (None, _) => Ok(Command::Shutdown(Action::Decide { when_unknown })),
        (Some(&(_, errand)), None) => Ok(Command::Shutdown(errand)),
        _ => Err(words.misused(
            "unable to do all of this: --arm, --disarm, --setup, --skip and --rescue stand alone, one of them",
        )),
    }
}
