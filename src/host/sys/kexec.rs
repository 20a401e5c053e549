//! kexec_load(2), kexec_file_load(2) and reboot(2).

use super::process::machine;
use crate::image::machine::Machine;
use crate::known::call::Calls;
use crate::plan::{MAX_SEGMENTS, Plan};
use core::ffi::{CStr, c_void};
use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use std::os::fd::{AsRawFd, OwnedFd};

/// kexec_load(2), KEXEC_ARCH_*: the architecture of the running kernel, for which the plan was
/// made. It is named, and not KEXEC_ARCH_DEFAULT, so that a kernel of another one refuses.
fn kexec_arch() -> libc::c_ulong {
    match machine() {
        Machine::X86_64 => 62 << 16,
        Machine::Arm64 => 183 << 16,
        _ => 3 << 16,
    }
}

/// The number of kexec_file_load(2). 32-bit x86 has no such call: for -1 the kernel answers ENOSYS.
const SYS_KEXEC_FILE_LOAD: libc::c_long = if cfg!(target_arch = "x86_64") {
    320
} else if cfg!(target_arch = "aarch64") {
    294
} else {
    -1
};
/// kexec_load(2): a kernel for a panic.
const KEXEC_ON_CRASH: libc::c_ulong = 1;
/// kexec_load(2): the kernel may write the ELF core header again when processors or memory come and go.
/// linux/kexec.h has it since 6.10.
const KEXEC_CRASH_HOTPLUG_SUPPORT: libc::c_ulong = 8;
/// kexec_file_load(2): a kernel for a panic.
const KEXEC_FILE_ON_CRASH: libc::c_ulong = 2;
/// kexec_file_load(2): unload.
const KEXEC_FILE_UNLOAD: libc::c_ulong = 1;
/// kexec_file_load(2): without an initrd.
const KEXEC_FILE_NO_INITRAMFS: libc::c_ulong = 4;
/// CAP_SYS_BOOT (linux/capability.h).
pub const CAP_SYS_BOOT: u32 = 22;

/// struct kexec_segment (kexec_load(2)).
#[repr(C)]
#[derive(Clone, Copy)]
struct KexecSegment {
    buf: *const c_void,
    bufsz: libc::size_t,
    mem: libc::c_ulong,
    memsz: libc::size_t,
}

/// kexec_load(2): loads a plan, for a reboot, or as a crash kernel, and then whether the running kernel may
/// change its ELF core header.
pub fn kexec_load(plan: &Plan, crash: Option<bool>) -> Result<(), Errno> {
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
    let flags = match crash {
        None => 0,
        Some(false) => KEXEC_ON_CRASH,
        Some(true) => KEXEC_ON_CRASH | KEXEC_CRASH_HOTPLUG_SUPPORT,
    };
    load_segments(plan.entry(), &segments, flags)
}

/// kexec_load(2) without a segment: unloads.
pub fn kexec_unload(crash: bool) -> Result<(), Errno> {
    load_segments(0, &[], if crash { KEXEC_ON_CRASH } else { 0 })
}

fn load_segments(entry: u64, segments: &[KexecSegment], flags: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: the kernel reads `segments.len()` segments and, through each, `bufsz`
    // bytes of a slice that the caller borrows; it writes none of our memory.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            entry as libc::c_ulong,
            segments.len() as libc::c_ulong,
            segments.as_ptr(),
            kexec_arch() | flags,
        )
    };
    Errno::result(result).map(drop)
}

/// kexec_file_load(2): loads a kernel from open files. The command line's length includes its NUL.
pub fn kexec_file_load(
    kernel: &OwnedFd,
    initrd: Option<&OwnedFd>,
    command_line: &CStr,
    crash: bool,
) -> Result<(), Errno> {
    let flags = if initrd.is_some() { 0 } else { KEXEC_FILE_NO_INITRAMFS };
    let flags = if crash { flags | KEXEC_FILE_ON_CRASH } else { flags };
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

/// kexec_file_load(2) with KEXEC_FILE_UNLOAD: unloads.
pub fn kexec_file_unload(crash: bool) -> Result<(), Errno> {
    let none = core::ptr::null::<libc::c_char>();
    let flags = if crash { KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH } else { KEXEC_FILE_UNLOAD };
    // SAFETY: with KEXEC_FILE_UNLOAD the other arguments are not read.
    let result = unsafe { libc::syscall(SYS_KEXEC_FILE_LOAD, -1, -1, 0 as libc::c_ulong, none, flags) };
    Errno::result(result).map(drop)
}

/// Which calls the kernel has. [`crate::host::calls`] fills in the other fields.
///
/// Nothing is loaded, and no load of `kernel.kexec_load_limit_reboot` is used up: both calls are
/// made without CAP_SYS_BOOT, which the kernel checks before anything else (kernel/kexec_core.c,
/// kexec_load_permitted). EPERM then means that it has the call.
pub fn calls() -> Calls {
    let is_there = |answer| match answer {
        Err(Errno::ENOSYS) => Some(false),
        Err(Errno::EPERM) => Some(true),
        _ => None,
    };
    let unload = || (kexec_unload(false), kexec_file_unload(false));
    match without_cap_sys_boot(unload) {
        Ok((load, file_load)) => {
            Calls { load: is_there(load), file_load: is_there(file_load), ..Calls::default() }
        }
        Err(_) => Calls::default(),
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

/// capget(2) or capset(2), by its number, for the calling thread.
fn capabilities(call: libc::c_long, data: &mut [Capabilities; 2]) -> Result<(), Errno> {
    // _LINUX_CAPABILITY_VERSION_3: two structs of data, low capabilities first.
    let mut header = [0x2008_0522u32, 0];
    // SAFETY: version 3 makes the kernel read or write two structs of this layout.
    Errno::result(unsafe { libc::syscall(call, header.as_mut_ptr(), data.as_mut_ptr()) }).map(drop)
}

/// Runs `with` while the calling thread has no CAP_SYS_BOOT in its effective set. When that cannot
/// be arranged, `with` does not run.
fn without_cap_sys_boot<T>(with: fn() -> T) -> Result<T, Errno> {
    let mut before = [Capabilities::default(); 2];
    capabilities(libc::SYS_capget, &mut before)?;
    let mut without = before;
    let [low, _] = &mut without;
    low.effective &= !(1 << CAP_SYS_BOOT);
    capabilities(libc::SYS_capset, &mut without)?;
    let result = with();
    // The capability is still in the permitted set, so it may be put back.
    let _ = capabilities(libc::SYS_capset, &mut before);
    Ok(result)
}

/// sync(2).
pub fn sync() {
    nix::unistd::sync();
}

/// reboot(2), LINUX_REBOOT_CMD_KEXEC: starts the loaded kernel. It returns only with an error.
pub fn reboot_kexec() -> Errno {
    match reboot(RebootMode::RB_KEXEC) {
        Err(error) => error,
    }
}

/// sync(2), then reboot(2), LINUX_REBOOT_CMD_RESTART. It returns only with an error.
pub fn reboot_now() -> Errno {
    sync();
    match reboot(RebootMode::RB_AUTOBOOT) {
        Err(error) => error,
    }
}
