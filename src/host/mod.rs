//! The running machine: every file, /proc, /sys, and every system call. The only unsafe code of
//! the crate is in [`sys`].

pub mod another_root;
pub mod crash;
#[cfg(feature = "vmcore")]
pub mod dump;
pub mod exposure;
pub mod files;
pub mod init;
pub mod kernel;
pub mod machine;
pub mod medium;
pub mod memory;
pub mod mounts;
pub mod openrc;
#[cfg(feature = "vmcore")]
pub mod place;
pub mod refusal;
pub mod stdio;
pub mod storage;
#[allow(unsafe_code)]
pub mod sys;

use crate::failure::Result;
use crate::known::call::{Calls, Limit};
use crate::plan::x86::E820_MAX_ENTRIES_ZEROPAGE;

/// Which calls the running kernel has, if `ask`; and what forbids or limits them. Fails with
/// [`Failure::SystemFile`](crate::failure::Failure::SystemFile) when /proc/meminfo cannot be read.
pub fn calls(ask: bool) -> Result<Calls> {
    let asked = if ask { sys::kexec::calls() } else { Calls::default() };
    Ok(Calls {
        locked_down: refusal::lockdown().is_some(),
        limit: if ask && asked.file_load != Some(false) { limit() } else { None },
        xen: kernel::xen(),
        unaccepted: memory::unaccepted()?,
        ..asked
    })
}

/// What kexec_file_load cannot do here.
fn limit() -> Option<Limit> {
    if !cfg!(target_arch = "x86_64") {
        None
    } else if machine::has_32_bit_efi() {
        Some(Limit::Efi32)
    } else if files::names("/sys/firmware/memmap").len() > E820_MAX_ENTRIES_ZEROPAGE {
        Some(Limit::MemoryMap)
    } else if memory::has_added() {
        Some(Limit::AddedMemory)
    } else {
        None
    }
}
