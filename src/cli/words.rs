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

/// An option that scripts use and the help does not show, because the program has no use for it.
#[derive(Debug)]
pub struct Known {
    /// Its name, with dashes.
    pub name: &'static str,
    /// Whether a value follows.
    pub takes_value: bool,
    /// What to do instead, if it is refused; `None` if it is accepted and does nothing.
    pub instead: Option<&'static str>,
}

/// An option that may be given.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Its name, whole, with dashes.
    long: &'static str,
    /// The name that the program uses.
    name: &'static str,
    letter: Option<char>,
    takes_value: bool,
    /// Whether it is in the help.
    shown: bool,
}

impl Row {
    fn of_help(row: &FlagInfo<'static>) -> Row {
        let takes_value = matches!(row.kind, FlagInfoKind::Option { .. });
        Row { long: row.long, name: full_name(row), letter: letter_of(row), takes_value, shown: !row.hidden }
    }

    fn known(&Known { name, takes_value, .. }: &Known) -> Row {
        Row { long: name, name, letter: None, takes_value, shown: false }
    }
}

/// A command line, split into options and operands.
#[derive(Debug)]
pub struct Words<'a> {
    applet: &'static str,
    rows: Vec<Row>,
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
        known: &'static [Known],
        args: &'a [OsString],
    ) -> Result<Words<'a>> {
        let rows = info.flags.iter().map(Row::of_help).chain(known.iter().map(Row::known)).collect();
        let mut words = Words { applet, rows, options: Vec::new(), operands: Vec::new() };
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
                    let attached = if row.takes_value && !rest.is_empty() { Some(rest) } else { None };
                    words.take(row, &format!("-{}", char::from(letter)), attached, &mut args)?;
                    letters = if row.takes_value { &[] } else { rest };
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
        row: Row,
        spelled: &str,
        attached: Option<&'a [u8]>,
        args: &mut core::slice::Iter<'a, OsString>,
    ) -> Result<()> {
        let value = match (row.takes_value, attached) {
            (false, None) => OsStr::new(""),
            (false, Some(_)) => return Err(self.misused(&format!("{spelled} accepts no value"))),
            (true, Some(value)) => OsStr::from_bytes(value),
            (true, None) => match args.next() {
                Some(value) => value,
                None => return Err(self.misused(&format!("{spelled} needs a value"))),
            },
        };
        self.options.push((row.name, value));
        Ok(())
    }

    /// The option with this name, or the only one whose name begins so. What is in the help goes before
    /// what is not.
    fn find_long(&self, name: &[u8]) -> Result<Row> {
        let text = name.shown();
        let mut matching: Vec<&Row> = Vec::new();
        for row in &self.rows {
            if row.long.as_bytes() == name {
                return Ok(*row);
            }
            if row.long.as_bytes().starts_with(name) {
                matching.push(row);
            }
        }
        if matching.iter().any(|row| row.shown) {
            matching.retain(|row| row.shown);
        }
        let Some(row) = matching.first() else {
            return Err(self.misused(&format!("unknown option {text}")));
        };
        // Two names of the same option are not ambiguous.
        match matching.iter().find(|other| other.name != row.name) {
            None => Ok(**row),
            Some(other) => Err(self.misused(&format!("{text} could be {} or {}", row.long, other.long))),
        }
    }

    fn find_short(&self, letter: u8) -> Result<Row> {
        let row = self.rows.iter().find(|row| row.letter == Some(char::from(letter)));
        row.copied().ok_or_else(|| self.misused(&format!("unknown option -{}", [letter].shown())))
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
        debug_assert!(names.iter().all(|name| self.rows.iter().any(|row| row.long == *name)), "{names:?}");
        self.options.iter().rfind(|(option, _)| names.contains(option))
    }

    /// Wrong use, in words.
    pub fn misused(&self, what: &str) -> Box<Failure> {
        Box::new(Failure::Usage { applet: self.applet, what: what.to_string() })
    }
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
