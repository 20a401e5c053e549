//! Where a file is stored: what /proc and /sys say about the devices below it.

use super::files::{exists, names, read_or_empty};
use super::mounts;
use super::sys::file::{self, Metadata};
use crate::base::bytes::parts;
use crate::base::text::Shown;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Whether all devices below a file's file system are encrypted (dm-crypt). False when /proc and
/// /sys do not prove it: a key in the file may be readable on the disk.
pub fn is_on_encrypted(file: &Metadata) -> bool {
    let mounts = read_or_empty("/proc/self/mountinfo");
    let Some(mount) = mounts::by_number(&mounts, file.mount) else { return false };
    match core::str::from_utf8(mount.kind).unwrap_or_default() {
        // A file system on several devices has a device number of its own. It is mounted with the
        // name of one of its devices.
        "btrfs" => file::metadata(OsStr::from_bytes(mount.source))
            .is_ok_and(|source| btrfs_is_encrypted("/sys", source.is_device)),
        // These are on one device, apart from a journal or a device for data.
        "ext4" | "ext3" | "ext2" | "xfs" => {
            let elsewhere = |option: &[u8]| option == b"data=journal" || option.starts_with(b"rtdev=");
            let (major, minor) = file.on_device;
            !parts(mount.options, b',').any(elsewhere)
                && is_encrypted(&format!("/sys/dev/block/{major}:{minor}"), 0)
        }
        _ => false,
    }
}

/// Whether all devices of the btrfs on this device are encrypted (/sys/fs/btrfs/UUID/devices).
fn btrfs_is_encrypted(sys: &str, (major, minor): (u32, u32)) -> bool {
    let number = format!("{major}:{minor}");
    for uuid in names(format!("{sys}/fs/btrfs")) {
        let dir = format!("{sys}/fs/btrfs/{}/devices", uuid.shown());
        let (mut is_ours, mut all) = (false, true);
        for name in names(&dir) {
            let device = format!("{dir}/{}", name.shown());
            is_ours |= read_or_empty(&format!("{device}/dev")).trim_ascii() == number.as_bytes();
            all &= is_encrypted(&device, 0);
        }
        if is_ours {
            return all;
        }
    }
    false
}

/// Whether a block device, a folder in sysfs, belongs to dm-crypt, or is made only of devices that
/// do (LVM, RAID). cryptsetup begins their UUIDs with `CRYPT-` and the type, of which VERITY and
/// INTEGRITY do not encrypt.
fn is_encrypted(device: &str, depth: u32) -> bool {
    let uuid = read_or_empty(&format!("{device}/dm/uuid"));
    let types: [&[u8]; 3] = [b"CRYPT-LUKS1-", b"CRYPT-LUKS2-", b"CRYPT-PLAIN-"];
    if types.iter().any(|kind| uuid.starts_with(kind)) {
        return true;
    }
    // A partition has the slaves of its disk. The kinds below store all their data on their
    // slaves. Others may not: DRBD has its disk as a slave, and sends the data over a network.
    let whole = if exists(format!("{device}/partition")) { "/.." } else { "" };
    let known = ["dm", "md", "bcache"].iter().any(|kind| exists(format!("{device}{whole}/{kind}")));
    let slaves = names(format!("{device}{whole}/slaves"));
    // A chain that is longer than 16 is a loop, or nobody's.
    !slaves.is_empty()
        && known
        && depth < 16
        && slaves.iter().all(|slave| {
            is_encrypted(&format!("{device}{whole}/slaves/{}", slave.shown()), depth.saturating_add(1))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_down_to_every_disk_and_what_is_not() {
        let sys = std::env::temp_dir().join(format!("rc-kexec-sys-{}", std::process::id()));
        let sys = sys.to_str().unwrap();
        let device = |name: &str, uuid: &str, slaves: &[&str]| {
            let dir = format!("{sys}/devices/{name}");
            std::fs::create_dir_all(format!("{dir}/slaves")).unwrap();
            std::fs::create_dir_all(format!("{dir}/dm")).unwrap();
            std::fs::write(format!("{dir}/dm/uuid"), format!("{uuid}\n")).unwrap();
            std::fs::write(format!("{dir}/dev"), format!("253:{}\n", name.len())).unwrap();
            for slave in slaves {
                std::os::unix::fs::symlink(format!("{sys}/devices/{slave}"), format!("{dir}/slaves/{slave}"))
                    .unwrap();
            }
            dir
        };
        device("sda", "", &[]);
        device("luks", "CRYPT-LUKS2-0123-root", &["sda"]);
        device("plain", "CRYPT-PLAIN-swap", &["sda"]);
        let table = [
            ("1", "", &["sda"][..], false),
            ("2", "CRYPT-LUKS1-0123-x", &["sda"], true),
            ("3", "LVM-abc", &["luks"], true),
            ("4", "LVM-abc", &["luks", "plain"], true),
            ("5", "LVM-abc", &["luks", "sda"], false),
            ("6", "CRYPT-VERITY-0123-x", &["sda"], false),
            ("7", "CRYPT-INTEGRITY-x", &["luks"], true),
            ("8", "", &["3"], true),
            ("9", "LVM-CRYPT-LUKS2-", &[], false),
        ];
        for (name, uuid, slaves, wanted) in table {
            assert_eq!(is_encrypted(&device(name, uuid, slaves), 0), wanted, "{name} {uuid} {slaves:?}");
        }
        // A partition of RAID, and DRBD, by their folders.
        std::fs::create_dir_all(format!("{sys}/devices/3/p1/partition")).unwrap();
        assert!(is_encrypted(&format!("{sys}/devices/3/p1"), 0));
        std::fs::remove_dir_all(format!("{}/dm", device("drbd", "", &["luks"]))).unwrap();
        assert!(!is_encrypted(&format!("{sys}/devices/drbd"), 0));
        device("loop", "", &["loop"]);
        assert!(!is_encrypted(&format!("{sys}/devices/loop"), 0));
        for (uuid, devices, wanted) in [
            ("one", &["luks"][..], true),
            ("two", &["luks", "plain"], true),
            ("mixed", &["luks", "sda"], false),
        ] {
            let _ = std::fs::remove_dir_all(format!("{sys}/fs"));
            let dir = format!("{sys}/fs/btrfs/{uuid}/devices");
            std::fs::create_dir_all(&dir).unwrap();
            for name in devices {
                std::os::unix::fs::symlink(format!("{sys}/devices/{name}"), format!("{dir}/{name}")).unwrap();
            }
            assert_eq!(btrfs_is_encrypted(sys, (253, 4)), wanted, "{uuid}");
            assert!(!btrfs_is_encrypted(sys, (253, 9)), "{uuid}");
        }
        std::fs::remove_dir_all(sys).unwrap();
    }
}
