//! The decoded bytes that a frame's blocks refer to.

use super::xxh64::Hash;

/// 3.1.1.2.4. "Block_Maximum_Size is the smallest of: Window_Size; 128 KB".
pub const LONGEST_BLOCK: usize = 128 * 1024;

/// How many bytes a copy moves at once. It may write up to this many bytes beyond its end, which
/// the next copy overwrites.
pub const STEP: usize = 8;

/// The decoded bytes of a frame, at least the last Window_Size ones, and the hash of all.
pub struct History {
    /// Window_Size, in bytes.
    window: usize,
    /// The decoded bytes up to `end`. The rest is room for the current block.
    bytes: Vec<u8>,
    end: usize,
    /// The start of the current block, and the greatest end that it may have.
    start: usize,
    limit: usize,
    hash: Hash,
    /// The end of the bytes that are in `hash`.
    hashed: usize,
}

impl History {
    pub fn new(window: usize) -> History {
        History { window, bytes: Vec::new(), end: 0, start: 0, limit: 0, hash: Hash::new(), hashed: 0 }
    }

    /// Block_Maximum_Size, in bytes.
    pub fn longest_block(&self) -> usize {
        self.window.min(LONGEST_BLOCK)
    }

    /// Makes room for a block. Bytes outside the window are dropped only when they are more than
    /// half as many as those that stay.
    #[inline(never)]
    pub fn begin_block(&mut self) -> Option<()> {
        let kept = self.window.max(LONGEST_BLOCK);
        if let Some(dropped) = self.end.checked_sub(kept)
            && dropped > kept / 2
        {
            self.bytes.copy_within(dropped..self.end, 0);
            self.end = kept;
            self.hashed = self.hashed.saturating_sub(dropped);
        }
        self.start = self.end;
        self.limit = self.end.checked_add(self.longest_block())?;
        let size = self.end.checked_add(LONGEST_BLOCK + STEP)?;
        self.bytes.resize(size, 0);
        Some(())
    }

    /// The end after `length` more bytes, if the block may be so long.
    fn end_after(&self, length: usize) -> Option<usize> {
        let end = self.end.checked_add(length)?;
        (end <= self.limit).then_some(end)
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.end_after(bytes.len())?;
        self.bytes.get_mut(self.end..end)?.copy_from_slice(bytes);
        self.end = end;
        Some(())
    }

    /// Appends a byte `length` times.
    pub fn append_run(&mut self, byte: u8, length: usize) -> Option<()> {
        let end = self.end_after(length)?;
        self.bytes.get_mut(self.end..end)?.fill(byte);
        self.end = end;
        Some(())
    }

    /// Appends the first `length` bytes of `literals`. At least [`STEP`] more must follow them.
    pub fn append_literals(&mut self, literals: &[u8], length: usize) -> Option<()> {
        let end = self.end_after(length)?;
        let to = self.bytes.get_mut(self.end..)?;
        for at in (0..length).step_by(STEP) {
            let step = *literals.get(at..)?.first_chunk::<STEP>()?;
            *to.get_mut(at..)?.first_chunk_mut()? = step;
        }
        self.end = end;
        Some(())
    }

    /// Appends `length` bytes from `distance` bytes before the end. They may include bytes that
    /// this call appends.
    pub fn append_match(&mut self, distance: usize, length: usize) -> Option<()> {
        let mut to = self.end;
        let mut from = to.checked_sub(distance)?;
        let end = self.end_after(length)?;
        while to < end {
            let mut moved = 1;
            if distance >= STEP {
                moved = STEP;
                let step = *self.bytes.get(from..)?.first_chunk::<STEP>()?;
                *self.bytes.get_mut(to..)?.first_chunk_mut()? = step;
            } else {
                let byte = *self.bytes.get(from)?;
                *self.bytes.get_mut(to)? = byte;
            }
            from = from.wrapping_add(moved);
            to = to.wrapping_add(moved);
        }
        self.end = end;
        Some(())
    }

    /// Hashes the current block, and returns its bytes.
    pub fn end_block(&mut self) -> Option<&[u8]> {
        self.hashed = self.hash.stripes(self.bytes.get(self.hashed..self.end)?).checked_add(self.hashed)?;
        self.bytes.get(self.start..self.end)
    }

    /// The hash of all bytes of the frame.
    pub fn hash(&self) -> u64 {
        self.hash.finish(self.bytes.get(self.hashed..self.end).unwrap_or_default())
    }
}
