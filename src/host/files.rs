//! Files: those a user names, and the small ones of /proc, /sys and /etc.
//!
//! Straight on the system calls: the standard library's files would bring their own errors,
//! buffers and paths (docs/measurements.md).

use super::sys::file::{self, Metadata};
use super::sys::memory::Mapping;
use crate::base::bytes::parts;
use crate::failure::{Failure, Result, Unusable};
use core::fmt::{self, Write};
use core::num::NonZeroUsize;
use libc::{O_APPEND, O_CLOEXEC, O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY, S_IFDIR, S_IFREG};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// No file of /proc, /sys or /etc that this program reads is longer.
const LONGEST_SMALL_FILE: usize = 4 << 20;

/// A file of the user's, open and mapped: what is checked is what is loaded.
#[derive(Debug)]
pub struct Input {
    /// Open for reading.
    pub file: OwnedFd,
    mapping: Option<Mapping>,
}

impl Input {
    /// Opens and maps a regular file.
    pub fn open(path: &OsStr) -> Result<Input, Unusable> {
        Input::of(open_to_read(path)?)
    }

    /// Maps a regular file that is open.
    pub fn of(file: OwnedFd) -> Result<Input, Unusable> {
        let length = usize::try_from(regular(&file)?.size).ok().and_then(NonZeroUsize::new);
        let mapping = match length {
            Some(length) => Some(Mapping::new(&file, length)?),
            None => None,
        };
        Ok(Input { file, mapping })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], Mapping::bytes)
    }
}

/// Opens a regular file that is read and not mapped.
pub fn open_regular(path: &OsStr) -> Result<(OwnedFd, Metadata), Unusable> {
    let file = open_to_read(path)?;
    let status = regular(&file)?;
    Ok((file, status))
}

/// Fails unless an open file is `length` bytes long, as it was when it was checked.
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

/// Reads a file of as many bytes as `bytes` has.
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

/// Opens for reading. Without O_NONBLOCK, opening a pipe would wait for its writer.
fn open_to_read(path: &OsStr) -> Result<OwnedFd, Errno> {
    file::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
}

/// Whether there is something by this name that can be seen.
pub fn exists(path: impl AsRef<OsStr>) -> bool {
    file::metadata(path.as_ref()).is_ok()
}

/// Whether there is something by this name, or may be, as it cannot be seen.
pub fn may_exist(path: &str) -> bool {
    file::metadata(path.as_ref()).map_or_else(|errno| !is_absent(errno), |_| true)
}

/// Whether an error of a path says that there is nothing by that name.
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

/// Whether there is a regular file by this name, or may be: who opens it is told more.
pub fn is_file(path: &OsStr) -> bool {
    file::metadata(path).map_or_else(|errno| !is_absent(errno), |status| status.kind() == S_IFREG)
}

/// Whether there is a directory by this name.
pub fn is_dir(path: &str) -> bool {
    file::metadata(path.as_ref()).is_ok_and(|status| status.kind() == S_IFDIR)
}

/// A small file of /proc, /sys or /etc, whole.
pub fn read(path: impl AsRef<OsStr>) -> Result<Vec<u8>, Errno> {
    read_all(&open_to_read(path.as_ref())?)
}

fn read_all(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut piece = [0u8; 4096];
    while bytes.len() < LONGEST_SMALL_FILE {
        match nix::unistd::read(file, &mut piece) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

/// Writes a small file that is there, or makes it, readable by all.
pub fn write(path: &OsStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = file::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)?;
    file::write_all(&file, bytes)
}

/// Adds to the end of a file that is there, in one piece.
pub fn append(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = file::open(path.as_ref(), O_WRONLY | O_APPEND | O_CLOEXEC, 0)?;
    file::write_all(&file, bytes)
}

/// Makes a directory, if it is not there (mkdir(2)).
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

/// As [`read`], where a file that cannot be read is as good as an empty one.
pub fn read_or_empty(path: &str) -> Vec<u8> {
    read(path).unwrap_or_default()
}

/// The one line of a file in sysfs.
pub type Value = heapless::Vec<u8, 128>;

/// A file with one short line, as sysfs has them. Nothing is allocated: there may
/// be thousands of them.
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

/// The first 8 KiB of a file, or as much of them as one read(2) gives.
pub fn beginning(path: &str) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let length =
        open_to_read(path.as_ref()).and_then(|file| nix::unistd::read(&file, &mut bytes)).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

/// The running kernel's command line, without the newline at its end.
pub fn command_line() -> Result<Vec<u8>, Errno> {
    let line = read("/proc/cmdline")?;
    Ok(line.trim_ascii_end().to_vec())
}

/// The names in a directory; none when it cannot be read, or not to its end.
pub fn names(dir: &str) -> Vec<OsString> {
    let mut names = Vec::new();
    if let Ok(dir) = open_to_read(dir.as_ref())
        && !file::each_name(&dir, &mut |name| names.push(OsStr::from_bytes(name).to_os_string()))
    {
        names.clear();
    }
    names
}

/// A small file that a load cannot do without.
pub fn read_whole(path: &'static str) -> Result<Vec<u8>> {
    read(path).map_err(|errno| Failure::SystemFile { path, errno }.into())
}

/// What follows `name` at the beginning of a line.
pub fn value_of<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    parts(text, b'\n').find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
}

/// The parts of a path with `/` between.
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
