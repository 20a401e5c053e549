//! The two system calls that load a kernel: which of them the running kernel has, and what forbids or
//! limits them.

use super::xen::Xen;
use core::fmt::{self, Display, Formatter};

/// A system call that loads a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// kexec_load(2)
    Load,
    /// kexec_file_load(2)
    FileLoad,
}

impl Display for Call {
    /// The name on its manual page.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Load => "kexec_load",
            Call::FileLoad => "kexec_file_load",
        })
    }
}

/// Which calls the running kernel has, `None` when a filter on system calls hides the answer, or
/// nobody asked; and what forbids or limits them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Whether it has kexec_load(2).
    pub load: Option<bool>,
    /// Whether it has kexec_file_load(2).
    pub file_load: Option<bool>,
    /// Whether a lockdown forbids kexec_load (kernel_lockdown(7)).
    pub locked_down: bool,
    /// What kexec_file_load cannot do on this machine, and kexec_load can.
    pub limit: Option<Limit>,
    /// Xen, which can forbid both.
    pub xen: Xen,
    /// The memory that the firmware did not accept yet, in bytes (/proc/meminfo, Unaccepted). A guest
    /// of TDX or SEV-SNP accepts it when it is first used, and the copy at the jump does not.
    pub unaccepted: u64,
}

/// What kexec_file_load cannot do on a machine, by its own rules (x86).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It tells the next kernel of only the first 128 ranges of the memory map
    /// (arch/x86/kernel/kexec-bzimage64.c, setup_e820_entries).
    MemoryMap,
    /// It loads nothing where the firmware's EFI is 32-bit
    /// (arch/x86/kernel/kexec-bzimage64.c, bzImage64_probe).
    Efi32,
    /// It may place segments in memory that was added while the machine ran, of which the next kernel
    /// knows nothing (kernel/resource.c, walk_system_ram_res_rev).
    AddedMemory,
}
