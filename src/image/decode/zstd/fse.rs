//! Finite state entropy tables (section 4.1).

use super::bits::Bits;

/// A kind of symbol that FSE tables encode. A symbol is a code for a range of numbers: it stands
/// for the least number and for how many bits to add. The range of a symbol begins where that of
/// the symbol before it ends.
pub struct Kind {
    /// The least number of the first symbol.
    least: u32,
    /// The number of bits to add, for each symbol.
    more: &'static [u8],
    /// The greatest Accuracy_Log.
    greatest_log: u8,
    /// 3.1.1.3.2.2. The default distribution, and its Accuracy_Log.
    default: (&'static [i8], u8),
}

/// The most symbols that a kind has.
const SYMBOLS: usize = 53;

/// 3.1.1.3.2.1.1. Literals lengths, offsets and match lengths, in the order of their modes and of
/// their first states.
pub const KINDS: [Kind; 3] = [
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

/// 4.2.1.2. The weights of a Huffman tree. A symbol is the weight itself.
pub const WEIGHTS: Kind = Kind { least: 0, more: &[0; 16], greatest_log: 6, default: (&[], 0) };

/// A state of an FSE table.
#[derive(Clone, Copy)]
pub struct State {
    /// The least number that the state's symbol stands for.
    pub value: u32,
    /// How many bits to add to it.
    pub more: u8,
    /// The number of bits to add to `next`.
    bits: u8,
    /// The least number of the next state.
    next: u16,
}

/// An FSE table.
pub struct Table {
    states: [State; 512],
    /// Accuracy_Log. `None` before a table was read.
    log: Option<u8>,
}

impl Table {
    pub const fn new() -> Table {
        Table { states: [State { value: 0, more: 0, bits: 0, next: 0 }; 512], log: None }
    }

    /// The first state of a stream.
    pub fn first(&self, bits: &mut Bits) -> Option<&State> {
        self.state(bits.back(self.log?))
    }

    /// The state after `state`.
    pub fn following(&self, state: &State, bits: &mut Bits) -> Option<&State> {
        self.state(u32::from(state.next).wrapping_add(bits.back(state.bits)))
    }

    fn state(&self, number: u32) -> Option<&State> {
        self.states.get(number as usize)
    }

    /// Makes the table that `mode` asks for (section 3.1.1.3.2.1). Returns the bytes after the
    /// table's description.
    #[inline(never)]
    pub fn update<'a>(&mut self, kind: &Kind, mode: u8, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut counts = [0i16; SYMBOLS];
        match mode {
            // Predefined_Mode
            0 => {
                counts.iter_mut().zip(kind.default.0).for_each(|(to, &count)| *to = i16::from(count));
                self.build(kind, &counts, kind.default.1)?;
            }
            // RLE_Mode: one symbol, in a table of one state.
            1 => {
                let (&symbol, after) = field.split_first()?;
                *counts.get_mut(..kind.more.len())?.get_mut(usize::from(symbol))? = 1;
                self.build(kind, &counts, 0)?;
                return Some(after);
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

    /// 4.1.1. FSE Table Description. Returns the bytes after it.
    pub fn read<'a>(&mut self, kind: &Kind, field: &'a [u8]) -> Option<&'a [u8]> {
        let mut bits = Bits::forward(field);
        // "Accuracy_Log = low4bits + 5"
        let log = (bits.next(4) as u8).checked_add(5)?;
        if log > kind.greatest_log {
            return None;
        }
        let mut counts = [0i16; SYMBOLS];
        let mut symbols = counts.get_mut(..kind.more.len())?.iter_mut();
        let mut left = 1u32 << log;
        while left > 0 {
            // "Probability = Value - 1". The probability -1 stands for "less than 1".
            let value = bits.next_up_to(left.checked_add(1)?)?;
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
        field.get(usize::try_from(bits.at()).ok()?.div_ceil(8)..)
    }

    /// 4.1.1. "From normalized distribution to decoding tables". The sum of the counts is the
    /// number of states, where -1 counts as one.
    fn build(&mut self, kind: &Kind, counts: &[i16; SYMBOLS], log: u8) -> Option<()> {
        let size = 1usize << log;
        let states = self.states.get_mut(..size)?;
        spread(counts, states)?;
        let mut symbols = symbols(kind, counts);
        // The states of a symbol share what may follow it. The first ones need one bit more.
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

/// Each symbol's numbers, with its count of states in `next`.
fn symbols(kind: &Kind, counts: &[i16; SYMBOLS]) -> [State; SYMBOLS] {
    let mut symbols = [State { value: 0, more: 0, bits: 0, next: 0 }; SYMBOLS];
    let mut value = kind.least;
    for (number, (symbol, count)) in symbols.iter_mut().zip(counts).enumerate() {
        symbol.value = value;
        symbol.more = kind.more.get(number).copied().unwrap_or(0);
        symbol.next = count.unsigned_abs();
        value = value.wrapping_add(1 << symbol.more);
    }
    symbols
}

/// Stores in the `value` of each state the number of its symbol.
fn spread(counts: &[i16; SYMBOLS], states: &mut [State]) -> Option<()> {
    let size = states.len();
    // "Symbols are scanned in their natural order for "less than 1" probabilities. Symbols with
    // this probability are being attributed a single cell, starting from the end of the table and
    // retreating."
    let mut end = size;
    for (number, _) in (0..).zip(counts).filter(|&(_, &count)| count < 0) {
        end = end.checked_sub(1)?;
        states.get_mut(end)?.value = number;
    }
    // "position += (tableSize>>1) + (tableSize>>3) + 3; position &= tableSize-1;"
    // "A position is skipped if it is already occupied by a "less than 1" probability symbol."
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
    Some(())
}
