//! Ranges of physical addresses, and sets of them that are kept sorted and disjoint.

use super::table::Table;
use core::fmt;

/// A range of physical addresses, from `start` up to, not including, `end`. Holding one
/// proves that it is not empty and not backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u64,
    end: u64,
}

impl Default for Range {
    /// [`Range::ALL`].
    fn default() -> Range {
        Range::ALL
    }
}

impl Range {
    /// All addresses except the very last.
    pub const ALL: Range = Range { start: 0, end: u64::MAX };

    /// The range from `start` up to, not including, `end`; `None` if that is empty.
    pub const fn new(start: u64, end: u64) -> Option<Range> {
        if start < end { Some(Range { start, end }) } else { None }
    }

    /// The range of `size` bytes at `start`; `None` if that is empty or its end is not below
    /// 2^64.
    pub fn sized(start: u64, size: u64) -> Option<Range> {
        Range::new(start, start.checked_add(size)?)
    }

    /// The first address inside.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The first address after the range.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The length in bytes, at least 1.
    pub const fn size(self) -> u64 {
        self.end.wrapping_sub(self.start)
    }

    /// Whether this address is inside.
    pub const fn has(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether the two ranges share an address.
    pub const fn overlaps(self, other: Range) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether all of `other` lies inside.
    pub const fn contains(self, other: Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What the two ranges share, if anything.
    pub fn intersection(self, other: Range) -> Option<Range> {
        Range::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for Range {
    /// As the kernel prints ranges: the first address and the last one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#012x}-{:#012x}", self.start, self.end.wrapping_sub(1))
    }
}

/// A set or a map is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many ranges it has room for.
    pub capacity: usize,
}

/// The most ranges in a set or a memory map. On x86 the kernel itself keeps 128, and 3 more
/// for each NUMA node that it could have (E820_MAX_ENTRIES,
/// arch/x86/include/asm/e820/types.h).
pub const MAX_RANGES: usize = 1024;

/// A set of addresses: sorted, disjoint ranges, of which no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Table<Range, MAX_RANGES>,
}

impl RangeSet {
    /// An empty set.
    pub const fn new() -> RangeSet {
        RangeSet { ranges: Table::new() }
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range> + '_ {
        self.ranges.iter().copied()
    }

    /// Whether the set has no range.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether all of `range` lies inside one range of the set.
    pub fn contains(&self, range: Range) -> bool {
        self.iter().any(|own| own.contains(range))
    }

    /// Adds `range`, and joins it with the ranges that it touches. [`TooMany`], and no change,
    /// if the set is full.
    pub fn insert(&mut self, range: Range) -> Result<(), TooMany> {
        let mut joined = range;
        self.ranges.retain(|own| {
            let touches = own.start <= joined.end && joined.start <= own.end;
            if touches {
                joined = Range { start: own.start.min(joined.start), end: own.end.max(joined.end) };
            }
            !touches
        });
        let at = self.ranges.iter().take_while(|own| own.start < joined.start).count();
        self.ranges.insert(at, joined).map_err(|_| TooMany { capacity: MAX_RANGES })
    }

    /// Removes the addresses of `hole`. [`TooMany`] if that would split a range of a full set:
    /// the part above the hole is then lost.
    pub fn remove(&mut self, hole: Range) -> Result<(), TooMany> {
        let mut after = None;
        for own in self.ranges.iter_mut() {
            if !own.overlaps(hole) {
                continue;
            }
            match (Range::new(own.start, hole.start), Range::new(hole.end, own.end)) {
                (Some(left), right) => {
                    *own = left;
                    after = after.or(right);
                }
                (None, Some(right)) => *own = right,
                // Empty for a moment: retain drops it below.
                (None, None) => own.end = own.start,
            }
        }
        self.ranges.retain(|own| own.start < own.end);
        match after {
            Some(right) => self.insert(right),
            None => Ok(()),
        }
    }

    /// Removes all addresses that `other` does not have. [`TooMany`] as in [`RangeSet::remove`].
    pub fn intersect(&mut self, other: &RangeSet) -> Result<(), TooMany> {
        let mut gap = 0;
        for theirs in other.iter() {
            if let Some(hole) = Range::new(gap, theirs.start) {
                self.remove(hole)?;
            }
            gap = theirs.end;
        }
        match Range::new(gap, u64::MAX) {
            Some(hole) => self.remove(hole),
            None => Ok(()),
        }
    }

    /// Shrinks every range to whole units of `align` bytes, a power of two.
    pub fn align_inside(&mut self, align: u64) {
        for own in self.ranges.iter_mut() {
            let start = align_up(own.start, align).unwrap_or(u64::MAX);
            *own = Range { start, end: align_down(own.end, align) };
        }
        self.ranges.retain(|own| own.start < own.end);
    }

    /// The lowest place for `size` bytes at a multiple of `align`, a power of two, inside
    /// `bounds`.
    pub fn lowest(&self, size: u64, align: u64, bounds: Range) -> Option<Range> {
        self.iter().find_map(|own| {
            let room = own.intersection(bounds)?;
            let place = Range::sized(align_up(room.start, align)?, size)?;
            room.contains(place).then_some(place)
        })
    }

    /// The highest place for `size` bytes at a multiple of `align`, a power of two, inside
    /// `bounds`.
    pub fn highest(&self, size: u64, align: u64, bounds: Range) -> Option<Range> {
        self.iter().rev().find_map(|own| {
            let room = own.intersection(bounds)?;
            let place = Range::sized(align_down(room.end.checked_sub(size)?, align), size)?;
            room.contains(place).then_some(place)
        })
    }
}

/// `value` rounded up to a multiple of `align`, a power of two; `None` if that is 2^64 or
/// more.
pub fn align_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.checked_sub(1)?;
    Some(value.checked_add(mask)? & !mask)
}

/// `value` rounded down to a multiple of `align`, a power of two.
pub fn align_down(value: u64, align: u64) -> u64 {
    value & !align.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        let mut set = RangeSet::new();
        for &(start, end) in ranges {
            set.insert(Range::new(start, end).unwrap()).unwrap();
        }
        set
    }

    fn pairs(set: &RangeSet) -> Vec<(u64, u64)> {
        set.iter().map(|range| (range.start(), range.end())).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(pairs(&set(&[(40, 50), (10, 20), (20, 40), (60, 70)])), [(10, 50), (60, 70)]);
    }

    #[test]
    fn a_hole_splits_shortens_and_drops() {
        let mut ram = set(&[(0, 100), (200, 300), (400, 500)]);
        ram.remove(Range::new(10, 20).unwrap()).unwrap();
        ram.remove(Range::new(90, 450).unwrap()).unwrap();
        assert_eq!(pairs(&ram), [(0, 10), (20, 90), (450, 500)]);
    }

    #[test]
    fn full_is_an_error_with_the_number() {
        let mut ram = RangeSet::new();
        for i in 0..MAX_RANGES as u64 {
            ram.insert(Range::sized(i * 10, 5).unwrap()).unwrap();
        }
        let full = Err(TooMany { capacity: MAX_RANGES });
        assert_eq!(ram.insert(Range::sized(1 << 40, 5).unwrap()), full);
        assert_eq!(ram.remove(Range::sized(2, 1).unwrap()), full);
    }

    #[test]
    fn places_obey_alignment_and_bounds() {
        let ram = set(&[(0x1000, 0x5000), (0x10_0000, 0x80_0000)]);
        let anywhere = Range::new(0, u64::MAX).unwrap();
        let place = ram.lowest(0x2000, 0x1000, anywhere).unwrap();
        assert_eq!((place.start(), place.end()), (0x1000, 0x3000));
        let place = ram.lowest(0x2000, 0x20_0000, anywhere).unwrap();
        assert_eq!(place.start(), 0x20_0000);
        let place = ram.highest(0x1001, 0x1000, anywhere).unwrap();
        assert_eq!(place.start(), 0x7f_e000);
        assert_eq!(ram.highest(0x2000, 0x1000, Range::new(0, 0x4800).unwrap()).unwrap().start(), 0x2000);
        assert_eq!(ram.lowest(0x70_0001, 1, anywhere), None);
        assert_eq!(ram.lowest(1, 1 << 40, anywhere), None);
    }

    #[test]
    fn arithmetic_at_the_end_of_the_address_space() {
        assert_eq!(align_up(u64::MAX, 4096), None);
        assert_eq!(Range::sized(u64::MAX, 2), None);
        let top = set(&[(u64::MAX - 10, u64::MAX)]);
        assert_eq!(top.lowest(4, 4096, Range::new(0, u64::MAX).unwrap()), None);
        let mut top = top;
        top.align_inside(4096);
        assert!(top.is_empty());
    }

    #[test]
    fn intersection_is_what_both_hold() {
        let mut firmware = set(&[(0, 100), (200, 300)]);
        firmware.intersect(&set(&[(50, 250)])).unwrap();
        assert_eq!(pairs(&firmware), [(50, 100), (200, 250)]);
        firmware.intersect(&set(&[(60, 70), (80, 90), (240, 500)])).unwrap();
        assert_eq!(pairs(&firmware), [(60, 70), (80, 90), (240, 250)]);
        firmware.intersect(&RangeSet::new()).unwrap();
        assert!(firmware.is_empty());
    }

    #[test]
    fn alignment_inside_drops_what_holds_no_whole_unit() {
        let mut ram = set(&[(0x1, 0x1fff), (0x3000, 0x5001), (0x6001, 0x6fff)]);
        ram.align_inside(0x1000);
        assert_eq!(pairs(&ram), [(0x3000, 0x5000)]);
    }
}
