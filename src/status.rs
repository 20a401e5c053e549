//! Is a kernel loaded? The exit status answers, in words when asked for.

use crate::cli::StatusRequest;
use crate::failure::Result;
use crate::host::{facts, files};

/// The exit status.
pub fn run(request: StatusRequest) -> Result<u8> {
    let loaded = match facts::is_loaded(request.crash) {
        Ok(loaded) => loaded,
        // By kexec(8), 1 would say that a kernel is loaded.
        Err(failure) if request.loaded == 1 => {
            files::eprint(format_args!("kexec: {failure}\n"));
            return Ok(255);
        }
        Err(failure) => return Err(failure),
    };
    if request.say {
        let which = if loaded { "a" } else { "no" };
        files::print(format_args!("{which} kernel is loaded\n"));
    }
    Ok(if loaded { request.loaded } else { 1u8.saturating_sub(request.loaded) })
}
