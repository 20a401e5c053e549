//! Zstandard (RFC 8878, whose sections the comments name). Kernels are packed in frames without a
//! dictionary, which is all that this decoder supports.
//!
//! `None` means that a block breaks its format. All positions and sizes from the file are
//! checked before they are used.

mod bits;
mod fse;
mod history;
mod huffman;
mod sequences;
mod xxh64;

use super::{Defect, Output, PIECE, WINDOW, damaged, damaged_if, take, take_byte, take_u32};
use bits::little_endian;
use history::{History, LONGEST_BLOCK, STEP};
use huffman::Huffman;
use sequences::Sequences;

/// Decodes one frame (section 3.1.1).
#[inline(never)]
pub fn frame(rest: &mut &[u8], output: &mut Output) -> Result<(), Box<Defect>> {
    let start = output.size;
    let header = Header::read(rest)?;
    output.within(start.saturating_add(header.content_size.unwrap_or(0)))?;
    // The window grows with the decoded bytes, so the output limit bounds it, too.
    damaged_if(header.window > output.limit.max(WINDOW), Header::WHAT)?;
    let window = usize::try_from(header.window).map_err(|_| damaged(Header::WHAT))?;

    let mut decoder = Decoder::new(window);
    while !decoder.block(rest, output)? {}
    let size = output.size.saturating_sub(start);
    damaged_if(header.content_size.is_some_and(|promised| promised != size), "wrong size")?;
    // 3.1.1. Content_Checksum: the low four bytes of XXH64.
    let wrong = header.has_checksum && take_u32(rest)? != decoder.history.hash() as u32;
    damaged_if(wrong, "wrong checksum")
}

/// 3.1.1.1. Frame_Header
struct Header {
    /// Window_Size, in bytes.
    window: u64,
    /// Frame_Content_Size, in bytes.
    content_size: Option<u64>,
    has_checksum: bool,
}

impl Header {
    const WHAT: &str = "invalid frame header";

    /// Reads Magic_Number and the header.
    fn read(rest: &mut &[u8]) -> Result<Header, Box<Defect>> {
        take(rest, 4)?;
        // 3.1.1.1.1. Frame_Header_Descriptor: Frame_Content_Size_Flag (bits 7-6),
        // Single_Segment_Flag, unused, reserved ("must be zero"), Content_Checksum_Flag,
        // Dictionary_ID_Flag (bits 1-0).
        let descriptor = take_byte(rest)?;
        damaged_if(descriptor & 0x08 != 0, Header::WHAT)?;
        let single_segment = descriptor & 0x20 != 0;
        let mut window = 0;
        if !single_segment {
            // 3.1.1.1.2. "windowLog = 10 + Exponent; windowBase = 1 << windowLog;
            // windowAdd = (windowBase / 8) * Mantissa;"
            let byte = take_byte(rest)?;
            window = u64::from(8 | (byte & 7)) << 7u8.saturating_add(byte >> 3);
        }
        // 3.1.1.1.3. "A value of zero has same meaning as no Dictionary_ID".
        let length = (1 << (descriptor & 3)) >> 1;
        damaged_if(little_endian(take(rest, length)?) != 0, Header::WHAT)?;
        let length = match descriptor >> 6 {
            0 => usize::from(single_segment),
            flag => 1 << flag,
        };
        let field = little_endian(take(rest, length)?);
        let content_size = match length {
            0 => None,
            // 3.1.1.1.4. "When FCS_Field_Size is 2, the offset of 256 is added."
            2 => Some(field.saturating_add(256)),
            _ => Some(field),
        };
        if single_segment {
            window = content_size.unwrap_or(0);
        }
        Ok(Header { window, content_size, has_checksum: descriptor & 0x04 != 0 })
    }
}

/// The state that a frame's blocks share.
struct Decoder {
    history: History,
    /// The literals of the block, and [`STEP`] bytes more.
    literals: Vec<u8>,
    huffman: Huffman,
    sequences: Sequences,
}

impl Decoder {
    fn new(window: usize) -> Decoder {
        Decoder {
            history: History::new(window),
            literals: Vec::new(),
            huffman: Huffman::new(),
            sequences: Sequences::new(),
        }
    }

    /// Decodes one block (section 3.1.1.2). Returns whether it was the last one.
    fn block(&mut self, rest: &mut &[u8], output: &mut Output) -> Result<bool, Box<Defect>> {
        // 3.1.1.2. Block_Header: Last_Block (bit 0), Block_Type (bits 1-2), Block_Size.
        let header = little_endian(take(rest, 3)?) as usize;
        let (kind, size) = ((header >> 1) & 3, header >> 3);
        // An RLE_Block is one byte, repeated Block_Size times.
        let content = take(rest, if kind == 1 { 1 } else { size })?;
        self.history.begin_block().ok_or_else(|| output.too_large())?;
        let decoded = self.content(kind, size, content).ok_or_else(|| damaged("invalid block"))?;
        for piece in decoded.chunks(PIECE) {
            output.give(piece)?;
        }
        Ok(header & 1 != 0)
    }

    /// Decodes the content of a block, and returns the decoded bytes.
    #[inline(never)]
    fn content(&mut self, kind: usize, size: usize, content: &[u8]) -> Option<&[u8]> {
        if size > self.history.longest_block() {
            return None;
        }
        match kind {
            0 => self.history.append(content)?,
            1 => self.history.append_run(*content.first()?, size)?,
            2 => {
                let section = self.literals(content)?;
                self.sequences.execute(section, &self.literals, &mut self.history)?;
            }
            _ => return None,
        }
        self.history.end_block()
    }

    /// Reads the literals (section 3.1.1.3.1), and returns the bytes after them.
    #[inline(never)]
    fn literals<'a>(&mut self, section: &'a [u8]) -> Option<&'a [u8]> {
        let (header, section) = LiteralsHeader::read(section)?;
        let (mut content, after) = section.split_at_checked(header.compressed_size)?;
        if header.size > LONGEST_BLOCK {
            return None;
        }
        self.literals.resize(header.size.saturating_add(STEP), 0);
        let to = self.literals.get_mut(..header.size)?;
        match header.kind {
            0 => to.copy_from_slice(content),
            1 => to.fill(*content.first()?),
            _ => {
                if header.kind == 2 {
                    content = self.huffman.read(content)?;
                }
                self.huffman.decode(header.four_streams, content, to)?;
            }
        }
        Some(after)
    }
}

/// 3.1.1.3.1.1. Literals_Section_Header
struct LiteralsHeader {
    /// Literals_Block_Type: raw, RLE, compressed, treeless.
    kind: u8,
    /// Regenerated_Size, in bytes.
    size: usize,
    /// The number of bytes in the file.
    compressed_size: usize,
    four_streams: bool,
}

impl LiteralsHeader {
    /// Reads the header, and returns the bytes after it.
    fn read(section: &[u8]) -> Option<(LiteralsHeader, &[u8])> {
        // Literals_Block_Type (bits 0-1) and Size_Format (bits 2-3).
        let &first = section.first()?;
        let (kind, format) = (first & 3, (first >> 2) & 3);
        // The header's length in bytes, the first bit of the sizes, and the bits of each size.
        let (length, at, width): (u8, u8, u8) = match (kind, format) {
            (0 | 1, 0 | 2) => (1, 3, 5),
            (0 | 1, 1) => (2, 4, 12),
            (0 | 1, _) => (3, 4, 20),
            (_, 0 | 1) => (3, 4, 10),
            (_, 2) => (4, 4, 14),
            _ => (5, 4, 18),
        };
        let (header, after) = section.split_at_checked(usize::from(length))?;
        let sizes = little_endian(header) >> at;
        let size = (sizes & !(u64::MAX << width)) as usize;
        let compressed_size = match kind {
            0 => size,
            1 => 1,
            _ => (sizes >> width) as usize,
        };
        Some((LiteralsHeader { kind, size, compressed_size, four_streams: format != 0 }, after))
    }
}

#[cfg(test)]
mod tests;
