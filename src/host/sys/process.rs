//! This process, process 1, and the kernel they run on.

use super::file::write_standard;
use super::memory::wipe_locked;
use crate::image::machine::Machine;
use core::ffi::CStr;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Wipes a key, writes a message to standard error and exits with 1, where the program cannot go on.
/// It allocates nothing, and a signal handler may call it (signal-safety(7)).
pub fn end_with(message: &str) -> ! {
    wipe_locked();
    let _ = write_standard(2, message.as_bytes());
    // SAFETY: the argument of _exit is a number, and it does not return.
    unsafe { libc::_exit(1) }
}

/// `N` random bytes (getrandom(2)), at most 256; `None` while the kernel's generator is not
/// initialised.
pub fn random_seed<const N: usize>() -> Option<[u8; N]> {
    let mut seed = [0u8; N];
    // SAFETY: the kernel writes at most `seed.len()` bytes to `seed`.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), libc::GRND_NONBLOCK) };
    (usize::try_from(got) == Ok(seed.len())).then_some(seed)
}

/// The end of the kernel's log (syslog(2)), as much as fits into `buffer`; nothing when this process
/// may not read it.
pub fn kernel_log(buffer: &mut [u8]) -> &[u8] {
    /// SYSLOG_ACTION_READ_ALL: "Read all messages remaining in the ring buffer". When the buffer
    /// is too small, the kernel returns the last ones.
    const READ_ALL: libc::c_int = 3;
    let length = libc::c_int::try_from(buffer.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `length` bytes to `buffer`.
    let got = unsafe { libc::syscall(libc::SYS_syslog, READ_ALL, buffer.as_mut_ptr(), length) };
    usize::try_from(got).ok().and_then(|got| buffer.get(..got)).unwrap_or_default()
}

/// The C library's description of an error (strerror(3)).
pub fn strerror(errno: Errno) -> &'static str {
    // SAFETY: musl's strerror returns a constant, NUL-terminated string for any number, and so
    // does glibc's for every number that Errno has.
    let text = unsafe { CStr::from_ptr(libc::strerror(errno as i32)) };
    text.to_str().unwrap_or("unknown error")
}

/// kill(2): SIGHUP to process 1. BusyBox's init then reads /etc/inittab again.
pub fn signal_init_to_reload() -> Result<(), Errno> {
    // SAFETY: the arguments of kill are two numbers, and it touches no memory of ours.
    Errno::result(unsafe { libc::kill(1, libc::SIGHUP) }).map(drop)
}

/// execve(2) with an empty environment, and at most seven arguments, the program's name included.
/// It returns only with an error.
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

/// A variable of the environment (getenv(3)); `None` when it is not set.
pub fn environment(name: &CStr) -> Option<OsString> {
    // SAFETY: the string stays while it is copied. This program has one thread and never changes
    // its environment; another program that uses the library can change it only with
    // std::env::set_var, whose caller promises that no other thread reads it meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()).as_ref().map(|first| CStr::from_ptr(first)) };
    value.map(|value| OsStr::from_bytes(value.to_bytes()).to_os_string())
}

/// The size of a page of the running kernel, in bytes (getauxval(3), AT_PAGESZ).
pub fn page_size() -> usize {
    // SAFETY: getauxval gets a number and returns one.
    usize::try_from(unsafe { libc::getauxval(libc::AT_PAGESZ) }).unwrap_or(0)
}

/// Whether this process runs as root (geteuid(2)).
pub fn is_root() -> bool {
    // SAFETY: the call only returns a number, and does not fail.
    unsafe { libc::geteuid() == 0 }
}

/// personality(2): the native one.
const PER_LINUX: libc::c_ulong = 0;

/// The machine of the running kernel. Under a program for 32-bit x86 the kernel may be a 64-bit
/// one: uname(2) says which.
pub fn machine() -> Machine {
    if cfg!(target_arch = "x86_64") {
        return Machine::X86_64;
    }
    if cfg!(target_arch = "aarch64") {
        return Machine::Arm64;
    }
    // Under the personality of a 32-bit Linux (setarch(8)) uname would answer with that machine.
    // SAFETY: the argument of personality is a number, and it changes this process alone.
    unsafe { libc::personality(PER_LINUX) };
    // SAFETY: for the kernel all bytes of this struct may be 0.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one struct utsname.
    unsafe { libc::uname(&raw mut names) };
    let x86_64 = names.machine.iter().zip(b"x86_64\0").all(|(own, &byte)| own.to_ne_bytes() == [byte]);
    if x86_64 { Machine::X86_64 } else { Machine::X86 }
}
