//! The machine we stand on: all reading of files, /proc and /sys, all system calls, and in
//! [`sys`] the only unsafe code of the program.

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

/// Which calls the running kernel has, and whether a lockdown restricts them.
pub fn calls() -> Calls {
    Calls { locked_down: refusal::lockdown().is_some(), ..sys::kexec::calls() }
}
