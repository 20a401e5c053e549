//! Whether the kernel's decoder takes a compressed archive, by its first header.

use super::super::is_lzma;
use super::Defect;
use crate::base::bytes::{array_at, u8_at};

/// Fails with [`Defect::Packing`] for an archive that the kernel recognises and cannot unpack. What a
/// short file lacks is not looked at.
pub fn check(bytes: &[u8]) -> Result<(), Defect> {
    let refused = match bytes {
        [0x1f, _, ..] => gzip(bytes),
        [0xfd, b'7', ..] => xz(bytes),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd(bytes),
        _ => None,
    };
    refused.map_or(Ok(()), |(what, again)| Err(Defect::Packing(what, again)))
}

/// Fails with [`Defect::Packing`] for an archive that the kernel does not recognise, if its format is
/// known.
pub fn check_unknown(bytes: &[u8]) -> Result<(), Defect> {
    const KNOWN: [(&[u8], &str, &str); 3] = [
        (b"070707", "a cpio archive of the old kind (odc)", "cpio -H newc"),
        (b"\x04\x22\x4d\x18", "an lz4 frame", "lz4 -l"),
        // RFC 8878, 3.1.2: a skippable frame, which comes before each part.
        (b"\x50\x2a\x4d\x18", "zstd frames as pzstd makes them", "zstd"),
    ];
    let known =
        KNOWN.iter().find(|(magic, ..)| bytes.starts_with(magic)).map(|&(_, what, again)| (what, again));
    // lib/decompress.c: "{ {0x5d, 0x00}, "lzma", unlzma }".
    let lzma = ("lzma settings other than the usual ones", "lzma");
    let found = known.or_else(|| is_lzma(bytes).then_some(lzma));
    found.map_or(Ok(()), |(what, again)| Err(Defect::Packing(what, again)))
}

/// What the archive has, and how to pack it again.
type Refused = Option<(&'static str, &'static str)>;

/// lib/decompress_inflate.c, gunzip: it wants 1f 8b 08, and skips a file's name (FNAME, 8), but none of
/// the other fields (RFC 1952, 2.3.1: FHCRC 2, FEXTRA 4, FCOMMENT 16, reserved bits).
fn gzip(bytes: &[u8]) -> Refused {
    let again = "gzip -n";
    match (u8_at(bytes, 1)?, u8_at(bytes, 2)?, u8_at(bytes, 3).unwrap_or(0)) {
        (0x8b, 8, flags) if flags & !9 == 0 => None,
        (0x8b, 8, _) => Some(("a gzip header with more than a file name", again)),
        _ => Some(("a gzip header that the kernel does not know", again)),
    }
}

/// lib/xz/xz_dec_stream.c, dec_stream_header: "if (s->check_type > XZ_CHECK_CRC32) return
/// XZ_OPTIONS_ERROR"; dec_block_header: "LZMA2 must be the last filter", one of the filters for code
/// before it, and no delta filter.
fn xz(bytes: &[u8]) -> Refused {
    let again = "xz --check=crc32";
    // The .xz File Format, 2.1.1: six bytes of magic, then the stream flags.
    if u8_at(bytes, 7)? > 1 {
        return Some(("an xz check other than CRC32, which the kernel does not know", again));
    }
    // 3.1: the size, the flags with the number of filters, and sizes that may be there.
    let flags = u8_at(bytes, 13)?;
    let mut at = 14usize;
    for _ in 0..(flags >> 6).count_ones() {
        skip_number(bytes, &mut at)?;
    }
    let first = u8_at(bytes, at)?;
    match (flags & 3, first) {
        (0, 0x21) | (1, 4..=0x0b) => None,
        _ => Some(("an xz filter that the kernel does not know", again)),
    }
}

/// Skips a number of several bytes (The .xz File Format, 1.2).
fn skip_number(bytes: &[u8], at: &mut usize) -> Option<()> {
    loop {
        let byte = u8_at(bytes, *at)?;
        *at = at.checked_add(1)?;
        if byte & 0x80 == 0 {
            return Some(());
        }
    }
}

/// lib/decompress_unzstd.c: "if (header.windowSize > ZSTD_WINDOWSIZE_MAX)", which is 128 MiB.
fn zstd(bytes: &[u8]) -> Refused {
    // RFC 8878, 3.1.1.1: the descriptor; in a single segment the window is the content.
    let descriptor = u8_at(bytes, 4)?;
    let window = if descriptor & 0x20 == 0 {
        let byte = u8_at(bytes, 5)?;
        let base = 1u64.checked_shl(u32::from(byte >> 3).saturating_add(10))?;
        base.saturating_add((base >> 3).saturating_mul((byte & 7).into()))
    } else {
        let at = [5usize, 6, 7, 9].get(usize::from(descriptor & 3)).copied()?;
        match descriptor >> 6 {
            0 | 1 => 0,
            2 => array_at(bytes, at).map(u32::from_le_bytes)?.into(),
            _ => array_at(bytes, at).map(u64::from_le_bytes)?,
        }
    };
    (window > 128 << 20).then_some(("a zstd window over 128 MiB", "zstd -19"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernels_decoders_take() {
        let xz = |check: u8, rest: &[u8]| [&b"\xfd7zXZ\0\0"[..], &[check], &[0; 4], rest].concat();
        let zstd = |rest: &[u8]| [&b"\x28\xb5\x2f\xfd"[..], rest].concat();
        let sized = |size: u64| zstd(&[&[0xe0][..], &size.to_le_bytes()].concat());
        // an archive's beginning -> how to pack it again
        let table: &[(Vec<u8>, Option<&str>)] = &[
            (b"\x1f\x8b\x08\0".to_vec(), None),
            (b"\x1f\x8b\x08\x08name\0".to_vec(), None),
            (b"\x1f\x8b\x08\x09".to_vec(), None),
            (b"\x1f\x8b\x08\x02".to_vec(), Some("gzip -n")),
            (b"\x1f\x8b\x08\x04".to_vec(), Some("gzip -n")),
            (b"\x1f\x8b\x08\x10".to_vec(), Some("gzip -n")),
            (b"\x1f\x8b\x08\x80".to_vec(), Some("gzip -n")),
            (b"\x1f\x8b\x07\0".to_vec(), Some("gzip -n")),
            (b"\x1f\x9e\x08\0".to_vec(), Some("gzip -n")),
            (xz(1, &[2, 0, 0x21]), None),
            (xz(0, &[2, 0, 0x21]), None),
            (xz(1, &[3, 1, 0x04, 0, 0x21]), None),
            (xz(1, &[4, 0xc0, 0x80, 0x01, 0x05, 0x21]), None),
            (xz(4, &[2, 0, 0x21]), Some("xz --check=crc32")),
            (xz(10, &[2, 0, 0x21]), Some("xz --check=crc32")),
            (xz(1, &[3, 1, 0x03, 1, 0, 0x21]), Some("xz --check=crc32")),
            (xz(1, &[3, 2, 0x04, 0, 0x07, 0, 0x21]), Some("xz --check=crc32")),
            (zstd(&[0, 0x58]), None),
            (zstd(&[0, (27 - 10) << 3]), None),
            (zstd(&[0, (27 - 10) << 3 | 1]), Some("zstd -19")),
            (zstd(&[0, 0xf8]), Some("zstd -19")),
            (sized(128 << 20), None),
            (sized((128 << 20) + 1), Some("zstd -19")),
            (b"BZh9".to_vec(), None),
        ];
        for (bytes, wanted) in table {
            let again = match check(bytes) {
                Ok(()) => None,
                Err(Defect::Packing(_, again)) => Some(again),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(again, *wanted, "{bytes:x?}");
            // A file that ends in its header is the decoder's matter.
            for length in 0..bytes.len() {
                let _ = check(&bytes[..length]);
            }
        }
    }
}
