//! Files: those a user names, and the small ones of /proc, /sys and /etc.
//!
//! Straight on the system calls: the standard library's files would bring their
//! own errors, buffers and paths (see "Sizes" in README.md).

use super::sys::{self, Mapping, Status};
use core::fmt::{self, Write};
use core::num::NonZeroUsize;
use libc::{O_APPEND, O_CLOEXEC, O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY, S_IFDIR, S_IFREG};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// No file of /proc, /sys or /etc that this program reads is longer.
const LONGEST_SMALL_FILE: usize = 4 << 20;

/// A file of the user's, opened once: what is checked is what is loaded.
#[derive(Debug)]
pub struct Input {
    /// As the user named it, or as it was found.
    pub path: OsString,
    /// Open for reading.
    pub file: OwnedFd,
    mapping: Option<Mapping>,
}

/// Why a file cannot be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// open, stat or mmap said so.
    System(Errno),
    /// It is a directory.
    Directory,
    /// It is a device, a pipe or a socket.
    Special,
    /// It is not as long as it was a moment ago.
    Changed,
}

impl From<Errno> for Unusable {
    fn from(errno: Errno) -> Unusable {
        Unusable::System(errno)
    }
}

impl Input {
    /// Opens and maps a regular file.
    pub fn open(path: &OsStr) -> Result<Input, Unusable> {
        Input::of(path, open_to_read(path)?)
    }

    /// Maps a regular file that is open: `path` is its name in messages.
    pub fn of(path: &OsStr, file: OwnedFd) -> Result<Input, Unusable> {
        let length = usize::try_from(regular(&file)?.size).ok().and_then(NonZeroUsize::new);
        let mapping = match length {
            Some(length) => Some(Mapping::new(&file, length)?),
            None => None,
        };
        Ok(Input { path: path.to_os_string(), file, mapping })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], Mapping::bytes)
    }
}

/// Opens a regular file that is read and not mapped.
pub fn open_regular(path: &OsStr) -> Result<(OwnedFd, Status), Unusable> {
    let file = open_to_read(path)?;
    let status = regular(&file)?;
    Ok((file, status))
}

/// Fails unless an open file is `length` bytes long, as it was when it was checked.
pub fn check_length(file: &OwnedFd, length: usize) -> Result<(), Unusable> {
    if sys::status_of(file)?.size == length as u64 { Ok(()) } else { Err(Unusable::Changed) }
}

fn regular(file: &OwnedFd) -> Result<Status, Unusable> {
    let status = sys::status_of(file)?;
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
    sys::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
}

/// Whether there is something by this name that can be seen.
pub fn exists(path: impl AsRef<OsStr>) -> bool {
    sys::status(path.as_ref()).is_ok()
}

/// Whether there is something by this name, or may be, as it cannot be seen.
pub fn may_exist(path: &str) -> bool {
    sys::status(path.as_ref()).map_or_else(|errno| !is_absent(errno), |_| true)
}

/// Whether an error of a path says that there is nothing by that name.
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR)
}

/// Whether there is a regular file by this name, or may be: who opens it is told more.
pub fn is_file(path: &OsStr) -> bool {
    sys::status(path).map_or_else(|errno| !is_absent(errno), |status| status.kind() == S_IFREG)
}

/// Whether there is a directory by this name.
pub fn is_dir(path: &str) -> bool {
    sys::status(path.as_ref()).is_ok_and(|status| status.kind() == S_IFDIR)
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
    let file = sys::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)?;
    sys::write_all(&file, bytes)
}

/// Adds to the end of a file that is there, in one piece.
pub fn append(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = sys::open(path.as_ref(), O_WRONLY | O_APPEND | O_CLOEXEC, 0)?;
    sys::write_all(&file, bytes)
}

/// Makes a directory, if it is not there (mkdir(2)).
pub fn make_dir(path: &str) -> Result<(), Errno> {
    match sys::make_dir(path.as_ref(), 0o755) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// Removes an empty directory (rmdir(2)).
pub fn remove_dir(path: &str) -> Result<(), Errno> {
    sys::remove(path.as_ref(), libc::AT_REMOVEDIR)
}

/// Removes a file (unlink(2)).
pub fn remove_file(path: &str) -> Result<(), Errno> {
    sys::remove(path.as_ref(), 0)
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
        && !sys::each_name(&dir, &mut |name| names.push(OsStr::from_bytes(name).to_os_string()))
    {
        names.clear();
    }
    names
}

/// What is written to a standard stream. That nobody reads it is no failure of ours.
struct Stream {
    number: i32,
    pending: heapless::Vec<u8, 512>,
}

impl Stream {
    fn flush(&mut self) {
        let _ = sys::write_standard(self.number, &self.pending);
        self.pending.clear();
    }
}

impl Write for Stream {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.pending.extend_from_slice(text.as_bytes()).is_err() {
            self.flush();
            let _ = sys::write_standard(self.number, text.as_bytes());
        }
        Ok(())
    }
}

fn stream(number: i32, with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) {
    let mut stream = Stream { number, pending: heapless::Vec::new() };
    let _ = with(&mut stream);
    stream.flush();
}

/// Writes to standard output.
pub fn print(text: fmt::Arguments) {
    stream(1, &mut |out| out.write_fmt(text));
}

/// Writes to standard error.
pub fn eprint(text: fmt::Arguments) {
    stream(2, &mut |out| out.write_fmt(text));
}

/// Lets `with` write to standard output, bit by bit.
pub fn print_with(with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) {
    stream(1, with);
}

/// Lets `with` write to standard error, bit by bit.
pub fn eprint_with(with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) {
    stream(2, with);
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
