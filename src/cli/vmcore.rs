//! The options of vmcore.

use super::Command;
use super::words::Words;
use crate::base::bytes::parts;
use crate::dump::pages::Keep;
use crate::failure::Result;
use crate::host::dump::VMCORE;
use crate::host::place::DUMPS;
use argh::ArgsInfo;
use std::ffi::{OsStr, OsString};

/// Read the dump of a crashed kernel: /proc/vmcore in a crash kernel, or a saved file.
/// dmesg prints the crashed kernel's log; save writes a smaller dump, which crash, drgn
/// and makedumpfile read; info says what the dump is; place says what rckexec.dump= is
/// for dumps in a folder.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// pages that save keeps: none (the default), or several of cache, user, free with
    /// commas between them, or all
    #[argh(option, arg_name = "PAGES")]
    keep: Option<String>,
    /// save an ELF core file instead of a kdump file: larger, as nothing is packed
    #[argh(switch)]
    elf: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// dmesg, save, info or place
    #[argh(positional)]
    action: String,
    /// for save, the new file
    #[argh(positional)]
    to: Option<String>,
    /// the dump; without it, /proc/vmcore; for place, the folder, /var/crash without it
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
        /// Whether it is an ELF core file.
        elf: bool,
    },
}

/// `vmcore ...`
pub fn command(words: &Words) -> Result<Command> {
    let keep = keep(words)?;
    let mut operands = words.operands.iter().copied();
    let action = match operands.next().map(OsStr::as_encoded_bytes) {
        Some(b"dmesg") => Action::Log,
        Some(b"info") => Action::Describe,
        Some(b"place") => {
            let dir = operands.next().unwrap_or(OsStr::new(DUMPS)).into();
            return match operands.next() {
                None => Ok(Command::DumpPlace(dir)),
                Some(_) => Err(words.misused("unable to look at several folders: name one")),
            };
        }
        Some(b"save") => match operands.next() {
            Some(to) => Action::Save { to: to.into(), keep, elf: words.has("--elf") },
            None => return Err(words.misused("unable to save a dump: name the new file")),
        },
        _ => return Err(words.misused("unable to read a dump: give dmesg, save, info or place first")),
    };
    let file = operands.next().unwrap_or(OsStr::new(VMCORE)).into();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn parse(words: &str) -> core::result::Result<String, String> {
        let argv: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        match cli::parse(&argv).1 {
            Ok(Command::Dump { action, file }) => Ok(format!("{action:?} {}", file.display())),
            Ok(Command::DumpPlace(dir)) => Ok(format!("Place {}", dir.display())),
            Ok(other) => panic!("{words}: {other:?}"),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn words_are_an_action_and_files() {
        let table = [
            ("dmesg", "Log /proc/vmcore"),
            ("info /a", "Describe /a"),
            ("place", "Place /var/crash"),
            ("place /srv", "Place /srv"),
            (
                "save /new",
                "Save { to: \"/new\", keep: Keep { cache: false, user: false, free: false }, elf: false } /proc/vmcore",
            ),
            (
                "save --keep=user,free /new /a",
                "Save { to: \"/new\", keep: Keep { cache: false, user: true, free: true }, elf: false } /a",
            ),
            (
                "save /new --elf --keep all",
                "Save { to: \"/new\", keep: Keep { cache: true, user: true, free: true }, elf: true } /proc/vmcore",
            ),
        ];
        for (words, wanted) in table {
            assert_eq!(parse(&format!("rc-kexec vmcore {words}")).as_deref(), Ok(wanted), "{words}");
        }
        let table = [
            ("", "unable to read a dump: give dmesg, save, info or place first"),
            (" /proc/vmcore", "unable to read a dump: give dmesg, save, info or place first"),
            (" save", "unable to save a dump: name the new file"),
            (" dmesg /a /b", "unable to read several dumps: name one"),
            (" save --keep=zero /new", "unable to use --keep: give cache, user, free, all or none"),
        ];
        for (words, wanted) in table {
            let said = parse(&format!("rc-kexec vmcore{words}")).unwrap_err();
            assert!(said.starts_with(wanted), "{words}: {said}");
        }
    }
}
