//! Runs inside a virtual machine, for faults.rs: makes a program's system calls fail, one
//! in each run.
//!
//! injector sweep WHICH COMMAND...  each call of COMMAND in turn fails with what its manual
//!                                  page says that it may answer; all of them, or of this
//!                                  name; of those that are alike the first one (own), that
//!                                  on a file below a folder (/FOLDER), or only if no
//!                                  earlier sweep had one (new)
//! injector signals COMMAND...      SIGTERM and SIGKILL, at one call in each run
//! injector cut FILE COMMAND...     FILE is emptied, at one call in each run after it was
//!                                  mapped
//! injector drop CAPABILITY COMMAND...  runs COMMAND without a capability, by its number
//! injector setcap FILE             gives FILE CAP_SYS_BOOT (capabilities(7), File capabilities)
//!
//! Of a sweep no load, no unload and no jump reaches the kernel: the tracer answers in its
//! place, so what was loaded before must be there afterwards. Prints a line for each call
//! and what became of it: ROW CALL|ON WHAT|ERRORS|OUTCOME; and before each call that it tries,
//! where it is: AT NUMBER of ALL: CALL.

use crate::sum;
use libc::*;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The calls of earlier sweeps.
const SEEN: &str = "/tmp/injector-seen";
const ERRORS: &str = "/tmp/injector-errors";
const SYS_KEXEC_FILE_LOAD: c_long = 320;
/// capability.h
const CAP_SYS_BOOT: u32 = 22;

/// The calls that the program makes, and what each may answer: by its manual page, and what
/// file systems and filters on system calls add. Of those without one the answer is not
/// looked at by anybody, or they cannot fail.
const CALLS: &[(c_long, &str, &[c_int])] = &[
    (
        SYS_openat,
        "openat",
        &[EACCES, EINTR, EIO, ELOOP, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENOTDIR, ENXIO, EPERM],
    ),
    (SYS_read, "read", &[EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR]),
    (SYS_write, "write", &[EAGAIN, EDQUOT, EFBIG, EINTR, EIO, ENOSPC, EPERM, EPIPE]),
    (SYS_pread64, "pread64", &[EBADF, EFAULT, EINTR, EINVAL, EIO, EPERM]),
    (SYS_pwrite64, "pwrite64", &[EDQUOT, EFBIG, EINTR, EIO, ENOSPC]),
    (SYS_statx, "statx", &[EACCES, EIO, ELOOP, ENOENT, ENOMEM, ENOSYS, ENOTDIR]),
    (SYS_mmap, "mmap", &[EACCES, EAGAIN, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM]),
    (SYS_mremap, "mremap", &[EAGAIN, EFAULT, EINVAL, ENOMEM]),
    (SYS_munmap, "munmap", &[EINVAL]),
    (SYS_madvise, "madvise", &[EAGAIN, EINVAL, ENOMEM]),
    (SYS_mlock, "mlock", &[EAGAIN, ENOMEM, EPERM]),
    (SYS_close, "close", &[EDQUOT, EINTR, EIO, ENOSPC]),
    (SYS_dup, "dup", &[EBADF, EMFILE]),
    (SYS_fcntl, "fcntl", &[EBUSY, EINVAL, EPERM]),
    (SYS_memfd_create, "memfd_create", &[EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM]),
    (SYS_getdents64, "getdents64", &[EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR]),
    (SYS_readlinkat, "readlinkat", &[EACCES, EINVAL, EIO, ELOOP, ENOENT, ENOMEM, ENOTDIR]),
    (SYS_mkdirat, "mkdirat", &[EACCES, EDQUOT, EEXIST, ENOENT, ENOMEM, ENOSPC, ENOTDIR, EROFS]),
    (SYS_unlinkat, "unlinkat", &[EACCES, EBUSY, EIO, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS]),
    (SYS_poll, "poll", &[EFAULT, EINTR, EINVAL, ENOMEM]),
    (SYS_rt_sigaction, "rt_sigaction", &[EFAULT, EINVAL]),
    (SYS_capget, "capget", &[EFAULT, EINVAL, EPERM]),
    (SYS_capset, "capset", &[EFAULT, EINVAL, EPERM]),
    (SYS_getrandom, "getrandom", &[EAGAIN, EINTR, ENOSYS]),
    (
        SYS_kexec_load,
        "kexec_load",
        &[EACCES, EADDRNOTAVAIL, EBADF, EBUSY, EFAULT, EINVAL, ENOEXEC, ENOMEM, ENOSYS, EPERM],
    ),
    (
        SYS_KEXEC_FILE_LOAD,
        "kexec_file_load",
        &[
            EACCES,
            EADDRNOTAVAIL,
            EBADF,
            EBADMSG,
            EBUSY,
            EFAULT,
            EINVAL,
            EKEYREJECTED,
            ELIBBAD,
            ENODATA,
            ENOEXEC,
            ENOKEY,
            ENOMEM,
            ENOPKG,
            ENOSYS,
            EPERM,
            ETXTBSY,
        ],
    ),
    (SYS_reboot, "reboot", &[EBUSY, EFAULT, EINVAL, ENOSYS, EPERM]),
    (SYS_execve, "execve", &[E2BIG, EACCES, EIO, ELOOP, ENOENT, ENOEXEC, ENOMEM, ENOTDIR, ETXTBSY]),
    (SYS_sync, "sync", &[]),
    (SYS_exit_group, "exit_group", &[]),
    (SYS_arch_prctl, "arch_prctl", &[]),
    (SYS_set_tid_address, "set_tid_address", &[]),
];

const NAMES: &[(c_int, &str)] = &[
    (E2BIG, "E2BIG"),
    (EACCES, "EACCES"),
    (EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (EAGAIN, "EAGAIN"),
    (EBADF, "EBADF"),
    (EBADMSG, "EBADMSG"),
    (EBUSY, "EBUSY"),
    (EDQUOT, "EDQUOT"),
    (EEXIST, "EEXIST"),
    (EFAULT, "EFAULT"),
    (EFBIG, "EFBIG"),
    (EINTR, "EINTR"),
    (EINVAL, "EINVAL"),
    (EIO, "EIO"),
    (EISDIR, "EISDIR"),
    (EKEYREJECTED, "EKEYREJECTED"),
    (ELIBBAD, "ELIBBAD"),
    (ELOOP, "ELOOP"),
    (EMFILE, "EMFILE"),
    (ENFILE, "ENFILE"),
    (ENODATA, "ENODATA"),
    (ENODEV, "ENODEV"),
    (ENOENT, "ENOENT"),
    (ENOEXEC, "ENOEXEC"),
    (ENOKEY, "ENOKEY"),
    (ENOMEM, "ENOMEM"),
    (ENOPKG, "ENOPKG"),
    (ENOSPC, "ENOSPC"),
    (ENOSYS, "ENOSYS"),
    (ENOTDIR, "ENOTDIR"),
    (ENXIO, "ENXIO"),
    (EOVERFLOW, "EOVERFLOW"),
    (EPERM, "EPERM"),
    (EPIPE, "EPIPE"),
    (EROFS, "EROFS"),
    (ETXTBSY, "ETXTBSY"),
];

pub fn main() {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["sweep", which, ref command @ ..] => sweep(which, command),
        ["signals", ref command @ ..] => signals(command),
        ["cut", file, ref command @ ..] => cut(file, command),
        ["drop", capability, ref command @ ..] => drop_capability(capability, command),
        ["setcap", file] => set_capability(file),
        _ => {
            panic!(
                "injector sweep own|new|all|CALL|signals|cut FILE|drop CAPABILITY COMMAND... | setcap FILE"
            )
        }
    }
}

/// A system call: its number, and the file that it is on, if any.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Call {
    number: c_long,
    on: String,
}

impl Call {
    fn known(&self) -> Option<&'static (c_long, &'static str, &'static [c_int])> {
        CALLS.iter().find(|known| known.0 == self.number)
    }
}

/// What happens at a call, counted from 0.
#[derive(Clone, Copy)]
enum Fault<'f> {
    Nothing,
    Fails(usize, c_int),
    Signal(usize, c_int),
    Cut(usize, &'f str),
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum End {
    Exit(c_int),
    Signal(c_int),
    /// reboot(2) or execve(2) would not have come back.
    Jump,
}

/// A run of the program.
#[derive(Debug)]
struct Run {
    /// Those of a run without a fault.
    calls: Vec<Call>,
    /// How many there were.
    count: usize,
    end: End,
    /// What it said on standard error.
    said: String,
    /// Of each load that succeeded, a number that tells it from others.
    loads: Vec<u64>,
    unloads: usize,
}

/// Runs the command with a fault. With `real` loads reach the kernel.
fn run(command: &[&str], fault: Fault, real: bool) -> Run {
    let errors = File::create(ERRORS).unwrap();
    let mut child = Command::new(command[0]);
    child.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    unsafe {
        child.pre_exec(|| {
            // ptrace(2): the child asks to be traced, and stops at its exec.
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            Ok(())
        });
    }
    let pid = child.spawn().unwrap().id() as pid_t;
    wait(pid);
    let options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    unsafe { ptrace(PTRACE_SETOPTIONS, pid, 0, options) };
    let mut found = Run {
        calls: Vec::new(),
        count: 0,
        end: End::Jump,
        said: String::new(),
        loads: Vec::new(),
        unloads: 0,
    };
    // The answer that is given in the kernel's place; and whether the program is in a call.
    let (mut answer, mut inside, mut signal, mut random) = (None, false, 0, false);
    loop {
        unsafe { ptrace(PTRACE_SYSCALL, pid, 0, signal) };
        signal = 0;
        let status = wait(pid);
        if WIFEXITED(status) {
            found.end = End::Exit(WEXITSTATUS(status));
            break;
        }
        if WIFSIGNALED(status) {
            found.end = End::Signal(WTERMSIG(status));
            break;
        }
        if WSTOPSIG(status) != SIGTRAP | 0x80 {
            signal = WSTOPSIG(status);
            continue;
        }
        inside = !inside;
        if !inside && answer.is_none() && !random {
            continue;
        }
        let mut regs = registers(pid);
        if !inside {
            random = false;
            // A seed that is the same in each run.
            if regs.orig_rax as c_long == SYS_getrandom && regs.rax as i64 > 0 {
                write_memory(pid, regs.rdi, &vec![0; regs.rax as usize]);
            }
            if let Some(value) = answer.take() {
                regs.rax = value;
                set_registers(pid, &regs);
            }
            continue;
        }
        let (number, index) = (regs.orig_rax as c_long, found.count);
        found.count += 1;
        if matches!(fault, Fault::Nothing) {
            found.calls.push(describe(pid, &regs));
        }
        random = number == SYS_getrandom;
        match fault {
            Fault::Fails(at, errno) if at == index => answer = Some(-i64::from(errno) as u64),
            Fault::Signal(at, signal) if at == index => {
                unsafe { kill(pid, signal) };
                if signal == SIGKILL {
                    found.end = End::Signal(WTERMSIG(wait(pid)));
                    break;
                }
            }
            Fault::Cut(at, path) if at == index => {
                OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
            }
            _ => {}
        }
        if answer.is_none() {
            match number {
                SYS_reboot | SYS_execve => {
                    found.end = End::Jump;
                    unsafe { kill(pid, SIGKILL) };
                    wait(pid);
                    break;
                }
                // To ask whether the call is there: without the capability, for no effect.
                SYS_kexec_load | SYS_KEXEC_FILE_LOAD if !may_load(pid) => {}
                SYS_kexec_load if regs.rsi == 0 => {
                    found.unloads += 1;
                    answer = Some(0);
                }
                SYS_kexec_load => {
                    found.loads.push(segments(pid, &regs));
                    answer = Some(0).filter(|_| !real);
                }
                SYS_KEXEC_FILE_LOAD if regs.r8 & 1 != 0 => {
                    found.unloads += 1;
                    answer = Some(0);
                }
                SYS_KEXEC_FILE_LOAD => {
                    found.loads.push(files(pid, &regs));
                    answer = Some(0).filter(|_| !real);
                }
                _ => {}
            }
        }
        if answer.is_some() {
            // No call at all.
            regs.orig_rax = u64::MAX;
            set_registers(pid, &regs);
        }
    }
    found.said = std::fs::read_to_string(ERRORS).unwrap_or_default();
    found
}

/// waitpid(2): the status of the next stop.
fn wait(pid: pid_t) -> c_int {
    let mut status = 0;
    assert_eq!(unsafe { waitpid(pid, &raw mut status, 0) }, pid);
    status
}

fn registers(pid: pid_t) -> user_regs_struct {
    let mut regs: user_regs_struct = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { ptrace(PTRACE_GETREGS, pid, 0, &raw mut regs) }, 0);
    regs
}

fn set_registers(pid: pid_t, regs: &user_regs_struct) {
    assert_eq!(unsafe { ptrace(PTRACE_SETREGS, pid, 0, std::ptr::from_ref(regs)) }, 0);
}

/// Its memory by proc_pid_mem(5): process_vm_readv(2) is not in every kernel.
fn memory(pid: pid_t) -> File {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap()
}

/// As much as there is of `length` bytes.
fn read_memory(pid: pid_t, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; length];
    let mut got = 0;
    while let Ok(more @ 1..) = memory(pid).read_at(&mut bytes[got..], at + got as u64) {
        got += more;
    }
    bytes.truncate(got);
    bytes
}

fn write_memory(pid: pid_t, at: u64, bytes: &[u8]) {
    memory(pid).write_all_at(bytes, at).unwrap();
}

/// A NUL-terminated string, read page by page: the next one may not be there.
fn string(pid: pid_t, at: u64) -> String {
    let mut text = Vec::new();
    loop {
        let from = at + text.len() as u64;
        let piece = read_memory(pid, from, 4096 - (from % 4096) as usize);
        match piece.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend_from_slice(&piece[..end]);
                return String::from_utf8_lossy(&text).into_owned();
            }
            None if piece.is_empty() => return "?".into(),
            None => text.extend_from_slice(&piece),
        }
    }
}

/// The file behind a descriptor.
fn behind(pid: pid_t, fd: u64) -> String {
    match fd as i32 {
        1 => return "standard output".into(),
        2 => return "standard error".into(),
        _ => {}
    }
    let path = std::fs::read_link(format!("/proc/{pid}/fd/{}", fd as i32)).unwrap_or_default();
    let path = path.to_string_lossy().replace(" (deleted)", "");
    path.strip_prefix("/memfd:").map_or(path.clone(), |name| format!("the memory file {name}"))
}

fn describe(pid: pid_t, regs: &user_regs_struct) -> Call {
    let number = regs.orig_rax as c_long;
    let on = match number {
        SYS_statx if string(pid, regs.rsi).is_empty() => behind(pid, regs.rdi),
        SYS_openat | SYS_statx | SYS_readlinkat | SYS_mkdirat | SYS_unlinkat => string(pid, regs.rsi),
        SYS_execve => string(pid, regs.rdi),
        SYS_read | SYS_pread64 | SYS_write | SYS_pwrite64 | SYS_getdents64 | SYS_fcntl | SYS_close
        | SYS_dup => behind(pid, regs.rdi),
        SYS_mmap if regs.r10 & MAP_ANONYMOUS as u64 == 0 => behind(pid, regs.r8),
        SYS_mmap => "memory".into(),
        SYS_kexec_load | SYS_KEXEC_FILE_LOAD if !may_load(pid) => "asked whether it is there".into(),
        _ => String::new(),
    };
    // One of many that are alike.
    let words: Vec<&str> =
        on.split('/').map(|word| if word.parse::<u32>().is_ok() { "N" } else { word }).collect();
    Call { number, on: words.join("/") }
}

/// Whether CAP_SYS_BOOT is in force.
fn may_load(pid: pid_t) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    u64::from_str_radix(line, 16).unwrap() >> CAP_SYS_BOOT & 1 == 1
}

/// What a kexec_load would load: the places, and the bytes of small segments.
fn segments(pid: pid_t, regs: &user_regs_struct) -> u64 {
    let mut state = sum::START;
    sum::add(&mut state, &regs.rdi.to_le_bytes());
    for segment in read_memory(pid, regs.rdx, regs.rsi as usize * 32).chunks(32) {
        let word = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().unwrap());
        sum::add(&mut state, &segment[8..]);
        if word(8) <= 64 << 10 {
            sum::add(&mut state, &read_memory(pid, word(0), word(8) as usize));
        }
    }
    state
}

/// What a kexec_file_load would: the command line, and the files' sizes.
fn files(pid: pid_t, regs: &user_regs_struct) -> u64 {
    let mut state = sum::START;
    sum::add(&mut state, &read_memory(pid, regs.r10, regs.rdx as usize));
    sum::add(&mut state, &regs.r8.to_le_bytes());
    for fd in [regs.rdi, regs.rsi] {
        let size = std::fs::metadata(format!("/proc/{pid}/fd/{}", fd as i32)).map_or(0, |data| data.len());
        sum::add(&mut state, &size.to_le_bytes());
    }
    state
}

/// Without any fault, twice: what it does must not differ by itself.
fn baseline(command: &[&str]) -> Run {
    let first = run(command, Fault::Nothing, false);
    let second = run(command, Fault::Nothing, false);
    assert_eq!(first.calls, second.calls, "another run makes other calls");
    assert_eq!(first.loads, second.loads, "another run loads something else");
    println!("BASELINE {} calls, {:?}", first.calls.len(), first.end);
    if !first.said.is_empty() {
        println!("BASELINE said {}", first.said.replace('\n', " / "));
    }
    first
}

/// Tells whoever watches the console that this goes on, and how far it is.
fn say_where(index: usize, good: &Run) {
    println!("AT {index} of {}: {:?}", good.calls.len(), good.calls[index]);
}

fn sweep(which: &str, command: &[&str]) {
    let good = baseline(command);
    // In the order in which the calls come: which errors of it led to what.
    let mut order: Vec<Call> = Vec::new();
    let mut outcomes: BTreeMap<Call, BTreeMap<String, Vec<c_int>>> = BTreeMap::new();
    let mut runs = 0;
    let seen = std::fs::read_to_string(SEEN).unwrap_or_default();
    for (index, call) in good.calls.iter().enumerate() {
        let Some((_, name, errors)) = call.known() else {
            println!("ROW call {}||each|UNKNOWN: it is not in the table of calls", call.number);
            continue;
        };
        let is_new = !order.contains(call);
        let is_wanted = match which {
            "all" => true,
            "own" => is_new,
            "new" => is_new && !seen.lines().any(|line| line == format!("{call:?}")),
            of if of.starts_with('/') => is_new && call.on.starts_with(of),
            of => of == *name,
        };
        if !is_wanted {
            continue;
        }
        if is_new && !errors.is_empty() {
            order.push(call.clone());
        }
        say_where(index, &good);
        for &errno in *errors {
            runs += 1;
            let outcome = outcome(&run(command, Fault::Fails(index, errno), false), &good, call, errno);
            let errors = outcomes.entry(call.clone()).or_default().entry(outcome).or_default();
            if !errors.contains(&errno) {
                errors.push(errno);
            }
        }
    }
    for call in order {
        let (_, name, errors) = call.known().unwrap();
        let found = &outcomes[&call];
        for (outcome, mut with) in found.clone() {
            with.sort_by_key(|errno| errors.iter().position(|own| own == errno));
            let names: Vec<&str> = with.iter().map(|errno| name_of(*errno)).collect();
            let which = if with.len() == errors.len() { "each".into() } else { names.join(" ") };
            println!("ROW {name}|{}|{which}|{outcome}", call.on);
        }
    }
    println!("RUNS {runs}");
    let seen: String = good.calls.iter().map(|call| format!("{call:?}\n")).collect();
    let file = OpenOptions::new().append(true).create(true).open(SEEN).unwrap();
    (&file).write_all(seen.as_bytes()).unwrap();
}

fn name_of(errno: c_int) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == errno).unwrap().1
}

/// In a line what became of a run; what must not be is in capitals.
fn outcome(run: &Run, good: &Run, call: &Call, errno: c_int) -> String {
    // The C library's words for the error, without Rust's number.
    let error = std::io::Error::from_raw_os_error(errno).to_string();
    let error = error.split(" (os error").next().unwrap().to_string();
    let reason = run.said.lines().find(|line| line.contains(": unable to "));
    let new = run.said.lines().find(|line| !good.said.contains(line));
    let said = reason.or(new).unwrap_or_default().replace(&error, "<error>");
    // What comes after a load is told of as such.
    let is_told = said.ends_with("the kernel is loaded");
    let is_changed = run.unloads > good.unloads || !run.loads.is_empty() && run.end != good.end && !is_told;
    let lost = call.on == "standard error";
    // A kernel without kexec answers so, and the message is right.
    let no_kexec = call.on == "/sys/kernel/kexec_loaded" && errno == ENOENT;
    match run.end {
        _ if is_changed => format!("CHANGED what is loaded, {:?}: {said}", run.end),
        End::Signal(signal) => format!("DIED of signal {signal}: {said}"),
        End::Exit(status) if no_kexec && run.loads.is_empty() => {
            format!("{status}, as on a kernel without kexec")
        }
        _ if run.end == good.end => {
            let what = match good.end {
                End::Jump => "jumps",
                _ if good.unloads > 0 => "unloads",
                _ if good.loads.is_empty() => "answers",
                _ => "loads",
            };
            if run.loads == good.loads && run.unloads == good.unloads {
                let more = match said.as_str() {
                    _ if run.said == good.said || lost => String::new(),
                    "" => ", with a note less".into(),
                    said => format!(", {said}"),
                };
                format!("{what} as ever{more}")
            } else if run.loads.len() == good.loads.len() && run.unloads == good.unloads {
                let more = if said.is_empty() { String::new() } else { format!(", {said}") };
                format!("{what}, but otherwise{more}")
            } else {
                format!("SAYS so and did nothing: {said}")
            }
        }
        End::Exit(status) if said.contains(": unable to ") => format!("{status}, {said}"),
        End::Exit(status) if lost => format!("{status}, and nobody reads why"),
        End::Exit(status) => format!("SILENT {status}: {said}"),
        // Nothing says any more that there must be no jump.
        End::Jump if [ENOENT, ENOTDIR].contains(&errno) && call.on == "/run/rc-kexec/skip" => {
            "jumps, as without the file".into()
        }
        End::Jump if errno == ENOENT && call.on.ends_with("signal_generate/enable") => {
            "jumps, as where init is not watched".into()
        }
        End::Jump => "JUMPED".into(),
    }
}

/// Of the calls from `first` on: the first ones, the one before the load, the load and what
/// follows, and every eighth.
fn some(first: usize, load: usize, end: usize) -> impl Iterator<Item = usize> {
    (first..end).filter(move |&at| at < first + 4 || at + 1 >= load || at % 8 == 0)
}

fn signals(command: &[&str]) {
    let good = baseline(command);
    let load = good
        .calls
        .iter()
        .rposition(|call| [SYS_kexec_load, SYS_KEXEC_FILE_LOAD].contains(&call.number) && call.on.is_empty());
    for (signal, name) in [(SIGTERM, "SIGTERM"), (SIGKILL, "SIGKILL")] {
        let (mut ended, mut bad) = (0, 0);
        for index in some(0, load.unwrap(), good.calls.len()) {
            say_where(index, &good);
            let run = run(command, Fault::Signal(index, signal), false);
            // What comes at the load's own call or later finds it done; the last call ends the
            // program by itself.
            let has_ended = index + 1 == good.calls.len() && run.end == good.end;
            let is_fine = (run.end == End::Signal(signal) || has_ended)
                && (run.loads.is_empty() || Some(index) >= load);
            if is_fine {
                ended += 1;
            } else {
                bad += 1;
                println!("BAD {name} at call {index} {:?}: {run:?}", good.calls[index]);
            }
        }
        println!("SIGNALS {name} ended {ended} runs, {bad} otherwise");
    }
}

fn cut(path: &str, command: &[&str]) {
    let whole = std::fs::read(path).unwrap();
    let good = baseline(command);
    let is_load =
        |call: &Call| [SYS_kexec_load, SYS_KEXEC_FILE_LOAD].contains(&call.number) && call.on.is_empty();
    let load = good.calls.iter().position(is_load).unwrap();
    let mapped = good.calls.iter().position(|call| call.number == SYS_mmap && call.on == path).unwrap();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    // What was unpacked is not read again.
    let unpacked = good.calls.iter().position(|call| call.number == SYS_write && call.on.contains("kernel"));
    let last = unpacked.unwrap_or(load);
    for index in some(mapped + 1, last, last + 1) {
        say_where(index, &good);
        let run = run(command, Fault::Cut(index, path), true);
        std::fs::write(path, &whole).unwrap();
        // Notes may come before it.
        let reason = run.said.lines().find(|line| line.contains(": unable to "));
        let said = reason.or(run.said.lines().next()).unwrap_or_default();
        let at = if index == load { "in the call itself: " } else { "" };
        let outcome = match run.end {
            End::Exit(status @ 1..) if said.contains(": unable to ") => format!("{at}{status}, {said}"),
            end => format!("BAD {end:?}: {said}"),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    for (outcome, _) in outcomes {
        println!("CUT {outcome}");
    }
}

fn drop_capability(capability: &str, command: &[&str]) {
    let number: c_ulong = capability.parse().unwrap();
    // prctl(2), PR_CAPBSET_DROP: what root's next exec does not get.
    assert_eq!(unsafe { prctl(PR_CAPBSET_DROP, number, 0, 0, 0) }, 0);
    let error = Command::new(command[0]).args(&command[1..]).exec();
    panic!("{}: {error}", command[0]);
}

fn set_capability(file: &str) {
    // struct vfs_cap_data, revision 2, effective: permitted and inheritable, low words first.
    let words = [0x0200_0001u32, 1 << CAP_SYS_BOOT, 0, 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = std::ffi::CString::new(file).unwrap();
    let name = c"security.capability";
    let result = unsafe { setxattr(path.as_ptr(), name.as_ptr(), bytes.as_ptr().cast(), bytes.len(), 0) };
    assert_eq!(result, 0, "{file}: {}", std::io::Error::last_os_error());
}
