//! The lz4 legacy frame (LZ4 Frame Format Description, "Legacy frame"), which `lz4 -l` writes.
//! lz4_flex decodes the blocks.

use super::{Defect, Output, PIECE, damaged, damaged_if, take, truncated};
use crate::base::bytes::u32_at;
use lz4_flex::block::{DecompressError, decompress_into};

const MAGIC: u32 = 0x184c_2102;
/// "Fixed block size : 8 MB."
const BLOCK: usize = 8 * 1024 * 1024;
/// The longest compressed block, in bytes: one whose data could not be compressed.
const LONGEST: usize = BLOCK + BLOCK / 255 + 16;

/// Decodes one frame.
#[inline(never)]
pub fn frame(rest: &mut &[u8], room: &mut Vec<u8>, output: &mut Output) -> Result<(), Box<Defect>> {
    // One byte more than the limit allows tells a frame that is too large from a damaged one.
    let most = output.limit.saturating_sub(output.size).saturating_add(1);
    // Later frames never need more room than the first one.
    room.resize(usize::try_from(most).unwrap_or(BLOCK).min(BLOCK), 0);

    take(rest, 4)?;
    let start = output.size;
    while let Some(block) = block(rest, output.size, output.size > start)? {
        let size = match decompress_into(block, room) {
            Ok(size) => size,
            Err(DecompressError::OutputTooSmall { .. }) if room.len() < BLOCK => {
                return Err(output.too_large());
            }
            Err(_) => return Err(damaged("invalid block")),
        };
        for piece in room.get(..size).unwrap_or_default().chunks(PIECE) {
            output.give(piece)?;
        }
        // "All blocks must be completely filled, except the last one."
        if size < BLOCK {
            break;
        }
    }
    Ok(())
}

/// The next compressed block. `None` at the end of the frame, which can only come after some
/// bytes were decoded. `size` is the number of bytes decoded so far, from all frames.
fn block<'a>(rest: &mut &'a [u8], size: u64, decoded: bool) -> Result<Option<&'a [u8]>, Box<Defect>> {
    // "The last block is detected either because it is followed by the "EOF" (End of File) mark,
    // or because it is followed by a known Frame Magic Number."
    if decoded && rest.is_empty() {
        return Ok(None);
    }
    let length = u32_at(rest, 0).ok_or_else(truncated)?;
    // The kernel's lz4_with_size rule appends the decoded size.
    let appended_size = rest.len() == 4 && u64::from(length) == size;
    if decoded && (length == 0 || length == MAGIC || appended_size) {
        return Ok(None);
    }
    let length = length as usize;
    damaged_if(length == 0 || length > LONGEST, "invalid block length")?;
    take(rest, 4)?;
    take(rest, length).map(Some)
}
