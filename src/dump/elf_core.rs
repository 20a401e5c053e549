//! Writes a dump as an ELF core file (System V ABI, "Object Files"), which more programs read than kdump files,
//! and which is larger: nothing in it is packed.

use super::elf::MOST_HEADERS;
use super::pages::Keep;
use super::save::{PageRanges, SaveError, Saved, Sink, choose, read_pages};
use super::{Defect, Dump};
use crate::image::elf::core_file::{self, Part};

/// Pages that are left out between pages that are not, and are saved all the same: each run of pages costs a
/// program header.
const GAP: u64 = 16;
/// How many pages are read together.
const TOGETHER: u64 = 256;

/// Runs of pages that are saved: the first page of each, and the one after its last.
#[derive(Default)]
struct Runs {
    pages: Vec<(u64, u64)>,
    gap: u64,
}

impl Runs {
    fn add(&mut self, page: u64) {
        self.push((page, page.saturating_add(1)));
        // Readers take so many headers and no more: then what lies farther apart becomes one run, too.
        while self.pages.len() >= usize::from(MOST_HEADERS / 2) {
            self.gap = self.gap.saturating_mul(2);
            for run in core::mem::take(&mut self.pages) {
                self.push(run);
            }
        }
    }

    fn push(&mut self, (start, end): (u64, u64)) {
        match self.pages.last_mut() {
            Some((_, last)) if start.saturating_sub(*last) <= self.gap => *last = end,
            _ => self.pages.push((start, end)),
        }
    }
}

/// Saves a dump. `progress` is told, now and then, how many of how many pages are done. A file that is cut short
/// can be read as far as it goes.
pub fn save(
    dump: &Dump,
    keep: Keep,
    to: &dyn Sink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Saved, SaveError> {
    let ranges = PageRanges::of(dump)?;
    let mut saved = Saved::default();
    let mut runs = Runs { gap: GAP, ..Runs::default() };
    choose(dump, keep, &ranges, &mut saved, &mut |at, kept| {
        let kept_pages = (at..).zip(kept).filter(|(_, kept)| **kept);
        kept_pages.for_each(|(number, _)| runs.add(number));
        Ok(())
    })?;
    // A run lies in one range, or the pages between two ranges would have to be read, which are not there.
    let runs = ranges.cut(&runs.pages);
    saved.kept = runs.iter().fold(0, |sum, (start, end)| sum.saturating_add(end.saturating_sub(*start)));
    let (header, mut at) = headers(dump, ranges.page, &runs).ok_or(Defect::Header("the number of runs"))?;
    to.write(0, &header)?;
    let page = usize::try_from(ranges.page).unwrap_or(usize::MAX);
    let mut bytes = vec![0u8; page.saturating_mul(TOGETHER as usize)];
    let mut done = 0u64;
    for (start, end) in runs {
        let mut first = start;
        while first < end {
            let count = end.saturating_sub(first).min(TOGETHER);
            let part = bytes.get_mut(..page.saturating_mul(count as usize)).unwrap_or_default();
            saved.unreadable = saved.unreadable.saturating_add(read_pages(dump, first, page, part));
            to.write(at, part)?;
            at = at.saturating_add(part.len() as u64);
            first = first.saturating_add(count);
            done = done.saturating_add(count);
            progress(done, saved.kept);
        }
    }
    saved.size = at;
    Ok(saved)
}

/// The headers and the notes, filled up to whole pages; and where the memory begins.
fn headers(dump: &Dump, page: u64, runs: &[(u64, u64)]) -> Option<(Vec<u8>, u64)> {
    let notes_at = core_file::size(runs.len().checked_add(1)?);
    let notes_size = dump.notes.len() as u64;
    let memory_at = notes_at.checked_add(notes_size)?.checked_next_multiple_of(page)?;
    let notes = Part { kind: core_file::NOTES, offset: notes_at, address: 0, size: notes_size };
    let (mut parts, mut offset) = (vec![notes], memory_at);
    for &(start, end) in runs {
        let size = end.checked_sub(start)?.checked_mul(page)?;
        parts.push(Part { kind: core_file::MEMORY, offset, address: start.checked_mul(page)?, size });
        offset = offset.checked_add(size)?;
    }
    let mut bytes = core_file::headers(dump.machine, parts.len(), parts.into_iter())?;
    bytes.extend_from_slice(&dump.notes);
    bytes.resize(usize::try_from(memory_at).ok()?, 0);
    Some((bytes, memory_at))
}
