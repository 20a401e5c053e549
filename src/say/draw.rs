//! A drawing of this machine's memory with a plan's segments in it.

use crate::base::range::{Range, RangeSet};
use crate::base::text::Size;
use crate::plan::memory_map::{Kind, MemoryMap};
use crate::plan::{Plan, Purpose, Segment};
use core::fmt::{self, Write};

/// Columns of a bar.
const WIDTH: u64 = 48;
/// With more ranges than this the drawing only counts those without a segment.
const MOST_ROWS: usize = 32;

/// Draws `plan` over the firmware's map. Segments may lie only in `usable`.
pub fn draw(out: &mut dyn Write, plan: &Plan, map: &MemoryMap, usable: &RangeSet) -> fmt::Result {
    writeln!(out, "memory: K kernel, P parameters, 1-9a-e initrds, . free, x in use, not to be written")?;
    let segments: Vec<Segment> = plan.segments().collect();
    let few = map.entries().len() <= MOST_ROWS;
    let mut passed_over = 0usize;
    for entry in map.entries() {
        let here = || segments.iter().filter(|segment| segment.place.overlaps(entry.range));
        if !few && here().next().is_none() {
            passed_over = passed_over.saturating_add(1);
            continue;
        }
        write!(out, "  {}  {:>10}  ", entry.range, Text(Size(entry.range.size())))?;
        match entry.kind {
            Kind::Ram => bar(out, entry.range, &segments, usable)?,
            other => writeln!(out, "{}", other.name())?,
        }
        // Lowest first: with at most 16 segments a search for the next one each time is cheap.
        let mut from = 0;
        while let Some(next) =
            here().filter(|next| next.place.start() >= from).min_by_key(|next| next.place.start())
        {
            describe(out, next)?;
            from = next.place.end();
        }
    }
    if passed_over > 0 {
        writeln!(out, "  ... and {passed_over} ranges without a segment")?;
    }
    writeln!(out, "entry: {:#x}, in the parameters", plan.entry())
}

fn describe(out: &mut dyn Write, segment: &Segment) -> fmt::Result {
    let (place, bytes) = (segment.place, segment.bytes.len() as u64);
    write!(
        out,
        "    {} {:<10} {}  {:>10}",
        letter(segment.purpose),
        Text(segment.purpose),
        place,
        Text(Size(place.size()))
    )?;
    if segment.purpose == Purpose::Kernel {
        return writeln!(out, ", {} of it from the file", Size(bytes));
    }
    writeln!(out)
}

/// One line for a range of RAM: each column stands for a 48th of it.
fn bar(out: &mut dyn Write, ram: Range, segments: &[Segment], usable: &RangeSet) -> fmt::Result {
    out.write_char('|')?;
    for column in 0..WIDTH {
        // Physical addresses have at most 52 bits (AMD64 APM volume 2, 5.1): no overflow.
        let edge = |column: u64| ram.start().saturating_add(ram.size().saturating_mul(column) / WIDTH);
        let cell = Range::new(edge(column), edge(column.saturating_add(1)));
        out.write_char(cell.map_or(' ', |cell| mark(cell, segments, usable)))?;
    }
    writeln!(out, "|")
}

/// What a column shows: the smallest segment in it, else free memory, else the rest.
fn mark(cell: Range, segments: &[Segment], usable: &RangeSet) -> char {
    let here = segments.iter().filter(|segment| segment.place.overlaps(cell));
    match here.min_by_key(|segment| segment.place.size()) {
        Some(segment) => letter(segment.purpose),
        None if usable.iter().any(|free| free.overlaps(cell)) => '.',
        None => 'x',
    }
}

fn letter(purpose: Purpose) -> char {
    match purpose {
        Purpose::Kernel => 'K',
        Purpose::Parameters => 'P',
        Purpose::CoreHeader => 'E',
        Purpose::Initrd(number) => u32::try_from(number)
            .ok()
            .and_then(|number| char::from_digit(number.saturating_add(1), 36))
            .unwrap_or('+'),
    }
}

/// A value that is padded as a whole.
struct Text<T>(T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = heapless::String::<32>::new();
        // 32 bytes hold every value that this file pads; a longer one would only be cut.
        let _ = write!(text, "{}", self.0);
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::memory_map::Entry;
    use crate::plan::{Placed, Source};

    #[test]
    fn every_segment_is_in_the_drawing() {
        let mut map = MemoryMap::new();
        let mut usable = RangeSet::new();
        let ram = Range::new(0x10_0000, 0x4000_0000).unwrap();
        map.insert(Entry { range: ram, kind: Kind::Ram }).unwrap();
        map.insert(Entry { range: Range::new(0, 0x1000).unwrap(), kind: Kind::Reserved }).unwrap();
        usable.insert(ram).unwrap();
        usable.remove(Range::new(0x2000_0000, 0x2800_0000).unwrap()).unwrap();
        let segment = |purpose, start, size| {
            let place = Range::sized(start, size).unwrap();
            Placed { purpose, source: Source::File(b""), place }
        };
        let segments = heapless::Vec::from_slice(&[
            segment(Purpose::Kernel, 0x100_0000, 0x400_0000),
            segment(Purpose::Initrd(0), 0x3f00_0000, 0x100_0000),
            segment(Purpose::Parameters, 0x10_0000, 0x3000),
        ])
        .unwrap();
        let plan = Plan::new(0x10_1000, Vec::new(), segments, &usable, 1 << 20).unwrap();
        let mut text = String::new();
        draw(&mut text, &plan, &map, &usable).unwrap();
        let wanted = "\
memory: K kernel, P parameters, 1-9a-e initrds, . free, x in use, not to be written
  0x0000000000-0x0000000fff       4 KiB  Reserved
  0x0000100000-0x003fffffff    1023 MiB  |PKKK....................xxxxx..................1|
    P parameters 0x0000100000-0x0000102fff      12 KiB
    K kernel     0x0001000000-0x0004ffffff      64 MiB, 0 bytes of it from the file
    1 initrd 1   0x003f000000-0x003fffffff      16 MiB
entry: 0x101000, in the parameters
";
        assert_eq!(text, wanted);
    }
}
