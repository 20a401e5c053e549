//! A check that the kernel can unpack an initrd.
//!
//! Documentation/driver-api/early-userspace/buffer-format.rst: "the initramfs buffer contains a
//! collection of compressed and/or uncompressed cpio archives (in the "newc" or "crc" formats);
//! arbitrary amounts zero bytes (for padding) can be added between members." A cpio archive
//! begins at a multiple of four bytes.
//!
//! The check follows an uncompressed archive from header to header, so it finds a file that is
//! cut short or has something else after the archive. It ends at the first compressed archive,
//! whose length is unknown.

mod packing;

#[cfg(feature = "vmcore")]
use super::decode::{Compression, unpack};
use super::newc::{
    CHECKSUM, FILESIZE, HEADER_SIZE, MAGIC, MAGIC_WITH_CHECKSUM, MODE, NAMESIZE, TRAILER, pad4,
};
use crate::base::bytes::{self, parts};
use crate::base::text;

/// What is wrong with an initrd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file has no bytes other than zeros.
    Empty,
    /// An archive, or the next entry of a cpio archive, should begin at `offset` and does not.
    NoArchive {
        /// The offset in the file, in bytes.
        offset: u64,
        /// The first four bytes there. Missing bytes are zeros.
        first: [u8; 4],
    },
    /// An archive is compressed in a way that the kernel cannot unpack: what it has, and how to pack it
    /// again.
    Packing(&'static str, &'static str),
    /// A file in an archive of the "crc" format does not have its checksum.
    Checksum {
        /// The offset of the file's entry, in bytes.
        offset: u64,
    },
    /// It has a bootconfig at its end, and another initrd follows: the kernel would stop there.
    Bootconfig,
    /// The last cpio archive has no trailer: it may have been cut between two files.
    NoTrailer,
    /// The file ends inside a cpio archive.
    Truncated {
        /// The least length that the archive promises, in bytes.
        promised: u64,
        /// The file's length, in bytes.
        present: u64,
    },
}

/// The archives of an initrd up to the first compressed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Initrd {
    /// The number of uncompressed cpio archives at the start.
    pub plain: usize,
    /// The compression of the archive after them, if there is one.
    pub compressed: Option<&'static str>,
}

/// The compressions that the kernel recognises from two bytes (lib/decompress.c,
/// compressed_formats).
const COMPRESSED: [(&[u8; 2], &str); 8] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9e", "gzip"),
    (b"BZ", "bzip2"),
    (b"\x5d\x00", "lzma"),
    (b"\xfd7", "xz"),
    (b"\x89\x4c", "lzo"),
    (b"\x02\x21", "lz4"),
    (b"\x28\xb5", "zstd"),
];

/// A cpio archive without files, which consists of the trailer.
pub const NOTHING: &[u8] = b"0707010000000000000000000000000000000000000001\
    000000000000000000000000000000000000000000000000\
    0000000b00000000TRAILER!!!\0\0\0\0";

/// The compression of an archive, from its first two bytes.
pub fn compression(bytes: &[u8]) -> Option<&'static str> {
    COMPRESSED.iter().find(|(magic, _)| bytes.starts_with(*magic)).map(|&(_, name)| name)
}

/// Checks an initrd, which may end with a bootconfig, one archive after another.
///
/// # Errors
///
/// Any [`Defect`].
pub fn check(bytes: &[u8]) -> Result<Initrd, Defect> {
    let (bytes, _) = without_bootconfig(bytes);
    let mut found = Initrd::default();
    let mut offset = 0usize;
    loop {
        offset = skip_zeros(bytes, offset);
        let rest = bytes.get(offset..).unwrap_or_default();
        if rest.is_empty() {
            return if found.plain == 0 { Err(Defect::Empty) } else { Ok(found) };
        }
        // After a cpio archive, the kernel rejects an archive that does not begin at a multiple
        // of four (init/initramfs.c, do_reset: "broken padding").
        let aligned = offset & 3 == 0;
        if let Some(name) = compression(rest).filter(|_| aligned || found.plain == 0) {
            packing::check(rest)?;
            found.compressed = Some(name);
            return Ok(found);
        }
        if !is_cpio(rest) || !aligned {
            packing::check_unknown(rest)?;
            return Err(Defect::NoArchive { offset: offset as u64, first: bytes::first_four(rest) });
        }
        offset = end_of_cpio(bytes, offset)?;
        found.plain = found.plain.saturating_add(1);
    }
}

/// The first byte from `offset` on that is not zero.
fn skip_zeros(bytes: &[u8], offset: usize) -> usize {
    let rest = bytes.get(offset..).unwrap_or_default();
    offset.saturating_add(rest.iter().take_while(|&&byte| byte == 0).count())
}

/// The memory that an initrd takes when a kernel has unpacked it, in bytes. Of a compressed archive that
/// is damaged, or packed in a way that kernels do not come in, four times what it takes packed.
#[cfg(feature = "vmcore")]
pub fn unpacked_size(bytes: &[u8]) -> u64 {
    let (archives, _) = without_bootconfig(bytes);
    let mut plain = skip_zeros(archives, 0);
    let mut packed = archives.get(plain..).unwrap_or_default();
    while is_cpio(packed)
        && let Ok(end) = end_of_cpio(archives, plain)
    {
        plain = skip_zeros(archives, end);
        packed = archives.get(plain..).unwrap_or_default();
    }
    let guess = (packed.len() as u64).saturating_mul(4);
    let decoded = match Compression::of(packed) {
        Some(compression) => unpack(compression, packed, u64::MAX, &mut |_| true).unwrap_or(guess),
        None => guess,
    };
    decoded.saturating_add(plain as u64)
}

/// The archives of an initrd, and the bootconfig after them, which may be empty.
///
/// Documentation/admin-guide/bootconfig.rst, "Boot Kernel With a Boot Config":
/// `[initrd][bootconfig][padding][size(le32)][checksum(le32)][#BOOTCONFIG\n]`. A boot loader may
/// have added up to three bytes.
pub fn without_bootconfig(bytes: &[u8]) -> (&[u8], &[u8]) {
    for padding in 0..4usize {
        let end = bytes.len().saturating_sub(padding);
        let Some(rest) = bytes.get(..end).and_then(|bytes| bytes.strip_suffix(b"#BOOTCONFIG\n")) else {
            continue;
        };
        // The offset of the size and the checksum.
        let numbers = rest.len().saturating_sub(8);
        let size = bytes::u32_at(rest, numbers).and_then(|size| usize::try_from(size).ok());
        let start = size.and_then(|size| numbers.checked_sub(size)).unwrap_or(rest.len());
        return bytes.split_at_checked(start).unwrap_or((bytes, &[]));
    }
    (bytes, &[])
}

fn is_cpio(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC.as_bytes()) || bytes.starts_with(MAGIC_WITH_CHECKSUM.as_bytes())
}

/// The offset after the cpio archive at `start`. "cpio_trailer [...] is optional" (buffer-format.rst):
/// zeros or a compressed archive may follow a file. At the end of all, its absence is
/// [`Defect::NoTrailer`].
fn end_of_cpio(bytes: &[u8], start: usize) -> Result<usize, Defect> {
    let present = bytes.len() as u64;
    let mut at = start;
    loop {
        let entry = bytes.get(at..).unwrap_or_default();
        if at > start && (entry.first() == Some(&0) || compression(entry).is_some()) {
            return Ok(at);
        }
        if at > start && entry.is_empty() {
            return Err(Defect::NoTrailer);
        }
        // The file may end inside c_magic, so this comes before the check of c_magic.
        if entry.len() < HEADER_SIZE {
            let promised = (at as u64).saturating_add(HEADER_SIZE as u64);
            return Err(Defect::Truncated { promised, present });
        }
        let broken = || Defect::NoArchive { offset: at as u64, first: bytes::first_four(entry) };
        if !is_cpio(entry) {
            return Err(broken());
        }
        let name_size = number(entry, NAMESIZE).ok_or_else(broken)?;
        let file_size = number(entry, FILESIZE).ok_or_else(broken)?;
        let name_at = at.saturating_add(HEADER_SIZE);
        let name_end = name_at.saturating_add(name_size);
        // The kernel compares up to the first NUL (init/initramfs.c, do_name).
        let name = bytes.get(name_at..name_end).and_then(|name| parts(name, 0).next());
        if name == Some(TRAILER) {
            return Ok(pad4(name_end));
        }
        let data_end = pad4(name_end).saturating_add(file_size);
        let Some(data) = bytes.get(pad4(name_end)..data_end) else {
            return Err(Defect::Truncated { promised: data_end as u64, present });
        };
        if !has_sum(entry, data) {
            return Err(Defect::Checksum { offset: at as u64 });
        }
        at = pad4(data_end);
    }
}

/// Whether a regular file in the "crc" format has its c_chksum: "simple 32-bit unsigned sum of all the
/// bytes in the data field" (buffer-format.rst).
fn has_sum(entry: &[u8], data: &[u8]) -> bool {
    let is_file = number(entry, MODE).is_some_and(|mode| mode & 0o170_000 == 0o100_000);
    if !entry.starts_with(MAGIC_WITH_CHECKSUM.as_bytes()) || !is_file || data.is_empty() {
        return true;
    }
    let sum = data.iter().fold(0u32, |sum, &byte| sum.wrapping_add(byte.into()));
    number(entry, CHECKSUM) == usize::try_from(sum).ok()
}

/// The number at `offset` of a newc header, eight hexadecimal digits.
fn number(entry: &[u8], offset: usize) -> Option<usize> {
    let digits = bytes::array_at::<8>(entry, offset)?;
    text::parse_hex(&digits).and_then(|value| usize::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpio(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, data) in files.iter().chain(&[("TRAILER!!!", &b""[..])]) {
            let zero = "00000000";
            archive.extend_from_slice(b"070701");
            archive.extend_from_slice(
                format!("{}{:08x}{}", zero.repeat(6), data.len(), zero.repeat(4)).as_bytes(),
            );
            archive.extend_from_slice(format!("{:08x}{zero}{name}\0", name.len() + 1).as_bytes());
            archive.resize(pad4(archive.len()), 0);
            archive.extend_from_slice(data);
            archive.resize(pad4(archive.len()), 0);
        }
        archive
    }

    #[test]
    fn nothing_is_an_archive() {
        assert_eq!(NOTHING.len(), 124);
        assert_eq!(check(NOTHING), Ok(Initrd { plain: 1, compressed: None }));
    }

    #[test]
    fn archives_are_walked_to_the_compressed_one() {
        let mut file = cpio(&[("kernel/x86/microcode/GenuineIntel.bin", &[7; 2049]), ("b", b"12345")]);
        assert_eq!(check(&file).unwrap(), Initrd { plain: 1, compressed: None });
        file.resize(8192, 0);
        file.extend_from_slice(&cpio(&[("c", b"")]));
        file.extend_from_slice(b"\x28\xb5\x2f\xfd rest");
        assert_eq!(check(&file).unwrap(), Initrd { plain: 2, compressed: Some("zstd") });
    }

    #[test]
    fn what_the_kernel_cannot_unpack_is_refused() {
        assert_eq!(check(b""), Err(Defect::Empty));
        assert_eq!(check(&[0; 4096]), Err(Defect::Empty));
        assert_eq!(check(b"hello, world"), Err(Defect::NoArchive { offset: 0, first: *b"hell" }));
        let mut file = cpio(&[("a", b"1")]);
        let end = file.len() as u64;
        file.extend_from_slice(b"junk");
        assert_eq!(check(&file), Err(Defect::NoArchive { offset: end, first: *b"junk" }));
        // The kernel rejects a cpio archive at an unaligned offset.
        let mut odd = vec![0u8; 2];
        odd.extend_from_slice(&cpio(&[]));
        assert!(matches!(check(&odd), Err(Defect::NoArchive { offset: 2, .. })));
    }

    #[test]
    fn a_plain_archive_cut_anywhere_is_refused() {
        let file = cpio(&[("a", b"12345"), ("b/c", &[1; 300])]);
        for length in 1..file.len() {
            // The padding after the trailer's name may be missing.
            let wanted = length >= file.len() - 3;
            assert_eq!(check(&file[..length]).is_ok(), wanted, "{length} of {}", file.len());
        }
        let mut huge = cpio(&[("a", b"1")]);
        huge[FILESIZE..FILESIZE + 8].copy_from_slice(b"ffffffff");
        assert!(matches!(check(&huge), Err(Defect::Truncated { .. })));
        huge[FILESIZE..FILESIZE + 8].copy_from_slice(b"fffffgff");
        assert!(matches!(check(&huge), Err(Defect::NoArchive { offset: 0, .. })));
    }

    #[test]
    fn a_trailer_is_optional_but_for_the_end_of_all() {
        let whole = cpio(&[("a", b"12345")]);
        let files = &whole[..whole.len() - 124];
        assert_eq!(check(files), Err(Defect::NoTrailer));
        let ends: [&[u8]; 3] = [&[0; 512], &whole, b"\x28\xb5\x2f\xfd\0\0"];
        for end in ends {
            assert!(check(&[files, end].concat()).is_ok(), "{:?}", &end[..4]);
        }
        assert!(matches!(
            check(&[files, b"junk"].concat()),
            Err(Defect::Truncated { .. } | Defect::NoArchive { .. })
        ));
        // A trailer with a longer c_namesize.
        let mut long = whole.clone();
        let at = long.len() - 124;
        long[at + NAMESIZE..at + NAMESIZE + 8].copy_from_slice(b"0000000e");
        assert!(check(&long).is_ok());
    }

    #[test]
    fn files_of_the_crc_format_have_their_sums() {
        let with = |sum: u32, mode: &[u8]| {
            let mut archive = cpio(&[("a", b"12345")]);
            archive[5] = b'2';
            archive[MODE..MODE + 8].copy_from_slice(mode);
            archive[CHECKSUM..CHECKSUM + 8].copy_from_slice(format!("{sum:08x}").as_bytes());
            archive
        };
        let sum = b"12345".iter().map(|&byte| u32::from(byte)).sum::<u32>();
        assert!(check(&with(sum, b"000081a4")).is_ok());
        assert_eq!(check(&with(sum + 1, b"000081a4")), Err(Defect::Checksum { offset: 0 }));
        // Only a regular file has one.
        assert!(check(&with(sum + 1, b"0000a1ff")).is_ok());
    }

    #[test]
    fn a_bootconfig_at_the_end_is_no_archive_and_no_harm() {
        for padding in 0..4 {
            let mut file = cpio(&[("a", b"1")]);
            file.extend_from_slice(b"key = value\n");
            file.extend_from_slice(&12u32.to_le_bytes());
            file.extend_from_slice(&[0xff; 4]);
            file.extend_from_slice(b"#BOOTCONFIG\n");
            file.resize(file.len() + padding, 0);
            assert_eq!(check(&file), Ok(Initrd { plain: 1, compressed: None }), "{padding}");
        }
        assert_eq!(check(b"#BOOTCONFIG\n"), Err(Defect::Empty));
    }

    #[test]
    fn a_compressed_archive_after_a_plain_one_is_aligned() {
        let mut file = cpio(&[("a", b"1")]);
        let end = file.len() as u64;
        file.extend_from_slice(b"\0\0\x1f\x8b");
        let refusal = Defect::NoArchive { offset: end + 2, first: [0x1f, 0x8b, 0, 0] };
        assert_eq!(check(&file), Err(refusal));
        assert!(check(b"\0\x1f\x8b\x08").is_ok());
    }

    #[test]
    fn every_compression_has_its_magic() {
        for magic in ["1f8b08", "425a", "5d00", "fd377a", "894c", "0221", "28b5"] {
            let bytes: Vec<u8> = (0..magic.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&magic[i..i + 2], 16).unwrap())
                .collect();
            assert!(check(&bytes).unwrap().compressed.is_some(), "{magic}");
        }
    }
}
