//! Mapped files, and files that exist in memory alone.

use core::ffi::{CStr, c_void};
use core::num::NonZeroUsize;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// memfd_create(2), MFD_NOEXEC_SEAL: never executable (since Linux 6.3).
const MFD_NOEXEC_SEAL: libc::c_uint = 0x8;

/// memfd_create(2): a file in memory that is closed on execve(2) and, from Linux 6.3 on, never
/// executable.
pub fn memfd(name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let create = |flags: libc::c_uint| {
        // SAFETY: the kernel reads a NUL-terminated name.
        Errno::result(unsafe { libc::memfd_create(name.as_ptr(), flags) })
    };
    let fd = match create(flags | MFD_NOEXEC_SEAL) {
        Err(Errno::EINVAL) => create(flags)?,
        other => other?,
    };
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// fcntl(2), F_ADD_SEALS: nothing can change the memfd any more.
pub fn seal(memfd: &OwnedFd) -> Result<(), Errno> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: the argument of F_ADD_SEALS is a number, and it touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_fcntl, memfd.as_raw_fd(), libc::F_ADD_SEALS, seals) })
        .map(drop)
}

/// A file mapped for reading. Its pages belong to the page cache, so mapping a file copies nothing.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file` (mmap(2)). The kernel reads each page at its first
    /// use.
    pub fn new(file: impl AsFd, length: NonZeroUsize) -> Result<Mapping, Errno> {
        let flags = MapFlags::MAP_SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice, for reading:
        // nothing that exists is changed by it.
        let address = unsafe { mmap(None, length, ProtFlags::PROT_READ, flags, file, 0) }?;
        Ok(Mapping { address, length })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `address` is the beginning of `length` mapped, readable bytes,
        // which are unmapped only when self is dropped. Another process may write to the
        // file meanwhile: every parser copies a field before it checks it, and none relies
        // on reading the same bytes twice. When the file is cut short, a read raises SIGBUS
        // (mmap(2)), which ends the program with a message (start.rs) before anything is
        // loaded; in the call itself the kernel answers EFAULT.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives self.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}

/// The memory that was locked last, and its length in bytes: [`wipe_locked`] wipes it.
static LOCKED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static LOCKED_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Wipes the memory that [`MemoryFile::lock`] locked last, if it still exists. For an end of the
/// program that drops nothing; a signal handler may call it (signal-safety(7)). All of this memory is
/// there, so that writing to it raises no signal.
pub fn wipe_locked() {
    let address = LOCKED.swap(null_mut(), Ordering::AcqRel);
    if !address.is_null() {
        // SAFETY: lock() noted the address and the length of a mapping that can be written, and
        // Drop takes the note back before it unmaps. The program ends now: no slice is used again.
        unsafe { address.write_bytes(0, LOCKED_LENGTH.load(Ordering::Acquire)) };
    }
}

/// A file in memory alone, mapped for reading and writing. Once it is locked, the kernel never
/// swaps it out. Dropping it wipes it. Its descriptor is nobody else's: nothing changes the bytes of
/// a slice.
#[derive(Debug)]
pub struct MemoryFile {
    /// Nothing but a test reads it.
    _file: OwnedFd,
    address: NonNull<c_void>,
    length: NonZeroUsize,
}

impl MemoryFile {
    /// `length` bytes of zeros.
    pub fn new(name: &CStr, length: NonZeroUsize) -> Result<MemoryFile, Errno> {
        let file = memfd(name)?;
        // One byte at the end makes the file as long as that (pwrite(2)).
        let last = libc::off_t::try_from(length.get()).map_err(|_| Errno::EFBIG)?.saturating_sub(1);
        // SAFETY: the kernel reads one byte of a constant.
        Errno::result(unsafe { libc::pwrite(file.as_raw_fd(), c"".as_ptr().cast(), 1, last) })?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that
        // nobody else has: nothing that exists is changed by it.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(MemoryFile { _file: file, address, length })
    }

    /// Keeps it out of swap space (mlock(2)) and of core dumps (madvise(2)).
    pub fn lock(&self) -> Result<(), Errno> {
        let (address, length) = (self.address.as_ptr(), self.length.get());
        // SAFETY: advice and locks change no byte of the mapping, which is ours.
        unsafe {
            Errno::result(libc::madvise(address, length, libc::MADV_DONTDUMP))?;
            Errno::result(libc::mlock(address, length))?;
        }
        LOCKED_LENGTH.store(length, Ordering::Release);
        LOCKED.store(address.cast(), Ordering::Release);
        Ok(())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `address` is the beginning of `length` mapped bytes, which are unmapped
        // only when self is dropped; they are written through `bytes_mut` alone.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr().cast(), self.length.get()) }
    }

    /// Its bytes, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and self is borrowed by nobody else.
        unsafe { core::slice::from_raw_parts_mut(self.address.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // The compiler cannot leave this out: munmap gets the address after it.
        self.bytes_mut().fill(0);
        let own = self.address.as_ptr().cast();
        let _ = LOCKED.compare_exchange(own, null_mut(), Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: the mapping is ours, and no slice of it outlives self.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_locked_kept_out_of_dumps_and_wiped() {
        let mut memory = MemoryFile::new(c"rc-kexec-test", NonZeroUsize::new(5000).unwrap()).unwrap();
        assert_eq!(memory.bytes(), [0; 5000]);
        memory.lock().unwrap();
        memory.bytes_mut().fill(7);
        // proc_pid_smaps(5): the flags of the mapping that begins at this address.
        let address = format!("{:x}-", memory.address.as_ptr() as usize);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = smaps.split_once(&address).unwrap().1;
        let flags = of_it.lines().find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
        for flag in ["lo", "dd"] {
            assert!(flags.split_whitespace().any(|own| own == flag), "{flag} in {flags}");
        }
        let file = nix::unistd::dup(&memory._file).unwrap();
        // An end that drops nothing wipes it, too; and once.
        wipe_locked();
        assert_eq!(memory.bytes(), [0; 5000]);
        memory.bytes_mut().fill(7);
        wipe_locked();
        assert_eq!(memory.bytes(), [7; 5000]);
        memory.lock().unwrap();
        drop(memory);
        wipe_locked();
        let mut left = vec![1; 6000];
        assert_eq!(nix::unistd::read(&file, &mut left).unwrap(), 5000);
        assert_eq!(left[..5000], [0; 5000]);
    }
}
