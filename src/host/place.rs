//! Where a folder is, as rc-kexec-init finds it in a crash kernel: on which disk or partition, and where there.

use super::files::{exists, open_to_read, read_or_empty, value_of};
use super::mounts::{self, unescaped};
use super::sys::file::{self, Metadata, free_space, read_at};
use crate::base::bytes::u32_at;
use crate::failure::{Failure, Result};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where the service kdump keeps dumps unless its settings say otherwise.
pub const DUMPS: &str = "/var/crash";

/// A folder on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub dir: OsString,
    /// The device that its file system is mounted from.
    pub device: OsString,
    /// What rckexec.dump= is to be: DEVICE:/DIR, by the file system's UUID where that is known.
    pub option: OsString,
    /// The bytes that are free there.
    pub free: u64,
}

/// Finds a folder, which need not be there yet. Fails with [`Failure::NoPlace`] where its file system is not on
/// a disk or partition, or on one that has to be unlocked or put together first.
pub fn find(dir: &OsStr) -> Result<Place> {
    let (there, missing) = nearest(dir);
    let no_place = |several, what: &[u8]| Failure::NoPlace {
        dir: dir.to_os_string(),
        what: OsStr::from_bytes(what).to_os_string(),
        several,
    };
    let unusable = |errno| Failure::unusable(dir, errno);
    let real = std::fs::canonicalize(&there).map_err(|error| {
        let errno = error.raw_os_error().map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw);
        unusable(errno.into())
    })?;
    let found = file::metadata(real.as_os_str()).map_err(|errno| unusable(errno.into()))?;
    let table = read_or_empty("/proc/self/mountinfo");
    let mount = mounts::by_number(&table, found.mount)
        .ok_or_else(|| no_place(false, b"not in /proc/self/mountinfo"))?;
    let root = mounts::root(&table, found.mount).unwrap_or_default();
    let source = OsStr::from_bytes(mount.source);
    let number = device_number(&found, source);
    let device = format!("/sys/dev/block/{}:{}", number.0, number.1);
    if ["dm", "md"].iter().any(|kind| exists(format!("{device}/{kind}"))) {
        return Err(no_place(true, mount.source).into());
    }
    if !exists(&device) {
        return Err(no_place(false, mount.kind).into());
    }
    // The name in /dev, where /proc has only /dev/root.
    let name = read_or_empty(&format!("{device}/uevent"));
    let name = value_of(&name, b"DEVNAME=").map(|name| [b"/dev/", name].concat());
    let device = name.map_or_else(|| source.to_os_string(), OsString::from_vec);
    let point = unescaped(mount.point);
    let inside = real.as_os_str().as_bytes().strip_prefix(point.as_bytes()).unwrap_or_default();
    let mut option = uuid(&device).map_or_else(|| device.clone(), |uuid| format!("UUID={uuid}").into());
    option.push(":");
    option.push(joined([unescaped(root).as_bytes(), inside, missing]));
    let free = free_space(real.as_os_str()).unwrap_or(0);
    Ok(Place { dir: dir.to_os_string(), device, option, free })
}

/// A path from the top of a file system, of parts that may begin and end with a slash.
fn joined(parts: [&[u8]; 3]) -> OsString {
    let mut path = Vec::new();
    for part in parts {
        let part = part.strip_prefix(b"/").unwrap_or(part);
        let part = part.strip_suffix(b"/").unwrap_or(part);
        if !part.is_empty() {
            path.push(b'/');
            path.extend_from_slice(part);
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    OsString::from_vec(path)
}

/// The part of a path that is there, and the rest.
fn nearest(dir: &OsStr) -> (OsString, &[u8]) {
    let bytes = dir.as_bytes();
    let mut end = bytes.len();
    while end > 0 && !exists(OsStr::from_bytes(bytes.get(..end).unwrap_or_default())) {
        end = bytes.get(..end).unwrap_or_default().iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    }
    let there = bytes.get(..end).unwrap_or_default();
    let there = if !there.is_empty() {
        there
    } else if bytes.starts_with(b"/") {
        b"/"
    } else {
        b"."
    };
    (OsStr::from_bytes(there).to_os_string(), bytes.get(end..).unwrap_or_default())
}

/// The number of the device below a file. A btrfs has a number of its own; it is mounted with the name of one of
/// its devices.
fn device_number(found: &Metadata, source: &OsStr) -> (u32, u32) {
    match found.on_device {
        (0, _) => file::metadata(source).map_or((0, 0), |source| source.is_device),
        number => number,
    }
}

/// The UUID of a file system as findfs(8) knows it, from its superblock: the place and the bytes of its magic
/// number, and the place of its UUID (fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h, fs/btrfs/ctree.h,
/// include/linux/f2fs_fs.h). vfat has a serial number instead (Documentation/filesystems/vfat.rst).
fn uuid(device: &OsStr) -> Option<String> {
    const KINDS: [(u64, &[u8], u64); 4] = [
        (0x438, &[0x53, 0xef], 0x468),
        (0, b"XFSB", 32),
        (0x1_0040, b"_BHRfS_M", 0x1_0020),
        (0x400, &[0x10, 0x20, 0xf5, 0xf2], 0x46c),
    ];
    let file = open_to_read(device).ok()?;
    let read = |at, bytes: &mut [u8]| read_at(&file, bytes, at).is_ok_and(|length| length == bytes.len());
    for (at, magic, uuid_at) in KINDS {
        let (mut first, mut uuid) = ([0u8; 8], [0u8; 16]);
        let first = first.get_mut(..magic.len())?;
        if !read(at, first) || first != magic || !read(uuid_at, &mut uuid) {
            continue;
        }
        let mut text = String::new();
        for (index, byte) in uuid.iter().enumerate() {
            text.push_str(if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" });
            write!(text, "{byte:02x}").ok()?;
        }
        return Some(text);
    }
    let mut boot = [0u8; 96];
    if !read(0, &mut boot) {
        return None;
    }
    for (kind_at, kind, serial_at) in [(0x52, &b"FAT32"[..], 0x43), (0x36, b"FAT1", 0x27)] {
        if boot.get(kind_at..)?.starts_with(kind) {
            let serial = u32_at(&boot, serial_at)?;
            return Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_is_looked_for_in_what_is() {
        let table = [
            ("/", "/", ""),
            ("/proc/none/deep", "/proc", "/none/deep"),
            ("/none", "/", "/none"),
            ("none", ".", "none"),
            ("src/none", "src", "/none"),
            ("src", "src", ""),
        ];
        for (dir, there, missing) in table {
            let (found, rest) = nearest(dir.as_ref());
            assert_eq!((found.to_str().unwrap(), rest), (there, missing.as_bytes()), "{dir}");
        }
    }

    #[test]
    fn a_path_begins_at_the_top_of_its_file_system() {
        let table: [([&[u8]; 3], &str); 5] = [
            ([b"/", b"", b""], "/"),
            ([b"/", b"var/crash", b""], "/var/crash"),
            ([b"/@root", b"/var", b"/crash/"], "/@root/var/crash"),
            ([b"/", b"/my crash ", b"new"], "/my crash /new"),
            ([b"/vol/", b"", b"/x"], "/vol/x"),
        ];
        for (parts, wanted) in table {
            assert_eq!(joined(parts), wanted);
        }
    }

    #[test]
    fn what_is_on_no_disk_is_refused() {
        let failure = find("/proc/self/none".as_ref()).unwrap_err();
        assert!(
            matches!(&*failure, Failure::NoPlace { what, several: false, .. } if what == "proc"),
            "{failure}"
        );
    }

    #[test]
    fn a_file_system_is_known_by_its_superblock() {
        let path = std::env::temp_dir().join(format!("rc-kexec-uuid-{}", std::process::id()));
        let uuid_bytes: Vec<u8> = (0..16).map(|number| number * 17).collect();
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        type Row<'a> = (usize, &'a [u8], usize, &'a [u8], Option<&'a str>);
        let table: [Row; 7] = [
            (0x438, b"\x53\xef", 0x468, &uuid_bytes, Some(text)),
            (0, b"XFSB", 32, &uuid_bytes, Some(text)),
            (0x10040, b"_BHRfS_M", 0x10020, &uuid_bytes, Some(text)),
            (0x400, b"\x10\x20\xf5\xf2", 0x46c, &uuid_bytes, Some(text)),
            (0x52, b"FAT32   ", 0x43, b"\xcd\xab\x34\x12", Some("1234-ABCD")),
            (0x36, b"FAT16   ", 0x27, b"\xcd\xab\x34\x12", Some("1234-ABCD")),
            (0, b"none", 32, &uuid_bytes, None),
        ];
        for (magic_at, magic, uuid_at, bytes, wanted) in table {
            let mut disk = vec![0u8; 0x11000];
            disk[magic_at..][..magic.len()].copy_from_slice(magic);
            disk[uuid_at..][..bytes.len()].copy_from_slice(bytes);
            std::fs::write(&path, disk).unwrap();
            assert_eq!(uuid(path.as_os_str()).as_deref(), wanted, "{}", magic.escape_ascii());
        }
        std::fs::remove_file(path).unwrap();
    }
}
