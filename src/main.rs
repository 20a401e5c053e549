//! The program: parses its words, runs the command, and picks the exit status of a failure.

// host/sys/start.rs has `main`; the test harness brings its own, and unwinds.
#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code))]

use rc_kexec::cli;
use rc_kexec::failure::Failure;
use rc_kexec::host::stdio::eprint;
use rc_kexec::host::sys::allocator::BumpAllocator;
use std::ffi::OsString;

mod run;
#[cfg(not(test))]
#[path = "host/sys/start.rs"]
#[allow(unsafe_code)]
mod start;
#[cfg(all(not(test), not(panic = "unwind")))]
#[path = "host/sys/unwind.rs"]
#[allow(unsafe_code)]
mod unwind;
#[cfg(feature = "vmcore")]
mod vmcore;

#[global_allocator]
static MEMORY: BumpAllocator = BumpAllocator::new();

/// Runs the program with these words, its name first; its exit status.
fn program(argv: &[OsString]) -> u8 {
    let (applet, command) = cli::parse(argv);
    match command.and_then(run::run) {
        Ok(status) => status,
        Err(failure) => {
            eprint(format_args!("{applet}: {failure}\n"));
            match *failure {
                Failure::Usage { .. } => 2,
                _ => 1,
            }
        }
    }
}
