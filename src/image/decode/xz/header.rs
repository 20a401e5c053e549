//! The header of an .xz block (section 3.1).

use super::number;
use crate::base::bytes::u32_at;
use crate::image::decode::{Defect, PIECE, WINDOW, damaged, damaged_if, take, take_byte};

/// The filter for code, with its start offset (section 5.3.2, "Branch/Call/Jump Filters for
/// Executables").
pub enum Filter {
    None,
    X86(usize),
    Arm64(usize),
}

/// The fields of a block's header (section 3.1).
pub struct BlockHeader {
    /// The size of the compressed data, in bytes.
    pub compressed_size: Option<u64>,
    /// The size of the decoded data, in bytes.
    pub uncompressed_size: Option<u64>,
    pub filter: Filter,
    /// The size of the dictionary, in bytes.
    pub dictionary: u32,
}

impl BlockHeader {
    /// Parses the fields between the header's size and its checksum. The dictionary gets no
    /// larger than `limit` needs, because no byte refers farther back.
    pub fn parse(mut fields: &[u8], limit: u64) -> Result<BlockHeader, Box<Defect>> {
        // The checksum was right, so a header that ends too soon is not a file that is cut.
        BlockHeader::read(&mut fields, limit).map_err(|defect| match *defect {
            Defect::Truncated => damaged("invalid block header"),
            _ => defect,
        })
    }

    fn read(fields: &mut &[u8], limit: u64) -> Result<BlockHeader, Box<Defect>> {
        // 3.1.2. Block Flags: bits 0-1 are the number of filters less one, bits 2-5 "MUST be
        // zero for now", and bits 6 and 7 say which sizes follow.
        let flags = take_byte(fields)?;
        damaged_if(flags & 0x3c != 0, "unknown flag")?;
        let mut size = |present: bool| if present { number(fields).map(Some) } else { Ok(None) };
        let compressed_size = size(flags & 0x40 != 0)?;
        let uncompressed_size = size(flags & 0x80 != 0)?;
        let (filter, dictionary) = filters(fields, flags & 3)?;
        // The decoder may write up to a piece more before the limit stops it.
        let enough = limit.saturating_add(PIECE as u64);
        let dictionary = u32::try_from(dictionary.min(WINDOW).min(enough)).unwrap_or(u32::MAX);
        Ok(BlockHeader { compressed_size, uncompressed_size, filter, dictionary })
    }
}

/// 3.1.5. List of Filter Flags: a filter for code, if any, and LZMA2 with the size of its
/// dictionary. `more` filters follow the first one.
fn filters(fields: &mut &[u8], more: u8) -> Result<(Filter, u64), Box<Defect>> {
    const LZMA2: u64 = 0x21;
    const BCJ_X86: u64 = 0x04;
    const BCJ_ARM64: u64 = 0x0a;

    let mut filter = Filter::None;
    for left in (0..=more).rev() {
        // ID, size of the properties, properties.
        let id = number(fields)?;
        let length = number(fields)?;
        let properties = take(fields, usize::try_from(length).unwrap_or(usize::MAX))?;
        // The start offset has four bytes. It is 0 when it is absent.
        let start = u32_at(properties, 0).unwrap_or(0) as usize;
        match (id, left, properties) {
            (LZMA2, 0, &[bits @ 0..=40]) => return Ok((filter, dictionary_size(bits))),
            (BCJ_X86, 1, [] | [_, _, _, _]) => filter = Filter::X86(start),
            (BCJ_ARM64, 1, [] | [_, _, _, _]) => filter = Filter::Arm64(start),
            _ => break,
        }
    }
    Err(damaged("unsupported filter"))
}

/// 5.3.1. LZMA2: the size of a dictionary, in bytes.
fn dictionary_size(bits: u8) -> u64 {
    // "dictionary_size = 2 | (bits & 1); dictionary_size <<= bits / 2 + 11;"
    u64::from(2 | (bits & 1)) << (u32::from(bits) / 2).saturating_add(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_not_made_larger_than_the_limit() {
        assert_eq!([0, 1, 39].map(dictionary_size), [4096, 6144, 3 << 30]);
        // Start offset 0 for x86, then LZMA2 with a dictionary of 4 GiB less one byte.
        let header =
            BlockHeader::parse(&[1, 4, 4, 0, 0, 0, 0, 0x21, 1, 40], 1 << 20).unwrap_or_else(|_| panic!());
        assert_eq!(header.dictionary, (1 << 20) + PIECE as u32);
        assert!(matches!(header.filter, Filter::X86(0)));
        let header = BlockHeader::parse(&[0, 0x21, 1, 40], u64::MAX).unwrap_or_else(|_| panic!());
        assert_eq!(u64::from(header.dictionary), WINDOW);
        // LZMA2 must come last. Delta (3) is not a filter for code.
        for header in
            [&[1u8, 0x21, 1, 0, 4, 0][..], &[1, 3, 1, 0, 0x21, 1, 0], &[0, 0x21, 1, 41], &[0, 4, 0], &[0]]
        {
            assert!(BlockHeader::parse(header, 1 << 20).is_err());
        }
    }
}
