//! The file of a dump.

use super::sys::file;
use crate::dump::Source;
use crate::failure::{Failure, Result};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

/// /proc/vmcore, or a saved dump.
pub struct DumpFile(OwnedFd);

impl DumpFile {
    /// Opens it. Fails with [`Failure::Unusable`].
    pub fn open(path: &OsStr) -> Result<DumpFile> {
        let opened = file::open(path, libc::O_RDONLY | libc::O_CLOEXEC, 0);
        let unusable = |errno: Errno| Failure::Unusable { path: path.to_os_string(), why: errno.into() };
        Ok(DumpFile(opened.map_err(unusable)?))
    }
}

impl Source for DumpFile {
    fn read_some(&self, offset: u64, bytes: &mut [u8]) -> core::result::Result<usize, Errno> {
        file::read_at(&self.0, bytes, offset)
    }
}
