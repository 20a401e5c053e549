//! The options of vmcore.

use super::Command;
use super::words::Words;
use crate::failure::Result;
use argh::ArgsInfo;
use std::ffi::OsString;

/// Read the dump of a crashed kernel: /proc/vmcore in a crash kernel, or a saved file.
/// dmesg prints the crashed kernel's log; info says what the dump is.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// dmesg or info
    #[argh(positional)]
    action: String,
    /// the dump; without it, /proc/vmcore
    #[argh(positional)]
    file: Option<String>,
}

/// What to do with a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print the log.
    Log,
    /// Say what it is.
    Describe,
}

/// `vmcore ...`
pub fn command(words: &Words) -> Result<Command> {
    let (action, file) = match words.operands.as_slice() {
        [action] => (action, "/proc/vmcore".into()),
        [action, file] => (action, OsString::from(file)),
        _ => return Err(words.misused("unable to read a dump: give dmesg or info, and at most one file")),
    };
    let action = match action.as_encoded_bytes() {
        b"dmesg" => Action::Log,
        b"info" => Action::Describe,
        _ => return Err(words.misused("unable to read a dump: give dmesg or info first")),
    };
    Ok(Command::Dump { action, file })
}
