//! Dumps that are ELF core files, as /proc/vmcore is (System V ABI, "Object Files"; kernel/crash_core.c).

use super::{Defect, Source, Vmcoreinfo};
use crate::base::bytes::u32_at;
use crate::base::range::Range;
use crate::image::machine::Machine;
use goblin::elf64::header::{EM_AARCH64, EM_X86_64, ET_CORE, Header};
use goblin::elf64::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};
use plain::Plain;

/// The most program headers that are read: memory has hundreds of ranges on the largest machines.
const MOST_HEADERS: u16 = 8192;
/// The longest notes that are read, in bytes. Each processor has 1 KiB or less, VMCOREINFO a page or two.
const LONGEST_NOTES: u64 = 16 << 20;
/// The first bytes of a 64-bit little-endian ELF file of version 1.
const MAGIC: [u8; 7] = *b"\x7fELF\x02\x01\x01";

/// Where the parts of the memory are in the file.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Physical memory, and the place of its first byte in the file.
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

    /// The size of the memory, in bytes.
    pub fn size(&self) -> u64 {
        self.parts.iter().fold(0, |sum, (range, _)| sum.saturating_add(range.size()))
    }
}

/// Reads the headers.
pub fn open(source: &dyn Source) -> Result<(Machine, Memory, Vmcoreinfo), Defect> {
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
    let (mut memory, mut info) = (Memory::default(), None);
    for entry in table.chunks_exact(size_of::<ProgramHeader>()) {
        let mut program = ProgramHeader::default();
        let _ = program.copy_from_bytes(entry);
        let ProgramHeader { p_type, p_offset: offset, p_paddr: physical, p_filesz: size, .. } = program;
        if p_type == PT_NOTE {
            info = info.or(vmcoreinfo(source, offset, size)?);
        } else if p_type == PT_LOAD && size > 0 {
            let range = Range::sized(physical, size).ok_or(Defect::Header("the size of a segment"))?;
            memory.parts.push((range, offset));
        }
    }
    Ok((machine, memory, info.ok_or(Defect::NoVmcoreinfo)?))
}

/// The VMCOREINFO of a segment of notes, if it is there. "Each note entry has a name size, a descriptor size and
/// a type, of four bytes each; the name and the descriptor follow, each filled up to a multiple of four bytes."
fn vmcoreinfo(source: &dyn Source, offset: u64, size: u64) -> Result<Option<Vmcoreinfo>, Defect> {
    let size = size.min(LONGEST_NOTES);
    let mut notes = vec![0u8; usize::try_from(size).unwrap_or(0)];
    source.read(offset, &mut notes)?;
    let mut rest = notes.as_slice();
    let padded = |size: u32| usize::try_from(size).ok()?.checked_next_multiple_of(4);
    while let (Some(name), Some(length)) = (u32_at(rest, 0), u32_at(rest, 4)) {
        let (Some(at), Some(padded_length)) = (padded(name), padded(length)) else { break };
        let body = rest.get(12..).unwrap_or_default();
        let text = body.get(at..).unwrap_or_default();
        if body.starts_with(b"VMCOREINFO\0") {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(text.len());
            return Ok(text.get(..length).map(Vmcoreinfo::new));
        }
        match text.get(padded_length..) {
            Some(next) => rest = next,
            None => break,
        }
    }
    Ok(None)
}
