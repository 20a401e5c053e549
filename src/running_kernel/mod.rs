//! The kernel we stand on: all reading of files, /proc and /sys, all system
//! calls, and the only unsafe code of the program.

#[allow(unsafe_code)]
pub mod allocator;
pub mod examination;
pub mod facts;
pub mod files;
pub mod init;
pub mod refusal;
pub mod storage;
// And start.rs, a module of main.rs.
#[allow(unsafe_code)]
pub mod syscalls;
