//! The options of going-down.

use super::words::Words;
use super::{Action, Command};
use crate::failure::Result;
use argh::ArgsInfo;

/// Say whether the machine is rebooting: no, skip, reboot, poweroff, halt or unknown,
/// and the reason. The exit status is 0 for a reboot, else 1. For services, which
/// OpenRC stops and starts in the same way in every case.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// what unknown means: reboot (in the ordinary way, the default) or kexec
    #[argh(option, arg_name = "WHAT")]
    when_unknown: Option<String>,
    /// watch init's signals, if nothing else tells a reboot from a poweroff
    #[argh(switch)]
    arm: bool,
    /// undo --arm, and remove everything in /run/rc-kexec
    #[argh(switch)]
    disarm: bool,
    /// add ::reboot:/sbin/openrc reboot to /etc/inittab, with which BusyBox's init
    /// tells services of a reboot itself
    #[argh(switch)]
    setup: bool,
    /// make the next reboot an ordinary one
    #[argh(switch)]
    skip: bool,
    /// reboot at once when openrc-init has to kexec and no kernel was started
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
        _ => Err(words
            .misused("unable to combine --arm, --disarm, --setup, --skip and --rescue: give one of them")),
    }
}
