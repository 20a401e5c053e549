//! Loads the installed kernel with the running command line and says what it did: the library
//! without the program. As root: `cargo run --example load`; then `kexec -e` starts the kernel.

use rc_kexec::failure::Result;
use rc_kexec::host::memory::Memory;
use rc_kexec::load::{self, Files, Request, Route};

fn main() {
    match load_installed() {
        Ok(report) => println!("{report}"),
        Err(failure) => eprintln!("{failure}"),
    }
}

fn load_installed() -> Result<String> {
    let request = Request::default();
    let files = Files::new();
    let chosen = load::select(&request)?;
    let kernel = load::kernel(&files, &chosen.kernel, None)?;
    let payload = load::open(&files, &chosen, &request, kernel)?;
    let route = load::route(&request, &payload, rc_kexec::host::calls())?;
    match route {
        Route::File(_) | Route::FileElseSegments => load::file(&payload)?,
        Route::Segments(_) => {
            let memory = Memory::read()?;
            load::segments(&payload, &payload.plan(&memory)?.plan, &memory)?;
        }
    }
    Ok(format!("{} and {} initrds are loaded: {route}", payload.kernel, payload.initrds.len()))
}
