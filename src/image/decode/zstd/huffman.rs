//! Huffman trees for literals (section 4.2).

use super::bits::{Bits, little_endian};
use super::fse::{Table, WEIGHTS};

/// The greatest Max_Number_of_Bits.
const GREATEST_LOG: u32 = 11;

/// A Huffman tree.
pub struct Huffman {
    /// For each number of `log` bits, the symbol whose code it begins with, and the length of the
    /// code.
    codes: [(u8, u8); 1 << GREATEST_LOG],
    /// Max_Number_of_Bits. 0 before a tree was read.
    log: u8,
    /// The FSE table of compressed weights.
    table: Table,
}

/// Weights of symbols. Those that were not added are 0.
struct Weights {
    of: [u8; 256],
    count: usize,
}

impl Weights {
    /// Adds the weight of the next symbol.
    fn push(&mut self, weight: u8) -> Option<()> {
        *self.of.get_mut(self.count)? = weight;
        self.count = self.count.wrapping_add(1);
        Some(())
    }

    /// Adds the weight of the last symbol, which the file leaves out, and returns
    /// Max_Number_of_Bits.
    fn complete(&mut self) -> Option<u8> {
        // "The last symbol's Weight is deduced": it makes the sum of 2^(Weight - 1) a power of
        // two, whose logarithm is Max_Number_of_Bits.
        let sum = self.of.iter().fold(0u32, |sum, &weight| sum.saturating_add((1 << weight) >> 1));
        let log = sum.checked_ilog2()?.checked_add(1)?;
        let rest = 1u32.checked_shl(log)?.checked_sub(sum)?;
        if log > GREATEST_LOG || !rest.is_power_of_two() {
            return None;
        }
        self.push(rest.trailing_zeros().checked_add(1)? as u8)?;
        Some(log as u8)
    }
}

impl Huffman {
    pub fn new() -> Huffman {
        Huffman { codes: [(0, 0); 1 << GREATEST_LOG], log: 0, table: Table::new() }
    }

    /// 4.2.1. Huffman Tree Description. Returns the bytes after it.
    #[inline(never)]
    pub fn read<'a>(&mut self, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut weights = Weights { of: [0; 256], count: 0 };
        let (&header, field) = field.split_first()?;
        // "if headerByte < 128", it is the size of the compressed weights, in bytes.
        let direct = header.checked_sub(127).filter(|&count| count > 0);
        let size = direct.map_or(header, |count| count.div_ceil(2));
        let (content, after) = field.split_at_checked(usize::from(size))?;
        match direct {
            Some(count) => direct_weights(content, usize::from(count), &mut weights)?,
            None => self.compressed_weights(content, &mut weights)?,
        }
        self.log = weights.complete()?;
        self.assign_codes(&weights)?;
        Some(after)
    }

    /// 4.2.1.2. Finite State Entropy (FSE) compression of Huffman weights: two states in turn.
    fn compressed_weights(&mut self, content: &[u8], weights: &mut Weights) -> Option<()> {
        let mut bits = Bits::backward(self.table.read(&WEIGHTS, content)?)?;
        let (mut state, mut other) = (self.table.first(&mut bits)?, self.table.first(&mut bits)?);
        loop {
            weights.push(state.value as u8)?;
            // The stream ends where a state would need more bits than are left. The other state
            // then gives the last weight.
            if bits.at() < 0 {
                return Some(());
            }
            (state, other) = (other, self.table.following(state, &mut bits)?);
        }
    }

    /// "Number_of_Bits = Weight ? Max_Number_of_Bits + 1 - Weight : 0". The longest codes come
    /// first, and codes of one length are in the order of their symbols.
    fn assign_codes(&mut self, weights: &Weights) -> Option<()> {
        let mut at = 0usize;
        for weight in 1..=self.log {
            let length = self.log.wrapping_add(1).wrapping_sub(weight);
            for (symbol, _) in (0..=u8::MAX).zip(&weights.of).filter(|&(_, &of)| of == weight) {
                let end = at.checked_add((1 << weight) >> 1)?;
                self.codes.get_mut(at..end)?.fill((symbol, length));
                at = end;
            }
        }
        Some(())
    }

    /// 4.2.2. Huffman-Coded Streams: one, or four. Of four, each but the last decodes to a quarter
    /// of the bytes, rounded up, and three sizes stand before them.
    pub fn decode(&self, four: bool, content: &[u8], to: &mut [u8]) -> Option<()> {
        let (mut content, mut to) = (content, to);
        if four {
            let quarter = to.len().div_ceil(4);
            let (sizes, streams) = content.split_at_checked(6)?;
            content = streams;
            for size in sizes.chunks_exact(2) {
                let (stream, behind) = content.split_at_checked(little_endian(size) as usize)?;
                let (part, after) = to.split_at_mut_checked(quarter)?;
                self.stream(stream, part)?;
                (content, to) = (behind, after);
            }
        }
        self.stream(content, to)
    }

    /// Decodes a stream, whose bits must be just enough.
    fn stream(&self, bytes: &[u8], to: &mut [u8]) -> Option<()> {
        let mut bits = Bits::backward(bytes)?;
        let mut next = bits.back(self.log);
        let mask = !(u32::MAX << self.log);
        for byte in to {
            let (symbol, length) = *self.codes.get(next as usize)?;
            *byte = symbol;
            next = ((next << length) & mask) | bits.back(length);
        }
        (self.log > 0 && bits.at() == 0isize.wrapping_sub(isize::from(self.log))).then_some(())
    }
}

/// 4.2.1.1. Huffman Tree Header: weights of four bits, the first of each byte in its high bits.
fn direct_weights(content: &[u8], count: usize, weights: &mut Weights) -> Option<()> {
    for i in 0..count {
        let both = *content.get(i >> 1)?;
        weights.push(if i & 1 == 0 { both >> 4 } else { both & 15 })?;
    }
    Some(())
}
