//! Sequences of literals and matches (sections 3.1.1.3.2 and 3.1.1.4).

use super::bits::{Bits, little_endian};
use super::fse::{KINDS, Table};
use super::history::{History, STEP};

/// The state that the sequences of a frame's blocks share.
pub struct Sequences {
    /// In the order of [`KINDS`].
    tables: [Table; 3],
    /// 3.1.1.5. Repeat Offsets.
    offsets: [u32; 3],
}

impl Sequences {
    pub fn new() -> Sequences {
        // The initial values of Repeated_Offset1, 2 and 3 are 1, 4 and 8.
        Sequences { tables: [const { Table::new() }; 3], offsets: [1, 4, 8] }
    }

    /// Decodes the sequences section of a block, and appends to `history` what it describes.
    /// `literals` are those of the block and [`STEP`] more bytes.
    #[inline(never)]
    pub fn execute(&mut self, section: &[u8], literals: &[u8], history: &mut History) -> Option<()> {
        let (count, section) = number_of_sequences(section)?;
        let literals = match count {
            0 if section.is_empty() => literals,
            0 => return None,
            _ => self.execute_each(count, section, literals, history)?,
        };
        // The literals that are left follow the last match.
        history.append(literals.get(..literals.len().checked_sub(STEP)?)?)
    }

    /// Executes `count` sequences, and returns the literals that are left.
    fn execute_each<'l>(
        &mut self,
        count: u32,
        section: &[u8],
        mut literals: &'l [u8],
        history: &mut History,
    ) -> Option<&'l [u8]> {
        let mut bits = Bits::backward(self.update_tables(section)?)?;
        let [lengths, offsets, matches] = &self.tables;
        let (mut length, mut offset, mut copied) =
            (lengths.first(&mut bits)?, offsets.first(&mut bits)?, matches.first(&mut bits)?);
        for left in (0..count).rev() {
            // "Decoding starts by reading the Number_of_Bits required to decode offset. It then
            // does the same for Match_Length and then for Literals_Length."
            let offset_value = offset.value.wrapping_add(bits.back(offset.more));
            let match_length = copied.value.wrapping_add(bits.back(copied.more)) as usize;
            let literals_length = length.value.wrapping_add(bits.back(length.more)) as usize;
            // "If it is not the last sequence in the block, the next operation is to update
            // states": literals length, match length, offset.
            if left > 0 {
                length = lengths.following(length, &mut bits)?;
                copied = matches.following(copied, &mut bits)?;
                offset = offsets.following(offset, &mut bits)?;
            }
            history.append_literals(literals, literals_length)?;
            literals = literals.get(literals_length..)?;
            let distance = next_offset(&mut self.offsets, offset_value, literals_length == 0)?;
            history.append_match(distance as usize, match_length)?;
        }
        (bits.at() == 0).then_some(literals)
    }

    /// Updates the tables, and returns the bytes after their descriptions.
    fn update_tables<'a>(&mut self, section: &'a [u8]) -> Option<&'a [u8]> {
        // Symbol_Compression_Modes: literals lengths (bits 7-6), offsets, match lengths, reserved
        // ("must be all-zeroes").
        let (&modes, mut rest) = section.split_first()?;
        if modes & 3 != 0 {
            return None;
        }
        for ((table, kind), shift) in self.tables.iter_mut().zip(&KINDS).zip([6, 4, 2]) {
            rest = table.update(kind, (modes >> shift) & 3, rest)?;
        }
        Some(rest)
    }
}

/// Number_of_Sequences, of one to three bytes, and the bytes after it.
fn number_of_sequences(section: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, section) = section.split_first()?;
    let (more, least) = match first {
        0..=127 => (0, u32::from(first)),
        128..=254 => (1, u32::from(first & 0x7f) << 8),
        255 => (2, 0x7f00),
    };
    let (field, section) = section.split_at_checked(more)?;
    Some((least.wrapping_add(little_endian(field) as u32), section))
}

/// 3.1.1.5. Repeat Offsets: the offset for an Offset_Value. Values up to 3 stand for one of the
/// last three offsets, or for the one after it when there are no literals before the match. The
/// offset becomes the first of the three.
fn next_offset(offsets: &mut [u32; 3], value: u32, no_literals: bool) -> Option<u32> {
    let [first, second, third] = *offsets;
    let repeated = value.wrapping_add(u32::from(no_literals));
    let (offset, others) = match (value, repeated) {
        (4.., _) => (value.wrapping_sub(3), [first, second]),
        (_, 1) => (first, [second, third]),
        (_, 2) => (second, [first, third]),
        (_, 3) => (third, [first, second]),
        _ => (first.checked_sub(1)?, [first, second]),
    };
    let [second, third] = others;
    *offsets = [offset, second, third];
    (offset > 0).then_some(offset)
}
