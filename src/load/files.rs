//! The files of a load, open and mapped until the load is over.

use crate::failure::{Failure, Result, Unusable};
use crate::host::files::Input;
use core::cell::OnceCell;
use nix::errno::Errno;
use std::ffi::OsStr;

/// Keeps what a load has opened: kernel and initrds borrow their bytes from here. Each file is
/// opened once, and what is checked is what is loaded.
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
    /// With nothing open yet.
    pub fn new() -> Files {
        Files::default()
    }

    /// Opens and maps a regular file of the user's.
    pub fn open(&self, path: &OsStr) -> Result<&Input> {
        let input = Input::open(path).map_err(|why| Failure::unusable(path, why))?;
        self.keep(input).map_err(|why| Failure::unusable(path, why))
    }

    /// Keeps a file that is mapped already.
    pub fn keep(&self, input: Input) -> Result<&Input, Unusable> {
        let mut place = &self.first;
        while let Some(kept) = place.get() {
            place = &kept.next;
        }
        // The place is empty: nothing but this function fills one.
        let _ = place.set(Box::new(Kept { input, next: OnceCell::new() }));
        place.get().map(|kept| &kept.input).ok_or(Unusable::System(Errno::ENOMEM))
    }
}
