//! What a dump is, and what is wrong with one.

use crate::base::text::{Shown, Size};
use crate::dump::save::Saved;
use crate::dump::{Defect, Dump};
use crate::host::sys::process::strerror;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Defect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Defect::NoDump => {
                f.write_str("it is neither an ELF core file of a 64-bit machine nor a kdump file")
            }
            Defect::Machine(0) => f.write_str("it is of a machine that rc-kexec does not know"),
            Defect::Packing => f.write_str("its pages are not packed with zlib"),
            Defect::Saved => f.write_str("pages were left out of it when it was saved"),
            Defect::Machine(number) => {
                write!(f, "it is of a machine that rc-kexec does not know (ELF machine {number})")
            }
            Defect::Header(what) => write!(f, "its header is damaged: {what}"),
            Defect::Cut(at) => write!(f, "it is cut short: there is nothing at byte {at}"),
            Defect::Unreadable { at, errno } => write!(f, "byte {at} cannot be read: {}", strerror(*errno)),
            Defect::NoVmcoreinfo => f.write_str("it has no VMCOREINFO, which tells where things are"),
            Defect::Missing(name) => write!(f, "its VMCOREINFO has no {name}"),
            Defect::Unmapped(address) => {
                write!(f, "the crashed kernel's page tables have no address {address:#x}")
            }
            Defect::Absent(address) => write!(f, "it has no memory at the physical address {address:#x}"),
            Defect::Log(what) => write!(f, "the crashed kernel's log is damaged: {what}"),
        }
    }
}

/// Says what a dump is: a line for each fact.
pub fn describe(out: &mut dyn Write, dump: &Dump) -> fmt::Result {
    if let Ok(release) = dump.info.value("OSRELEASE") {
        writeln!(out, "kernel: {}", release.shown())?;
    }
    writeln!(out, "machine: {}", dump.machine)?;
    writeln!(out, "processors: {}", dump.processors())?;
    writeln!(out, "memory: {}", Size(dump.size()))?;
    if dump.is_incomplete() {
        writeln!(out, "incomplete: the saving was interrupted, and what had been saved can be read")?;
    }
    Ok(())
}

/// Says what was saved of a dump.
pub fn saved(out: &mut dyn Write, saved: &Saved) -> fmt::Result {
    if let Some(name) = saved.unfiltered {
        writeln!(out, "note: no page is left out, as the dump's VMCOREINFO has no {name}")?;
    }
    if saved.unreadable > 0 {
        writeln!(out, "note: {} pages could not be read, and are saved as zeros", saved.unreadable)?;
    }
    writeln!(out, "pages: {} of {}", saved.kept, saved.all)
}
