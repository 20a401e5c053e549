//! What the applet vmcore does.

use rc_kexec::base::text::{Shown, Size};
use rc_kexec::cli::vmcore::Action;
use rc_kexec::dump::pages::Keep;
use rc_kexec::dump::save::SaveError;
use rc_kexec::dump::{self, Dump};
use rc_kexec::dump::{elf_core, kdump};
use rc_kexec::failure::{Failure, Result};
use rc_kexec::host::dump::{DumpFile, NewDump};
use rc_kexec::host::place;
use rc_kexec::host::stdio::{eprint, eprint_with, print_whole_with};
use rc_kexec::say;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// How often the saving tells how far it is.
const TELL: Duration = Duration::from_secs(3);

/// Reads a dump. What can be printed is printed, whatever else cannot be read.
pub fn run(action: Action, path: &OsStr) -> Result<u8> {
    let file = DumpFile::open(path)?;
    let failed = |why| Failure::Dump { path: path.to_os_string(), why };
    let dump = Dump::open(&file).map_err(failed)?;
    let mut read = Ok(());
    let printed = match action {
        Action::Log => print_whole_with(&mut |out| {
            read = dump::log::write(&dump, out);
            Ok(())
        }),
        Action::Describe => print_whole_with(&mut |out| say::dump::describe(out, &dump)),
        Action::Save { to, keep, elf } => return save(&dump, path, &to, keep, elf),
    };
    printed.map_err(Failure::Print)?;
    read.map_err(failed)?;
    Ok(0)
}

/// Says where dumps in a folder are, as rckexec.dump= has it.
pub fn place(dir: &OsStr) -> Result<u8> {
    let place = place::find(dir)?;
    print_whole_with(&mut |out| writeln!(out, "{}", place.option.shown())).map_err(Failure::Print)?;
    Ok(0)
}

/// Saves a dump, and says on standard error how far it is.
fn save(dump: &Dump, path: &OsStr, to: &OsStr, keep: Keep, elf: bool) -> Result<u8> {
    // It fails before the file is made.
    dump.ranges().map_err(|why| Failure::Dump { path: path.to_os_string(), why })?;
    let file = NewDump::create(to)?;
    let begin = Instant::now();
    let mut told = begin;
    let mut tell = |done: u64, all: u64| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100);
            let pages = done.saturating_mul(dump.info.number("PAGESIZE").unwrap_or(0));
            let rate = pages.checked_div(begin.elapsed().as_secs()).unwrap_or(0) / 1_000_000;
            eprint(format_args!("saving: {percent} %, {rate} MB/s\n"));
        }
    };
    let write = if elf { elf_core::save } else { kdump::save };
    let saved = write(dump, keep, &file, &mut tell);
    let saved = saved.and_then(|saved| file.sync().map(|()| saved).map_err(SaveError::Sink));
    let saved = saved.map_err(|why| match why {
        SaveError::Dump(why) => Failure::Dump { path: path.to_os_string(), why },
        SaveError::Sink(errno) => Failure::Save { path: to.to_os_string(), errno },
    })?;
    eprint_with(&mut |out| say::dump::saved(out, &saved));
    let elapsed = begin.elapsed();
    let (size, seconds, tenths) = (Size(saved.size), elapsed.as_secs(), elapsed.subsec_millis() / 100);
    eprint(format_args!("saved as {}: {size} in {seconds}.{tenths} s\n", to.shown()));
    Ok(0)
}
