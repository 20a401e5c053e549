//! Writes a dump as an ELF core file (System V ABI, "Object Files"), which more programs read than kdump files,
//! and which is larger: nothing in it is packed.

use super::elf::{MAGIC, MOST_HEADERS};
use super::pages::Keep;
use super::save::{PageRanges, SaveError, Saved, Sink, choose, read_pages};
use super::{Defect, Dump};
use crate::base::bytes::put;
use crate::image::machine::Machine;
use goblin::elf64::header::{EM_AARCH64, EM_X86_64, ET_CORE};
use goblin::elf64::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE};

/// Pages that are left out between pages that are not, and are saved all the same: each run of pages costs a
/// program header.
const GAP: u64 = 16;
/// How many pages are read together.
const TOGETHER: u64 = 256;
/// The sizes of both headers, in bytes.
const HEADER: usize = 64;
const PROGRAM: usize = 56;

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

/// The ELF header, the program headers and the notes, filled up to whole pages; and where the memory begins.
fn headers(dump: &Dump, page: u64, runs: &[(u64, u64)]) -> Option<(Vec<u8>, u64)> {
    let count = u16::try_from(runs.len().checked_add(1)?).ok()?;
    let notes_at = PROGRAM.checked_mul(usize::from(count))?.checked_add(HEADER)?;
    let size =
        notes_at.checked_add(dump.notes.len())?.checked_next_multiple_of(usize::try_from(page).ok()?)?;
    let mut bytes = vec![0u8; size];
    let machine = if dump.machine == Machine::Arm64 { EM_AARCH64 } else { EM_X86_64 };
    put(&mut bytes, 0, &MAGIC)?;
    put(&mut bytes, 16, &ET_CORE.to_le_bytes())?;
    put(&mut bytes, 18, &machine.to_le_bytes())?;
    put(&mut bytes, 20, &1u32.to_le_bytes())?;
    put(&mut bytes, 32, &(HEADER as u64).to_le_bytes())?;
    let sizes = [HEADER as u16, PROGRAM as u16, count];
    put(&mut bytes, 52, sizes.map(u16::to_le_bytes).as_flattened())?;
    put(&mut bytes, notes_at, &dump.notes)?;
    let mut at = size as u64;
    let notes = (PT_NOTE, 0, notes_at as u64, 0, dump.notes.len() as u64);
    put(&mut bytes, HEADER, &program_header(notes))?;
    let slots = (HEADER..).step_by(PROGRAM).skip(1);
    for (slot, &(start, end)) in slots.zip(runs) {
        let length = end.checked_sub(start)?.checked_mul(page)?;
        let load = (PT_LOAD, PF_R | PF_W | PF_X, at, start.checked_mul(page)?, length);
        put(&mut bytes, slot, &program_header(load))?;
        at = at.checked_add(length)?;
    }
    Some((bytes, size as u64))
}

/// Type, flags, place in the file, physical address and size. The virtual address is 0: VMCOREINFO tells it.
fn program_header((kind, flags, offset, address, size): (u32, u32, u64, u64, u64)) -> [u8; PROGRAM] {
    let first = u64::from(kind) | u64::from(flags) << 32;
    let words = [first, offset, 0, address, size, size, 0].map(u64::to_le_bytes);
    let mut bytes = [0; PROGRAM];
    bytes.copy_from_slice(words.as_flattened());
    bytes
}
