//! The options of boot-options.

use super::Command;
use super::words::Words;
use crate::failure::Result;
use argh::ArgsInfo;
use std::ffi::OsStr;

/// Print what the rckexec.* boot options ask for, as assignments for a shell: for
/// rc-kexec-init.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the command line to read instead of the running kernel's
    #[argh(positional)]
    line: Option<String>,
}

/// `boot-options ...`
pub fn command(words: &Words) -> Result<Command> {
    match words.operands.as_slice() {
        [] => Ok(Command::BootOptions(None)),
        [line] => Ok(Command::BootOptions(Some(OsStr::to_os_string(line)))),
        several => Err(words.misused(&format!("unable to read {} command lines: name one", several.len()))),
    }
}
