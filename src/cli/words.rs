//! The words after an applet's name, read with the table that argh makes of its options.
//!
//! argh's own parser does not know `--opt=value`, clusters, prefixes, values that begin with
//! a dash, or words that are not UTF-8; kexec(8)'s users type them all.

use crate::base::text::Shown;
use crate::failure::{Failure, Result};
use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind};
use core::fmt::Write;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The columns of a help text: where descriptions begin, and where lines end.
const DESCRIPTIONS: usize = 22;
const LINE: usize = 80;

/// A command line, split into options and operands.
#[derive(Debug)]
pub struct Words<'a> {
    applet: &'static str,
    table: &'static [FlagInfo<'static>],
    /// The options by their full names, each with its value if it has one.
    options: Vec<(&'static str, &'a OsStr)>,
    /// The words that are not options.
    pub operands: Vec<&'a OsStr>,
}

impl<'a> Words<'a> {
    /// Splits the words of the applet that calls itself `applet`.
    pub fn split(
        applet: &'static str,
        info: &CommandInfoWithArgs,
        args: &'a [OsString],
    ) -> Result<Words<'a>> {
        let table = info.flags;
        let mut words = Words { applet, table, options: Vec::new(), operands: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let bytes = arg.as_bytes();
            if bytes == b"--" {
                words.operands.extend(args.by_ref().map(OsString::as_os_str));
            } else if bytes.starts_with(b"--") {
                let mut parts = bytes.splitn(2, |&byte| byte == b'=');
                let row = words.find_long(parts.next().unwrap_or_default())?;
                words.take(row, row.long, parts.next(), &mut args)?;
            } else if bytes.len() > 1 && bytes.first() == Some(&b'-') {
                let mut letters = bytes.get(1..).unwrap_or_default();
                while let Some((&letter, rest)) = letters.split_first() {
                    let row = words.find_short(letter)?;
                    let attached = if takes_value(row) && !rest.is_empty() { Some(rest) } else { None };
                    words.take(row, &format!("-{}", char::from(letter)), attached, &mut args)?;
                    letters = if takes_value(row) { &[] } else { rest };
                }
            } else {
                words.operands.push(arg);
            }
        }
        match words.operands.first() {
            Some(operand) if info.positionals.is_empty() => {
                Err(words.misused(&format!("unable to use {}: {applet} accepts no operand", operand.shown())))
            }
            _ => Ok(words),
        }
    }

    fn take(
        &mut self,
        row: &FlagInfo<'static>,
        spelled: &str,
        attached: Option<&'a [u8]>,
        args: &mut core::slice::Iter<'a, OsString>,
    ) -> Result<()> {
        let value = match (takes_value(row), attached) {
            (false, None) => OsStr::new(""),
            (false, Some(_)) => return Err(self.misused(&format!("{spelled} accepts no value"))),
            (true, Some(value)) => OsStr::from_bytes(value),
            (true, None) => match args.next() {
                Some(value) => value,
                None => return Err(self.misused(&format!("{spelled} needs a value"))),
            },
        };
        self.options.push((full_name(row), value));
        Ok(())
    }

    /// The option with this name, or the only one whose name begins so.
    fn find_long(&self, name: &[u8]) -> Result<&'static FlagInfo<'static>> {
        let text = name.shown();
        if let Some(row) = self.table.iter().find(|row| row.long.as_bytes() == name) {
            return Ok(row);
        }
        let begins = |row: &&'static FlagInfo<'static>| row.long.as_bytes().starts_with(name);
        // What is in the help goes before what is known beside it.
        let shown = self.table.iter().any(|row| begins(&row) && !row.hidden);
        let mut matching = self.table.iter().filter(begins).filter(|row| !(shown && row.hidden));
        let Some(row) = matching.next() else {
            return Err(self.misused(&format!("unknown option {text}")));
        };
        // Two names of the same option are not ambiguous.
        match matching.find(|other| full_name(other) != full_name(row)) {
            None => Ok(row),
            Some(other) => Err(self.misused(&format!("{text} could be {} or {}", row.long, other.long))),
        }
    }

    fn find_short(&self, letter: u8) -> Result<&'static FlagInfo<'static>> {
        let row = self.table.iter().find(|row| letter_of(row) == Some(char::from(letter)));
        let unknown = || format!("unknown option -{}", [letter].shown());
        row.ok_or_else(|| self.misused(&unknown()))
    }

    /// Whether this option was given.
    pub fn has(&self, name: &str) -> bool {
        self.last_of(&[name]).is_some()
    }

    /// The values of an option that may be repeated.
    pub fn all(&self, name: &str) -> Vec<OsString> {
        let mut values = Vec::new();
        for (_, value) in self.options.iter().filter(|(option, _)| *option == name) {
            values.push(value.to_os_string());
        }
        values
    }

    /// The value of an option; if it was given several times, the last one.
    pub fn last(&self, name: &str) -> Option<&'a OsStr> {
        self.last_of(&[name]).map(|&(_, value)| value)
    }

    /// The last of these options that was given, and its value.
    pub fn last_of(&self, names: &[&str]) -> Option<&(&'static str, &'a OsStr)> {
        debug_assert!(names.iter().all(|name| self.table.iter().any(|row| row.long == *name)), "{names:?}");
        self.options.iter().rfind(|(option, _)| names.contains(option))
    }

    /// Wrong use, in words.
    pub fn misused(&self, what: &str) -> Box<Failure> {
        Box::new(Failure::Usage { applet: self.applet, what: what.to_string() })
    }
}

fn takes_value(row: &FlagInfo) -> bool {
    matches!(row.kind, FlagInfoKind::Option { .. })
}

/// The name that the program uses; an option that is only another name of one says which in its
/// description.
pub fn full_name(row: &FlagInfo<'static>) -> &'static str {
    row.description.strip_prefix("another name of ").unwrap_or(row.long)
}

/// The letter of an option. argh adds --help itself, without a letter.
fn letter_of(row: &FlagInfo) -> Option<char> {
    if row.long == "--help" { Some('h') } else { row.short }
}

/// The help text of an applet.
pub fn help(applet: &str, info: &CommandInfoWithArgs) -> String {
    let mut text = format!("Usage: {applet} [OPTION...]");
    for operand in info.positionals {
        let _ = write!(text, " [{}]", operand.name.to_ascii_uppercase());
    }
    text.push_str("\n\n");
    wrap(&mut text, info.description, 0, 0);
    text.push_str("\nOptions:\n");
    for row in info.flags.iter().filter(|row| !row.hidden) {
        let start = text.len();
        text.push_str("  ");
        if let Some(letter) = letter_of(row) {
            let _ = write!(text, "-{letter}, ");
        }
        text.push_str(row.long);
        if let FlagInfoKind::Option { arg_name } = row.kind {
            let _ = write!(text, " {arg_name}");
        }
        let column = text.len().saturating_sub(start);
        wrap(&mut text, row.description, column, DESCRIPTIONS);
    }
    text
}

/// Adds words to a line that has `column` bytes, then to new lines that begin at column
/// `first`.
fn wrap(text: &mut String, words: &str, mut column: usize, first: usize) {
    for word in words.split_ascii_whitespace() {
        if column.saturating_add(word.len()) >= LINE {
            text.push('\n');
            column = 0;
        }
        let gap = if column > first { 1 } else { first.saturating_sub(column) };
        let _ = write!(text, "{:gap$}{word}", "");
        column = column.saturating_add(gap).saturating_add(word.len());
    }
    text.push('\n');
}
