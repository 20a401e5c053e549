//! The options of vmcore.

use super::Command;
use super::words::Words;
use crate::base::bytes::parts;
use crate::dump::pages::Keep;
use crate::failure::Result;
use argh::ArgsInfo;
use std::ffi::{OsStr, OsString};

/// Read the dump of a crashed kernel: /proc/vmcore in a crash kernel, or a saved file.
/// dmesg prints the crashed kernel's log; save writes a smaller dump, which crash, drgn
/// and makedumpfile read; info says what the dump is.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// pages that save keeps: none (the default), or several of cache, user, free with
    /// commas between them, or all
    #[argh(option, arg_name = "PAGES")]
    keep: Option<String>,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// dmesg, save or info
    #[argh(positional)]
    action: String,
    /// for save, the new file
    #[argh(positional)]
    to: Option<String>,
    /// the dump; without it, /proc/vmcore
    #[argh(positional)]
    file: Option<String>,
}

/// What to do with a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print the log.
    Log,
    /// Say what it is.
    Describe,
    /// Save it.
    Save {
        /// The new file.
        to: OsString,
        /// The pages that are kept beside the kernel's.
        keep: Keep,
    },
}

/// `vmcore ...`
pub fn command(words: &Words) -> Result<Command> {
    let keep = keep(words)?;
    let mut operands = words.operands.iter().copied();
    let action = match operands.next().map(OsStr::as_encoded_bytes) {
        Some(b"dmesg") => Action::Log,
        Some(b"info") => Action::Describe,
        Some(b"save") => match operands.next() {
            Some(to) => Action::Save { to: to.into(), keep },
            None => return Err(words.misused("unable to save a dump: name the new file")),
        },
        _ => return Err(words.misused("unable to read a dump: give dmesg, save or info first")),
    };
    let file = operands.next().unwrap_or(OsStr::new("/proc/vmcore")).into();
    match operands.next() {
        None => Ok(Command::Dump { action, file }),
        Some(_) => Err(words.misused("unable to read several dumps: name one")),
    }
}

fn keep(words: &Words) -> Result<Keep> {
    let mut keep = Keep::default();
    let Some(pages) = words.last("--keep") else { return Ok(keep) };
    for name in parts(pages.as_encoded_bytes(), b',') {
        match name {
            b"none" => {}
            b"cache" => keep.cache = true,
            b"user" => keep.user = true,
            b"free" => keep.free = true,
            b"all" => keep = Keep { cache: true, user: true, free: true },
            _ => return Err(words.misused("unable to use --keep: give cache, user, free, all or none")),
        }
    }
    Ok(keep)
}
