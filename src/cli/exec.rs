//! The options of kexec-exec.

use super::words::{OptionRow, option};
use super::{Command, ExecRequest, VERSION};
use crate::failure::Failure;
use argh::FromArgs;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

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
    // argh would name its number.
    if let Some(operand) = args.iter().find(|arg| !arg.as_bytes().starts_with(b"-")) {
        let what = format!("unable to use {}: kexec-exec takes no operand", operand.display());
        return Err(Failure::Usage { applet: "kexec-exec", what });
    }
    let (args, _) = match super::read::<Args>("kexec-exec", OPTIONS, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    Ok(Command::Exec(ExecRequest { now: args.now, sync: true, debug: args.debug, ignored: Vec::new() }))
}
