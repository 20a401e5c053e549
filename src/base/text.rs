//! Text: names and sizes for messages, and numbers as /proc and /sys print them.

use core::fmt::{self, Display, Formatter, Write};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Bytes that may not be valid text, shown safely in a message.
pub trait Shown {
    /// The bytes, ready to be displayed.
    fn shown(&self) -> ShownBytes<'_>;
}

impl Shown for [u8] {
    fn shown(&self) -> ShownBytes<'_> {
        ShownBytes(self)
    }
}

impl Shown for OsStr {
    fn shown(&self) -> ShownBytes<'_> {
        ShownBytes(self.as_bytes())
    }
}

/// Bytes that are displayed as UTF-8. U+FFFD replaces each byte that is not UTF-8 and each
/// control character, so a name cannot move the terminal's cursor or imitate a line of a
/// message.
#[derive(Clone, Copy, Debug)]
pub struct ShownBytes<'b>(&'b [u8]);

impl Display for ShownBytes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        loop {
            let (text, other) = match core::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (text, other) = rest.split_at_checked(error.valid_up_to()).unwrap_or_default();
                    (core::str::from_utf8(text).unwrap_or_default(), other.get(1..))
                }
            };
            for letter in text.chars() {
                f.write_char(if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })?;
            }
            rest = match other {
                Some(other) => other,
                None => return Ok(()),
            };
            f.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
}

/// A number of bytes, displayed in the largest binary unit that fits, such as `1.5 MiB`. It
/// is rounded down to tenths, or to a whole number from 100 on.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|&(shift, _)| self.0 >> shift != 0) else {
            return write!(f, "{} bytes", self.0);
        };
        let whole = self.0 >> shift;
        let rest = self.0.wrapping_sub(whole << shift);
        let tenths = whole.saturating_mul(10).saturating_add(rest.saturating_mul(10) >> shift);
        if tenths.is_multiple_of(10) || tenths >= 1000 {
            write!(f, "{} {unit}", tenths / 10)
        } else {
            write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// A hexadecimal number of up to 16 digits, with or without `0x`, as sysfs prints them. White
/// space around it is ignored. `None` for anything else.
pub fn parse_hex(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        let digit = char::from(digit).to_digit(16)?;
        value = (value << 4) | u64::from(digit);
    }
    Some(value)
}

/// An octal number of up to 10 digits, such as a file's mode. `None` for anything else.
pub fn parse_octal(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 {
        return None;
    }
    let mut value = 0u32;
    for &digit in text {
        value = (value << 3) | char::from(digit).to_digit(8)?;
    }
    Some(value)
}

/// A decimal number that fits in 64 bits, as procfs prints them. White space around it is
/// ignored. `None` for anything else.
pub fn parse_decimal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &digit in text {
        let digit = char::from(digit).to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_the_text_that_they_are() {
        let table: [(&[u8], &str); 6] = [
            (b"", ""),
            ("/b\u{f6}t".as_bytes(), "/b\u{f6}t"),
            (b"\xff", "\u{fffd}"),
            (b"/a\xffb\xfe", "/a\u{fffd}b\u{fffd}"),
            (b"\xc3", "\u{fffd}"),
            (b"a\nb\x1b[2Jc\x7f", "a\u{fffd}b\u{fffd}[2Jc\u{fffd}"),
        ];
        for (bytes, wanted) in table {
            assert_eq!(bytes.shown().to_string(), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn sizes_are_short() {
        let table = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (110 << 20, "110 MiB"),
            ((5 << 30) + (1 << 29), "5.5 GiB"),
            (u64::MAX, "17179869183 GiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn numbers_of_sysfs_and_procfs() {
        assert_eq!(parse_hex(b"0x9fbff\n"), Some(0x9fbff));
        assert_eq!(parse_hex(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(parse_hex(b"0x"), None);
        assert_eq!(parse_hex(b"0x10000000000000000"), None);
        assert_eq!(parse_decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_decimal(b"18446744073709551616"), None);
        assert_eq!(parse_decimal(b"-1"), None);
    }
}
