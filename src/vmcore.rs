//! What the applet vmcore does.

use rc_kexec::cli::vmcore::Action;
use rc_kexec::dump::{self, Dump};
use rc_kexec::failure::{Failure, Result};
use rc_kexec::host::dump::DumpFile;
use rc_kexec::host::stdio::print_whole_with;
use rc_kexec::say;
use std::ffi::OsStr;

/// Reads a dump. What can be printed is printed, whatever else cannot be read.
pub fn run(action: Action, path: &OsStr) -> Result<u8> {
    let file = DumpFile::open(path)?;
    let failed = |why| Failure::Dump { path: path.to_os_string(), why };
    let dump = Dump::open(&file).map_err(failed)?;
    let mut read = Ok(());
    let printed = print_whole_with(&mut |out| {
        match action {
            Action::Log => read = dump::log::write(&dump, out),
            Action::Describe => say::dump::describe(out, &dump)?,
        }
        Ok(())
    });
    printed.map_err(Failure::Print)?;
    read.map_err(failed)?;
    Ok(0)
}
