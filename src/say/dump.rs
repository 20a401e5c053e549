//! What a dump is, and what is wrong with one.

use crate::base::text::{Shown, Size};
use crate::dump::{Defect, Dump};
use crate::host::sys::process::strerror;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Defect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Defect::NoDump => f.write_str("it is not an ELF core file of a 64-bit machine"),
            Defect::Machine(number) => {
                write!(f, "it is of a machine that rc-kexec does not know (ELF machine {number})")
            }
            Defect::Header(what) => write!(f, "its header is damaged: {what}"),
            Defect::Cut(at) => write!(f, "it is cut short: it ends after {at} bytes"),
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
    writeln!(out, "memory: {}", Size(dump.size()))
}
