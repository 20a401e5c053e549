//! What is mounted (proc_pid_mountinfo(5)).

use crate::base::bytes::parts;
use crate::base::text::parse_decimal;

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
    let mut lines = parts(mounts, b'\n').map(|line| parts(line, b' '));
    let mut fields =
        lines.find_map(|mut fields| (parse_decimal(fields.next()?)? == number).then_some(fields))?;
    let point = fields.nth(3)?;
    fields.find(|&field| field == b"-")?;
    Some(Mount { point, kind: fields.next()?, source: fields.next()?, options: fields.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

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
