//! Dumps that are ELF core files, as /proc/vmcore is (System V ABI, "Object Files"; kernel/crash_core.c).

use super::{Defect, Source, Vmcoreinfo};
use crate::base::bytes::u32_at;
use crate::base::range::Range;
use crate::image::machine::Machine;
use goblin::elf64::header::{EM_AARCH64, EM_X86_64, ET_CORE, Header};
use goblin::elf64::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};
use plain::Plain;

/// The most program headers that are read: memory has hundreds of ranges on the largest machines.
pub const MOST_HEADERS: u16 = 8192;
/// The longest notes that are read, in bytes. Each processor has 1 KiB or less, VMCOREINFO a page or two.
pub const LONGEST_NOTES: u64 = 16 << 20;
/// The end of all physical memory: neither machine has more than 52 bits of address.
const PHYSICAL: u64 = 1 << 52;
/// The first bytes of a 64-bit little-endian ELF file of version 1.
const MAGIC: [u8; 7] = *b"\x7fELF\x02\x01\x01";

/// Where the parts of the memory are in the file.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Physical memory, and the place of its first byte in the file; some of it may be in two parts.
    parts: Vec<(Range, u64)>,
}

impl Memory {
    /// The place of a physical address in the file, and how many bytes from there on lie together.
    pub fn find(&self, address: u64) -> Option<(u64, u64)> {
        for (range, offset) in &self.parts {
            if range.has(address) {
                let inside = address.checked_sub(range.start())?;
                return Some((offset.checked_add(inside)?, range.end().checked_sub(address)?));
            }
        }
        None
    }

    /// The memory, in ascending order, each byte once: kernel/crash_core.c, crash_prepare_elf64_headers, has the
    /// kernel's text both in a segment of its own, before the others, and in that of its memory.
    pub fn ranges(&self) -> Vec<Range> {
        let (mut ranges, mut at) = (Vec::new(), 0);
        let after = |at| self.parts.iter().map(|(range, _)| *range).filter(move |range| range.end() > at);
        while let Some(next) = after(at).min_by_key(|range| range.start()) {
            ranges.extend(Range::new(next.start().max(at), next.end()));
            at = next.end();
        }
        ranges
    }

    /// Where the last part ends in the file.
    pub fn end(&self) -> u64 {
        let ends = self.parts.iter().map(|(range, offset)| offset.saturating_add(range.size()));
        ends.max().unwrap_or(0)
    }

    /// The size of the memory, in bytes.
    pub fn size(&self) -> u64 {
        self.ranges().iter().fold(0, |sum, range| sum.saturating_add(range.size()))
    }
}

/// Reads the headers.
pub fn open(source: &dyn Source) -> Result<(Machine, Memory, Vmcoreinfo, Vec<u8>), Defect> {
    let mut first = [0u8; size_of::<Header>()];
    match source.read(0, &mut first) {
        Err(Defect::Cut(_)) => return Err(Defect::NoDump),
        other => other?,
    }
    let mut header = Header::default();
    let _ = header.copy_from_bytes(&first);
    if !first.starts_with(&MAGIC) || header.e_type != ET_CORE {
        return Err(Defect::NoDump);
    }
    let machine = match header.e_machine {
        EM_X86_64 => Machine::X86_64,
        EM_AARCH64 => Machine::Arm64,
        other => return Err(Defect::Machine(other)),
    };
    if usize::from(header.e_phentsize) != size_of::<ProgramHeader>() {
        return Err(Defect::Header("the size of a program header"));
    }
    if header.e_phnum > MOST_HEADERS {
        return Err(Defect::Header("the number of program headers"));
    }
    let mut table = vec![0u8; usize::from(header.e_phnum).saturating_mul(size_of::<ProgramHeader>())];
    source.read(header.e_phoff, &mut table)?;
    let (mut memory, mut found) = (Memory::default(), None);
    for entry in table.chunks_exact(size_of::<ProgramHeader>()) {
        let mut program = ProgramHeader::default();
        let _ = program.copy_from_bytes(entry);
        let ProgramHeader { p_type, p_offset: offset, p_paddr: physical, p_filesz: size, .. } = program;
        if p_type == PT_NOTE && found.is_none() {
            let mut notes = vec![0u8; usize::try_from(size.min(LONGEST_NOTES)).unwrap_or(0)];
            source.read(offset, &mut notes)?;
            found = vmcoreinfo(&notes).map(|info| (info, notes));
        } else if p_type == PT_LOAD && size > 0 {
            let range = Range::sized(physical, size).filter(|range| range.end() <= PHYSICAL);
            let range = range.ok_or(Defect::Header("the place of a segment"))?;
            memory.parts.push((range, offset));
        }
    }
    let (info, notes) = found.ok_or(Defect::NoVmcoreinfo)?;
    Ok((machine, memory, info, notes))
}

/// The notes: the name and the descriptor of each. "Each note entry has a name size, a descriptor size and a type, of
/// four bytes each; the name and the descriptor follow, each filled up to a multiple of four bytes."
struct Notes<'n>(&'n [u8]);

impl<'n> Iterator for Notes<'n> {
    type Item = (&'n [u8], &'n [u8]);

    fn next(&mut self) -> Option<(&'n [u8], &'n [u8])> {
        let size = |at| u32_at(self.0, at).and_then(|size| usize::try_from(size).ok());
        let (name, length) = (size(0)?, size(4)?);
        let body = self.0.get(12..)?;
        let rest = body.get(name.checked_next_multiple_of(4)?..)?;
        // The last one may be cut.
        let next = length.checked_next_multiple_of(4).and_then(|length| rest.get(length..));
        self.0 = next.unwrap_or_default();
        Some((body.get(..name)?, rest.get(..length.min(rest.len()))?))
    }
}

fn vmcoreinfo(notes: &[u8]) -> Option<Vmcoreinfo> {
    Notes(notes).find(|(name, _)| *name == b"VMCOREINFO\0").map(|(_, text)| Vmcoreinfo::new(text))
}

/// How many processors left their registers: a note with the name CORE is of the type NT_PRSTATUS here.
pub fn processors(notes: &[u8]) -> u32 {
    Notes(notes).filter(|(name, _)| *name == b"CORE\0").count() as u32
}
