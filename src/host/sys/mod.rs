//! System calls for which the standard library has no safe function, or only a large one: one short
//! function for each. With allocator.rs, and with start.rs and unwind.rs, which are modules of main.rs,
//! this is the only unsafe code.

pub mod allocator;
pub mod file;
pub mod kexec;
pub mod memory;
pub mod mount;
pub mod process;
