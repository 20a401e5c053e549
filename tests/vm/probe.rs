//! Runs inside a virtual machine, for the bench: times and watches loaders.
//!
//! probe time COMMAND...     wall time of the whole process, in microseconds
//! probe watch COMMAND...    its system calls, and the most anonymous memory that
//!                           it had at any of them, in KiB
//! probe floor KERNEL INITRD wall time of a bare kexec_load over the mapped files

#![allow(
    missing_docs,
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["time", ref command @ ..] => time(command),
        ["watch", ref command @ ..] => watch(command),
        ["floor", kernel, initrd] => floor(kernel, initrd),
        _ => panic!("probe time|watch COMMAND... | floor KERNEL INITRD"),
    }
}

fn time(command: &[&str]) {
    let start = Instant::now();
    let status = Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let time = start.elapsed().as_micros();
    println!("{time} us, {status}");
}

fn watch(command: &[&str]) {
    let mut child = Command::new(command[0]);
    child.args(&command[1..]).stdout(Stdio::null());
    // ptrace(2): the child asks to be traced, and stops at its exec.
    unsafe {
        child.pre_exec(|| {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            Ok(())
        });
    }
    let pid = child.spawn().unwrap().id() as libc::pid_t;
    let (mut stops, mut most) = (0u64, 0u64);
    loop {
        let mut status = 0;
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            // A stop before and one after each call; none after the last.
            println!("{} calls, {most} KiB", stops.div_ceil(2));
            return;
        }
        stops += 1;
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or("RssAnon: 0 kB");
        most = most.max(line.split_whitespace().nth(1).unwrap().parse().unwrap());
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
    }
}

fn map(path: &str) -> &'static [u8] {
    let file = std::fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    let flags = libc::MAP_PRIVATE;
    let address =
        unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
    assert_ne!(address, libc::MAP_FAILED);
    unsafe { std::slice::from_raw_parts(address.cast(), length) }
}

fn floor(kernel: &str, initrd: &str) {
    let (kernel, initrd) = (map(kernel), map(initrd));
    let pages = |size: usize| size.next_multiple_of(4096);
    // A bzImage's code, or an arm64 Image: what is copied, and the memory it takes.
    let number = |at: usize| u32::from_le_bytes(kernel[at..at + 4].try_into().unwrap()) as usize;
    // Where: as a loader that knows the allocator would have it, see layout/aarch64.rs.
    let (code, size, places) = if &kernel[56..60] == b"ARM\x64" {
        (kernel, number(16), [0x9000_0000, 0x8000_0000, 0x7000_0000])
    } else {
        let code = &kernel[(kernel[0x1f1] as usize + 1) * 512..];
        (code, number(0x260), [0x100_0000, 0x2000_0000, 0x10_0000])
    };
    // buf, bufsz, mem, memsz (kexec_load(2)): what a loader passes at the least.
    let parameters = [0u8; 4096];
    let segments = [
        [code.as_ptr() as usize, code.len(), places[0], pages(size)],
        [initrd.as_ptr() as usize, initrd.len(), places[1], pages(initrd.len())],
        [parameters.as_ptr() as usize, 4096, places[2], 8192],
    ];
    let start = Instant::now();
    let result =
        unsafe { libc::syscall(libc::SYS_kexec_load, places[2], segments.len(), segments.as_ptr(), 0) };
    let time = start.elapsed().as_micros();
    println!(
        "{time} us, {}",
        if result == 0 { "exit status: 0".into() } else { std::io::Error::last_os_error().to_string() }
    );
}
