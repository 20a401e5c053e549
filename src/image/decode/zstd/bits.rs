//! Numbers of any width in bits.

/// A little-endian number of up to eight bytes.
pub fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// The bits of a slice, read in either direction. Zeros lie before and after the slice.
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The position, in bits from the start of the slice.
    at: isize,
}

impl Bits<'_> {
    /// A stream that is read from its start.
    pub fn forward(bytes: &[u8]) -> Bits<'_> {
        Bits { bytes, at: 0 }
    }

    /// A stream that is read from its end (section 4.1). The highest bit that is set in the last
    /// byte marks the end and is not part of the stream.
    pub fn backward(bytes: &[u8]) -> Option<Bits<'_>> {
        let (last, before) = bytes.split_last()?;
        let at = before.len().checked_mul(8)?.checked_add(last.checked_ilog2()? as usize)?;
        Some(Bits { bytes, at: at as isize })
    }

    /// The number of bits between the start of the slice and the position. It is negative before
    /// the slice.
    pub fn at(&self) -> isize {
        self.at
    }

    /// The `count` bits after the position, at most 32. The position stays.
    fn peek(&self, count: u32) -> u32 {
        // Before the slice this wraps to a huge number. The sums below wrap back.
        let byte = (self.at >> 3) as usize;
        let word = match self.bytes.get(byte..).and_then(|bytes| bytes.first_chunk()) {
            Some(&word) => u64::from_le_bytes(word),
            None => (0..8).rev().fold(0, |word, i| {
                (word << 8) | self.bytes.get(byte.wrapping_add(i)).map_or(0, |&byte| u64::from(byte))
            }),
        };
        ((word >> (self.at & 7)) & !(u64::MAX << count)) as u32
    }

    /// The next `count` bits of a stream that is read from its start, at most 32.
    pub fn next(&mut self, count: u32) -> u32 {
        let value = self.peek(count);
        self.at = self.at.wrapping_add(count as isize);
        value
    }

    /// The next `count` bits of a stream that is read from its end, at most 32.
    pub fn back(&mut self, count: u8) -> u32 {
        self.at = self.at.wrapping_sub(isize::from(count));
        self.peek(u32::from(count))
    }

    /// A number from 0 to `most` of an FSE table description (section 4.1.1): "Value decoded:
    /// small values use 1 less bit". `most` is not 0.
    pub fn next_up_to(&mut self, most: u32) -> Option<u32> {
        let width = u32::BITS.checked_sub(most.leading_zeros())?;
        let all = !(u32::MAX << width);
        // The width has this many values to spare, so as many of the lowest numbers need one bit
        // less.
        let short = all ^ most;
        let value = self.peek(width);
        let low = value & (all >> 1);
        if low < short {
            self.next(width.checked_sub(1)?);
            return Some(low);
        }
        self.next(width);
        if value > all >> 1 { value.checked_sub(short) } else { Some(value) }
    }
}
