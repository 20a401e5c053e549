//! How the program begins: what the standard library does before `main`, as far as it
//! matters here. Its own way brings stack guards, threads' names and locks. A part of
//! the program and not of the library: `main` is the name that the C library calls.

use core::ffi::{CStr, c_char, c_int};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The C library calls this; its answer is the exit status.
// SAFETY: nothing else in the program has this name.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    if !open_standard_streams() {
        return 1;
    }
    ignore_broken_pipes();
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

/// Opens /dev/null for each of the descriptors 0 to 2 that is closed: otherwise the
/// next file to be opened would be a standard stream, and messages would go into it.
/// False when that fails.
fn open_standard_streams() -> bool {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: poll writes to the three structs that it is given.
    unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) };
    let mut closed = streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0);
    // SAFETY: openat reads a NUL-terminated name; it takes the lowest free number, which
    // is this stream's.
    let open = || unsafe { libc::syscall(libc::SYS_openat, -1, c"/dev/null".as_ptr(), libc::O_RDWR) };
    closed.all(|stream| usize::try_from(open()) == usize::try_from(stream.fd))
}

/// rt_sigaction(2) of SIGPIPE: a write that nobody reads is answered by EPIPE.
fn ignore_broken_pipes() {
    // struct sigaction of the kernel: the handler, then flags, restorer and mask, which
    // is two words where words are of 32 bits.
    let ignore = [libc::SIG_IGN, 0, 0, 0, 0];
    let old = core::ptr::null_mut::<usize>();
    // SAFETY: the kernel reads one struct of this layout, its mask of 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, libc::SIGPIPE, ignore.as_ptr(), old, 8usize) };
}
