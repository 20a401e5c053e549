//! The newc form of cpio archives, and a writer of such archives: files and the directories
//! above them, all owned by root.
//!
//! The format is in Documentation/driver-api/early-userspace/buffer-format.rst. The kernel
//! unpacks it in init/initramfs.c.

use crate::base::bytes::parts;
use core::fmt::Write;

/// c_magic of an entry without a checksum, "070701", which this module writes.
pub(super) const MAGIC: &str = "070701";
/// c_magic of an entry whose c_chksum is set.
pub(super) const MAGIC_WITH_CHECKSUM: &str = "070702";
/// The length of a header, in bytes: c_magic and thirteen numbers of eight digits.
pub(super) const HEADER_SIZE: usize = 110;
/// The offset of c_mode in the header.
pub(super) const MODE: usize = 14;
/// The offset of c_chksum in the header.
pub(super) const CHECKSUM: usize = 102;
/// The offset of c_filesize in the header.
pub(super) const FILESIZE: usize = 54;
/// The offset of c_namesize in the header.
pub(super) const NAMESIZE: usize = 94;
/// The name of the entry that ends an archive.
pub(super) const TRAILER: &[u8] = b"TRAILER!!!";

/// The longest name, in bytes, without its NUL. The kernel skips an entry whose name, with the
/// NUL, is longer than PATH_MAX, 4096 (init/initramfs.c, do_header).
const LONGEST_NAME: usize = 4095;
/// The longest name of a file in its directory, in bytes: NAME_MAX (linux/limits.h).
const LONGEST_PART: usize = 255;

/// The file types in c_mode, which "matches the contents of st_mode" (inode(7)).
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// c_mode of every directory above a file. The kernel also sets it on a directory that exists.
const DIRECTORY_MODE: u32 = DIRECTORY | 0o755;

/// The name for a path in the next kernel's initramfs: the path without the slash at its
/// start. `None` if the kernel would skip the name silently or put the file elsewhere.
pub fn name(path: &[u8]) -> Option<&[u8]> {
    let name = path.strip_prefix(b"/").unwrap_or(path);
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= LONGEST_PART;
    let fits = name.len() <= LONGEST_NAME && name != TRAILER && !name.contains(&0);
    (fits && parts(name, b'/').all(plain)).then_some(name)
}

/// An archive that is being written.
#[derive(Default)]
pub struct Archive {
    /// The length so far, in bytes, a multiple of four.
    pub length: usize,
}

/// Stores bytes at an offset of the archive. All bytes that are never stored must be zeros.
pub type Put<'p> = &'p mut dyn FnMut(usize, &[u8]);

impl Archive {
    /// Adds a file and the directories above it. Returns the offset where the caller must store
    /// the file's `size` bytes. `name` comes from [`name`], and `mode` counts without its file
    /// type.
    pub fn file(&mut self, name: &[u8], mode: u32, size: u32, put: Put) -> usize {
        for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            // The directory's name keeps its slash. The kernel removes what has the name and is
            // not a directory, such as the link from /lib to usr/lib (clean_path). A name with a
            // slash makes it follow the link instead.
            self.entry(name.get(..=at).unwrap_or_default(), DIRECTORY_MODE, 0, put);
        }
        // The kernel writes into a file that exists, and so changes all its other names, of
        // which BusyBox may have many. A link with the same name makes it remove the file first.
        let target = self.entry(name, LINK | 0o777, 1, put);
        put(target, b"-");
        self.entry(name, REGULAR | mode & 0o7777, size, put)
    }

    /// Ends the archive.
    pub fn end(&mut self, put: Put) {
        self.entry(TRAILER, 0, 0, put);
    }

    /// Adds an entry, and returns the offset of its data.
    fn entry(&mut self, name: &[u8], mode: u32, size: u32, put: Put) -> usize {
        // c_magic, then c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, c_maj, c_min,
        // c_rmaj, c_rmin, c_namesize ("including final \0") and c_chksum: "hexadecimal ASCII
        // numbers fully padded with '0' on the left to the full width of the field".
        let name_size = name.len().saturating_add(1);
        let mut header = String::from(MAGIC);
        for field in [0, mode as usize, 0, 0, 1, 0, size as usize, 0, 0, 0, 0, name_size, 0] {
            let _ = write!(header, "{field:08x}");
        }
        put(self.length, header.as_bytes());
        let name_at = self.length.saturating_add(header.len());
        put(name_at, name);
        let data_at = pad4(name_at.saturating_add(name_size));
        self.length = pad4(data_at.saturating_add(size as usize));
        data_at
    }
}

/// `offset` rounded up to a multiple of four, where an entry's data and the next entry begin:
/// "ALGN(4)".
pub(super) fn pad4(offset: usize) -> usize {
    offset.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::initrd;

    fn made(with: &dyn Fn(&mut Archive, Put)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = Archive::default();
        with(&mut archive, &mut |at, piece| {
            bytes.resize(bytes.len().max(at + piece.len()), 0);
            bytes[at..at + piece.len()].copy_from_slice(piece);
        });
        bytes.resize(archive.length, 0);
        bytes
    }

    #[test]
    fn what_is_made_is_what_is_read() {
        let bytes = made(&|archive, put| {
            let at = archive.file(b"etc/dir/file", 0o4400, 5, put);
            put(at, b"12345");
            archive.end(put);
        });
        assert_eq!(initrd::check(&bytes), Ok(initrd::Initrd { plain: 1, compressed: None }));
        assert_eq!(made(&|archive, put| archive.end(put)), initrd::NOTHING);
    }

    #[test]
    fn an_entry_byte_by_byte() {
        let bytes = made(&|archive, put| {
            let at = archive.file(b"a/new\nline", 0o640, 3, put);
            assert_eq!(at, 116 + 128 + 124);
            put(at, b"123");
        });
        let directory = "070701\
            00000000\
            000041ed\
            00000000\
            00000000\
            00000001\
            00000000\
            00000000\
            00000000\
            00000000\
            00000000\
            00000000\
            00000003\
            00000000a/\0\0\0\0";
        let link = "070701\
            00000000\
            0000a1ff\
            00000000\
            00000000\
            00000001\
            00000000\
            00000001\
            00000000\
            00000000\
            00000000\
            00000000\
            0000000b\
            00000000a/new\nline\0\0\0\0-\0\0\0";
        let file = "070701\
            00000000\
            000081a0\
            00000000\
            00000000\
            00000001\
            00000000\
            00000003\
            00000000\
            00000000\
            00000000\
            00000000\
            0000000b\
            00000000a/new\nline\0\0\0\x00123\0";
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{directory}{link}{file}"));
    }

    #[test]
    fn names_that_the_kernel_would_not_take_as_they_are() {
        let long = "x".repeat(256);
        let longer = "x/".repeat(2048);
        for path in
            ["", "/", "//etc/x", "etc//x", "etc/x/", ".", "a/..", "../a", "/a/./b", "TRAILER!!!", "a\0"]
        {
            assert_eq!(name(path.as_bytes()), None, "{path:?}");
        }
        assert_eq!(name(long.as_bytes()), None);
        assert_eq!(name(format!("{longer}y").as_bytes()), None);
        for path in ["etc/x", "/etc/new\nline", "a/TRAILER!!!", "..a", "\u{ff}"] {
            assert_eq!(name(path.as_bytes()), Some(path.trim_start_matches('/').as_bytes()), "{path:?}");
        }
        assert!(name(&longer.as_bytes()[..4095]).is_some());
    }
}
