//! The files of a load, open and mapped until the load is over.

use crate::failure::{Failure, Result, Unusable};
use crate::host::files::Input;
use crate::host::memory;
use core::cell::OnceCell;
use nix::errno::Errno;
use std::ffi::OsStr;

/// Keeps every opened file of a load; the kernel and the initrds borrow their bytes from here. A
/// load opens each file once, so that the bytes it checks are the bytes it loads.
#[derive(Debug, Default)]
pub struct Files {
    first: OnceCell<Box<Kept>>,
}

/// One file, and the next.
#[derive(Debug)]
struct Kept {
    input: Input,
    next: OnceCell<Box<Kept>>,
}

impl Files {
    /// No file is open yet.
    pub fn new() -> Files {
        Files::default()
    }

    /// Opens and maps a file, and keeps it. Fails with [`Failure::Unusable`] unless it is a regular
    /// file that can be read and is not larger than the machine's memory.
    pub fn open(&self, path: &OsStr) -> Result<&Input> {
        let input = Input::open(path).map_err(|why| Failure::unusable(path, why))?;
        // Before anything reads all of it: a sparse file can have any size.
        let (size, total) = (input.bytes().len() as u64, memory::total()?);
        if size > total {
            return Err(Failure::unusable(path, Unusable::LargerThanMemory(total)));
        }
        self.keep(input).map_err(|why| Failure::unusable(path, why))
    }

    /// Keeps a file that is mapped already. It does not fail.
    pub fn keep(&self, input: Input) -> Result<&Input, Unusable> {
        let mut place = &self.first;
        while let Some(kept) = place.get() {
            place = &kept.next;
        }
        // The place is empty: only this function fills one.
        let _ = place.set(Box::new(Kept { input, next: OnceCell::new() }));
        place.get().map(|kept| &kept.input).ok_or(Unusable::System(Errno::ENOMEM))
    }
}
