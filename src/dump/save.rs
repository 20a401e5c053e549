//! What the writers of dumps have in common: where they write to, and which pages they write.

use super::page_table::page_shift;
use super::pages::{BLOCK, Keep, Pages};
use super::{Defect, Dump};
use nix::errno::Errno;

/// Where a dump is written to.
pub trait Sink {
    /// Writes all of `bytes` at `offset`.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno>;
    /// Reads back what was written, or zeros where nothing was.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// How many pages the crashed machine had.
    pub all: u64,
    /// How many of them the dump has.
    pub kept: u64,
    /// How many of those could not be read, and are saved as zeros.
    pub unreadable: u64,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What VMCOREINFO does not tell, so that no page was left out.
    pub unfiltered: Option<&'static str>,
}

/// Why a dump is not saved, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// The dump cannot be read.
    Dump(Defect),
    /// The file cannot be written.
    Sink(Errno),
}

impl From<Defect> for SaveError {
    fn from(why: Defect) -> SaveError {
        SaveError::Dump(why)
    }
}

impl From<Errno> for SaveError {
    fn from(errno: Errno) -> SaveError {
        SaveError::Sink(errno)
    }
}

/// The memory of a dump, in whole pages.
pub struct PageRanges {
    /// The size of a page, in bytes.
    pub page: u64,
    /// The first page of each range and the one after its last.
    ranges: Vec<(u64, u64)>,
}

impl PageRanges {
    /// Fails when the dump is not a whole one, and when it does not say how large a page is.
    pub fn of(dump: &Dump) -> Result<PageRanges, Defect> {
        let shift = page_shift(&dump.info)?;
        let page = 1u64 << shift;
        let ranges = dump.ranges()?;
        let pages = ranges.iter().map(|range| (range.start().div_ceil(page), range.end() >> shift));
        Ok(PageRanges { page, ranges: pages.filter(|(start, end)| start < end).collect() })
    }

    /// The page after the last one.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |&(_, end)| end)
    }

    /// These runs of pages, in ascending order, cut where the ranges end.
    pub fn cut(&self, runs: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut cut = Vec::with_capacity(runs.len());
        for &(start, end) in runs {
            let inside = self.ranges.iter().map(|range| (range.0.max(start), range.1.min(end)));
            cut.extend(inside.filter(|(start, end)| start < end));
        }
        cut
    }

    /// Calls `each` with the first page of each block, and the one after its last: a block ends at a multiple of
    /// [`BLOCK`], and where a range ends.
    pub fn each_block<E>(&self, each: &mut dyn FnMut(u64, u64) -> Result<(), E>) -> Result<(), E> {
        for &(start, end) in &self.ranges {
            let mut at = start;
            while at < end {
                let next = at.saturating_add(1).next_multiple_of(BLOCK as u64).min(end);
                each(at, next)?;
                at = next;
            }
        }
        Ok(())
    }
}

/// What is done with a block: its first page, and which of its pages are saved.
pub type Chosen<'f> = dyn FnMut(u64, &[bool]) -> Result<(), Errno> + 'f;

/// Calls `each` with each block, and counts the pages.
pub fn choose(
    dump: &Dump,
    keep: Keep,
    ranges: &PageRanges,
    saved: &mut Saved,
    each: &mut Chosen,
) -> Result<(), SaveError> {
    let mut pages = match Pages::new(dump, keep) {
        Ok(pages) => Some(pages),
        Err(Defect::Missing(name)) => {
            saved.unfiltered = Some(name);
            None
        }
        Err(other) => return Err(other.into()),
    };
    ranges.each_block(&mut |at, next| {
        let count = usize::try_from(next.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
        let mut kept = [true; BLOCK];
        let kept = kept.get_mut(..count).unwrap_or_default();
        if let Some(pages) = &mut pages {
            pages.read(dump, at, kept);
        }
        saved.all = saved.all.saturating_add(count as u64);
        saved.kept = saved.kept.saturating_add(kept.iter().filter(|kept| **kept).count() as u64);
        Ok(each(at, kept)?)
    })
}

/// Reads pages that follow one another. What cannot be read is zeros; how many pages that are.
pub fn read_pages(dump: &Dump, first: u64, page: usize, bytes: &mut [u8]) -> u64 {
    let address = |number: u64| number.wrapping_mul(page as u64);
    if dump.read_physical(address(first), bytes).is_ok() {
        return 0;
    }
    let mut unreadable = 0u64;
    for (number, content) in (first..).zip(bytes.chunks_exact_mut(page)) {
        if dump.read_physical(address(number), content).is_err() {
            content.fill(0);
            unreadable = unreadable.saturating_add(1);
        }
    }
    unreadable
}
