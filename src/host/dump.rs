//! The files of dumps.

use super::sys::file;
use crate::dump::Source;
use crate::dump::save::Sink;
use crate::failure::{Failure, Result};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;

/// Where a crash kernel has the dump of the crashed one.
pub const VMCORE: &str = "/proc/vmcore";

/// /proc/vmcore, or a saved dump.
pub struct DumpFile(OwnedFd);

impl DumpFile {
    /// Opens it. Fails with [`Failure::Unusable`] and, where there is no /proc/vmcore, with
    /// [`Failure::NoVmcore`].
    pub fn open(path: &OsStr) -> Result<DumpFile> {
        let opened = file::open(path, libc::O_RDONLY | libc::O_CLOEXEC, 0);
        let unusable = |errno: Errno| match errno {
            Errno::ENOENT if path == VMCORE => Failure::NoVmcore,
            _ => Failure::Unusable { path: path.to_os_string(), why: errno.into() },
        };
        Ok(DumpFile(opened.map_err(unusable)?))
    }
}

impl Source for DumpFile {
    fn read_some(&self, offset: u64, bytes: &mut [u8]) -> core::result::Result<usize, Errno> {
        file::read_at(&self.0, bytes, offset)
    }
}

/// A dump that is being saved.
pub struct NewDump(OwnedFd);

impl NewDump {
    /// Makes the file, for its owner alone: a dump has the secrets of the crashed kernel. Fails with
    /// [`Failure::Save`], with EEXIST when it is there, since it may be another dump.
    pub fn create(path: &OsStr) -> Result<NewDump> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let opened = file::open(path, flags, 0o600);
        Ok(NewDump(opened.map_err(|errno| Failure::Save { path: path.to_os_string(), errno })?))
    }

    /// Waits until it is on the disk.
    pub fn sync(&self) -> core::result::Result<(), Errno> {
        file::sync(&self.0)
    }
}

impl Sink for NewDump {
    fn write(&self, offset: u64, bytes: &[u8]) -> core::result::Result<(), Errno> {
        file::write_at(&self.0, bytes, offset)
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> core::result::Result<(), Errno> {
        bytes.fill(0);
        // It is shorter as long as nothing was written after this.
        file::read_at(&self.0, bytes, offset).map(drop)
    }
}
