//! Runs inside a virtual machine, for the oracle: runs a command and prints what it hands
//! to kexec_load(2), read from its memory at the entry of the call. All numbers are
//! hexadecimal.
//!
//! record NAME COMMAND...   prints lines that begin with `RECORD NAME`:
//!   call ENTRY SEGMENTS FLAGS
//!   segment NUMBER BUFSZ MEM MEMSZ SUM    the sum is of BUFSZ bytes, sum.rs
//!   bytes NUMBER OFFSET BYTES             of segments of up to 128 KiB; what is left
//!                                         out is zero
//!   result RESULT                         what the kernel answered
//!   exit STATUS                           decimal

#![allow(
    missing_docs,
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod sum;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Segments that are larger are told by their sum alone.
const WHOLE: usize = 128 << 10;
/// Bytes a line.
const LINE: usize = 64;

/// ptrace(2): makes a stop at a system call known by its signal's bit 7.
const PTRACE_O_TRACESYSGOOD: usize = 1;
/// ptrace(2): ends the command with its tracer.
const PTRACE_O_EXITKILL: usize = 1 << 20;
/// ptrace(2): what a stop at a system call is about, struct ptrace_syscall_info.
const PTRACE_GET_SYSCALL_INFO: i32 = 0x420e;
const AT_ENTRY: u8 = 1;
const AT_EXIT: u8 = 2;

/// struct ptrace_syscall_info: at the entry of a call its number and arguments, at its
/// exit what it returned.
#[repr(C)]
#[derive(Default)]
struct SyscallInfo {
    op: u8,
    pad: [u8; 3],
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    values: [u64; 8],
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, command, words @ ..] = &arguments[..] else { panic!("record NAME COMMAND...") };
    let mut child = Command::new(command);
    child.args(words);
    // ptrace(2): the child asks to be traced, and stops at its exec.
    unsafe {
        child.pre_exec(|| {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            Ok(())
        });
    }
    let pid = child.spawn().unwrap().id() as libc::pid_t;
    let (mut begun, mut recorded) = (false, false);
    loop {
        let mut status = 0;
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if libc::WIFEXITED(status) {
            return println!("RECORD {name} exit {}", libc::WEXITSTATUS(status));
        }
        if !libc::WIFSTOPPED(status) {
            return println!("RECORD {name} exit by signal {}", libc::WTERMSIG(status));
        }
        let mut signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            let info = syscall_info(pid);
            let call = libc::SYS_kexec_load as u64;
            if info.op == AT_ENTRY && info.values[0] == call {
                recorded = true;
                record(name, pid, &info.values[1..5]);
            } else if info.op == AT_EXIT && recorded {
                recorded = false;
                println!("RECORD {name} result {:x}", info.values[0]);
            }
            signal = 0;
        } else if signal == libc::SIGTRAP && !begun {
            begun = true;
            let options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
            unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) };
            signal = 0;
        }
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal) };
    }
}

fn syscall_info(pid: libc::pid_t) -> SyscallInfo {
    let mut info = SyscallInfo::default();
    let size = size_of::<SyscallInfo>();
    let got = unsafe { libc::ptrace(PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) };
    assert!(got > 0, "PTRACE_GET_SYSCALL_INFO: {}", std::io::Error::last_os_error());
    info
}

/// kexec_load(2): entry, nr_segments, segments, flags.
fn record(name: &str, pid: libc::pid_t, arguments: &[u64]) {
    let [entry, count, segments, flags] = *arguments else { unreachable!() };
    println!("RECORD {name} call {entry:x} {count:x} {flags:x}");
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let read = |address: u64, length: usize| {
        let mut bytes = vec![0u8; length];
        memory.read_exact_at(&mut bytes, address).unwrap();
        bytes
    };
    for number in 0..count {
        // struct kexec_segment: buf, bufsz, mem, memsz.
        let segment = read(segments + 32 * number, 32);
        let field = |index: usize| u64::from_le_bytes(segment[8 * index..8 * index + 8].try_into().unwrap());
        let bytes = read(field(0), field(1) as usize);
        let (size, at, room) = (field(1), field(2), field(3));
        println!("RECORD {name} segment {number:x} {size:x} {at:x} {room:x} {:x}", sum::sum(&bytes));
        if bytes.len() > WHOLE {
            continue;
        }
        for (line, part) in bytes.chunks(LINE).enumerate() {
            if part.iter().any(|&byte| byte != 0) {
                let text: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("RECORD {name} bytes {number:x} {:x} {text}", line * LINE);
            }
        }
    }
}
