//! Where does everything go? An image, initrds, a command line and a memory map go in, and a
//! [`Plan`] comes out. Nothing here touches the system.
//!
//! Each architecture has a folder, which lays out what its boot protocol asks for and holds
//! its trampoline.

pub mod arm64;
pub mod crash;
pub mod device_tree;
pub mod memory_map;
pub mod placer;
pub mod x86;

use crate::base::bytes;
use crate::base::range::{Range, RangeSet, TooMany};
use core::fmt;

/// The smallest page of any machine here, in bytes. Segments begin and end on pages
/// (kexec_load(2)).
pub const PAGE: u64 = 4096;

/// The most segments that kexec_load(2) accepts (KEXEC_SEGMENT_MAX,
/// include/uapi/linux/kexec.h).
pub const MAX_SEGMENTS: usize = 16;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The kernel, with the memory that it needs to unpack itself.
    Kernel,
    /// The n-th initrd, from 0.
    Initrd(usize),
    /// The ELF core header of a crash kernel.
    CoreHeader,
    /// What this program writes: the trampoline, with boot_params, the command line and
    /// what they point to, or with the device tree.
    Parameters,
}

/// A segment of a plan, as kexec_load(2) receives it: bytes, and the place that the
/// running kernel copies them to when the next kernel starts.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'p> {
    /// What the segment holds.
    pub purpose: Purpose,
    /// The bytes to copy. The kernel fills the rest of `place` with zeros.
    pub bytes: &'p [u8],
    /// The destination, in physical memory.
    pub place: Range,
}

impl Segment<'_> {
    /// Checks what [`Plan`] promises of each segment by itself.
    fn check(&self, usable: &RangeSet) -> Result<(), NoPlan> {
        let place = self.place;
        if !place.start().is_multiple_of(PAGE) || !place.end().is_multiple_of(PAGE) {
            return Err(NoPlan::Broken("a segment is not of whole pages"));
        }
        if self.bytes.len() as u64 > place.size() {
            return Err(NoPlan::Broken("a segment is larger than its place"));
        }
        if !usable.contains(place) {
            return Err(NoPlan::Broken("a segment lies outside usable RAM"));
        }
        Ok(())
    }
}

/// Where the bytes of a segment are while a plan is made.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In memory that the caller keeps, most often a mapped file.
    File(&'a [u8]),
    /// In the plan: its parameters, whole.
    Parameters,
}

/// A segment while a plan is made.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What the segment holds.
    pub purpose: Purpose,
    /// Where its bytes are.
    pub source: Source<'a>,
    /// The destination, in physical memory.
    pub place: Range,
}

impl<'a> Placed<'a> {
    /// The segment as kexec_load(2) receives it; `parameters` are the plan's.
    fn segment<'p>(&self, parameters: &'p [u8]) -> Segment<'p>
    where
        'a: 'p,
    {
        let bytes = match self.source {
            Source::File(bytes) => bytes,
            Source::Parameters => parameters,
        };
        Segment { purpose: self.purpose, bytes, place: self.place }
    }
}

/// The segments of a plan, at most as many as kexec_load(2) accepts.
pub type Segments<'a> = heapless::Vec<Placed<'a>, MAX_SEGMENTS>;

/// Adds a segment at the end, or says that there are too many.
fn push<'a>(
    segments: &mut Segments<'a>,
    purpose: Purpose,
    source: Source<'a>,
    place: Range,
) -> Result<(), NoPlan> {
    segments.push(Placed { purpose, source, place }).map_err(|_| NoPlan::TooManySegments)
}

/// Holding a `Plan` proves that it has 1 to 16 segments, that each segment is of whole pages
/// and has room for its bytes, that no two overlap, that all lie in usable RAM, that together
/// they need at most half of all RAM, and that the entry is inside one of them.
///
/// kexec_load(2) refuses some of this with a bare EINVAL or EADDRNOTAVAIL
/// (kernel/kexec_core.c, sanity_check_segment_list), and accepts the rest to the ruin of the
/// machine. A [`NoPlan`] says what is wrong before the call.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    entry: u64,
    parameters: Vec<u8>,
    segments: Segments<'a>,
}

impl Drop for Plan<'_> {
    /// Wipes the parameters: the next kernel's random seed is in them.
    fn drop(&mut self) {
        bytes::wipe(&mut self.parameters);
    }
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlan {
    /// More segments than kexec_load(2) accepts.
    TooManySegments,
    /// More memory ranges than a list has room for: how many it has room for.
    TooManyRanges(usize),
    /// The segments together need more than half of RAM.
    OverHalfOfRam {
        /// What the segments need, in bytes.
        needed: u64,
        /// What the kernel allows, in bytes.
        allowed: u64,
    },
    /// No free place is large enough.
    NoRoom {
        /// What does not fit.
        purpose: Purpose,
        /// How many bytes it needs.
        size: u64,
        /// Where it would have to be.
        bounds: Range,
    },
    /// The command line is longer than this kernel reads.
    CommandLineTooLong {
        /// How long it is, in bytes without the NUL.
        length: usize,
        /// How long it may be, in the same unit.
        limit: usize,
    },
    /// The memory map has no RAM that may be overwritten.
    NoMemory,
    /// Five-level paging is on, and the kernel cannot be entered with it.
    FiveLevelPaging,
    /// The parameters are larger than this many bytes.
    ParametersTooLarge(usize),
    /// The kernel is for another machine.
    OtherMachine,
    /// The next kernel cannot get this device tree.
    DeviceTree(device_tree::Defect),
    /// The layout breaks a promise of [`Plan`]: a mistake of this program.
    Broken(&'static str),
}

impl From<device_tree::Defect> for NoPlan {
    fn from(defect: device_tree::Defect) -> NoPlan {
        NoPlan::DeviceTree(defect)
    }
}

impl NoPlan {
    /// Refuses a command line of `length` bytes where the kernel accepts at most `limit`, both
    /// without the NUL.
    pub fn of_line(length: usize, limit: usize) -> Result<(), NoPlan> {
        if length > limit { Err(NoPlan::CommandLineTooLong { length, limit }) } else { Ok(()) }
    }
}

impl From<TooMany> for NoPlan {
    fn from(full: TooMany) -> NoPlan {
        NoPlan::TooManyRanges(full.capacity)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Kernel => f.write_str("kernel"),
            Purpose::Initrd(number) => write!(f, "initrd {}", number.saturating_add(1)),
            Purpose::Parameters => f.write_str("parameters"),
            Purpose::CoreHeader => f.write_str("ELF core header"),
        }
    }
}

impl<'a> Plan<'a> {
    /// Makes a plan and proves what [`Plan`] promises, or says what does not hold.
    /// `usable` is the RAM that may be overwritten. `total_pages` is how much RAM the
    /// running kernel counts, in pages of 4 KiB.
    pub fn new(
        entry: u64,
        parameters: Vec<u8>,
        segments: Segments<'a>,
        usable: &RangeSet,
        total_pages: u64,
    ) -> Result<Plan<'a>, NoPlan> {
        let mut pages = 0u64;
        for (index, placed) in segments.iter().enumerate() {
            let segment = placed.segment(&parameters);
            segment.check(usable)?;
            if segments.iter().take(index).any(|other| other.place.overlaps(segment.place)) {
                return Err(NoPlan::Broken("two segments overlap"));
            }
            pages = pages.saturating_add(segment.place.size() / PAGE);
        }
        if pages > total_pages / 2 {
            return Err(NoPlan::OverHalfOfRam {
                needed: pages.saturating_mul(PAGE),
                allowed: (total_pages / 2).saturating_mul(PAGE),
            });
        }
        let in_one = |segment: &Placed| segment.place.has(entry);
        if !segments.iter().any(in_one) {
            return Err(NoPlan::Broken("the entry is in no segment"));
        }
        Ok(Plan { entry, parameters, segments })
    }

    /// The physical address of the first instruction: where the trampoline begins.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// What the segments need together, in bytes.
    pub fn memory_size(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.place.size()))
    }

    /// The segments, 1 to 16, in the order in which the running kernel copies them.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> {
        self.segments.iter().map(|placed| placed.segment(&self.parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: u64, size: u64, bytes: &[u8]) -> Placed<'_> {
        let place = Range::sized(start, size).unwrap();
        Placed { purpose: Purpose::Kernel, source: Source::File(bytes), place }
    }

    fn plan<'a>(entry: u64, list: &[Placed<'a>], pages: u64) -> Result<Plan<'a>, NoPlan> {
        let mut usable = RangeSet::new();
        usable.insert(Range::new(0x1000, 0x10_0000).unwrap()).unwrap();
        Plan::new(entry, vec![7; 4097], heapless::Vec::from_slice(list).unwrap(), &usable, pages)
    }

    #[test]
    fn a_plan_proves_what_it_says() {
        let good = segment(0x1000, 0x2000, b"abc");
        assert_eq!(plan(0x2fff, &[good], 100).unwrap().segments().len(), 1);
        let parameters = |start, size| Placed { source: Source::Parameters, ..segment(start, size, b"") };
        let both = plan(0x1000, &[good, parameters(0x3000, 0x2000)], 100).unwrap();
        let bytes: Vec<&[u8]> = both.segments().map(|segment| segment.bytes).collect();
        assert_eq!(bytes, [&b"abc"[..], &[7; 4097]]);
        let table: &[(u64, &[Placed], u64, NoPlan)] = &[
            (0x3000, &[good], 100, NoPlan::Broken("the entry is in no segment")),
            (0, &[], 100, NoPlan::Broken("the entry is in no segment")),
            (0x1000, &[segment(0x1001, 0x1000, b"")], 100, NoPlan::Broken("a segment is not of whole pages")),
            (0x1000, &[segment(0x1000, 0x1001, b"")], 100, NoPlan::Broken("a segment is not of whole pages")),
            (
                0x1000,
                &[segment(0x1000, 0x1000, &[0; 4097])],
                100,
                NoPlan::Broken("a segment is larger than its place"),
            ),
            (
                0x1000,
                &[parameters(0x1000, 0x1000)],
                100,
                NoPlan::Broken("a segment is larger than its place"),
            ),
            (0x1000, &[segment(0, 0x2000, b"")], 100, NoPlan::Broken("a segment lies outside usable RAM")),
            (
                0x1000,
                &[segment(0xff000, 0x2000, b"")],
                100,
                NoPlan::Broken("a segment lies outside usable RAM"),
            ),
            (0x1000, &[good, segment(0x2000, 0x1000, b"")], 100, NoPlan::Broken("two segments overlap")),
            (0x1000, &[good], 3, NoPlan::OverHalfOfRam { needed: 8192, allowed: 4096 }),
        ];
        for (entry, list, pages, refusal) in table {
            assert_eq!(plan(*entry, list, *pages).unwrap_err(), *refusal);
        }
    }
}
