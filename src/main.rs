//! The map of the program: applet name -> command -> run. The only place that
//! prints an error and picks an exit code.

// host/sys/start.rs has the `main`; tests have one of their own.
#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code))]

use rc_kexec::cli::{self, Command};
use rc_kexec::failure::{Failure, Result};
use rc_kexec::host::files;
use rc_kexec::host::sys::allocator::BumpAllocator;
use rc_kexec::{doctor, exec, going_down, load, status};
use std::ffi::OsString;

#[cfg(not(test))]
#[path = "host/sys/start.rs"]
#[allow(unsafe_code)]
mod start;

#[global_allocator]
static MEMORY: BumpAllocator = BumpAllocator::new();

/// The program: from its words, its name first, to its exit status.
fn program(argv: &[OsString]) -> u8 {
    let (applet, command) = cli::parse(argv);
    match command.and_then(run) {
        Ok(status) => status,
        Err(failure) => {
            files::eprint(format_args!("{applet}: {failure}\n"));
            failure.exit_status()
        }
    }
}

fn run(command: Command) -> Result<u8> {
    match command {
        Command::Load(request) => load::run(&request).map(|()| 0),
        Command::Unload => load::unload().map(|()| 0),
        Command::Status(request) => status::run(request),
        Command::Exec(request) => Err(exec::run(&request)),
        Command::GoingDown(errand) => going_down::run(errand),
        Command::Doctor(request) => Ok(doctor::run(request)),
        Command::Print(text) => {
            files::print(format_args!("{}\n", text.trim_ascii_end()));
            Ok(0)
        }
        Command::Refuse(why) => Err(Failure::NotDone(why).into()),
    }
}
