//! Every system call that the standard library has no safe form of: one short function each,
//! named after its manual page. The only unsafe code, with allocator.rs, the program's memory,
//! and start.rs, a module of main.rs.

pub mod allocator;
pub mod file;
pub mod kexec;
pub mod memory;
pub mod mount;
pub mod process;
