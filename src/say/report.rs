//! What the doctor found: a table for people, lines for scripts, or a warning for the console.

use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::doctor::{Finding, Format, Status};
use std::fmt::{self, Display, Write};

/// Writes the findings, and whether a reboot now would be a kexec.
pub fn report(out: &mut dyn Write, format: Format, findings: &[Finding]) -> fmt::Result {
    for Finding { name, status, text } in findings {
        let text = Paragraph { text, format };
        match format {
            Format::Table => writeln!(out, "{}  {name:<13} {text}", status.mark())?,
            Format::Porcelain => writeln!(out, "{name}\t{}\t{text}", status.word())?,
            Format::Warning => {}
        }
    }
    let mut bad = findings.iter().filter(|finding| finding.status == Status::Bad);
    conclude(out, format, bad.next(), bad.count())
}

impl Status {
    fn mark(self) -> &'static str {
        match self {
            Status::Ok => "ok  ",
            Status::Note => "note",
            Status::Bad => "BAD ",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Bad => "bad",
        }
    }
}

/// A finding's lines, separated as the format wants it.
struct Paragraph<'a> {
    text: &'a str,
    format: Format,
}

/// Replaces the end of each line, and the spaces after it, with `between`.
struct Lines<'w> {
    out: &'w mut dyn Write,
    between: &'static str,
    begins: bool,
}

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => {
                    self.out.write_str(self.between)?;
                    self.begins = true;
                }
                ' ' if self.begins => {}
                _ => {
                    self.begins = false;
                    self.out.write_char(character)?;
                }
            }
        }
        Ok(())
    }
}

impl Display for Paragraph<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.format == Format::Table { "\n                    -> " } else { "; " };
        Lines { out: f, between, begins: false }.write_str(self.text)
    }
}

/// The last words: `first` is the first finding that stands in the way, `more` counts the others.
fn conclude(out: &mut dyn Write, format: Format, first: Option<&Finding>, more: usize) -> fmt::Result {
    match (format, first) {
        (Format::Table, None) => out.write_str("\nA reboot now would be a kexec.\n"),
        (Format::Table, Some(_)) => {
            let (bad, stand) = match more {
                0 => (1, "finding stands"),
                _ => (more.saturating_add(1), "findings stand"),
            };
            writeln!(out, "\nA reboot now would be an ordinary one: {bad} {stand} in the way.")
        }
        (Format::Porcelain, None) => out.write_str("reboot\tok\tkexec\n"),
        (Format::Porcelain, Some(_)) => out.write_str("reboot\tbad\tordinary\n"),
        (Format::Warning, None) => Ok(()),
        // For the console while the machine boots.
        (Format::Warning, Some(Finding { name, text, .. })) => {
            let reason = parts(text.as_bytes(), b'\n').next().unwrap_or_default();
            writeln!(out, "reboots will be ordinary ones: {name}: {}", reason.shown())?;
            match more.saturating_add(1) {
                1 => out.write_str("what to do about it: rc-kexec doctor\n"),
                bad => writeln!(
                    out,
                    "that is one of {bad} findings; for all of them, and what to do: rc-kexec doctor"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_sets_further_lines_apart() {
        let said = |format| Paragraph { text: "one\n  two\n  three  four", format }.to_string();
        assert_eq!(said(Format::Porcelain), "one; two; three  four");
        let indent = " ".repeat(20);
        assert_eq!(said(Format::Table), format!("one\n{indent}-> two\n{indent}-> three  four"));
    }

    #[test]
    fn the_last_words_count_what_stands_in_the_way() {
        let finding = |name, status| Finding { name, status, text: "why\n  what to do".into() };
        let (ok, bad) = (finding("a", Status::Ok), finding("b", Status::Bad));
        let said = |format, findings: &[Finding]| {
            let mut text = String::new();
            report(&mut text, format, findings).unwrap();
            text
        };
        let one = [ok.clone(), bad.clone(), finding("c", Status::Note)];
        let two = [bad.clone(), ok.clone(), bad];
        assert_eq!(said(Format::Warning, core::slice::from_ref(&ok)), "");
        assert_eq!(
            said(Format::Warning, &one),
            "reboots will be ordinary ones: b: why\nwhat to do about it: rc-kexec doctor\n"
        );
        assert!(said(Format::Warning, &two).contains("one of 2 findings"));
        assert!(said(Format::Table, &one).ends_with("1 finding stands in the way.\n"));
        assert!(said(Format::Table, &two).ends_with("2 findings stand in the way.\n"));
        assert!(said(Format::Table, &[ok]).ends_with("\nA reboot now would be a kexec.\n"));
        assert!(said(Format::Porcelain, &one).ends_with("reboot\tbad\tordinary\n"));
    }
}
