//! The .xz File Format, whose sections the comments name, with lzma-rust2 for LZMA2 and the filters.

use super::crc::Crc;
use super::{Defect, Output, PIECE, WINDOW, damaged, damaged_if, take, take_byte, take_u32, truncated};
use crate::base::bytes::{u32_at, u64_at};
use lzma_rust2::{Lzma2Reader, filter::bcj::BcjReader};

/// Adds the numbers of one block, or of one record of the index, to what these are
/// compared by (The .xz File Format, section 4.3: "List of Records").
#[inline(never)]
fn record(records: &mut Crc, unpadded_size: u64, uncompressed_size: u64) {
    records.update(&unpadded_size.to_le_bytes());
    records.update(&uncompressed_size.to_le_bytes());
}

/// Counts the LZMA2 chunks that begin with new properties: for each the decoder makes its
/// model anew, in memory that is not given back.
fn count_models(mut rest: &[u8], output: &mut Output) -> Result<(), Box<Defect>> {
    loop {
        // The chunk's kind; sizes are big-endian and one less than what they stand for.
        let control = take_byte(&mut rest)?;
        let skipped = match control {
            3..0x80 => return Err(damaged("xz: the compressed data")),
            0 => return Ok(()),
            1 | 2 => 0,
            _ => 2,
        };
        take(&mut rest, skipped)?;
        let mut size =
            (usize::from(take_byte(&mut rest)?) << 8 | usize::from(take_byte(&mut rest)?)).saturating_add(1);
        if control >= 0xc0 {
            output.part()?;
            size = size.saturating_add(1);
        }
        take(&mut rest, size)?;
    }
}

/// One stream (The .xz File Format, section 2.1).
#[inline(never)]
pub fn stream(rest: &mut &[u8], room: &mut [u8; PIECE], output: &mut Output) -> Result<(), Box<Defect>> {
    let (mut crc32, mut crc64) = (Crc::new_32(), Crc::new_64());
    // The blocks and the index must agree: their numbers have the same CRC64.
    let (mut in_blocks, mut in_index) = (Crc::new_64(), Crc::new_64());
    let mut blocks = 0u64;

    // 2.1.1. Stream Header: magic, flags, and the flags' CRC32.
    take(rest, 6)?;
    let stream_flags = take(rest, 2)?;
    damaged_if(crc32.of(stream_flags) != u64::from(take_u32(rest)?), "xz: the stream header")?;
    // 2.1.1.2. Stream Flags: "The first byte of Stream Flags is always a null byte." The
    // low nibble of the second is the type of the check, the high one is reserved.
    let &[0, check @ 0..=15] = stream_flags else { return Err(damaged("xz: the stream flags")) };
    let check_size: usize = match check {
        0 => 0,
        1..=3 => 4,
        4..=6 => 8,
        7..=9 => 16,
        10..=12 => 32,
        _ => 64,
    };

    let index = loop {
        let start = *rest;
        // 4.1. Index Indicator: a block's header has no size of 0.
        let size = take_byte(rest)?;
        if size == 0 {
            break start;
        }
        output.part()?;
        // 3.1.1. "real_header_size = (encoded_header_size + 1) * 4", with the CRC32 in
        // the last four bytes.
        let without_crc = usize::from(size).saturating_mul(4);
        *rest = start;
        let mut header = take(rest, without_crc)?;
        damaged_if(crc32.of(header) != u64::from(take_u32(rest)?), "xz: a block header")?;
        take(&mut header, 1)?;
        let block = Block::parse(header, output.limit)?;

        let data = *rest;
        count_models(data, output)?;
        let before = output.size;
        {
            let reader = Lzma2Reader::new(&mut *rest, block.dictionary, None);
            let (mut plain, mut filtered);
            let reader: &mut dyn lzma_rust2::Read = match block.filter {
                Filter::None => {
                    plain = reader;
                    &mut plain
                }
                Filter::X86(start) => {
                    filtered = BcjReader::new_x86(reader, start);
                    &mut filtered
                }
                Filter::Arm64(start) => {
                    filtered = BcjReader::new_arm64(reader, start);
                    &mut filtered
                }
            };
            loop {
                let length = match reader.read(room) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(lzma_rust2::Error::Eof) => return Err(truncated()),
                    Err(_) => return Err(damaged("xz: the compressed data")),
                };
                let piece = room.get(..length).unwrap_or_default();
                match check {
                    1 => crc32.update(piece),
                    4 => crc64.update(piece),
                    _ => {}
                }
                output.give(piece)?;
            }
        }
        let compressed_size = data.len().saturating_sub(rest.len()) as u64;
        let uncompressed_size = output.size.saturating_sub(before);
        let differs = |wanted: Option<u64>, is| wanted.is_some_and(|wanted| wanted != is);
        damaged_if(
            differs(block.compressed_size, compressed_size)
                || differs(block.uncompressed_size, uncompressed_size),
            "xz: a block's size",
        )?;
        // 3.3. Block Padding: "0-3 null bytes to make the size of the Block a multiple
        // of four bytes"
        padding(rest, compressed_size)?;
        // 3.4. Check. SHA-256 (10) is passed over: kernels are packed with CRC32, and
        // xz(1) writes CRC64.
        let wanted = take(rest, check_size)?;
        let matches = match check {
            1 => u32_at(wanted, 0).map(u64::from) == Some(crc32.finish()),
            4 => u64_at(wanted, 0) == Some(crc64.finish()),
            _ => true,
        };
        damaged_if(!matches, "xz: the checksum")?;
        // 4.3.1. Unpadded Size: header, data and check.
        let around = without_crc.saturating_add(4).saturating_add(check_size);
        record(&mut in_blocks, compressed_size.saturating_add(around as u64), uncompressed_size);
        blocks = blocks.saturating_add(1);
    };

    // 4. Index
    damaged_if(number(rest)? != blocks, "xz: the index")?;
    for _ in 0..blocks {
        record(&mut in_index, number(rest)?, number(rest)?);
    }
    damaged_if(in_blocks.finish() != in_index.finish(), "xz: the index")?;
    let size = index.len().saturating_sub(rest.len());
    padding(rest, size as u64)?;
    let size = index.len().saturating_sub(rest.len());
    let whole = index.get(..size).unwrap_or_default();
    damaged_if(crc32.of(whole) != u64::from(take_u32(rest)?), "xz: the index")?;

    // 2.1.2. Stream Footer: the CRC32 of the next two, the index's size, the flags
    // again, magic.
    let wanted = take_u32(rest)?;
    let fields = take(rest, 6)?;
    damaged_if(crc32.of(fields) != u64::from(wanted) || take(rest, 2)? != b"YZ", "xz: the stream footer")?;
    // "real_backward_size = (stored_backward_size + 1) * 4"
    let backward_size = u64::from(u32_at(fields, 0).unwrap_or(0)).saturating_add(1).saturating_mul(4);
    let right = fields.get(4..) == Some(stream_flags) && backward_size == (size as u64).saturating_add(4);
    damaged_if(!right, "xz: the stream footer")
}

/// Zeros up to a multiple of four, after `size` bytes.
fn padding(rest: &mut &[u8], size: u64) -> Result<(), Box<Defect>> {
    let zeros = take(rest, (size.wrapping_neg() & 3) as usize)?;
    damaged_if(zeros.iter().any(|&byte| byte != 0), "xz: the padding")
}

/// A multibyte integer (The .xz File Format, section 1.2).
fn number(rest: &mut &[u8]) -> Result<u64, Box<Defect>> {
    let mut value = 0u64;
    // Up to nine bytes, of seven bits each.
    for shift in (0..63u32).step_by(7) {
        let byte = take_byte(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            damaged_if(byte == 0 && shift != 0, "xz: a number")?;
            return Ok(value);
        }
    }
    Err(damaged("xz: a number"))
}

/// What is done to the code before it is compressed, and the offset it counts from
/// (The .xz File Format, section 5.3.2, "Branch/Call/Jump Filters for Executables").
enum Filter {
    None,
    X86(usize),
    Arm64(usize),
}

/// What a block's header says (section 3.1).
struct Block {
    compressed_size: Option<u64>,
    uncompressed_size: Option<u64>,
    filter: Filter,
    dictionary: u32,
}

impl Block {
    /// Reads what is between the header's size and its checksum. The dictionary is not
    /// made larger than `limit` allows: nothing that is taken lies farther back.
    fn parse(mut header: &[u8], limit: u64) -> Result<Block, Box<Defect>> {
        const LZMA2: u64 = 0x21;
        const BCJ_X86: u64 = 0x04;
        const BCJ_ARM64: u64 = 0x0a;
        let broken = || damaged("xz: a block header");

        // Its checksum was right, so what it lacks was never there.
        let flags = take_byte(&mut header).map_err(|_| broken())?;
        // 3.1.2. Bits 0-1: number of filters, less 1; bits 2-5: reserved, "must be zero
        // for now"; 6 and 7: the sizes that follow.
        damaged_if(flags & 0x3c != 0, "xz: an unknown flag")?;
        let mut size = |present: bool| {
            if present { number(&mut header).map(Some).map_err(|_| broken()) } else { Ok(None) }
        };
        let compressed_size = size(flags & 0x40 != 0)?;
        let uncompressed_size = size(flags & 0x80 != 0)?;

        let mut filter = Filter::None;
        for left in (0..=flags & 3).rev() {
            // 3.1.5. List of Filter Flags: ID, size of properties, properties.
            let id = number(&mut header).map_err(|_| broken())?;
            let length = number(&mut header).map_err(|_| broken())?;
            let length = usize::try_from(length).map_err(|_| broken())?;
            let properties = take(&mut header, length).map_err(|_| broken())?;
            // The start offset, of four bytes; 0 when it is absent.
            let start = u32_at(properties, 0).unwrap_or(0) as usize;
            match (id, left, properties) {
                (LZMA2, 0, &[bits @ 0..=40]) => {
                    let dictionary = dictionary_size(bits).min(WINDOW);
                    // More than is taken may be decoded before that is noticed.
                    let enough = limit.saturating_add(PIECE as u64);
                    let dictionary = u32::try_from(dictionary.min(enough)).map_err(|_| broken())?;
                    return Ok(Block { compressed_size, uncompressed_size, filter, dictionary });
                }
                (BCJ_X86, 1, [] | [_, _, _, _]) => filter = Filter::X86(start),
                (BCJ_ARM64, 1, [] | [_, _, _, _]) => filter = Filter::Arm64(start),
                _ => break,
            }
        }
        Err(damaged("xz: a filter that is not supported"))
    }
}

/// Section 5.3.1: the size of an LZMA2 dictionary, in bytes.
fn dictionary_size(bits: u8) -> u64 {
    // "dictionary_size = 2 | (bits & 1); dictionary_size <<= bits / 2 + 11"
    u64::from(2 | (bits & 1)) << (u32::from(bits) / 2).saturating_add(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_not_made_larger_than_the_limit() {
        assert_eq!([0, 1, 39].map(dictionary_size), [4096, 6144, 3 << 30]);
        // Start Offset 0 for x86, then LZMA2 with 4 GiB less a byte asked for.
        let block = Block::parse(&[1, 4, 4, 0, 0, 0, 0, 0x21, 1, 40], 1 << 20).unwrap_or_else(|_| panic!());
        assert_eq!(block.dictionary, (1 << 20) + PIECE as u32);
        assert!(matches!(block.filter, Filter::X86(0)));
        let block = Block::parse(&[0, 0x21, 1, 40], u64::MAX).unwrap_or_else(|_| panic!());
        assert_eq!(u64::from(block.dictionary), WINDOW);
        // LZMA2 is the last filter; delta (3) is none of code.
        for header in
            [&[1u8, 0x21, 1, 0, 4, 0][..], &[1, 3, 1, 0, 0x21, 1, 0], &[0, 0x21, 1, 41], &[0, 4, 0], &[0]]
        {
            assert!(Block::parse(header, 1 << 20).is_err());
        }
    }
}
