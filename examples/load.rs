//! Loads the installed kernel with the running kernel's command line, and says what it did: the
//! library without the program.
//!
//! As root: `cargo run --example load`. The next reboot by kexec, or `kexec-exec --now`, starts
//! the kernel.

use rc_kexec::failure::Result;
use rc_kexec::host;
use rc_kexec::load::{self, Files, Request};
use std::process::ExitCode;

fn main() -> ExitCode {
    let loaded = load_installed();
    match &loaded {
        Ok(report) => println!("{report}"),
        Err(failure) => eprintln!("{failure}"),
    }
    ExitCode::from(u8::from(loaded.is_err()))
}

fn load_installed() -> Result<String> {
    let request = Request::default();
    let files = Files::new();
    let chosen = load::select(&request)?;
    let kernel = load::kernel(&files, &chosen.kernel, None)?;
    let payload = load::open(&files, &chosen, &request, kernel)?;
    let calls = host::calls(true)?;
    let route = load::route(&request, &payload, calls)?;
    let call = load::commit(&payload, route, calls)?;
    Ok(format!("{} and {} initrds are loaded with {call}", payload.kernel, payload.initrds.len()))
}
