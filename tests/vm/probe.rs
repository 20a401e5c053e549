//! Runs inside a virtual machine, for the bench: times and watches loaders.
//!
//! probe time SECONDS COMMAND...
//!                           wall time of the whole process, in microseconds; it is killed
//!                           when that becomes longer than so many seconds
//! probe watch COMMAND...    its system calls, the most anonymous memory that it had at
//!                           any of them, in KiB, and the time inside the longest call,
//!                           the others, and between them, in microseconds
//! probe floor KERNEL INITRD KPLACE IPLACE PPLACE
//!                           wall time of a bare kexec_load over the mapped files, with
//!                           the two and a page of parameters at these addresses
//! probe grow SMALL MB FILE  an initrd of so many MB: an archive, and noise that no
//!                           compression would shrink in a second one
//!
//! As process 1 it says SECOND and ends the machine.

#![allow(
    missing_docs,
    dead_code,
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod cpio;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

fn main() {
    if std::process::id() == 1 {
        println!("SECOND");
        unsafe { libc::reboot(libc::LINUX_REBOOT_CMD_RESTART) };
    }
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["time", limit, ref command @ ..] => time(limit.parse().unwrap(), command),
        ["watch", ref command @ ..] => watch(command),
        ["floor", kernel, initrd, ref places @ ..] => {
            let place = |place: &&str| usize::from_str_radix(place.trim_start_matches("0x"), 16).unwrap();
            let places: Vec<usize> = places.iter().map(place).collect();
            floor(kernel, initrd, places.try_into().unwrap());
        }
        ["grow", small, mb, file] => grow(small, mb.parse().unwrap(), file),
        _ => panic!(
            "probe time SECONDS COMMAND... | watch COMMAND... | floor KERNEL INITRD KPLACE IPLACE PPLACE \
             | grow SMALL MB FILE"
        ),
    }
}

fn time(limit: u64, command: &[&str]) {
    static CHILD: AtomicI32 = AtomicI32::new(0);
    // Begun before the clock. It ends with this process, and the child is waited for until then.
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(limit));
        unsafe { libc::kill(CHILD.load(Ordering::SeqCst), libc::SIGKILL) };
    });
    let start = Instant::now();
    let mut child = Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).spawn().unwrap();
    CHILD.store(child.id().cast_signed(), Ordering::SeqCst);
    let status = child.wait().unwrap();
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
    // The first stop is the one after exec.
    let (mut inside, mut longest, mut between) = (0, 0, 0);
    let mut resumed = Instant::now();
    loop {
        let mut status = 0;
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        let passed = resumed.elapsed().as_micros();
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            // A stop before and one after each call; none after the last.
            let others = inside + passed - longest;
            println!("{} calls, {most} KiB, {longest} us, {others} us, {between} us", stops.div_ceil(2));
            return;
        }
        // It is before a call where the stop has an odd number, from the second on.
        match stops {
            0 => {}
            _ if stops % 2 == 1 => between += passed,
            _ => {
                inside += passed;
                longest = longest.max(passed);
            }
        }
        stops += 1;
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or("RssAnon: 0 kB");
        most = most.max(line.split_whitespace().nth(1).unwrap().parse().unwrap());
        resumed = Instant::now();
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
    }
}

/// Not held in memory as a whole: it may be half of what there is.
fn grow(small: &str, mb: usize, file: &str) {
    let small = std::fs::read(small).unwrap();
    let end = cpio::Cpio::default().finish();
    let name = b"noise\0";
    let length = (mb * 1_000_000 - small.len() - 110 - name.len() - end.len()) / 8 * 8;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(file).unwrap());
    out.write_all(&small).unwrap();
    // newc: inode, mode, uid, gid, links, time, size, two devices, length of the name, check.
    let fields = [1, 0o100644, 0, 0, 1, 0, length, 0, 0, 0, 0, name.len(), 0];
    write!(out, "070701").unwrap();
    for field in fields {
        write!(out, "{field:08x}").unwrap();
    }
    out.write_all(name).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let block = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let block: Vec<u8> = block.take(1 << 17).flatten().collect();
    for begin in (0..length).step_by(block.len()) {
        out.write_all(&block[..block.len().min(length - begin)]).unwrap();
    }
    out.write_all(&end).unwrap();
    out.flush().unwrap();
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

fn floor(kernel: &str, initrd: &str, places: [usize; 3]) {
    let (kernel, initrd) = (map(kernel), map(initrd));
    let pages = |size: usize| size.next_multiple_of(4096);
    // A bzImage's code, or an arm64 Image: the bytes to copy, and the memory that they need.
    let number = |at: usize| u32::from_le_bytes(kernel[at..at + 4].try_into().unwrap()) as usize;
    let (code, size) = if &kernel[56..60] == b"ARM\x64" {
        (kernel, number(16))
    } else {
        (&kernel[(kernel[0x1f1] as usize + 1) * 512..], number(0x260))
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
