//! The boot medium of a diskless Alpine, whose /boot is empty.

use super::files::{is_dir, joined, names, read_or_empty};
use crate::base::bytes::parts;
use std::ffi::OsString;

/// The folders `boot` on the media below /media, in order; none on a system that is on a disk, where a
/// medium is no part of the system.
pub fn boot_folders() -> Vec<OsString> {
    if !is_in_memory(&read_or_empty("/proc/mounts")) {
        return Vec::new();
    }
    let mut found = names("/media");
    found.sort_unstable();
    let folders = found.iter().map(|medium| joined(&["/media".as_ref(), medium, "boot".as_ref()]));
    folders.filter(|folder| folder.to_str().is_some_and(is_dir)).collect()
}

/// Whether the root is in memory: a tmpfs, or an overlay with one (Alpine's overlaytmpfs=). The last
/// mount on / counts.
fn is_in_memory(mounts: &[u8]) -> bool {
    let types = parts(mounts, b'\n').filter_map(|line| {
        let mut fields = parts(line, b' ').skip(1);
        (fields.next()? == b"/").then(|| fields.next()).flatten()
    });
    types.last().is_some_and(|kind| kind == b"tmpfs" || kind == b"overlay")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_in_memory_and_one_on_a_disk() {
        let table: [(&[u8], bool); 5] = [
            (b"tmpfs / tmpfs rw,relatime 0 0\n/dev/sda1 /media/usb vfat ro 0 0\n", true),
            (b"overlay / overlay rw,lowerdir=/a,upperdir=/b 0 0\n", true),
            (b"rootfs / rootfs rw 0 0\n/dev/sda3 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n", false),
            (b"/dev/sda3 / ext4 rw 0 0\n", false),
            (b"", false),
        ];
        for (mounts, wanted) in table {
            assert_eq!(is_in_memory(mounts), wanted, "{}", String::from_utf8_lossy(mounts));
        }
    }
}
