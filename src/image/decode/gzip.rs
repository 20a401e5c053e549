//! gzip (RFC 1952), with miniz_oxide for DEFLATE.

use super::crc::Crc;
use super::{Defect, Output, PIECE, damaged, damaged_if, take, take_byte, take_u32, truncated};
use miniz_oxide::inflate::{TINFLStatus, core as inflate};

/// One member (RFC 1952, section 2.3).
#[inline(never)]
pub fn member(rest: &mut &[u8], room: &mut [u8; PIECE], output: &mut Output) -> Result<(), Box<Defect>> {
    const FHCRC: u8 = 1 << 1;
    const FEXTRA: u8 = 1 << 2;
    const FNAME: u8 = 1 << 3;
    const FCOMMENT: u8 = 1 << 4;

    let mut crc = Crc::new_32();
    let start = *rest;
    let header = take(rest, 10)?;
    damaged_if(!header.starts_with(b"\x1f\x8b\x08"), "gzip: no DEFLATE")?;
    let flags = header.get(3).copied().unwrap_or(0);
    // "Reserved FLG bits must be zero." "A compliant decompressor must give an error
    // indication if any reserved bit is non-zero, since such a bit could indicate the
    // presence of a new field that would cause subsequent data to be interpreted
    // incorrectly."
    damaged_if(flags & 0xe0 != 0, "gzip: an unknown flag")?;
    if flags & FEXTRA != 0 {
        let length = u16::from_le_bytes([take_byte(rest)?, take_byte(rest)?]);
        take(rest, usize::from(length))?;
    }
    // The file's name and the comment, each ended by a zero.
    for field in [FNAME, FCOMMENT] {
        while flags & field != 0 && take_byte(rest)? != 0 {}
    }
    if flags & FHCRC != 0 {
        let header = start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default();
        // "The CRC16 consists of the two least significant bytes of the CRC32 for all
        // bytes of the gzip header up to and not including the CRC16."
        let wanted = u16::from_le_bytes([take_byte(rest)?, take_byte(rest)?]);
        damaged_if(crc.of(header) as u16 != wanted, "gzip: the header's checksum")?;
    }

    let mut decoder = inflate::DecompressorOxide::new();
    let (mut at, mut size) = (0usize, 0u32);
    loop {
        let (status, consumed, written) = inflate::decompress(&mut decoder, rest, room, at, 0);
        take(rest, consumed)?;
        let end = at.saturating_add(written);
        let piece = room.get(at..end).unwrap_or_default();
        crc.update(piece);
        size = size.wrapping_add(written as u32);
        output.give(piece)?;
        at = end % PIECE;
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::FailedCannotMakeProgress => return Err(truncated()),
            _ => return Err(damaged("gzip: the compressed data")),
        }
    }
    damaged_if(u64::from(take_u32(rest)?) != crc.finish(), "gzip: the checksum")?;
    // ISIZE: "the size of the original (uncompressed) input data modulo 2^32"
    damaged_if(take_u32(rest)? != size, "gzip: the size")
}
