//! What `lz4 -l` writes (LZ4 Frame Format Description, "Legacy frame"), with lz4_flex for the blocks.

use super::{Defect, Output, PIECE, damaged, damaged_if, take, truncated};
use crate::base::bytes::u32_at;

/// One legacy frame (LZ4 Frame Format Description, "Legacy frame").
#[inline(never)]
pub fn frame(rest: &mut &[u8], room: &mut Vec<u8>, output: &mut Output) -> Result<(), Box<Defect>> {
    const MAGIC: u32 = 0x184c_2102;
    /// "Fixed block size: 8 MB."
    const BLOCK: usize = 8 * 1024 * 1024;
    /// What a block of that size that cannot be compressed grows to, at most.
    const LONGEST: usize = BLOCK + BLOCK / 255 + 16;

    // One byte more than is taken, so that too much is told from damage.
    let most = output.limit.saturating_sub(output.size).saturating_add(1);
    let size = usize::try_from(most).unwrap_or(BLOCK).min(BLOCK);
    // The first frame's room is enough for those that follow.
    room.resize(size, 0);

    take(rest, 4)?;
    let start = output.size;
    // "All blocks must be completely filled, except the last one."
    let mut last = false;
    while !last {
        let decoded = output.size > start;
        // "The last block is detected either because it is followed by the "EOF" (End of
        // File) mark, or because it is followed by a known Frame Magic Number."
        if decoded && rest.is_empty() {
            return Ok(());
        }
        let (length, after) = (u32_at(rest, 0).ok_or_else(truncated)?, rest.get(4..).unwrap_or_default());
        let appended_size = after.is_empty() && u64::from(length) == output.size;
        if decoded && (length == 0 || length == MAGIC || appended_size) {
            return Ok(());
        }
        let length = length as usize;
        damaged_if(length == 0 || length > LONGEST, "lz4: the length of a block")?;
        *rest = after;
        let block = take(rest, length)?;
        let size = match lz4_flex::block::decompress_into(block, room) {
            Ok(size) => size,
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room.len() < BLOCK => {
                return Err(output.too_large());
            }
            Err(_) => return Err(damaged("lz4: a block")),
        };
        for piece in room.get(..size).unwrap_or_default().chunks(PIECE) {
            output.give(piece)?;
        }
        last = size < BLOCK;
    }
    Ok(())
}
