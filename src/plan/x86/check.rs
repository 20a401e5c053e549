//! The check of a crash kernel before it starts: the crashing kernel may have written anywhere. Each segment
//! is compared with sums that were taken when it was loaded.

use super::{Parameters, TRAMPOLINE, pad, trampoline};
use crate::base::bytes::put;
use crate::plan::crash::sums;
use crate::plan::{Segments, Source};

/// The bytes of an entry of the table: address, number of words, two sums.
const ENTRY: usize = 32;

/// Makes room for the table at the end of the parameters, and answers where it begins: an entry for the
/// kernel, each initrd, the ELF core header and the parameters.
pub fn reserve(parameters: &mut Parameters, initrds: usize) -> Option<usize> {
    let table = pad(parameters, 8)?;
    let length = initrds.checked_add(3)?.checked_mul(ENTRY)?;
    parameters.resize(table.checked_add(length)?, 0).ok()?;
    Some(table)
}

/// Writes the table, and the check into the trampoline. `segments` are all others; the parameters, which lie
/// at the physical address `at`, are complete but for this.
pub fn write(parameters: &mut Parameters, table: usize, at: u64, segments: &Segments) -> Option<()> {
    let count = u32::try_from(segments.len()).ok()?.checked_add(1)?;
    trampoline::put_check(parameters.get_mut(TRAMPOLINE..)?, count, at.checked_add(table as u64)?)?;
    let mut slot = table;
    for segment in segments {
        let Source::File(bytes) = segment.source else { continue };
        put_entry(parameters, slot, segment.place.start(), bytes.len(), sums(bytes))?;
        slot = slot.checked_add(ENTRY)?;
    }
    let own = sums(parameters.get(..table)?);
    put_entry(parameters, slot, at, table, own)
}

fn put_entry(parameters: &mut Parameters, slot: usize, at: u64, length: usize, sums: [u64; 2]) -> Option<()> {
    let [first, second] = sums;
    // Behind the bytes are zeros. Even of nothing a word is read.
    let words = length.div_ceil(4).max(1) as u64;
    let entry = [at, words, first, second].map(u64::to_le_bytes);
    put(parameters, slot, entry.as_flattened())
}
