//! The running machine: every file, /proc, /sys, and every system call. The only unsafe code of
//! the crate is in [`sys`].

pub mod exposure;
pub mod files;
pub mod init;
pub mod kernel;
pub mod machine;
pub mod memory;
pub mod openrc;
pub mod refusal;
pub mod stdio;
pub mod storage;
#[allow(unsafe_code)]
pub mod sys;

use crate::known::call::Calls;

/// Which calls the running kernel has, and whether a lockdown forbids kexec_load.
pub fn calls() -> Calls {
    Calls { locked_down: refusal::lockdown().is_some(), ..sys::kexec::calls() }
}
