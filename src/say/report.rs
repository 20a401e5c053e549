//! What the doctor found: a table for people, lines for scripts, or a warning for the console.

use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::doctor::{Finding, Format, Status};
use std::fmt::{self, Display, Write};

/// What the findings are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Whether a reboot would be a kexec.
    Reboot,
    /// Whether a panic would start a crash kernel.
    #[cfg(feature = "vmcore")]
    Crash,
}

impl About {
    /// The last words of a table when nothing stands in the way, and when something does; those of a
    /// porcelain; and the beginning of a warning, with the command that says more.
    fn words(self) -> [&'static str; 6] {
        match self {
            About::Reboot => [
                "\nA reboot now would be a kexec.\n",
                "A reboot now would be an ordinary one",
                "reboot\tok\tkexec\n",
                "reboot\tbad\tordinary\n",
                "reboots will be ordinary ones",
                "rc-kexec doctor",
            ],
            #[cfg(feature = "vmcore")]
            About::Crash => [
                "\nA panic now would start the crash kernel.\n",
                "A panic now would save nothing",
                "crash\tok\tcrash kernel\n",
                "crash\tbad\tnothing\n",
                "a panic would save nothing",
                "rc-kexec doctor --crash",
            ],
        }
    }
}

/// Writes the findings, and what they come to.
pub fn report(out: &mut dyn Write, about: About, format: Format, findings: &[Finding]) -> fmt::Result {
    for Finding { name, status, text } in findings {
        let text = Paragraph { text, format };
        match format {
            Format::Table => writeln!(out, "{}  {name:<13} {text}", status.mark())?,
            Format::Porcelain => writeln!(out, "{name}\t{}\t{text}", status.word())?,
            Format::Warning => {}
        }
    }
    let mut bad = findings.iter().filter(|finding| finding.status == Status::Bad);
    conclude(out, about, format, bad.next(), bad.count())
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
fn conclude(
    out: &mut dyn Write,
    about: About,
    format: Format,
    first: Option<&Finding>,
    more: usize,
) -> fmt::Result {
    let [would, would_not, ok, bad, warning, command] = about.words();
    match (format, first) {
        (Format::Table, None) => out.write_str(would),
        (Format::Table, Some(_)) => {
            let (number, stand) = match more {
                0 => (1, "finding stands"),
                _ => (more.saturating_add(1), "findings stand"),
            };
            writeln!(out, "\n{would_not}: {number} {stand} in the way.")
        }
        (Format::Porcelain, None) => out.write_str(ok),
        (Format::Porcelain, Some(_)) => out.write_str(bad),
        (Format::Warning, None) => Ok(()),
        // For the console while the machine boots.
        (Format::Warning, Some(Finding { name, text, .. })) => {
            let reason = parts(text.as_bytes(), b'\n').next().unwrap_or_default();
            writeln!(out, "{warning}: {name}: {}", reason.shown())?;
            let others = if more > 0 { "all findings, and " } else { "" };
            writeln!(out, "{others}what to do about it: {command}")
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
            report(&mut text, About::Reboot, format, findings).unwrap();
            text
        };
        let one = [ok.clone(), bad.clone(), finding("c", Status::Note)];
        let two = [bad.clone(), ok.clone(), bad];
        assert_eq!(said(Format::Warning, core::slice::from_ref(&ok)), "");
        assert_eq!(
            said(Format::Warning, &one),
            "reboots will be ordinary ones: b: why\nwhat to do about it: rc-kexec doctor\n"
        );
        assert!(
            said(Format::Warning, &two)
                .contains("\nall findings, and what to do about it: rc-kexec doctor\n")
        );
        assert!(said(Format::Table, &one).ends_with("1 finding stands in the way.\n"));
        assert!(said(Format::Table, &two).ends_with("2 findings stand in the way.\n"));
        assert!(said(Format::Table, &[ok]).ends_with("\nA reboot now would be a kexec.\n"));
        assert!(said(Format::Porcelain, &one).ends_with("reboot\tbad\tordinary\n"));
    }
}
