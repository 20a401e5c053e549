//! Files and directories: one short function for each system call, with the name of its manual
//! page.

use crate::base::bytes;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The longest path that the kernel accepts, in bytes with its NUL (linux/limits.h).
const PATH_MAX: usize = 4096;

/// A system call whose arguments are a directory, a path, and up to three words, as openat(2) has
/// them. The C library's and nix's functions for each call would make the program larger.
///
/// # Safety
///
/// The words are the arguments of this call, and it may use the memory that they point to.
unsafe fn at(call: libc::c_long, path: &OsStr, words: [usize; 3]) -> Result<usize, Errno> {
    let (path, mut name) = (path.as_bytes(), [0u8; PATH_MAX]);
    if path.contains(&0) {
        return Err(Errno::EINVAL);
    }
    match name.get_mut(..path.len()) {
        Some(start) if path.len() < PATH_MAX => start.copy_from_slice(path),
        _ => return Err(Errno::ENAMETOOLONG),
    }
    let [first, second, third] = words;
    // SAFETY: the name ends with a NUL; the caller answers for the words.
    let result = unsafe { libc::syscall(call, libc::AT_FDCWD, name.as_ptr(), first, second, third) };
    Errno::result(result).map(|result| result as usize)
}

/// openat(2).
pub fn open(path: &OsStr, flags: libc::c_int, mode: libc::mode_t) -> Result<OwnedFd, Errno> {
    // SAFETY: flags and mode are numbers.
    let fd = unsafe { at(libc::SYS_openat, path, [flags as usize, mode as usize, 0]) }?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// pread(2): what is at `offset`, in bytes, as many of them as `bytes` has room for.
pub fn read_at(file: &OwnedFd, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    loop {
        let (buffer, length) = (bytes.as_mut_ptr().cast(), bytes.len());
        // SAFETY: the kernel writes at most `bytes.len()` bytes to `bytes`.
        let result = unsafe { libc::pread(file.as_raw_fd(), buffer, length, offset) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            other => return other.map(|length| length as usize),
        }
    }
}

/// Writes all of `bytes` at `offset`, in bytes (pwrite(2)), or fails with the first error.
pub fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let place = libc::off_t::try_from(offset).map_err(|_| Errno::EFBIG)?;
        // SAFETY: the kernel reads at most `bytes.len()` bytes from `bytes`.
        let result = unsafe { libc::pwrite(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), place) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(Errno::EIO),
            other => {
                let length = other? as usize;
                bytes = bytes.get(length..).unwrap_or_default();
                offset = offset.saturating_add(length as u64);
            }
        }
    }
    Ok(())
}

/// fsync(2): waits until what was written is on the disk.
pub fn sync(file: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: a descriptor that is open.
    Errno::result(unsafe { libc::fsync(file.as_raw_fd()) }).map(drop)
}

/// unlinkat(2): removes a file, or an empty directory with AT_REMOVEDIR.
pub fn remove(path: &OsStr, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the flags are a number; the last word is not read.
    unsafe { at(libc::SYS_unlinkat, path, [flags as usize, 0, 0]) }.map(drop)
}

/// mkdirat(2).
pub fn make_dir(path: &OsStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: the mode is a number; the last word is not read.
    unsafe { at(libc::SYS_mkdirat, path, [mode as usize, 0, 0]) }.map(drop)
}

/// readlinkat(2): the target of a symbolic link, at most 4096 bytes of it.
pub fn read_link(path: &OsStr) -> Result<OsString, Errno> {
    let mut target = [0u8; PATH_MAX];
    // SAFETY: the kernel writes at most `target.len()` bytes to `target`.
    let length = unsafe { at(libc::SYS_readlinkat, path, [target.as_mut_ptr() as usize, target.len(), 0]) }?;
    Ok(OsStr::from_bytes(target.get(..length).unwrap_or_default()).to_os_string())
}

/// A file's metadata (inode(7)).
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Its type and its permission bits.
    pub mode: libc::mode_t,
    /// Its size, in bytes.
    pub size: u64,
    /// Its owner.
    pub owner: u32,
    /// For a device, its major and minor number; else zeros.
    pub is_device: (u32, u32),
    /// The major and minor number of the device that it lies on.
    pub on_device: (u32, u32),
    /// When its content changed last, in seconds since 1970.
    pub modified: u64,
    /// When its content, name or rights changed last, in seconds since 1970: an installed file came then.
    pub changed: u64,
    /// The number of its mount in /proc/self/mountinfo; 0 from a kernel before Linux 5.8.
    pub mount: u64,
}

impl Metadata {
    /// Its type, S_IFREG for a regular file: the S_IFMT bits of its mode.
    pub fn kind(&self) -> libc::mode_t {
        self.mode & libc::S_IFMT
    }
}

/// statx(2) of the file at `path`. Its struct is the same on every architecture.
pub fn metadata(path: &OsStr) -> Result<Metadata, Errno> {
    let mut status = [0u8; STATX_SIZE];
    let arguments = [0, STATX_MASK as usize, status.as_mut_ptr() as usize];
    // SAFETY: the kernel writes one struct statx to `status`.
    unsafe { at(libc::SYS_statx, path, arguments) }?;
    metadata_in(&status).ok_or(Errno::EINVAL)
}

/// The bytes that root can still write to a file system (statvfs(3)).
#[cfg(feature = "vmcore")]
pub fn free_space(path: &OsStr) -> Result<u64, Errno> {
    let status = nix::sys::statvfs::statvfs(path)?;
    Ok(status.blocks_free().saturating_mul(status.fragment_size() as u64))
}

/// statx(2) of an open file.
pub fn metadata_of(file: &OwnedFd) -> Result<Metadata, Errno> {
    let mut status = [0u8; STATX_SIZE];
    // SAFETY: the kernel reads an empty path, and writes one struct statx to `status`.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            STATX_MASK,
            status.as_mut_ptr(),
        )
    })?;
    metadata_in(&status).ok_or(Errno::EINVAL)
}

const STATX_MASK: libc::c_uint = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;

/// The size of struct statx; linux/stat.h has the offsets of its fields.
const STATX_SIZE: usize = 256;

fn metadata_in(status: &[u8; STATX_SIZE]) -> Option<Metadata> {
    let device = |at: usize| Some((bytes::u32_at(status, at)?, bytes::u32_at(status, at.checked_add(4)?)?));
    Some(Metadata {
        mode: libc::mode_t::from(bytes::u16_at(status, 28)?),
        size: bytes::u64_at(status, 40)?,
        owner: bytes::u32_at(status, 20)?,
        is_device: device(128)?,
        on_device: device(136)?,
        modified: bytes::u64_at(status, 112)?,
        changed: bytes::u64_at(status, 96)?,
        mount: bytes::u64_at(status, 144)?,
    })
}

/// Writes all of `bytes` (write(2)), or fails with the first error.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match nix::unistd::write(&fd, bytes) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(0) => return Err(Errno::EIO),
            Ok(wrote) => bytes = bytes.get(wrote..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// [`write_all`] to a standard stream, by number.
pub fn write_standard(number: i32, bytes: &[u8]) -> Result<(), Errno> {
    // SAFETY: the standard streams are open for as long as the program runs: start.rs opens
    // /dev/null for those that are not, and so does the standard library before another `main`.
    write_all(unsafe { BorrowedFd::borrow_raw(number) }, bytes)
}

/// Calls `each` with every name in an open directory but `.` and `..` (getdents64(2)).
/// False when there may be more.
pub fn each_name(dir: &OwnedFd, each: &mut dyn FnMut(&[u8])) -> bool {
    let mut buffer = [0u8; 2048];
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        let got = unsafe {
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        };
        let Some(mut rest) = usize::try_from(got).ok().and_then(|length| buffer.get(..length)) else {
            return false;
        };
        if rest.is_empty() {
            return true;
        }
        // struct linux_dirent64: inode, offset, length of the record as u16 at 16,
        // type, name from 19 on with its NUL.
        while let Some(length) = bytes::u16_at(rest, 16).map(usize::from).filter(|&length| length > 19) {
            let name = rest.get(19..length).unwrap_or_default();
            let name = bytes::parts(name, 0).next().unwrap_or_default();
            if name != b"." && name != b".." {
                each(name);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
