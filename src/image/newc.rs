//! A cpio archive in the newc form, made: files and the directories above them, all of
//! them root's. Pure.
//!
//! Documentation/driver-api/early-userspace/buffer-format.rst says what the kernel
//! takes; what it does with it is init/initramfs.c.

use crate::base::bytes::parts;
use core::fmt::Write;

/// init/initramfs.c, do_header: an entry whose name, with its NUL, is longer than
/// PATH_MAX is left out.
const LONGEST_NAME: usize = 4095;
/// NAME_MAX (linux/limits.h): the longest name in a directory.
const LONGEST_PART: usize = 255;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file's type in its mode (inode(7)).
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Every directory above a file; one that is there already becomes so, too.
const DIRECTORY_MODE: u32 = DIRECTORY | 0o755;

/// A path in the next kernel's initramfs, without the slash before it: `None` for what
/// the kernel would leave out without a word, or put elsewhere.
pub fn name(path: &[u8]) -> Option<&[u8]> {
    let name = path.strip_prefix(b"/").unwrap_or(path);
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= LONGEST_PART;
    let fits = name.len() <= LONGEST_NAME && name != TRAILER && !name.contains(&0);
    (fits && parts(name, b'/').all(plain)).then_some(name)
}

/// Where the next entry of an archive begins.
#[derive(Default)]
pub struct Archive {
    /// Bytes from its beginning; a multiple of four between entries.
    pub length: usize,
}

/// Takes bytes and the offset where they belong; what it does not take is zeros.
pub type Put<'p> = &'p mut dyn FnMut(usize, &[u8]);

impl Archive {
    /// Adds a file, and the directories above it: the offset of its `size` bytes.
    pub fn file(&mut self, name: &[u8], mode: u32, size: u32, put: Put) -> usize {
        for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            // With its slash: for a name without one the kernel takes away what is
            // there and is no directory, such as the link from /lib to usr/lib
            // (clean_path). This one follows the link.
            self.entry(name.get(..=at).unwrap_or_default(), DIRECTORY_MODE, 0, put);
        }
        // A link first, for which the kernel takes away what has the name: it writes a file
        // into one that is there, and so into all its names, which BusyBox may have many of.
        let target = self.entry(name, LINK | 0o777, 1, put);
        put(target, b"-");
        self.entry(name, REGULAR | mode & 0o7777, size, put)
    }

    /// Ends the archive.
    pub fn end(&mut self, put: Put) {
        self.entry(TRAILER, 0, 0, put);
    }

    fn entry(&mut self, name: &[u8], mode: u32, size: u32, put: Put) -> usize {
        // "The cpio header": c_magic, then c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime,
        // c_filesize, c_maj, c_min, c_rmaj, c_rmin, c_namesize (with the NUL), c_chksum,
        // each "Zero-padded ... hexadecimal".
        let name_size = name.len().saturating_add(1);
        let mut header = String::from("070701");
        for field in [0, mode as usize, 0, 0, 1, 0, size as usize, 0, 0, 0, 0, name_size, 0] {
            let _ = write!(header, "{field:08x}");
        }
        put(self.length, header.as_bytes());
        let name_at = self.length.saturating_add(header.len());
        put(name_at, name);
        // The name with its NUL and the file are each padded to four bytes.
        let data_at = pad4(name_at.saturating_add(name_size));
        self.length = pad4(data_at.saturating_add(size as usize));
        data_at
    }
}

fn pad4(offset: usize) -> usize {
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
