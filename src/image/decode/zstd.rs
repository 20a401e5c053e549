//! Zstandard (RFC 8878, whose sections the comments name): frames without a dictionary,
//! which is what kernels are packed in.
//!
//! `None` stands for a block that breaks its format. Whatever is read from the file, a
//! table is built within its array and a copy stays within the window: each access is
//! checked, and no arithmetic on a position can leave its type unseen.

use super::{Defect, Output, PIECE, WINDOW, damaged, damaged_if, take, take_byte, take_u32};

/// 3.1.1.2.4: "Block_Maximum_Size is the smallest of: Window_Size; 128 KB".
const LONGEST_BLOCK: usize = 128 * 1024;

/// How many bytes a copy moves at once. It may write up to so many behind its end, where
/// the next one writes.
const STEP: usize = 8;

/// One frame (section 3.1.1).
#[inline(never)]
pub fn frame(rest: &mut &[u8], output: &mut Output) -> Result<(), Box<Defect>> {
    const HEADER: &str = "zstd: the frame header";

    // 3.1.1. Magic_Number.
    take(rest, 4)?;
    // 3.1.1.1.1. Frame_Header_Descriptor: Frame_Content_Size_Flag (bits 7-6),
    // Single_Segment_Flag, unused, reserved ("must be set to zero"),
    // Content_Checksum_Flag, Dictionary_ID_Flag (bits 1-0).
    let descriptor = take_byte(rest)?;
    damaged_if(descriptor & 0x08 != 0, HEADER)?;
    let single_segment = descriptor & 0x20 != 0;
    let mut window = 0;
    if !single_segment {
        // 3.1.1.1.2. "windowLog = 10 + Exponent; windowBase = 1 << windowLog;
        // windowAdd = (windowBase / 8) * Mantissa"
        let byte = take_byte(rest)?;
        window = u64::from(8 | (byte & 7)) << 7u8.saturating_add(byte >> 3);
    }
    // 3.1.1.1.3. "A value of zero has same meaning as no Dictionary_ID".
    let length = (1 << (descriptor & 3)) >> 1;
    damaged_if(little_endian(take(rest, length)?) != 0, HEADER)?;
    // 3.1.1.1.4. "When FCS_Field_Size is 2, an offset of 256 is added."
    let length = match descriptor >> 6 {
        0 => usize::from(single_segment),
        flag => 1 << flag,
    };
    let field = little_endian(take(rest, length)?);
    let promised = match length {
        0 => None,
        2 => Some(field.saturating_add(256)),
        _ => Some(field),
    };
    let start = output.size;
    output.within(start.saturating_add(promised.unwrap_or(0)))?;
    if single_segment {
        window = promised.unwrap_or(0);
    }
    // The window grows with what is decoded, so it is bounded by the limit as well.
    damaged_if(window > output.limit.max(WINDOW), HEADER)?;

    let mut decoder = Decoder::new(usize::try_from(window).map_err(|_| damaged(HEADER))?);
    loop {
        // 3.1.1.2. Block_Header: Last_Block (bit 0), Block_Type (bits 1-2), Block_Size.
        let header = little_endian(take(rest, 3)?) as usize;
        let (kind, size) = ((header >> 1) & 3, header >> 3);
        // RLE_Block: one byte, repeated Block_Size times.
        let content = take(rest, if kind == 1 { 1 } else { size })?;
        decoder.make_room().ok_or_else(|| output.too_large())?;
        let block = decoder.block(kind, size, content).ok_or_else(|| damaged("zstd: a block"))?;
        for piece in block.chunks(PIECE) {
            output.give(piece)?;
        }
        if header & 1 != 0 {
            break;
        }
    }
    let size = output.size.saturating_sub(start);
    damaged_if(promised.is_some_and(|promised| promised != size), "zstd: the size")?;
    // 3.1.1. Content_Checksum: "The low 4 bytes from" XXH64 "are stored in little-endian
    // format." Optional; what makes kernels, zstd(1), writes it.
    if descriptor & 0x04 != 0 {
        let hash = decoder.hash.finish(decoder.history.get(decoder.hashed..decoder.end).unwrap_or_default());
        damaged_if(take_u32(rest)? != hash as u32, "zstd: the checksum")?;
    }
    Ok(())
}

/// A number of up to eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// Bits of a slice, from any place on; zeros stand before and behind it.
struct Bits<'a> {
    bytes: &'a [u8],
    at: isize,
}

impl Bits<'_> {
    /// A stream that is read from its end (section 4.1): the highest bit that is set in
    /// the last byte is not part of it.
    fn backward(bytes: &[u8]) -> Option<Bits<'_>> {
        let (last, before) = bytes.split_last()?;
        let at = before.len().checked_mul(8)?.checked_add(last.checked_ilog2()? as usize)?;
        Some(Bits { bytes, at: at as isize })
    }

    /// The next `count` bits, 32 at most, without going on.
    fn peek(&self, count: u32) -> u32 {
        // Before the slice this is a huge number, whose sum with the distance to the
        // slice is right again.
        let byte = (self.at >> 3) as usize;
        let word = match self.bytes.get(byte..).and_then(|bytes| bytes.first_chunk()) {
            Some(&word) => u64::from_le_bytes(word),
            None => (0..8).rev().fold(0, |word, i| {
                (word << 8) | self.bytes.get(byte.wrapping_add(i)).map_or(0, |&byte| u64::from(byte))
            }),
        };
        ((word >> (self.at & 7)) & !(u64::MAX << count)) as u32
    }

    fn next(&mut self, count: u32) -> u32 {
        let value = self.peek(count);
        self.at = self.at.wrapping_add(count as isize);
        value
    }

    /// The next ones of a stream that is read from its end.
    fn back(&mut self, count: u8) -> u32 {
        self.at = self.at.wrapping_sub(isize::from(count));
        self.peek(u32::from(count))
    }
}

/// What an FSE table is for. Each symbol of it is a code for a number: the least one that
/// it stands for is the one that the symbol before it ends at, and a number of bits that
/// follow is added.
struct Kind {
    /// What the first symbol stands for.
    least: u32,
    /// How many bits follow each symbol.
    more: &'static [u8],
    /// The greatest Accuracy_Log.
    greatest_log: u8,
    /// 3.1.1.3.2.2: the default distribution, and its Accuracy_Log.
    default: (&'static [i8], u8),
}

/// The most symbols that a kind has.
const SYMBOLS: usize = 53;

/// 3.1.1.3.2.1.1: literals lengths, offsets and match lengths, in the order of their
/// modes and first states.
const KINDS: [Kind; 3] = [
    Kind {
        least: 0,
        more: &[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11,
            12, 13, 14, 15, 16,
        ],
        greatest_log: 9,
        default: (
            &[
                4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1,
                1, -1, -1, -1, -1,
            ],
            6,
        ),
    },
    Kind {
        least: 1,
        more: &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
            27, 28, 29, 30, 31,
        ],
        greatest_log: 8,
        default: (
            &[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
            5,
        ),
    },
    Kind {
        least: 3,
        more: &[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
        ],
        greatest_log: 9,
        default: (
            &[
                1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
            ],
            6,
        ),
    },
];

/// 4.2.1.2: the weights of a Huffman tree. They stand for themselves.
const WEIGHTS: Kind = Kind { least: 0, more: &[0; 16], greatest_log: 6, default: (&[], 0) };

/// One state of an FSE table.
#[derive(Clone, Copy)]
struct State {
    /// The least number that its symbol stands for, and how many bits are added to it.
    value: u32,
    more: u8,
    /// The least state that follows, and how many bits are added to it.
    bits: u8,
    next: u16,
}

/// A finite state entropy table (section 4.1).
struct Table {
    states: [State; 512],
    /// `None` until the first one is read.
    log: Option<u8>,
}

impl Table {
    const fn new() -> Table {
        Table { states: [State { value: 0, more: 0, bits: 0, next: 0 }; 512], log: None }
    }

    fn first(&self, bits: &mut Bits) -> Option<&State> {
        self.state(bits.back(self.log?))
    }

    fn following(&self, state: &State, bits: &mut Bits) -> Option<&State> {
        self.state(u32::from(state.next).wrapping_add(bits.back(state.bits)))
    }

    fn state(&self, number: u32) -> Option<&State> {
        self.states.get(number as usize)
    }

    /// What a mode of section 3.1.1.3.2.1 says; answers what is behind its field.
    #[inline(never)]
    fn update<'a>(&mut self, kind: &Kind, mode: u8, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut counts = [0i16; SYMBOLS];
        match mode {
            // Predefined_Mode
            0 => {
                counts.iter_mut().zip(kind.default.0).for_each(|(to, &count)| *to = i16::from(count));
                self.build(kind, &counts, kind.default.1)?;
            }
            // RLE_Mode: one symbol, in a table of one state.
            1 => {
                let (&symbol, behind) = field.split_first()?;
                *counts.get_mut(..kind.more.len())?.get_mut(usize::from(symbol))? = 1;
                self.build(kind, &counts, 0)?;
                return Some(behind);
            }
            // FSE_Compressed_Mode
            2 => return self.read(kind, field),
            // Repeat_Mode
            _ => {
                self.log?;
            }
        }
        Some(field)
    }

    /// 4.1.1. FSE Table Description; answers what is behind it.
    fn read<'a>(&mut self, kind: &Kind, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut bits = Bits { bytes: field, at: 0 };
        // "Accuracy_Log = low4bits + 5"
        let log = (bits.next(4) as u8).checked_add(5)?;
        if log > kind.greatest_log {
            return None;
        }
        let mut counts = [0i16; SYMBOLS];
        let mut symbols = counts.get_mut(..kind.more.len())?.iter_mut();
        let mut left = 1u32 << log;
        while left > 0 {
            // A number from 0 to `left` + 1. The lowest ones have a bit less.
            let most = left.checked_add(1)?;
            let width = u32::BITS.checked_sub(most.leading_zeros())?;
            let lower = !(u32::MAX << width) >> 1;
            let spare = !(u32::MAX << width) ^ most;
            let mut value = bits.peek(width);
            if value & lower < spare {
                value &= lower;
                bits.next(width.checked_sub(1)?);
            } else {
                if value > lower {
                    value = value.checked_sub(spare)?;
                }
                bits.next(width);
            }
            // "Probability is derived from Value decoded using the following formula:
            // Probability = Value - 1." -1 stands for "less than 1".
            let count = i16::try_from(value).ok()?.checked_sub(1)?;
            *symbols.next()? = count;
            left = left.checked_sub(u32::from(count.unsigned_abs()))?;
            // "When a symbol has a probability of zero, it is followed by a 2-bit repeat
            // flag. This repeat flag tells how many probabilities of zeroes follow the
            // current one. [...] If it is a 3, another 2-bit repeat flag follows".
            let mut zeros = if count == 0 { 3 } else { 0 };
            while zeros == 3 {
                zeros = bits.next(2);
                for _ in 0..zeros {
                    symbols.next()?;
                }
            }
        }
        self.build(kind, &counts, log)?;
        field.get(usize::try_from(bits.at).ok()?.div_ceil(8)..)
    }

    /// 4.1.1: "From normalized distribution to decoding tables". The counts' sum is the
    /// number of states, where -1 counts as one.
    fn build(&mut self, kind: &Kind, counts: &[i16; SYMBOLS], log: u8) -> Option<()> {
        let size = 1usize << log;
        let states = self.states.get_mut(..size)?;
        let mut symbols = [State { value: kind.least, more: 0, bits: 0, next: 0 }; SYMBOLS];
        let mut value = kind.least;
        // "Symbols are scanned in their natural order for distribution. [...] Symbols
        // having the special probability 'less than 1' get attributed from the end of
        // the table". Until all are, a state's value is its symbol.
        let mut end = size;
        for (number, (symbol, &count)) in (0..).zip(symbols.iter_mut().zip(counts)) {
            symbol.more = kind.more.get(number as usize).copied().unwrap_or(0);
            symbol.value = value;
            value = value.wrapping_add(1 << symbol.more);
            symbol.next = count.unsigned_abs();
            if count < 0 {
                end = end.checked_sub(1)?;
                states.get_mut(end)?.value = number;
            }
        }
        // "position += (tableSize>>1) + (tableSize>>3) + 3; position &= tableSize-1;"
        // "A position is skipped if it is already occupied by a 'less than 1'
        // probability symbol."
        let step = (size >> 1).wrapping_add(size >> 3).wrapping_add(3);
        let mut at = 0usize;
        for (number, &count) in (0..).zip(counts) {
            for _ in 0..count {
                states.get_mut(at)?.value = number;
                loop {
                    at = at.wrapping_add(step) & size.wrapping_sub(1);
                    if at < end {
                        break;
                    }
                }
            }
        }
        // The states of a symbol share what follows: the first ones have a bit more.
        for state in states {
            let symbol = symbols.get_mut(state.value as usize)?;
            let bits = log.checked_sub(symbol.next.checked_ilog2()? as u8)?;
            let next = (symbol.next << bits).wrapping_sub(size as u16);
            *state = State { bits, next, ..*symbol };
            symbol.next = symbol.next.wrapping_add(1);
        }
        self.log = Some(log);
        Some(())
    }
}

/// A Huffman tree (section 4.2): for each number of `log` bits the symbol whose code it
/// begins with, and that code's length.
struct Huffman {
    codes: [(u8, u8); 2048],
    /// 0 until the first one is read.
    log: u8,
    /// What the weights are read by.
    weights: Table,
}

impl Huffman {
    /// 4.2.1. Huffman Tree Description; answers what is behind it.
    #[inline(never)]
    fn read<'a>(&mut self, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut weights = [0u8; 256];
        let mut count = 0usize;
        let mut push = |weight| {
            *weights.get_mut(count)? = weight;
            count = count.wrapping_add(1);
            Some(())
        };
        let (&header, field) = field.split_first()?;
        // "if headerByte < 128", the size of what follows in bytes.
        let direct = header.checked_sub(127).filter(|&count| count > 0);
        let size = direct.map_or(header, |count| count.div_ceil(2));
        let (content, behind) = field.split_at_checked(usize::from(size))?;
        if let Some(count) = direct {
            // 4.2.1.1: four bits a weight, the first one in the high ones.
            for i in 0..usize::from(count) {
                let both = *content.get(i >> 1)?;
                push(if i & 1 == 0 { both >> 4 } else { both & 15 })?;
            }
        } else {
            // 4.2.1.2. Two states in turn; the stream ends where one would have to read
            // beyond it, and the other one gives a last weight.
            let mut bits = Bits::backward(self.weights.read(&WEIGHTS, content)?)?;
            let table = &self.weights;
            let (mut state, mut other) = (table.first(&mut bits)?, table.first(&mut bits)?);
            loop {
                push(state.value as u8)?;
                if bits.at < 0 {
                    break;
                }
                (state, other) = (other, table.following(state, &mut bits)?);
            }
        }

        // "The last symbol's Weight is deduced": it makes the sum of 2^(Weight - 1) a
        // power of two, whose logarithm is Max_Number_of_Bits, 11 at most.
        let sum = weights.iter().fold(0u32, |sum, &weight| sum.saturating_add((1 << weight) >> 1));
        let log = sum.checked_ilog2()?.checked_add(1)?;
        let rest = 1u32.checked_shl(log)?.checked_sub(sum)?;
        if log > 11 || !rest.is_power_of_two() {
            return None;
        }
        *weights.get_mut(count)? = rest.trailing_zeros().checked_add(1)? as u8;

        // "Number_of_Bits = Weight ? Max_Number_of_Bits + 1 - Weight : 0". The longest
        // codes come first, and those of one length in the order of their symbols.
        let mut at = 0usize;
        for weight in 1..=log as u8 {
            let length = (log as u8).wrapping_add(1).wrapping_sub(weight);
            for (symbol, _) in (0..=u8::MAX).zip(&weights).filter(|&(_, &of)| of == weight) {
                let end = at.checked_add((1 << weight) >> 1)?;
                self.codes.get_mut(at..end)?.fill((symbol, length));
                at = end;
            }
        }
        self.log = log as u8;
        Some(behind)
    }

    /// 4.2.2. Huffman-Coded Streams: one, or four, each of them but the last with a
    /// quarter of the bytes, after a table of three sizes.
    fn decode(&self, four: bool, content: &[u8], to: &mut [u8]) -> Option<()> {
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

    /// Every bit of it must be used, and no more than these.
    fn stream(&self, bytes: &[u8], to: &mut [u8]) -> Option<()> {
        let mut bits = Bits::backward(bytes)?;
        let mut next = bits.back(self.log);
        let mask = !(u32::MAX << self.log);
        for byte in to {
            let (symbol, length) = *self.codes.get(next as usize)?;
            *byte = symbol;
            next = ((next << length) & mask) | bits.back(length);
        }
        (self.log > 0 && bits.at == 0isize.wrapping_sub(isize::from(self.log))).then_some(())
    }
}

/// What is kept from block to block.
struct Decoder {
    window: usize,
    /// What was decoded, up to `end`; what lies behind is room for the next block.
    history: Vec<u8>,
    end: usize,
    literals: Vec<u8>,
    huffman: Huffman,
    /// As in [`KINDS`].
    tables: [Table; 3],
    /// 3.1.1.5. Repeat Offsets.
    offsets: [u32; 3],
    hash: Hash,
    /// Up to where the history was hashed.
    hashed: usize,
}

impl Decoder {
    fn new(window: usize) -> Decoder {
        Decoder {
            window,
            history: Vec::new(),
            end: 0,
            literals: Vec::new(),
            huffman: Huffman { codes: [(0, 0); 2048], log: 0, weights: Table::new() },
            tables: [const { Table::new() }; 3],
            // "starting values for Repeated_Offset1, 2 and 3 are 1, 4, and 8"
            offsets: [1, 4, 8],
            hash: Hash::new(),
            hashed: 0,
        }
    }

    /// Makes room for a block. Of what lies beyond the window half as much is gathered
    /// before it is dropped.
    #[inline(never)]
    fn make_room(&mut self) -> Option<()> {
        let kept = self.window.max(LONGEST_BLOCK);
        if let Some(dropped) = self.end.checked_sub(kept)
            && dropped > kept / 2
        {
            self.history.copy_within(dropped..self.end, 0);
            self.end = kept;
            self.hashed = self.hashed.saturating_sub(dropped);
        }
        let size = self.end.checked_add(LONGEST_BLOCK + STEP)?;
        self.history.resize(size, 0);
        Some(())
    }

    /// One block (section 3.1.1.2); answers what it holds.
    #[inline(never)]
    fn block(&mut self, kind: usize, size: usize, content: &[u8]) -> Option<&[u8]> {
        let start = self.end;
        if size > self.window.min(LONGEST_BLOCK) {
            return None;
        }
        let end = start.checked_add(size)?;
        match kind {
            0 => self.history.get_mut(start..end)?.copy_from_slice(content),
            1 => self.history.get_mut(start..end)?.fill(*content.first()?),
            2 => {
                let sequences = self.literals(content)?;
                self.sequences(sequences)?;
            }
            _ => return None,
        }
        if kind < 2 {
            self.end = end;
        }
        self.hashed = self.hash.stripes(self.history.get(self.hashed..self.end)?).checked_add(self.hashed)?;
        self.history.get(start..self.end)
    }

    /// Reads the literals (section 3.1.1.3.1); answers what is behind them.
    #[inline(never)]
    fn literals<'a>(&mut self, section: &'a [u8]) -> Option<&'a [u8]> {
        // Literals_Block_Type (bits 0-1): raw, RLE, compressed, treeless; Size_Format.
        let &first = section.first()?;
        let (kind, format) = (first & 3, (first >> 2) & 3);
        // The header's bytes, where the sizes begin, and the bits of each.
        let (length, at, width): (u8, u8, u8) = match (kind, format) {
            (0 | 1, 0 | 2) => (1, 3, 5),
            (0 | 1, 1) => (2, 4, 12),
            (0 | 1, _) => (3, 4, 20),
            (_, 0 | 1) => (3, 4, 10),
            (_, 2) => (4, 4, 14),
            _ => (5, 4, 18),
        };
        let (header, section) = section.split_at_checked(usize::from(length))?;
        let sizes = little_endian(header) >> at;
        let size = (sizes & !(u64::MAX << width)) as usize;
        let compressed = match kind {
            0 => size,
            1 => 1,
            _ => (sizes >> width) as usize,
        };
        let (mut content, behind) = section.split_at_checked(compressed)?;
        if size > LONGEST_BLOCK {
            return None;
        }
        // The copying in steps reads beyond the end as well.
        self.literals.resize(size.saturating_add(STEP), 0);
        let to = self.literals.get_mut(..size)?;
        match kind {
            0 => to.copy_from_slice(content),
            1 => to.fill(*content.first()?),
            _ => {
                if kind == 2 {
                    content = self.huffman.read(content)?;
                }
                self.huffman.decode(format != 0, content, to)?;
            }
        }
        Some(behind)
    }

    /// Decodes the sequences (section 3.1.1.3.2), and does what they say (3.1.1.4).
    #[inline(never)]
    fn sequences(&mut self, section: &[u8]) -> Option<()> {
        let limit = self.end.checked_add(self.window.min(LONGEST_BLOCK))?;
        let (&first, section) = section.split_first()?;
        // Number_of_Sequences: what the first byte says, and the one or two after it.
        let (more, least) = match first {
            0..=127 => (0, u32::from(first)),
            128..=254 => (1, u32::from(first & 0x7f) << 8),
            255 => (2, 0x7f00),
        };
        let (field, mut section) = section.split_at_checked(more)?;
        let count = least.wrapping_add(little_endian(field) as u32);
        let mut literals = 0usize;
        if count > 0 {
            // Symbol_Compression_Modes: literals lengths (bits 7-6), offsets, match
            // lengths, reserved ("must be all-zeroes").
            let (&modes, mut tables) = section.split_first()?;
            for ((table, kind), shift) in self.tables.iter_mut().zip(&KINDS).zip([6, 4, 2]) {
                tables = table.update(kind, (modes >> shift) & 3, tables)?;
            }
            let mut bits = Bits::backward(tables)?;
            let [lengths, offsets, matches] = &self.tables;
            let (mut length, mut offset, mut copied) =
                (lengths.first(&mut bits)?, offsets.first(&mut bits)?, matches.first(&mut bits)?);
            for left in (0..count).rev() {
                // "Decoding starts by reading the Number_of_Bits required to decode
                // offset. It then does the same for Match_Length and then for
                // Literals_Length."
                let distance = offset.value.wrapping_add(bits.back(offset.more));
                let match_length = copied.value.wrapping_add(bits.back(copied.more)) as usize;
                let literals_length = length.value.wrapping_add(bits.back(length.more)) as usize;
                let distance = next_offset(&mut self.offsets, distance, literals_length == 0)? as usize;
                // "If it is not the last sequence in the block, the next operation is to
                // update states": literals length, match length, offset.
                if left > 0 {
                    length = lengths.following(length, &mut bits)?;
                    copied = matches.following(copied, &mut bits)?;
                    offset = offsets.following(offset, &mut bits)?;
                }

                let end = self.end.checked_add(literals_length)?;
                let after = end.checked_add(match_length)?;
                if after > limit {
                    return None;
                }
                let from = self.literals.get(literals..)?;
                copy_literals(from, literals_length, self.history.get_mut(self.end..)?)?;
                literals = literals.checked_add(literals_length)?;
                copy_match(&mut self.history, end, distance, match_length)?;
                self.end = after;
            }
            if bits.at != 0 || modes & 3 != 0 {
                return None;
            }
            section = &[];
        }
        // The literals that are left follow the last match.
        let rest = self.literals.len().checked_sub(STEP)?.checked_sub(literals)?;
        let end = self.end.checked_add(rest)?;
        if end > limit || !section.is_empty() {
            return None;
        }
        copy_literals(self.literals.get(literals..)?, rest, self.history.get_mut(self.end..)?)?;
        self.end = end;
        Some(())
    }
}

/// 3.1.1.5. Repeat Offsets: an Offset_Value up to 3 stands for one of the last three, one
/// farther where no literals come before the match; the offset becomes the first of them.
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

/// Copies `length` bytes to the beginning of `to`.
fn copy_literals(from: &[u8], length: usize, to: &mut [u8]) -> Option<()> {
    for at in (0..length).step_by(STEP) {
        let step = *from.get(at..)?.first_chunk::<STEP>()?;
        *to.get_mut(at..)?.first_chunk_mut()? = step;
    }
    Some(())
}

/// Appends to the first `end` bytes `length` of those from `distance` before on. They may
/// be some that it appends.
fn copy_match(history: &mut [u8], end: usize, distance: usize, length: usize) -> Option<()> {
    let mut from = end.checked_sub(distance)?;
    let mut to = end;
    let end = end.checked_add(length)?;
    while to < end {
        let mut moved = 1;
        if distance >= STEP {
            moved = STEP;
            let step = *history.get(from..)?.first_chunk::<STEP>()?;
            *history.get_mut(to..)?.first_chunk_mut()? = step;
        } else {
            let byte = *history.get(from)?;
            *history.get_mut(to)? = byte;
        }
        from = from.wrapping_add(moved);
        to = to.wrapping_add(moved);
    }
    Some(())
}

/// XXH64 with a seed of 0 (XXH64 algorithm description, version 0.1.1).
struct Hash {
    lanes: [u64; 4],
    size: u64,
}

impl Hash {
    const STRIPE: usize = 32;
    const PRIMES: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];

    /// "Step 1. Initialize internal accumulators"
    fn new() -> Hash {
        let [one, two, ..] = Hash::PRIMES;
        Hash { lanes: [one.wrapping_add(two), two, 0, 0u64.wrapping_sub(one)], size: 0 }
    }

    /// "round"
    fn round(lane: u64, input: u64) -> u64 {
        let [one, two, ..] = Hash::PRIMES;
        lane.wrapping_add(input.wrapping_mul(two)).rotate_left(31).wrapping_mul(one)
    }

    /// "mergeAccumulator", and what step 5 does with eight bytes: they are turned, too.
    #[inline(never)]
    fn merge(hash: u64, input: u64, turn: u32) -> u64 {
        let [one, _, _, four, _] = Hash::PRIMES;
        (hash ^ Hash::round(0, input)).rotate_left(turn).wrapping_mul(one).wrapping_add(four)
    }

    /// "Step 2. Process stripes": the whole ones; answers their size.
    fn stripes(&mut self, bytes: &[u8]) -> usize {
        let stripes = bytes.chunks_exact(Hash::STRIPE);
        let size = bytes.len().saturating_sub(stripes.remainder().len());
        for stripe in stripes {
            for (lane, input) in self.lanes.iter_mut().zip(stripe.as_chunks().0) {
                *lane = Hash::round(*lane, u64::from_le_bytes(*input));
            }
        }
        self.size = self.size.wrapping_add(size as u64);
        size
    }

    /// The hash of all, of which `tail` is what is left after the stripes.
    #[inline(never)]
    fn finish(&self, tail: &[u8]) -> u64 {
        let [one, two, three, _, five] = Hash::PRIMES;
        // "Step 3. Accumulator convergence"; without a stripe: "acc = seed + PRIME64_5".
        let mut hash = five;
        if self.size > 0 {
            let turned = self.lanes.iter().zip([1, 7, 12, 18]).map(|(lane, turn)| lane.rotate_left(turn));
            hash = turned.fold(0, u64::wrapping_add);
            for &lane in &self.lanes {
                hash = Hash::merge(hash, lane, 0);
            }
        }
        // "Step 4. Add input length"
        hash = hash.wrapping_add(self.size).wrapping_add(tail.len() as u64);
        // "Step 5. Consume remaining input"
        let (eights, tail) = tail.as_chunks();
        for input in eights {
            hash = Hash::merge(hash, u64::from_le_bytes(*input), 27);
        }
        let (fours, tail) = tail.as_chunks();
        for input in fours {
            hash ^= u64::from(u32::from_le_bytes(*input)).wrapping_mul(one);
            hash = hash.rotate_left(23).wrapping_mul(two).wrapping_add(three);
        }
        for &byte in tail {
            hash ^= u64::from(byte).wrapping_mul(five);
            hash = hash.rotate_left(11).wrapping_mul(one);
        }
        // "Step 6. Final mix (avalanche)"
        hash = (hash ^ (hash >> 33)).wrapping_mul(two);
        hash = (hash ^ (hash >> 29)).wrapping_mul(three);
        hash ^ (hash >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, unpack};
    use ruzstd::decoding::FrameDecoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    /// A frame, which may be followed by nothing.
    fn decode(frame: &[u8]) -> Option<Vec<u8>> {
        let mut decoded = Vec::new();
        let size = unpack(Compression::Zstd, frame, 1 << 22, &mut |piece| {
            decoded.extend_from_slice(piece);
            true
        });
        size.ok().map(|_| decoded)
    }

    fn decode_by_ruzstd(frame: &[u8]) -> Option<Vec<u8>> {
        let mut decoded = Vec::with_capacity(1 << 18);
        FrameDecoder::new().decode_all_to_vec(frame, &mut decoded).ok().map(|()| decoded)
    }

    /// Bytes that are packed by all means: words, runs, noise, few and many values.
    fn plain(size: usize) -> Vec<u8> {
        let (mut bytes, mut random) = (Vec::new(), 3u32);
        while bytes.len() < size {
            random = random.wrapping_mul(1664525).wrapping_add(1013904223);
            let (kind, number) = (random >> 29, (random >> 8) as usize);
            match kind {
                0 if bytes.len() > 9000 => {
                    let from = bytes.len() - 1 - number % 9000;
                    (from..from + 3 + number % 77).for_each(|at| bytes.push(bytes[at]));
                }
                1 => bytes.extend_from_slice(b" kexec_file_load "),
                2 => bytes.resize(bytes.len() + number % 50, number as u8),
                3 | 4 => bytes.push(number as u8),
                _ => bytes.push(b"etaoin s"[number % 8]),
            }
        }
        bytes.truncate(size);
        bytes
    }

    #[test]
    fn blocks_of_every_size_are_decoded() {
        for size in [0, 1, 7, 8, 9, 300, 5000, 131_071, 131_072, 131_073, 700_000] {
            for plain in [plain(size), vec![7; size]] {
                for level in [CompressionLevel::Uncompressed, CompressionLevel::Fastest] {
                    let frame = compress_to_vec(&plain[..], level);
                    assert!(decode(&frame).as_ref() == Some(&plain), "{size}");
                }
            }
        }
    }

    /// Without its checksum a frame with a flaw may be a frame as well. What it then
    /// holds is for the format to say: another decoder reads the same.
    #[test]
    fn what_is_accepted_is_what_another_decoder_reads() {
        let (mut random, mut accepted) = (9u64, 0);
        for size in [500, 3000, 20_000] {
            let mut whole = compress_to_vec(&plain(size)[..], CompressionLevel::Fastest);
            // Content_Checksum_Flag
            assert_eq!(whole[4] & 4, 4);
            whole[4] &= !4;
            whole.truncate(whole.len() - 4);
            for round in 0..800 {
                let mut frame = whole.clone();
                for _ in 0..round % 3 {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let at = 5 + (random >> 33) as usize % (frame.len() - 5);
                    frame[at] ^= 1 << (random >> 30 & 7);
                }
                if let Some(decoded) = decode(&frame) {
                    assert!(Some(decoded) == decode_by_ruzstd(&frame), "{size} {round}");
                    accepted += 1;
                }
            }
        }
        assert!(accepted > 3 * 800 / 3, "{accepted}");
    }
}
