//! What is mounted (proc_pid_mountinfo(5)).

use crate::base::bytes::{Parts, parts};
use crate::base::text::{parse_decimal, parse_octal};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A mount: a line of /proc/self/mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'m> {
    /// Where it is mounted, with a blank as `\040`.
    pub point: &'m [u8],
    /// The type of its file system.
    pub kind: &'m [u8],
    /// The device, or what else it was mounted from.
    pub source: &'m [u8],
    /// The options of the file system.
    pub options: &'m [u8],
}

/// The mount with this number.
pub fn by_number(mounts: &[u8], number: u64) -> Option<Mount<'_>> {
    let mut fields = fields(mounts, number)?;
    let point = fields.nth(3)?;
    fields.find(|&field| field == b"-")?;
    Some(Mount { point, kind: fields.next()?, source: fields.next()?, options: fields.next()? })
}

/// What of its file system is mounted there: a folder of it, with a blank as `\040`.
#[cfg(feature = "vmcore")]
pub fn root(mounts: &[u8], number: u64) -> Option<&[u8]> {
    fields(mounts, number)?.nth(2)
}

/// The fields of a mount after its number.
fn fields(mounts: &[u8], number: u64) -> Option<Parts<'_>> {
    let mut lines = parts(mounts, b'\n').map(|line| parts(line, b' '));
    lines.find_map(|mut fields| (parse_decimal(fields.next()?)? == number).then_some(fields))
}

/// A field of mountinfo as it is: spaces and the like are there as `\040`.
pub fn unescaped(field: &[u8]) -> OsString {
    let mut text = Vec::new();
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| byte == b'\\').and_then(parse_octal);
        let number = number.and_then(|number| u8::try_from(number).ok());
        text.push(number.unwrap_or(byte));
        rest = if number.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_the_like_are_octal_numbers() {
        assert_eq!(unescaped(b"a\\134b\\9\\777\\04"), "a\\b\\9\\777\\04");
    }

    #[test]
    fn a_mount_by_its_number() {
        let mounts = b"22 1 0:21 / / rw,relatime shared:1 - btrfs /dev/mapper/root rw,subvol=/\n\
            231 22 0:5 / /dev rw - devtmpfs dev rw\n";
        let found = |number| {
            by_number(mounts, number).map(|mount| (mount.point, mount.kind, mount.source, mount.options))
        };
        let root = (&b"/"[..], &b"btrfs"[..], &b"/dev/mapper/root"[..], &b"rw,subvol=/"[..]);
        assert_eq!(found(22), Some(root));
        assert_eq!(found(231), Some((&b"/dev"[..], &b"devtmpfs"[..], &b"dev"[..], &b"rw"[..])));
        for number in [2, 23, 0] {
            assert_eq!(by_number(mounts, number), None, "{number}");
        }
        assert_eq!(by_number(b"22 1 0:21 / / rw", 22), None);
        assert_eq!(by_number(b"22 1 0:21 / / rw - btrfs x", 22), None);
    }
}
