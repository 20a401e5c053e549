//! Files that a user names, and the small files of /proc, /sys and /etc.
//!
//! These functions make the system calls themselves: the standard library's files would add their
//! own errors, buffers and paths to the program (docs/measurements.md).

use super::sys::file::{self, Metadata};
use super::sys::memory::Mapping;
use crate::base::bytes::parts;
use crate::base::cmdline::without_bootconfig;
use crate::failure::{Failure, Result, Unusable};
use core::fmt::{self, Write};
use core::num::NonZeroUsize;
use libc::{O_APPEND, O_CLOEXEC, O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY, S_IFDIR, S_IFREG};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// No file of /proc, /sys or /etc that is read here is longer.
const LONGEST_SMALL_FILE: usize = 4 << 20;

/// A file that a user names, open and mapped. The same open file is checked and loaded, whatever
/// its name means by then.
#[derive(Debug)]
pub struct Input {
    /// The file, open for reading.
    pub file: OwnedFd,
    mapping: Option<Mapping>,
}

impl Input {
    /// Opens and maps a file. Fails unless it is a regular file that can be read.
    pub fn open(path: &OsStr) -> Result<Input, Unusable> {
        Input::of(open_to_read(path)?)
    }

    /// Maps an open file. Fails unless it is a regular file.
    pub fn of(file: OwnedFd) -> Result<Input, Unusable> {
        let length = usize::try_from(regular(&file)?.size).ok().and_then(NonZeroUsize::new);
        let mapping = match length {
            Some(length) => Some(Mapping::new(&file, length)?),
            None => None,
        };
        Ok(Input { file, mapping })
    }

    /// The file's bytes, as many as it had when it was mapped.
    pub fn bytes(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], Mapping::bytes)
    }
}

/// Opens a regular file, for reading without a mapping.
pub fn open_regular(path: &OsStr) -> Result<(OwnedFd, Metadata), Unusable> {
    let file = open_to_read(path)?;
    let status = regular(&file)?;
    Ok((file, status))
}

/// Fails with [`Unusable::Changed`] unless an open file still has `length` bytes.
pub fn check_length(file: &OwnedFd, length: usize) -> Result<(), Unusable> {
    if file::metadata_of(file)?.size == length as u64 { Ok(()) } else { Err(Unusable::Changed) }
}

fn regular(file: &OwnedFd) -> Result<Metadata, Unusable> {
    let status = file::metadata_of(file)?;
    match status.kind() {
        S_IFREG => Ok(status),
        S_IFDIR => Err(Unusable::Directory),
        _ => Err(Unusable::Special),
    }
}

/// Reads a whole file into `bytes`. Fails with [`Unusable::Changed`] unless it has exactly as many
/// bytes.
pub fn read_exactly(file: &OwnedFd, bytes: &mut [u8]) -> Result<(), Unusable> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::read(file, rest) {
            Ok(0) => return Err(Unusable::Changed),
            Ok(length) => rest = core::mem::take(&mut rest).get_mut(length..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    match nix::unistd::read(file, &mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Unusable::Changed),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens for reading. Without O_NONBLOCK this would wait for the writer of a pipe.
pub fn open_to_read(path: &OsStr) -> Result<OwnedFd, Errno> {
    file::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
}

/// Whether a file or directory has this name, and can be seen.
pub fn exists(path: impl AsRef<OsStr>) -> bool {
    file::metadata(path.as_ref()).is_ok()
}

/// When a file's content changed last, in seconds since 1970; `None` when it cannot be seen.
pub fn modified(path: &OsStr) -> Option<u64> {
    file::metadata(path).ok().map(|status| status.modified)
}

/// Whether a file or directory has this name, or may have it: false only when nothing has.
pub fn may_exist(path: &str) -> bool {
    file::metadata(path.as_ref()).map_or_else(|errno| !is_absent(errno), |_| true)
}

/// Whether an error means that nothing has this name.
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

/// Whether a regular file has this name, or may have it. Opening one that cannot be seen then says
/// why.
pub fn is_file(path: &OsStr) -> bool {
    file::metadata(path).map_or_else(|errno| !is_absent(errno), |status| status.kind() == S_IFREG)
}

/// Whether a directory has this name, and can be seen.
pub fn is_dir(path: &str) -> bool {
    file::metadata(path.as_ref()).is_ok_and(|status| status.kind() == S_IFDIR)
}

/// A small file of /proc, /sys or /etc, whole. Fails with EFBIG when it has 4 MiB or more.
pub fn read(path: impl AsRef<OsStr>) -> Result<Vec<u8>, Errno> {
    read_all(&open_to_read(path.as_ref())?)
}

fn read_all(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut piece = [0u8; 4096];
    while bytes.len() < LONGEST_SMALL_FILE {
        match nix::unistd::read(file, &mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EFBIG)
}

/// As [`read_whole`], for a file that the kernel makes while it is read, in pieces: the text of two
/// readings that agree. Fails with EAGAIN when the file changes all the time.
pub fn read_settled(path: &'static str) -> Result<Vec<u8>> {
    let mut last = read_whole(path)?;
    for _ in 0..10 {
        let next = read_whole(path)?;
        if next == last {
            return Ok(next);
        }
        last = next;
    }
    Err(Failure::SystemFile { path, errno: Errno::EAGAIN }.into())
}

/// Writes a small file, which is made when it is not there (mode 0644).
pub fn write(path: &OsStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = file::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)?;
    file::write_all(&file, bytes)
}

/// Adds to the end of an existing file, with one write(2).
pub fn append(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = file::open(path.as_ref(), O_WRONLY | O_APPEND | O_CLOEXEC, 0)?;
    file::write_all(&file, bytes)
}

/// Makes a directory (mkdir(2), mode 0755). Succeeds when it is there already.
pub fn make_dir(path: &str) -> Result<(), Errno> {
    match file::make_dir(path.as_ref(), 0o755) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// Removes an empty directory (rmdir(2)).
pub fn remove_dir(path: &str) -> Result<(), Errno> {
    file::remove(path.as_ref(), libc::AT_REMOVEDIR)
}

/// Removes a file (unlink(2)).
pub fn remove_file(path: &str) -> Result<(), Errno> {
    file::remove(path.as_ref(), 0)
}

/// As [`read()`], with no bytes for a file that cannot be read.
pub fn read_or_empty(path: &str) -> Vec<u8> {
    read(path).unwrap_or_default()
}

/// As [`read()`], with no bytes for a file that does not exist; `None` for one that cannot be read.
pub fn read_if_there(path: &str) -> Option<Vec<u8>> {
    read(path).or_else(|errno| if is_absent(errno) { Ok(Vec::new()) } else { Err(errno) }).ok()
}

/// The value in a file of sysfs, at most 128 bytes.
pub type Value = heapless::Vec<u8, 128>;

/// Reads a file with one short line, as sysfs has them; `None` when it cannot be read. Nothing is
/// allocated: the memory map can have thousands of such files.
pub fn value(path: fmt::Arguments) -> Option<Value> {
    let mut name = heapless::String::<128>::new();
    name.write_fmt(path).ok()?;
    let file = open_to_read(name.as_str().as_ref()).ok()?;
    let mut value = Value::new();
    value.resize(value.capacity(), 0).ok()?;
    let length = nix::unistd::read(&file, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

/// The first 8 KiB of a file, as far as one read(2) returns them.
pub fn beginning(path: &str) -> Result<Vec<u8>, Errno> {
    let file = open_to_read(path.as_ref())?;
    let mut bytes = vec![0; 8192];
    let length = nix::unistd::read(&file, &mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// The running kernel's command line, without the newline at its end.
pub fn command_line() -> Result<Vec<u8>, Errno> {
    let line = read("/proc/cmdline")?;
    Ok(line.trim_ascii_end().to_vec())
}

/// The running kernel's command line without the words that a bootconfig gave it: what the boot loader
/// said. Where /proc/bootconfig cannot be read, they stay, and are true.
pub fn boot_loaders_line() -> Result<Vec<u8>, Errno> {
    Ok(without_bootconfig(&command_line()?, &read_or_empty("/proc/bootconfig")))
}

/// The names in a directory, in no order; none when it cannot be read to its end.
pub fn names(dir: impl AsRef<OsStr>) -> Vec<OsString> {
    let mut names = Vec::new();
    if let Ok(dir) = open_to_read(dir.as_ref())
        && !file::each_name(&dir, &mut |name| names.push(OsStr::from_bytes(name).to_os_string()))
    {
        names.clear();
    }
    names
}

/// As [`read()`], for a file that a load needs. Fails with [`Failure::SystemFile`].
pub fn read_whole(path: &'static str) -> Result<Vec<u8>> {
    read(path).map_err(|errno| Failure::SystemFile { path, errno }.into())
}

/// The rest of the first line that begins with `name`, without the space around it.
pub fn value_of<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    parts(text, b'\n').find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
}

/// The parts of a path, joined with `/`.
pub fn joined(parts: &[&OsStr]) -> OsString {
    let mut path = OsString::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            path.push("/");
        }
        path.push(part);
    }
    path
}
