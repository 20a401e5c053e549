//! gzip (RFC 1952). miniz_oxide decodes DEFLATE.

use super::crc::Crc;
use super::{Defect, Output, PIECE, damaged, damaged_if, take, take_byte, take_u32, truncated};
use miniz_oxide::inflate::{TINFLStatus, core as inflate};

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;

/// Decodes one member (RFC 1952, section 2.3).
#[inline(never)]
pub fn member(rest: &mut &[u8], room: &mut [u8; PIECE], output: &mut Output) -> Result<(), Box<Defect>> {
    let mut crc = Crc::new_32();
    header(rest, &mut crc)?;
    let size = data(rest, room, &mut crc, output)?;
    damaged_if(u64::from(take_u32(rest)?) != crc.finish(), "wrong checksum")?;
    // ISIZE: "the size of the original (uncompressed) input data modulo 2^32"
    damaged_if(take_u32(rest)? != size, "wrong size")
}

/// Skips the header.
fn header(rest: &mut &[u8], crc: &mut Crc) -> Result<(), Box<Defect>> {
    let start = *rest;
    let fixed = take(rest, 10)?;
    damaged_if(!fixed.starts_with(b"\x1f\x8b\x08"), "not compressed with DEFLATE")?;
    let flags = fixed.get(3).copied().unwrap_or(0);
    // "Reserved FLG bits must be zero." "A compliant decompressor must give an error
    // indication if any reserved bit is non-zero, since such a bit could indicate the
    // presence of a new field that would cause subsequent data to be interpreted
    // incorrectly."
    damaged_if(flags & 0xe0 != 0, "unknown flag")?;
    if flags & FEXTRA != 0 {
        let length = u16::from_le_bytes([take_byte(rest)?, take_byte(rest)?]);
        take(rest, usize::from(length))?;
    }
    // The file's name and the comment end with a zero.
    for field in [FNAME, FCOMMENT] {
        while flags & field != 0 && take_byte(rest)? != 0 {}
    }
    if flags & FHCRC != 0 {
        let header = start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default();
        // "The CRC16 consists of the two least significant bytes of the CRC32 for all
        // bytes of the gzip header up to and not including the CRC16."
        let wanted = u16::from_le_bytes([take_byte(rest)?, take_byte(rest)?]);
        damaged_if(crc.of(header) as u16 != wanted, "wrong header checksum")?;
    }
    Ok(())
}

/// Decodes the data, adds them to `crc`, and returns their size modulo 2^32.
fn data(
    rest: &mut &[u8],
    room: &mut [u8; PIECE],
    crc: &mut Crc,
    output: &mut Output,
) -> Result<u32, Box<Defect>> {
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
            TINFLStatus::Done => return Ok(size),
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::FailedCannotMakeProgress => return Err(truncated()),
            _ => return Err(damaged("invalid data")),
        }
    }
}
