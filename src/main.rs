//! The program: from its words to its exit status. The only place that picks one for a failure.

// host/sys/start.rs has the `main`; tests have one of their own.
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

#[global_allocator]
static MEMORY: BumpAllocator = BumpAllocator::new();

/// The program: from its words, its name first, to its exit status.
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
