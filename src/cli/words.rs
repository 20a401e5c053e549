//! The GNU spellings of options, made plain: argh itself takes neither
//! `--opt=value` nor clusters, prefixes, values that begin with a dash, or words
//! that are not UTF-8. After this pass it sees `--full-name` and, for each value,
//! its number in a list.

use argh::FromArgValue;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// One option of an applet.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Its name after `--`.
    pub long: &'static str,
    /// Its letter after `-`.
    pub short: Option<u8>,
    /// Whether it takes a value.
    pub value: bool,
    /// The name that argh knows it by.
    pub canonical: &'static str,
}

/// A row of the table: `long`, `short`, and whether it takes a value.
pub const fn option(long: &'static str, short: Option<u8>, value: bool) -> OptionRow {
    OptionRow { long, short, value, canonical: long }
}

/// Another name for `canonical`.
pub const fn alias(long: &'static str, value: bool, canonical: &'static str) -> OptionRow {
    OptionRow { long, short: None, value, canonical }
}

/// The number of a value in [`Words::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(usize);

impl FromArgValue for Word {
    fn from_arg_value(value: &str) -> Result<Word, String> {
        value.parse().map(Word).map_err(|_| String::from("not a number of a word"))
    }
}

/// A command line after the pass.
#[derive(Debug, Default)]
pub struct Words {
    /// What argh reads.
    pub for_argh: Vec<String>,
    values: Vec<OsString>,
}

impl Words {
    /// The pass. Options come first in what argh sees, operands after a `--`.
    pub fn split(options: &[OptionRow], args: &[OsString]) -> Result<Words, String> {
        let mut words = Words::default();
        let mut operands = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let bytes = arg.as_bytes();
            if bytes == b"--" {
                operands.extend(args.by_ref().cloned());
            } else if let Some(long) = bytes.strip_prefix(b"--") {
                let mut parts = long.splitn(2, |&byte| byte == b'=');
                let row = find_long(options, parts.next().unwrap_or_default())?;
                words.take(row, &format!("--{}", row.long), parts.next(), &mut args)?;
            } else if bytes.len() > 1 && bytes.first() == Some(&b'-') {
                let mut letters = bytes.get(1..).unwrap_or_default();
                while let Some((&letter, rest)) = letters.split_first() {
                    let row = find_short(options, letter)?;
                    let attached = if row.value && !rest.is_empty() { Some(rest) } else { None };
                    words.take(row, &format!("-{}", char::from(letter)), attached, &mut args)?;
                    letters = if row.value { &[] } else { rest };
                }
            } else {
                operands.push(arg.clone());
            }
        }
        if !operands.is_empty() {
            words.for_argh.push(String::from("--"));
            for operand in operands {
                words.push_value(operand);
            }
        }
        Ok(words)
    }

    fn take<'a>(
        &mut self,
        row: &OptionRow,
        spelled: &str,
        attached: Option<&[u8]>,
        args: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), String> {
        self.for_argh.push(format!("--{}", row.canonical));
        match (row.value, attached) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err(format!("{spelled} takes no value")),
            (true, Some(value)) => {
                self.push_value(OsStr::from_bytes(value).to_os_string());
                Ok(())
            }
            (true, None) => {
                let value = args.next().ok_or_else(|| format!("{spelled} takes a value"))?;
                self.push_value(value.clone());
                Ok(())
            }
        }
    }

    fn push_value(&mut self, value: OsString) {
        self.for_argh.push(self.values.len().to_string());
        self.values.push(value);
    }

    /// The value that argh was given the number of.
    pub fn value(&self, word: Word) -> OsString {
        self.values.get(word.0).cloned().unwrap_or_default()
    }

    /// The values of an option that may be repeated.
    pub fn all(&self, words: &[Word]) -> Vec<OsString> {
        words.iter().map(|&word| self.value(word)).collect()
    }

    /// The first word that is no option.
    pub fn first_operand(&self) -> Option<&OsStr> {
        let at = self.for_argh.iter().position(|word| word == "--")?;
        let number = self.for_argh.get(at.checked_add(1)?)?;
        self.values.get(number.parse::<usize>().ok()?).map(OsString::as_os_str)
    }

    /// The last of these options, as argh knows them, that was given.
    pub fn last_option(&self, names: &[&str]) -> Option<&str> {
        self.for_argh.iter().map(String::as_str).rfind(|word| names.contains(word))
    }

    /// The value of an option of which the last one counts.
    pub fn last(&self, words: &[Word]) -> Option<OsString> {
        words.iter().max().map(|&word| self.value(word))
    }
}

/// The option by its full name, or by the beginning of only one name.
fn find_long<'o>(options: &'o [OptionRow], name: &[u8]) -> Result<&'o OptionRow, String> {
    let text = || OsStr::from_bytes(name).display();
    if let Some(row) = options.iter().find(|row| row.long.as_bytes() == name) {
        return Ok(row);
    }
    let mut matching = options.iter().filter(|row| row.long.as_bytes().starts_with(name));
    let Some(row) = matching.next() else {
        return Err(format!("unknown option --{}", text()));
    };
    // Two names of one option are no doubt about which.
    match matching.find(|other| other.canonical != row.canonical) {
        None => Ok(row),
        Some(other) => Err(format!("--{} could be --{} or --{}", text(), row.long, other.long)),
    }
}

fn find_short(options: &[OptionRow], letter: u8) -> Result<&OptionRow, String> {
    let row = options.iter().find(|row| row.short == Some(letter));
    row.ok_or_else(|| format!("unknown option -{}", OsStr::from_bytes(&[letter]).display()))
}
