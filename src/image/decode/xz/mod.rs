//! The .xz File Format, whose sections the comments name. lzma-rust2 decodes LZMA2 and the
//! filters.

mod header;

use super::crc::Crc;
use super::{Defect, Output, PIECE, damaged, damaged_if, take, take_byte, take_u32, truncated};
use crate::base::bytes::{u32_at, u64_at};
use header::{BlockHeader, Filter};
use lzma_rust2::{Lzma2Reader, filter::bcj::BcjReader};

/// Decodes one stream (section 2.1).
#[inline(never)]
pub fn stream(rest: &mut &[u8], room: &mut [u8; PIECE], output: &mut Output) -> Result<(), Box<Defect>> {
    let mut stream = Stream::begin(rest)?;
    // 4.1. Index Indicator: the index begins with 0, a block with the size of its header.
    while *rest.first().ok_or_else(truncated)? != 0 {
        output.part()?;
        stream.block(rest, room, output)?;
    }
    let index_size = stream.index(rest)?;
    stream.footer(rest, index_size)
}

/// A stream that is being decoded.
struct Stream<'a> {
    /// 2.1.1.2. Stream Flags, which the footer repeats.
    flags: &'a [u8],
    /// The type of the check after each block, 0 to 15.
    check: u8,
    crc32: Crc,
    crc64: Crc,
    /// The number of blocks, and the CRC64 of their sizes.
    blocks: u64,
    sizes: Crc,
}

impl<'a> Stream<'a> {
    /// 2.1.1. Stream Header: magic, flags, and the CRC32 of the flags.
    fn begin(rest: &mut &'a [u8]) -> Result<Stream<'a>, Box<Defect>> {
        let mut crc32 = Crc::new_32();
        take(rest, 6)?;
        let flags = take(rest, 2)?;
        damaged_if(crc32.of(flags) != u64::from(take_u32(rest)?), "invalid stream header")?;
        // 2.1.1.2. "The first byte of Stream Flags is always a null byte." The low four bits of
        // the second byte are the type of the check, and the high four are reserved.
        let &[0, check @ 0..=15] = flags else { return Err(damaged("invalid stream flags")) };
        Ok(Stream { flags, check, crc32, crc64: Crc::new_64(), blocks: 0, sizes: Crc::new_64() })
    }

    /// 3. Block
    fn block(
        &mut self,
        rest: &mut &[u8],
        room: &mut [u8; PIECE],
        output: &mut Output,
    ) -> Result<(), Box<Defect>> {
        let start = *rest;
        let header = self.header(rest, output.limit)?;
        let data = *rest;
        let before = output.size;
        count_models(data, output)?;
        self.data(rest, &header, room, output)?;
        let compressed_size = distance(data, rest);
        let uncompressed_size = output.size.saturating_sub(before);
        let differs = |wanted: Option<u64>, is| wanted.is_some_and(|wanted| wanted != is);
        damaged_if(
            differs(header.compressed_size, compressed_size)
                || differs(header.uncompressed_size, uncompressed_size),
            "wrong block size",
        )?;
        // 4.3.1. "Unpadded Size is the size of the Block Header, Compressed Data, and Check
        // fields."
        let header_and_data = distance(start, rest);
        // 3.3. "Block Padding MUST contain 0-3 null bytes to make the size of the Block a
        // multiple of four bytes." The header's size is such a multiple.
        padding(rest, compressed_size)?;
        let check_size = self.check(rest)?;
        record(&mut self.sizes, header_and_data.saturating_add(check_size), uncompressed_size);
        self.blocks = self.blocks.saturating_add(1);
        Ok(())
    }

    /// 3.1. Block Header
    fn header(&mut self, rest: &mut &[u8], limit: u64) -> Result<BlockHeader, Box<Defect>> {
        // 3.1.1. "real_header_size = (encoded_header_size + 1) * 4", with the CRC32 in the last
        // four bytes.
        let encoded_size = rest.first().copied().ok_or_else(truncated)?;
        let mut header = take(rest, usize::from(encoded_size).saturating_mul(4))?;
        damaged_if(self.crc32.of(header) != u64::from(take_u32(rest)?), "invalid block header")?;
        take(&mut header, 1)?;
        BlockHeader::parse(header, limit)
    }

    /// 3.2. Compressed Data
    fn data(
        &mut self,
        rest: &mut &[u8],
        header: &BlockHeader,
        room: &mut [u8; PIECE],
        output: &mut Output,
    ) -> Result<(), Box<Defect>> {
        let reader = Lzma2Reader::new(rest, header.dictionary, None);
        let (mut plain, mut filtered);
        let reader: &mut dyn lzma_rust2::Read = match header.filter {
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
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(lzma_rust2::Error::Eof) => return Err(truncated()),
                Err(_) => return Err(damaged("invalid data")),
            };
            let piece = room.get(..length).unwrap_or_default();
            match self.check {
                1 => self.crc32.update(piece),
                4 => self.crc64.update(piece),
                _ => {}
            }
            output.give(piece)?;
        }
    }

    /// 3.4. Check. Returns the size of the field, in bytes. SHA-256 (10) is not checked: kernels
    /// are packed with CRC32, and xz(1) writes CRC64.
    fn check(&mut self, rest: &mut &[u8]) -> Result<u64, Box<Defect>> {
        let size = match self.check {
            0 => 0,
            1..=3 => 4,
            4..=6 => 8,
            7..=9 => 16,
            10..=12 => 32,
            _ => 64,
        };
        let wanted = take(rest, size)?;
        let matches = match self.check {
            1 => u32_at(wanted, 0).map(u64::from) == Some(self.crc32.finish()),
            4 => u64_at(wanted, 0) == Some(self.crc64.finish()),
            _ => true,
        };
        damaged_if(!matches, "wrong checksum")?;
        Ok(size as u64)
    }

    /// 4. Index. Returns its size without the CRC32, in bytes.
    fn index(&mut self, rest: &mut &[u8]) -> Result<u64, Box<Defect>> {
        const WHAT: &str = "wrong index";

        let start = *rest;
        take(rest, 1)?;
        damaged_if(number(rest)? != self.blocks, WHAT)?;
        // 4.3. "It is possible to verify the Index with constant memory usage by calculating for
        // example SHA-256 of both the real size values and the List of Records, then comparing
        // the hash values." CRC64 is enough here.
        let mut sizes = Crc::new_64();
        for _ in 0..self.blocks {
            record(&mut sizes, number(rest)?, number(rest)?);
        }
        damaged_if(self.sizes.finish() != sizes.finish(), WHAT)?;
        padding(rest, distance(start, rest))?;
        let size = distance(start, rest);
        let index = start.get(..size as usize).unwrap_or_default();
        damaged_if(self.crc32.of(index) != u64::from(take_u32(rest)?), WHAT)?;
        Ok(size)
    }

    /// 2.1.2. Stream Footer: the CRC32 of the next two fields, the index's size, the flags and
    /// the magic.
    fn footer(&mut self, rest: &mut &[u8], index_size: u64) -> Result<(), Box<Defect>> {
        const WHAT: &str = "invalid stream footer";

        let wanted = take_u32(rest)?;
        let fields = take(rest, 6)?;
        damaged_if(self.crc32.of(fields) != u64::from(wanted) || take(rest, 2)? != b"YZ", WHAT)?;
        // "real_backward_size = (stored_backward_size + 1) * 4", with the index's CRC32.
        let backward_size = u64::from(u32_at(fields, 0).unwrap_or(0)).saturating_add(1).saturating_mul(4);
        let right = fields.get(4..) == Some(self.flags) && backward_size == index_size.saturating_add(4);
        damaged_if(!right, WHAT)
    }
}

/// The number of bytes from the start of `from` to the start of `to`, which is its end.
fn distance(from: &[u8], to: &[u8]) -> u64 {
    from.len().saturating_sub(to.len()) as u64
}

/// Adds the sizes of a block to the check that compares blocks and index.
#[inline(never)]
fn record(sizes: &mut Crc, unpadded_size: u64, uncompressed_size: u64) {
    sizes.update(&unpadded_size.to_le_bytes());
    sizes.update(&uncompressed_size.to_le_bytes());
}

/// Counts the LZMA2 chunks that begin with new properties. For each of them the decoder
/// allocates its probability model again.
fn count_models(mut rest: &[u8], output: &mut Output) -> Result<(), Box<Defect>> {
    loop {
        // A chunk begins with its kind. Its sizes are big-endian and stored less one.
        let control = take_byte(&mut rest)?;
        let skipped = match control {
            3..0x80 => return Err(damaged("invalid data")),
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

/// The zeros after `size` bytes, up to a multiple of four.
fn padding(rest: &mut &[u8], size: u64) -> Result<(), Box<Defect>> {
    let zeros = take(rest, (size.wrapping_neg() & 3) as usize)?;
    damaged_if(zeros.iter().any(|&byte| byte != 0), "invalid padding")
}

/// A multibyte integer (section 1.2): up to nine bytes of seven bits each.
fn number(rest: &mut &[u8]) -> Result<u64, Box<Defect>> {
    const WHAT: &str = "invalid number";

    let mut value = 0u64;
    for shift in (0..63u32).step_by(7) {
        let byte = take_byte(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            damaged_if(byte == 0 && shift != 0, WHAT)?;
            return Ok(value);
        }
    }
    Err(damaged(WHAT))
}
