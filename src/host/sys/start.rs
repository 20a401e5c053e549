//! The program's `main`. It does what the standard library does before `main`, as far as that
//! matters here: the rest, stack guards, thread names and locks, would make the program larger.
//!
//! This file is a module of the program and not of the library: the C library calls the function
//! with the name `main`.

use core::ffi::{CStr, c_char, c_int};
use rc_kexec::host::sys::process;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The C library calls this function. The result is the exit status.
// SAFETY: nothing else in the program has this name.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    if !open_standard_streams() {
        process::end_with(CLOSED);
    }
    if gained_privilege() {
        process::end_with(GAINED);
    }
    // A write to a pipe without a reader then fails with EPIPE.
    set_action(libc::SIGPIPE, libc::SIG_IGN);
    set_action(libc::SIGBUS, file_is_gone as *const () as usize);
    let count = usize::try_from(count).unwrap_or(0);
    let mut argv: Vec<OsString> = Vec::new();
    for index in 0..count {
        // SAFETY: the C library hands over `count` NUL-terminated strings, which stay as
        // they are for as long as the program runs.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        argv.push(OsStr::from_bytes(word.to_bytes()).to_os_string());
    }
    c_int::from(crate::program(&argv))
}

/// Opens /dev/null for each closed descriptor from 0 to 2; false when that fails. Otherwise the next
/// opened file would be a standard stream, and messages would go into it.
fn open_standard_streams() -> bool {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: poll writes to the three structs that it is given.
    unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) };
    let mut closed = streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0);
    // SAFETY: openat reads a NUL-terminated name; the new descriptor has the lowest free number,
    // which is this stream's.
    let open = || unsafe { libc::syscall(libc::SYS_openat, -1, c"/dev/null".as_ptr(), libc::O_RDWR) };
    closed.all(|stream| usize::try_from(open()) == usize::try_from(stream.fd))
}

/// Whether the program file's mode or capabilities give its user more privilege (getauxval(3),
/// AT_SECURE). Root cannot gain any, but a security module may set AT_SECURE for root, too.
fn gained_privilege() -> bool {
    // SAFETY: getauxval gets a number and returns one.
    let value = |kind| unsafe { libc::getauxval(kind) };
    value(libc::AT_SECURE) != 0 && value(libc::AT_UID) != 0
}

const CLOSED: &str = "rc-kexec: unable to open /dev/null for a closed standard stream\n";

const GAINED: &str = "rc-kexec: unable to run with more privilege than its user has: who can start it so could start any kernel
  take that from its file: chmod ug-s, setcap -r
";

const CUT_SHORT: &str =
    "rc-kexec: unable to read a file: it was cut short meanwhile, or its disk or the memory for it failed
  try again when nothing writes to it
";

/// SIGBUS: the kernel cannot read a page of a mapped file (mmap(2)). Nothing was loaded: inside the
/// call itself the kernel answers EFAULT.
extern "C" fn file_is_gone(_: c_int) {
    process::end_with(CUT_SHORT);
}

/// rt_sigaction(2).
fn set_action(signal: c_int, handler: usize) {
    /// Without this flag the kernel calls no handler (arch/x86/kernel/signal_64.c,
    /// x64_setup_rt_frame). Our handler does not return, so the restorer is never called.
    const SA_RESTORER: usize = 0x0400_0000;
    // The kernel's struct sigaction: handler, flags, restorer and mask. On a 32-bit machine the
    // mask is two words.
    let action = [handler, SA_RESTORER, 0, 0, 0];
    let old = core::ptr::null_mut::<usize>();
    // SAFETY: the kernel reads one struct of this layout, its mask of 8 bytes. The handler
    // is SIG_IGN, or a function that only makes system calls and ends the program.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), old, 8usize) };
}
