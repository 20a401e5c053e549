//! Finds places for segments in the RAM that may be written, one after the other.

use super::{MAX_SEGMENTS, NoPlan, Purpose, Segments, Source, push};
use crate::base::range::{Range, RangeSet, align_up};

/// How many initrds fit beside the kernel and the parameters.
pub const MAX_INITRDS: usize = MAX_SEGMENTS - 2;

/// The zeros that follow an initrd at the least, in bytes. The kernel's lz4 decoder takes
/// the next four for the size of another block, and ends when they are 0
/// (lib/decompress_unlz4.c).
pub const END: u64 = 4;

/// What an initrd takes with the zeros that follow it, in whole units of `unit` bytes.
pub fn initrd_room(bytes: &[u8], unit: u64) -> Option<u64> {
    align_up((bytes.len() as u64).checked_add(END)?, unit)
}

/// The RAM that is still free, and what all segments keep to.
pub struct Placer<'p> {
    free: &'p mut RangeSet,
    unit: u64,
    bounds: Range,
    highest: u64,
}

impl<'p> Placer<'p> {
    /// All of `free` is free, in whole units of `unit` bytes, a power of two. Every
    /// segment lies inside `bounds` and below `highest`.
    pub fn new(free: &'p mut RangeSet, unit: u64, bounds: Range, highest: u64) -> Result<Placer<'p>, NoPlan> {
        free.align_inside(unit);
        if free.is_empty() {
            return Err(NoPlan::NoMemory);
        }
        Ok(Placer { free, unit, bounds, highest })
    }

    fn bounds(&self, purpose: Purpose, size: u64, min: u64, max: u64) -> Result<Range, NoPlan> {
        let bounds = Range::new(min.max(self.bounds.start()), max.min(self.highest).min(self.bounds.end()));
        bounds.ok_or(NoPlan::NoRoom { purpose, size, bounds: self.bounds })
    }

    /// The lowest place for `size` bytes at a multiple of `align` between `min` and `max`.
    pub fn lowest(
        &mut self,
        purpose: Purpose,
        size: u64,
        align: u64,
        min: u64,
        max: u64,
    ) -> Result<Range, NoPlan> {
        let bounds = self.bounds(purpose, size, min, max)?;
        self.take(self.free.lowest(size, align, bounds), purpose, size, bounds)
    }

    /// As [`Placer::lowest`], the highest one.
    pub fn highest(
        &mut self,
        purpose: Purpose,
        size: u64,
        align: u64,
        min: u64,
        max: u64,
    ) -> Result<Range, NoPlan> {
        let bounds = self.bounds(purpose, size, min, max)?;
        self.take(self.free.highest(size, align, bounds), purpose, size, bounds)
    }

    /// One place for all initrds, end to end, as high as may be: where, and the length
    /// of what the kernel is to read. Each begins on a page; the zeros between are
    /// skipped (buffer-format.rst: "initramfs := ("\0" | cpio_archive |
    /// cpio_gzip_archive)*").
    pub fn initrds(&mut self, initrds: &[&[u8]], min: u64, max: u64) -> Result<(Option<Range>, u64), NoPlan> {
        let mut whole = 0u64;
        let mut size = 0u64;
        for bytes in initrds {
            size = whole.saturating_add(bytes.len() as u64);
            let room = initrd_room(bytes, self.unit).and_then(|room| whole.checked_add(room));
            whole = room.ok_or(NoPlan::Broken("initrd size"))?;
        }
        let Some(last) = initrds.len().checked_sub(1) else { return Ok((None, 0)) };
        let place = self.highest(Purpose::Initrd(last), whole, self.unit, min, max)?;
        Ok((Some(place), size))
    }

    fn take(
        &mut self,
        place: Option<Range>,
        purpose: Purpose,
        size: u64,
        bounds: Range,
    ) -> Result<Range, NoPlan> {
        let place = place.ok_or(NoPlan::NoRoom { purpose, size, bounds })?;
        self.free.remove(place)?;
        Ok(place)
    }

    /// The segments of initrds that were given `place`.
    pub fn push_initrds<'a>(
        &self,
        segments: &mut Segments<'a>,
        initrds: &[&'a [u8]],
        place: Option<Range>,
    ) -> Result<(), NoPlan> {
        let mut next = place.map_or(0, Range::start);
        for (number, &bytes) in initrds.iter().enumerate() {
            let place = initrd_room(bytes, self.unit).and_then(|room| Range::sized(next, room));
            let place = place.ok_or(NoPlan::Broken("an initrd without a place"))?;
            push(segments, Purpose::Initrd(number), Source::File(bytes), place)?;
            next = place.end();
        }
        Ok(())
    }
}
