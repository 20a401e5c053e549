//! Reading and writing little-endian fields at offsets that come from a file.
//!
//! Every function answers `None` when the field does not lie inside the slice:
//! the callers turn that into a refusal that names the field.

use core::fmt::{self, Display, Formatter, Write};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What may be no text, made fit for a message.
pub trait Shown {
    /// Its bytes, for a message.
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

/// Bytes that are written as the text that they are; for each that is none, and for each
/// control character, stands U+FFFD: a name cannot move a terminal's cursor or pass for a
/// line of a message.
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

/// The `N` bytes at `offset`.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The byte at `offset`.
pub fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// The little-endian 16-bit number at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The little-endian 32-bit number at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The little-endian 64-bit number at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Writes `field` at `offset`; `None`, and nothing written, when it does not fit.
#[inline(never)]
pub fn put(bytes: &mut [u8], offset: usize, field: &[u8]) -> Option<()> {
    let end = offset.checked_add(field.len())?;
    bytes.get_mut(offset..end)?.copy_from_slice(field);
    Some(())
}

/// The parts of `bytes` between separators, as `split` has them. One iterator for all:
/// each closure of `split` is code of its own.
pub fn parts(bytes: &[u8], separator: u8) -> Parts<'_> {
    Parts { rest: Some(bytes), separator }
}

/// The iterator of [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'b> {
    rest: Option<&'b [u8]>,
    separator: u8,
}

impl<'b> Iterator for Parts<'b> {
    type Item = &'b [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = self.rest.take()?;
        let Some(at) = rest.iter().position(|&byte| byte == self.separator) else { return Some(rest) };
        let (part, rest) = rest.split_at_checked(at)?;
        self.rest = rest.get(1..);
        Some(part)
    }
}

/// The first four bytes, for a message; zeros stand for those that are not there.
pub fn first_four(bytes: &[u8]) -> [u8; 4] {
    let mut first = [0u8; 4];
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    first
}

/// A number in hexadecimal, with or without `0x`, as sysfs prints them.
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

/// A number in octal, as modes are written.
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

/// A number in decimal, as procfs prints them.
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
    fn parts_are_those_of_split() {
        for text in [&b""[..], b",", b"a", b"a,b", b",a,,b,"] {
            assert!(parts(text, b',').eq(text.split(|&byte| byte == b',')), "{text:?}");
        }
    }

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
    fn fields_outside_the_slice_are_none() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(u32_at(&bytes, 1), Some(0x0504_0302));
        assert_eq!(u32_at(&bytes, 2), None);
        assert_eq!(u16_at(&bytes, usize::MAX), None);
        let mut target = [0u8; 4];
        assert_eq!(put(&mut target, 2, &[9, 9, 9]), None);
        assert_eq!(target, [0; 4]);
        assert_eq!(put(&mut target, usize::MAX, &[9]), None);
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
