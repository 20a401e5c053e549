//! The options of kexec-exec.

use super::words::{OptionRow, Word, option};
use super::{Command, ExecRequest, Operands, VERSION};
use crate::failure::Answer;
use argh::FromArgs;
use std::ffi::OsString;

const NAME: &str = "kexec-exec";

/// Start the loaded kernel at the end of a shutdown for a reboot: writes file
/// systems' data and jumps. Refuses when nothing is loaded or the machine is not
/// going to reboot (rc-kexec going-down says why).
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// what to do when a reboot cannot be told from a poweroff: reboot (refuse, so
    /// that it goes on in the ordinary way; the default) or kexec
    #[argh(option)]
    when_unknown: Vec<Word>,
    /// jump at once, even when the machine is not going down
    #[argh(switch)]
    now: bool,
    /// say everything
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
}

/// The table of the pass over the words.
pub const OPTIONS: &[OptionRow] = &[
    option("when-unknown", None, true),
    option("now", None, false),
    option("debug", Some(b'd'), false),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

/// `kexec-exec ...`
pub fn parse(args: &[OsString]) -> Answer<Command> {
    let (args, words) = match super::read::<Args>(NAME, OPTIONS, Operands::No, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    Ok(Command::Exec(ExecRequest {
        now: args.now,
        kexec_when_unknown: super::when_unknown(NAME, words.last(&args.when_unknown))?,
        sync: true,
        debug: args.debug,
        ignored: Vec::new(),
    }))
}
