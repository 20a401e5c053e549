//! Finds places for segments, one after the other, in the RAM that may be overwritten.

use super::{MAX_SEGMENTS, NoPlan, Purpose, Segments, Source, push};
use crate::base::range::{Range, RangeSet, align_up};

/// How many initrds fit beside the kernel and the parameters.
pub const MAX_INITRDS: usize = MAX_SEGMENTS - 2;

/// How many zeros follow an initrd at least, in bytes. The kernel's lz4 decoder reads the
/// next four as the size of another block, and stops if they are 0
/// (lib/decompress_unlz4.c).
pub const END: u64 = 4;

/// How many bytes an initrd needs with the zeros that follow it, in whole units of `unit`
/// bytes, a power of two. `None` if the number does not fit.
pub fn initrd_room(bytes: &[u8], unit: u64) -> Option<u64> {
    align_up((bytes.len() as u64).checked_add(END)?, unit)
}

/// Where the initrds are, end to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Initrds {
    /// The physical address of the first one.
    pub start: u64,
    /// How many bytes the next kernel is to read from there.
    pub length: u64,
}

/// The RAM that is still free, and the bounds of all segments.
pub struct Placer<'p> {
    free: &'p mut RangeSet,
    unit: u64,
    bounds: Range,
    highest: u64,
}

impl<'p> Placer<'p> {
    /// Begins with all of `free`. Segments get whole units of `unit` bytes, a power of two,
    /// inside `bounds` and below `highest`. Without a whole unit it is [`NoPlan::NoMemory`].
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

    /// Takes the lowest place for `size` bytes at a multiple of `align`, a power of two, from
    /// `min` up to, not including, `max`.
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

    /// As [`Placer::lowest`], but the highest place.
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

    /// Takes one place for all initrds, end to end, as high as possible. Each one begins on
    /// a page; the kernel skips the zeros between (buffer-format.rst: "initramfs := ("\0" |
    /// cpio_archive | cpio_gzip_archive)*"). `None` if there are no initrds.
    pub fn initrds(&mut self, initrds: &[&[u8]], min: u64, max: u64) -> Result<Option<Initrds>, NoPlan> {
        let mut whole = 0u64;
        let mut length = 0u64;
        for bytes in initrds {
            length = whole.saturating_add(bytes.len() as u64);
            let room = initrd_room(bytes, self.unit).and_then(|room| whole.checked_add(room));
            whole = room.ok_or(NoPlan::Broken("initrd size"))?;
        }
        let Some(last) = initrds.len().checked_sub(1) else { return Ok(None) };
        let place = self.highest(Purpose::Initrd(last), whole, self.unit, min, max)?;
        Ok(Some(Initrds { start: place.start(), length }))
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

    /// Adds the segments of the initrds, whose place is `at`.
    pub fn push_initrds<'a>(
        &self,
        segments: &mut Segments<'a>,
        initrds: &[&'a [u8]],
        at: Option<Initrds>,
    ) -> Result<(), NoPlan> {
        let mut next = at.unwrap_or_default().start;
        for (number, &bytes) in initrds.iter().enumerate() {
            let place = initrd_room(bytes, self.unit).and_then(|room| Range::sized(next, room));
            let place = place.ok_or(NoPlan::Broken("an initrd without a place"))?;
            push(segments, Purpose::Initrd(number), Source::File(bytes), place)?;
            next = place.end();
        }
        Ok(())
    }
}
