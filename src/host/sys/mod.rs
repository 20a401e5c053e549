//! Every system call that the standard library has no safe form of, one short
//! function each, named after its manual page. With allocator.rs and start.rs, the only
//! unsafe code.

pub mod allocator;

use crate::base::bytes;
use crate::image::machine::Machine;
use crate::plan::{MAX_SEGMENTS, Plan};
use core::ffi::{CStr, c_void};
use core::num::NonZeroUsize;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::reboot::{RebootMode, reboot};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;

/// kexec_load(2), KEXEC_ARCH_*: the architecture of the running kernel, for which the
/// plan is made. By name, so that a kernel of another one refuses it.
fn kexec_arch() -> libc::c_ulong {
    match machine() {
        Machine::X86_64 => 62 << 16,
        Machine::Arm64 => 183 << 16,
        _ => 3 << 16,
    }
}
/// kexec_file_load(2): its number. 32-bit x86 has none, which -1 is everywhere.
const SYS_KEXEC_FILE_LOAD: libc::c_long = if cfg!(target_arch = "x86_64") {
    320
} else if cfg!(target_arch = "aarch64") {
    294
} else {
    -1
};
/// kexec_file_load(2): unload.
const KEXEC_FILE_UNLOAD: libc::c_ulong = 1;
/// kexec_file_load(2): there is no initrd.
const KEXEC_FILE_NO_INITRAMFS: libc::c_ulong = 4;
/// CAP_SYS_BOOT (linux/capability.h).
pub const CAP_SYS_BOOT: u32 = 22;
/// memfd_create(2), since Linux 6.3: never executable.
const MFD_NOEXEC_SEAL: libc::c_uint = 0x8;

/// The longest path that the kernel takes, with its NUL (linux/limits.h).
const PATH_MAX: usize = 4096;

/// A system call on a path that takes a directory before it, as openat(2) does, and up
/// to three words after it. One way for all of them: the C library's and nix's each bring more.
///
/// # Safety
///
/// The words are what this call takes; memory that they point to is the call's.
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

/// unlinkat(2): of a directory with AT_REMOVEDIR.
pub fn remove(path: &OsStr, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the flags are a number; the last word is not read.
    unsafe { at(libc::SYS_unlinkat, path, [flags as usize, 0, 0]) }.map(drop)
}

/// mkdirat(2).
pub fn make_dir(path: &OsStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: the mode is a number; the last word is not read.
    unsafe { at(libc::SYS_mkdirat, path, [mode as usize, 0, 0]) }.map(drop)
}

/// readlinkat(2), or as much of it as there is room for in a path.
pub fn read_link(path: &OsStr) -> Result<OsString, Errno> {
    let mut target = [0u8; PATH_MAX];
    // SAFETY: the kernel writes at most `target.len()` bytes to `target`.
    let length = unsafe { at(libc::SYS_readlinkat, path, [target.as_mut_ptr() as usize, target.len(), 0]) }?;
    Ok(OsStr::from_bytes(target.get(..length).unwrap_or_default()).to_os_string())
}

/// What is known of a file without reading it (inode(7)).
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Its type and its permission bits.
    pub mode: libc::mode_t,
    /// Its size, in bytes.
    pub size: u64,
    /// Its owner.
    pub owner: u32,
    /// The device that it is, major and minor number; zeros for what is none.
    pub is_device: (u32, u32),
    /// The device that it lies on.
    pub on_device: (u32, u32),
    /// The mount that it lies on, as /proc/self/mountinfo numbers them.
    pub mount: u64,
}

impl Status {
    /// S_IFMT of its mode.
    pub fn kind(&self) -> libc::mode_t {
        self.mode & libc::S_IFMT
    }
}

/// statx(2), which is the same for every architecture: of what is at `path`.
pub fn status(path: &OsStr) -> Result<Status, Errno> {
    let mut status = [0u8; STATX_SIZE];
    let arguments = [0, STATX_MASK as usize, status.as_mut_ptr() as usize];
    // SAFETY: the kernel writes one struct statx to `status`.
    unsafe { at(libc::SYS_statx, path, arguments) }?;
    status_in(&status).ok_or(Errno::EINVAL)
}

/// statx(2), of an open file.
pub fn status_of(file: &OwnedFd) -> Result<Status, Errno> {
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
    status_in(&status).ok_or(Errno::EINVAL)
}

const STATX_MASK: libc::c_uint = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;

/// struct statx (statx(2)): where its fields are is in linux/stat.h.
const STATX_SIZE: usize = 256;

fn status_in(status: &[u8; STATX_SIZE]) -> Option<Status> {
    let device = |at: usize| Some((bytes::u32_at(status, at)?, bytes::u32_at(status, at.checked_add(4)?)?));
    Some(Status {
        mode: libc::mode_t::from(bytes::u16_at(status, 28)?),
        size: bytes::u64_at(status, 40)?,
        owner: bytes::u32_at(status, 20)?,
        is_device: device(128)?,
        on_device: device(136)?,
        mount: bytes::u64_at(status, 144)?,
    })
}

/// A file mapped for reading: its pages are the page cache's, not ours.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file` (mmap(2)), read in at once.
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
        // which are unmapped only when self is dropped. Another process may write
        // to the file meanwhile: every parser copies a field before it checks it,
        // and none relies on reading the same bytes twice. One that cuts the file
        // short ends this one by SIGBUS (mmap(2)), with a message (start.rs), before
        // anything is loaded or, in the call itself, with EFAULT.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives self.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}

/// A file in memory alone, mapped for reading and writing; never on a disk once it is
/// locked. Wiped when it is dropped.
#[derive(Debug)]
pub struct MemoryFile {
    /// The file.
    pub file: OwnedFd,
    address: NonNull<c_void>,
    length: NonZeroUsize,
}

impl MemoryFile {
    /// `length` bytes of zeros.
    pub fn new(name: &CStr, length: NonZeroUsize) -> Result<MemoryFile, Errno> {
        let file = memfd(name)?;
        // One write at its last byte makes it as long (pwrite(2)).
        let last = libc::off_t::try_from(length.get()).map_err(|_| Errno::EFBIG)?.saturating_sub(1);
        // SAFETY: the kernel reads one byte of a constant.
        Errno::result(unsafe { libc::pwrite(file.as_raw_fd(), c"".as_ptr().cast(), 1, last) })?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that
        // nobody else has: nothing that exists is changed by it.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(MemoryFile { file, address, length })
    }

    /// Keeps it out of swap space (mlock(2)) and of core dumps (madvise(2)).
    pub fn lock(&self) -> Result<(), Errno> {
        let (address, length) = (self.address.as_ptr(), self.length.get());
        // SAFETY: advice and locks change no byte of the mapping, which is ours.
        unsafe {
            Errno::result(libc::madvise(address, length, libc::MADV_DONTDUMP))?;
            Errno::result(libc::mlock(address, length)).map(drop)
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `address` is the beginning of `length` mapped bytes, which are unmapped
        // only when self is dropped; they are written through `bytes_mut` alone.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr().cast(), self.length.get()) }
    }

    /// Its bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and self is borrowed by nobody else.
        unsafe { core::slice::from_raw_parts_mut(self.address.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // The kernel is given the address after this: it is not left out as useless.
        self.bytes_mut().fill(0);
        // SAFETY: the mapping is ours, and no slice of it outlives self.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}

/// struct kexec_segment (kexec_load(2)).
#[repr(C)]
#[derive(Clone, Copy)]
struct KexecSegment {
    buf: *const c_void,
    bufsz: libc::size_t,
    mem: libc::c_ulong,
    memsz: libc::size_t,
}

/// kexec_load(2) of a plan.
pub fn kexec_load(plan: &Plan) -> Result<(), Errno> {
    let mut segments = heapless::Vec::<KexecSegment, MAX_SEGMENTS>::new();
    for segment in plan.segments() {
        let raw = KexecSegment {
            buf: segment.bytes.as_ptr().cast(),
            bufsz: segment.bytes.len(),
            mem: libc::c_ulong::try_from(segment.place.start()).map_err(|_| Errno::EINVAL)?,
            memsz: libc::size_t::try_from(segment.place.size()).map_err(|_| Errno::EINVAL)?,
        };
        segments.push(raw).map_err(|_| Errno::EINVAL)?;
    }
    load_segments(plan.entry(), &segments)
}

/// kexec_load(2) with no segment: unloads.
pub fn kexec_unload() -> Result<(), Errno> {
    load_segments(0, &[])
}

fn load_segments(entry: u64, segments: &[KexecSegment]) -> Result<(), Errno> {
    // SAFETY: the kernel reads `segments.len()` segments and, through each, `bufsz`
    // bytes of a slice that the caller borrows; it writes none of our memory.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            entry as libc::c_ulong,
            segments.len() as libc::c_ulong,
            segments.as_ptr(),
            kexec_arch(),
        )
    };
    Errno::result(result).map(drop)
}

/// kexec_file_load(2). The command line's length counts its NUL.
pub fn kexec_file_load(kernel: &OwnedFd, initrd: Option<&OwnedFd>, command_line: &CStr) -> Result<(), Errno> {
    let flags = if initrd.is_some() { 0 } else { KEXEC_FILE_NO_INITRAMFS };
    // SAFETY: the kernel reads the NUL-terminated command line and two descriptors
    // that are open while they are borrowed; it writes none of our memory.
    let result = unsafe {
        libc::syscall(
            SYS_KEXEC_FILE_LOAD,
            kernel.as_raw_fd(),
            initrd.map_or(-1, AsRawFd::as_raw_fd),
            command_line.to_bytes_with_nul().len(),
            command_line.as_ptr(),
            flags,
        )
    };
    Errno::result(result).map(drop)
}

/// kexec_file_load(2), unload.
pub fn kexec_file_unload() -> Result<(), Errno> {
    let none = core::ptr::null::<libc::c_char>();
    // SAFETY: with KEXEC_FILE_UNLOAD the other arguments are not read.
    let result =
        unsafe { libc::syscall(SYS_KEXEC_FILE_LOAD, -1, -1, 0 as libc::c_ulong, none, KEXEC_FILE_UNLOAD) };
    Errno::result(result).map(drop)
}

/// Whether the kernel has kexec_file_load, found out without loading anything and
/// without spending one of `kernel.kexec_load_limit_reboot`: the privilege is laid
/// down for the call, and the kernel asks for it before anything else
/// (kernel/kexec_core.c, kexec_load_permitted). EPERM then means that the call is
/// there. `None` when that cannot be told.
pub fn has_kexec_file_load() -> Option<bool> {
    is_there(without_cap_sys_boot(kexec_file_unload))
}

/// As [`has_kexec_file_load`], for kexec_load.
pub fn has_kexec_load() -> Option<bool> {
    is_there(without_cap_sys_boot(kexec_unload))
}

fn is_there(answer: Result<(), Errno>) -> Option<bool> {
    match answer {
        Err(Errno::ENOSYS) => Some(false),
        Err(Errno::EPERM) => Some(true),
        _ => None,
    }
}

/// struct __user_cap_data_struct (capset(2)).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// capget(2) or capset(2), by number, of this process.
fn capabilities(call: libc::c_long, data: &mut [Capabilities; 2]) -> Result<(), Errno> {
    // _LINUX_CAPABILITY_VERSION_3: two structs of data, low capabilities first.
    let mut header = [0x2008_0522u32, 0];
    // SAFETY: version 3 makes the kernel read or write two structs of this layout.
    Errno::result(unsafe { libc::syscall(call, header.as_mut_ptr(), data.as_mut_ptr()) }).map(drop)
}

/// Makes a call with CAP_SYS_BOOT out of the effective set, and puts it back. The
/// call is not made unless the capability is known to be gone.
fn without_cap_sys_boot(call: fn() -> Result<(), Errno>) -> Result<(), Errno> {
    let mut before = [Capabilities::default(); 2];
    capabilities(libc::SYS_capget, &mut before)?;
    let mut without = before;
    let [low, _] = &mut without;
    low.effective &= !(1 << CAP_SYS_BOOT);
    capabilities(libc::SYS_capset, &mut without)?;
    let answer = call();
    // What was permitted all along may be put back.
    let _ = capabilities(libc::SYS_capset, &mut before);
    answer
}

/// A memfd (memfd_create(2)) that is not inherited and, where the kernel knows
/// how to say so, never executable.
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

/// fcntl(2), F_ADD_SEALS: the memfd can be changed no more.
pub fn seal(memfd: &OwnedFd) -> Result<(), Errno> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: F_ADD_SEALS takes a number and touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_fcntl, memfd.as_raw_fd(), libc::F_ADD_SEALS, seals) })
        .map(drop)
}

/// `N` random bytes (getrandom(2)), at most 256, or none while the kernel has no good ones yet.
pub fn random_seed<const N: usize>() -> Option<[u8; N]> {
    let mut seed = [0u8; N];
    // SAFETY: the kernel writes at most `seed.len()` bytes to `seed`.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), libc::GRND_NONBLOCK) };
    (usize::try_from(got) == Ok(seed.len())).then_some(seed)
}

/// write(2), whole; an error ends it.
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
    // SAFETY: the standard streams are open for as long as the program runs: the
    // program opens /dev/null for those that are not (start.rs).
    write_all(unsafe { BorrowedFd::borrow_raw(number) }, bytes)
}

/// write(2) to standard error, and exit_group(2) with 1: for where nothing else can be done
/// any more. It allocates nothing, and a signal's handler may call it (signal-safety(7)).
pub fn end_with(message: &str) -> ! {
    let _ = write_standard(2, message.as_bytes());
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(1) }
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

/// The end of the kernel's log (syslog(2)), as much of it as `buffer` holds; nothing
/// where it may not be read.
pub fn kernel_log(buffer: &mut [u8]) -> &[u8] {
    /// SYSLOG_ACTION_READ_ALL: "Read all messages remaining in the ring buffer", the last.
    const READ_ALL: libc::c_int = 3;
    let length = libc::c_int::try_from(buffer.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `length` bytes to `buffer`.
    let got = unsafe { libc::syscall(libc::SYS_syslog, READ_ALL, buffer.as_mut_ptr(), length) };
    usize::try_from(got).ok().and_then(|got| buffer.get(..got)).unwrap_or_default()
}

/// The C library's words for an error (strerror(3)).
pub fn strerror(errno: Errno) -> &'static str {
    // SAFETY: musl's strerror returns a constant, NUL-terminated string for any
    // number.
    let text = unsafe { CStr::from_ptr(libc::strerror(errno as i32)) };
    text.to_str().unwrap_or("unknown error")
}

/// mount(2) of tracefs.
pub fn mount_tracefs(path: &CStr) -> Result<(), Errno> {
    let (name, flags) = (c"tracefs".as_ptr(), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    // SAFETY: mount reads three NUL-terminated strings; tracefs needs no data.
    Errno::result(unsafe { libc::mount(name, path.as_ptr(), name, flags, core::ptr::null()) }).map(drop)
}

/// umount(2).
pub fn unmount(path: &CStr) -> Result<(), Errno> {
    // SAFETY: umount reads a NUL-terminated string.
    Errno::result(unsafe { libc::umount2(path.as_ptr(), 0) }).map(drop)
}

/// kill(2): SIGHUP to process 1.
pub fn signal_init_to_reload() -> Result<(), Errno> {
    // SAFETY: kill takes two numbers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(1, libc::SIGHUP) }).map(drop)
}

/// sync(2).
pub fn sync() {
    nix::unistd::sync();
}

/// reboot(2), LINUX_REBOOT_CMD_KEXEC: starts the loaded kernel. Returning is failing.
pub fn reboot_kexec() -> Errno {
    match reboot(RebootMode::RB_KEXEC) {
        Err(error) => error,
    }
}

/// reboot(2), LINUX_REBOOT_CMD_RESTART, after a sync(2). Returning is failing.
pub fn reboot_now() -> Errno {
    sync();
    match reboot(RebootMode::RB_AUTOBOOT) {
        Err(error) => error,
    }
}

/// execve(2) with an empty environment. Returning is failing.
pub fn exec(path: &CStr, arguments: &[&CStr]) -> Errno {
    let mut argv = heapless::Vec::<*const libc::c_char, 8>::new();
    for argument in arguments {
        if argv.push(argument.as_ptr()).is_err() {
            return Errno::E2BIG;
        }
    }
    if argv.push(core::ptr::null()).is_err() {
        return Errno::E2BIG;
    }
    let environment = [core::ptr::null::<libc::c_char>()];
    // SAFETY: path, arguments and environment are NUL-terminated strings in
    // NULL-terminated arrays.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    Errno::last()
}

/// A variable of the environment (getenv(3)).
pub fn environment(name: &CStr) -> Option<OsString> {
    // SAFETY: this program has one thread and never changes its environment: the
    // string stays while it is copied.
    let value = unsafe { libc::getenv(name.as_ptr()).as_ref().map(|first| CStr::from_ptr(first)) };
    value.map(|value| OsStr::from_bytes(value.to_bytes()).to_os_string())
}

/// The size of a page of the running kernel, in bytes (getauxval(3), AT_PAGESZ).
pub fn page_size() -> usize {
    // SAFETY: getauxval takes a number and answers one.
    usize::try_from(unsafe { libc::getauxval(libc::AT_PAGESZ) }).unwrap_or(0)
}

/// personality(2): none.
const PER_LINUX: libc::c_ulong = 0;

/// The machine that the running kernel is for. Where this program is built for 32-bit
/// x86, the kernel may be a 64-bit one: uname(2) says.
pub fn machine() -> Machine {
    if cfg!(target_arch = "x86_64") {
        return Machine::X86_64;
    }
    if cfg!(target_arch = "aarch64") {
        return Machine::Arm64;
    }
    // Under the personality of a 32-bit Linux (setarch) uname says what is asked for.
    // SAFETY: personality takes a number and changes this process alone.
    unsafe { libc::personality(PER_LINUX) };
    // SAFETY: for the kernel all bytes of this struct may be 0.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one struct utsname.
    unsafe { libc::uname(&raw mut names) };
    let x86_64 = names.machine.iter().zip(b"x86_64\0").all(|(own, &byte)| own.to_ne_bytes() == [byte]);
    if x86_64 { Machine::X86_64 } else { Machine::X86 }
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
        let file = nix::unistd::dup(&memory.file).unwrap();
        drop(memory);
        let mut left = vec![1; 6000];
        assert_eq!(nix::unistd::read(&file, &mut left).unwrap(), 5000);
        assert_eq!(left[..5000], [0; 5000]);
    }
}
