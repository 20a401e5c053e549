//! The options of kexec-exec.

use super::words::{OptionRow, option};
use super::{Command, ExecRequest, VERSION};
use crate::failure::Failure;
use argh::FromArgs;
use std::ffi::OsString;

/// Start the loaded kernel at the end of a shutdown: writes file systems' data and
/// jumps. Refuses when nothing is loaded or the machine is not going down.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// jump at once, even when the machine is not going down
    #[argh(switch)]
    now: bool,
    /// say everything
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    // So that an operand is named in the message.
    /// none
    #[argh(positional)]
    operands: Vec<super::words::Word>,
}

/// The table of the pass over the words.
pub const OPTIONS: &[OptionRow] = &[
    option("now", None, false),
    option("debug", Some(b'd'), false),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

/// `kexec-exec ...`
pub fn parse(args: &[OsString]) -> Result<Command, Failure> {
    let (args, words) = match super::read::<Args>("kexec-exec", OPTIONS, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    if let Some(operand) = words.last(&args.operands) {
        let what = format!("unable to use {}: kexec-exec takes no operand", operand.display());
        return Err(Failure::Usage { applet: "kexec-exec", what });
    }
    Ok(Command::Exec(ExecRequest { now: args.now, sync: true, debug: args.debug, ignored: Vec::new() }))
}
