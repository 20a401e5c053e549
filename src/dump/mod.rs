//! Dumps: the memory of a crashed kernel, as /proc/vmcore and saved files have it.
//!
//! A dump is read through a [`Source`], so that a file of any size needs little memory. All that is known of
//! the crashed kernel comes from its own note, [`Vmcoreinfo`]: no kernel file and no symbols are needed.

pub mod elf;
pub mod elf_core;
pub mod kdump;
pub mod log;
pub mod page_table;
pub mod pages;
pub mod save;
pub mod vmcoreinfo;

use crate::base::range::Range;
use crate::image::machine::Machine;
pub use nix::errno::Errno;
pub use vmcoreinfo::Vmcoreinfo;

/// What a dump is read from.
pub trait Source {
    /// Reads as many bytes from `offset` on as there are, up to the length of `bytes`; their number, which is
    /// 0 at the end of the file.
    fn read_some(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno>;

    /// Reads all of `bytes` from `offset` on.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Defect> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            match self.read_some(at, rest) {
                Ok(0) => return Err(Defect::Cut(at)),
                Ok(length) => done = done.saturating_add(length),
                Err(errno) => return Err(Defect::Unreadable { at, errno }),
            }
        }
        Ok(())
    }
}

/// What is wrong with a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It does not begin as a dump does.
    NoDump,
    /// It is of a machine whose dumps are not read: the ELF header's e_machine.
    Machine(u16),
    /// A part of its headers is impossible.
    Header(&'static str),
    /// The file ends here, in bytes, and more should follow.
    Cut(u64),
    /// It cannot be read here, in bytes.
    Unreadable {
        /// The place in the file.
        at: u64,
        /// Why.
        errno: Errno,
    },
    /// It has no VMCOREINFO note.
    NoVmcoreinfo,
    /// Its VMCOREINFO does not have this, or not as a number.
    Missing(&'static str),
    /// The crashed kernel's page tables have no such virtual address.
    Unmapped(u64),
    /// The dump has no such physical address.
    Absent(u64),
    /// A page is packed in a way that is not read: only zlib is.
    Packing,
    /// It is a saved dump, and not a whole one.
    Saved,
    /// The log's own records contradict each other.
    Log(&'static str),
}

/// Where the crashed kernel's memory is.
enum Memory {
    Elf(elf::Memory),
    Kdump(kdump::Memory),
}

/// A dump, whose headers have been read.
pub struct Dump<'s> {
    /// The crashed kernel's machine.
    pub machine: Machine,
    /// What the crashed kernel says of itself.
    pub info: Vmcoreinfo,
    /// The notes of the processors, and VMCOREINFO: an ELF segment of notes.
    pub notes: Vec<u8>,
    memory: Memory,
    source: &'s dyn Source,
    /// Where the page tables are, or what VMCOREINFO does not tell of them.
    tables: Result<page_table::Tables, Defect>,
}

impl<'s> Dump<'s> {
    /// Reads the headers and VMCOREINFO. That the page tables can be found is not needed yet.
    pub fn open(source: &'s dyn Source) -> Result<Dump<'s>, Defect> {
        let mut first = [0u8; kdump::MAGIC.len()];
        let is_saved = source.read(0, &mut first).is_ok() && first == kdump::MAGIC;
        let (machine, memory, info, notes) = if is_saved {
            let (machine, memory, info, notes) = kdump::open(source)?;
            (machine, Memory::Kdump(memory), info, notes)
        } else {
            let (machine, memory, info, notes) = elf::open(source)?;
            (machine, Memory::Elf(memory), info, notes)
        };
        let tables = page_table::Tables::new(machine, &info);
        Ok(Dump { machine, info, notes, memory, source, tables })
    }

    /// The size of the crashed machine's memory in the dump, in bytes.
    pub fn size(&self) -> u64 {
        match &self.memory {
            Memory::Elf(memory) => memory.size(),
            Memory::Kdump(memory) => memory.size(),
        }
    }

    /// The memory that a whole dump has, in ascending order. A saved dump has pages of it.
    pub fn ranges(&self) -> Result<Vec<Range>, Defect> {
        match &self.memory {
            Memory::Elf(memory) => Ok(memory.ranges()),
            Memory::Kdump(_) => Err(Defect::Saved),
        }
    }

    /// Whether the writer of a saved dump was not done: it said so, or the file is cut short.
    pub fn is_incomplete(&self) -> bool {
        match &self.memory {
            Memory::Kdump(memory) => memory.is_incomplete,
            Memory::Elf(memory) => {
                let last = memory.end().checked_sub(1);
                last.is_some_and(|last| self.source.read(last, &mut [0]) == Err(Defect::Cut(last)))
            }
        }
    }

    /// How many processors left their registers in it.
    pub fn processors(&self) -> u32 {
        elf::processors(&self.notes)
    }

    /// Reads physical memory. What lies in two places of the dump is read in two parts.
    pub fn read_physical(&self, address: u64, bytes: &mut [u8]) -> Result<(), Defect> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.saturating_add(done as u64);
            let length = match &self.memory {
                Memory::Elf(memory) => {
                    let (offset, length) = memory.find(at).ok_or(Defect::Absent(at))?;
                    let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
                    self.source.read(offset, rest.get_mut(..length).unwrap_or_default())?;
                    length
                }
                Memory::Kdump(memory) => memory.read(self.source, at, rest)?,
            };
            done = done.saturating_add(length);
        }
        Ok(())
    }

    /// Reads the crashed kernel's virtual memory.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Defect> {
        let tables = self.tables?;
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.saturating_add(done as u64);
            let (physical, length) = tables.translate(at, &|at| {
                let mut entry = [0u8; 8];
                self.read_physical(at, &mut entry)?;
                Ok(u64::from_le_bytes(entry))
            })?;
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            self.read_physical(physical, rest.get_mut(..length).unwrap_or_default())?;
            done = done.saturating_add(length);
        }
        Ok(())
    }

    /// A 64-bit word of the crashed kernel's virtual memory.
    pub fn word(&self, address: u64) -> Result<u64, Defect> {
        let mut word = [0u8; 8];
        self.read(address, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}

#[cfg(test)]
mod tests;
