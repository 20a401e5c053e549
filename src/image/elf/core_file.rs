//! The headers of an ELF core file (System V ABI, "Object Files"): the memory of a machine.

use crate::image::machine::Machine;

/// A part with notes (PT_NOTE).
pub const NOTES: u64 = 4;
/// A part with memory (PT_LOAD, and PF_R|PF_W|PF_X).
pub const MEMORY: u64 = 1 | 7 << 32;
/// The sizes of the ELF header and of a program header, in bytes.
const HEADER: u64 = 64;
const PROGRAM: u64 = 56;

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// [`NOTES`] or [`MEMORY`]: p_type and p_flags.
    pub kind: u64,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its physical address.
    pub address: u64,
    /// Its size, in bytes.
    pub size: u64,
}

/// The size of the headers of so many parts, in bytes.
pub fn size(parts: usize) -> u64 {
    (parts as u64).saturating_mul(PROGRAM).saturating_add(HEADER)
}

/// The ELF header, and a program header for each of `count` parts. `None` if they are more than it can
/// count. Virtual addresses are 0: readers find out from VMCOREINFO.
pub fn headers(machine: Machine, count: usize, parts: impl Iterator<Item = Part>) -> Option<Vec<u8>> {
    let count = u16::try_from(count).ok()?;
    let number: u64 = match machine {
        Machine::Arm64 => 183,
        Machine::X86_64 => 62,
        _ => 3,
    };
    let header = [
        // e_ident: magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
        u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0"),
        0,
        // e_type ET_CORE, e_machine, e_version EV_CURRENT.
        4 | number << 16 | 1 << 32,
        // e_entry, e_phoff, e_shoff.
        0,
        HEADER,
        0,
        // e_flags, e_ehsize, e_phentsize.
        HEADER << 32 | PROGRAM << 48,
        // e_phnum, and no sections.
        count.into(),
    ];
    let mut bytes = Vec::new();
    let mut add = |words: &[u64]| words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    add(&header);
    for part in parts {
        // p_type and p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
        add(&[part.kind, part.offset, 0, part.address, part.size, part.size, 0]);
    }
    Some(bytes)
}
