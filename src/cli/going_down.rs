//! The options of going-down.

use super::words::{OptionRow, Word, option};
use super::{Command, Errand, Operands, VERSION};
use crate::failure::Answer;
use argh::FromArgs;
use std::ffi::OsString;

/// As it speaks: no link has this name.
pub const NAME: &str = "rc-kexec going-down";

/// Say whether the machine is rebooting (exit status 0), and why it is thought so:
/// no, skip, reboot, poweroff, halt or unknown. For services, which OpenRC stops and
/// starts alike in every case.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// what to make of unknown: reboot (in the ordinary way, the default) or kexec
    #[argh(option)]
    when_unknown: Vec<Word>,
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

/// The table of the pass over the words.
pub const OPTIONS: &[OptionRow] = &[
    option("when-unknown", None, true),
    option("arm", None, false),
    option("disarm", None, false),
    option("setup", None, false),
    option("skip", None, false),
    option("rescue", None, false),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

/// `going-down ...`
pub fn parse(args: &[OsString]) -> Answer<Command> {
    let (args, words) = match super::read::<Args>(NAME, OPTIONS, Operands::No, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    let kexec_when_unknown = super::when_unknown(NAME, words.last(&args.when_unknown))?;
    let errands = [
        (args.arm, Errand::Arm),
        (args.disarm, Errand::Disarm),
        (args.setup, Errand::SetUp),
        (args.skip, Errand::Skip),
        (args.rescue, Errand::Rescue),
    ];
    let mut asked = errands.iter().filter(|(is_asked, _)| *is_asked);
    match (asked.next(), asked.next()) {
        (None, _) => Ok(Command::GoingDown(Errand::Decide { kexec_when_unknown })),
        (Some(&(_, errand)), None) => Ok(Command::GoingDown(errand)),
        _ => {
            let what = "unable to do all of this: --arm, --disarm, --setup, --skip and --rescue stand alone, one of them";
            Err(super::misused(NAME, what))
        }
    }
}
