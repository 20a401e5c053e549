//! Loads a kernel, one step after the other: [`select`] names, [`kernel()`] and [`open`] files,
//! [`route`] a system call, and [`commit`] the payload to it.
//!
//! Only that last step changes anything, and it is one system call: when the call fails, the
//! kernel that was loaded before stays loaded. A dry run stops before it:
//! [`Payload::plan`] returns the layout that would be loaded. Nothing here prints.
//!
//! [`Files`] keeps every opened file mapped until it is dropped, and the other values borrow from
//! it. Drop the [`Payload`] before anything else happens when a key is in it: that wipes the key.
//!
//! ```no_run
//! use rc_kexec::host;
//! use rc_kexec::load::{self, Files, KernelChoice, Request};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let kernel = KernelChoice::Named { path: "/boot/vmlinuz-lts".into(), finds_initrds: true };
//!     let request = Request { kernel, ..Request::default() };
//!     let files = Files::new();
//!     let chosen = load::select(&request)?;
//!     let kernel = load::kernel(&files, &chosen.kernel, None)?;
//!     let payload = load::open(&files, &chosen, &request, kernel)?;
//!     let calls = host::calls(true)?;
//!     let route = load::route(&request, &payload, calls)?;
//!     let call = load::commit(&payload, route, calls)?;
//!     println!("{} is loaded with {call}", payload.kernel);
//!     Ok(())
//! }
//! ```
//!
//! A failure is a [`Failure`], a [`std::error::Error`] with a message for an administrator. A
//! load needs CAP_SYS_BOOT, and CAP_SYS_ADMIN to see the addresses in /proc/iomem; the steps
//! before it need to read the files.
//!
//! When another process cuts a mapped file short, the next read of it raises SIGBUS (mmap(2)).
//! rc-kexec itself has a handler that prints a message; the library installs none.

mod files;
pub mod initrds;
pub mod kernel;
mod key;
pub mod line;
mod payload;
mod request;
#[cfg(feature = "vmcore")]
pub mod reserve;
mod route;
mod select;

pub use files::Files;
pub use payload::{HandsOn, Layout, Payload, identify, kernel, open, with_initrds};
pub use request::{
    AddedFile, After, Base, Choice, Efi, Goal, Initrds, KernelChoice, Key, KeyFile, Line, Request, Starts,
};
pub use route::{Route, Why, asks_for_calls, memory_size, permit, rehearse, route};
pub use select::{Chosen, select};

use crate::failure::{Failure, Result};
use crate::host::memory::{self, Memory};
use crate::host::sys::file::write_all;
use crate::host::sys::kexec::{kexec_file_load, kexec_file_unload, kexec_load, kexec_unload};
use crate::host::sys::memory::{memfd, seal};
use crate::host::{self, refusal};
use crate::known::call::{Call, Calls};
use crate::plan::crash::CrashKernel;
use crate::plan::{PAGE, Plan, placer};
use initrds::Initrd;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Loads along `route`, and returns the call that loaded. Fails where [`file()`], [`Payload::plan`]
/// or [`segments`] fails.
pub fn commit(payload: &Payload, route: Route, calls: Calls) -> Result<Call> {
    if let Route::File(_) = route {
        match file(payload) {
            Err(failure) if route.goes_on_after(&failure, calls) => {}
            other => return other.map(|()| Call::FileLoad),
        }
    }
    let mut memory = payload.memory()?;
    let layout = payload.plan(&mut memory)?;
    segments(payload, &layout.plan, &memory).map(|()| Call::Load)
}

/// Loads with kexec_file_load(2): the kernel's own loader reads the files.
///
/// Fails when a file has another length than when it was checked ([`Failure::Unusable`]), when it
/// cannot be put into memory, or when the kernel refuses the load ([`Failure::Refused`]). ENOMEM
/// stands for more memory than is available, too: then the call is not made.
pub fn file(payload: &Payload) -> Result<()> {
    let kernel = payload.kernel.file(payload.files)?;
    let initrd = one_initrd(&payload.initrds).map_err(Failure::JoinInitrds)?;
    // The kernel reads the files again: they have to be the files that were checked.
    let check = host::files::check_length;
    check(kernel, payload.kernel.length()).map_err(|why| Failure::unusable(&payload.kernel.path, why))?;
    for initrd in &payload.initrds {
        if let Some(file) = initrd.file() {
            check(file, initrd.bytes().len()).map_err(|why| Failure::unusable(&initrd.name, why))?;
        }
    }
    // For more memory than is available the kernel would end other programs, or panic
    // (mm/oom_kill.c).
    let size = payload.size_by_file();
    if memory::memory_available().is_some_and(|available| size > available) {
        return Err(payload.refused(Call::FileLoad, Errno::ENOMEM, size));
    }
    kexec_file_load(kernel, initrd.as_ref(), &payload.line, payload.crash.is_some())
        .map_err(|errno| payload.refused(Call::FileLoad, errno, 0))
}

/// The one initrd that kexec_file_load accepts: the file itself; or several, joined in sealed
/// memory, each at the beginning of a page, as in a layout for kexec_load.
fn one_initrd(initrds: &[Initrd]) -> Result<Option<OwnedFd>, Errno> {
    match initrds {
        [] => Ok(None),
        [only] if only.file().is_some() => only.file().map(nix::unistd::dup).transpose(),
        [others @ .., last] => {
            let memfd = memfd(c"rc-kexec-initrd")?;
            for initrd in others {
                let bytes = initrd.bytes();
                write_all(&memfd, bytes)?;
                let room = placer::initrd_room(bytes, PAGE).ok_or(Errno::EFBIG)?;
                let padding = room.saturating_sub(bytes.len() as u64) as usize;
                let zeros = [0u8; (PAGE + placer::END) as usize];
                write_all(&memfd, zeros.get(..padding).unwrap_or_default())?;
            }
            // The end stays where it is: the kernel looks for a bootconfig there.
            write_all(&memfd, last.bytes())?;
            seal(&memfd)?;
            Ok(Some(memfd))
        }
    }
}

/// Loads a layout with kexec_load(2). `memory` is the memory that it was planned over.
///
/// Fails with [`Failure::AddressesHidden`] where /proc/iomem hides its addresses, and with
/// [`Failure::Refused`] when the kernel refuses the load. ENOMEM stands for more memory than is
/// available, too: then the call is not made.
pub fn segments(payload: &Payload, plan: &Plan, memory: &Memory) -> Result<()> {
    let size = plan.memory_size();
    if memory.iomem_hidden {
        // The crash kernel could be anywhere, so nothing may be written. When CAP_SYS_BOOT is
        // missing as well, that is the failure: CAP_SYS_ADMIN alone would not be enough.
        let refused = payload.refused(Call::Load, Errno::EPERM, size);
        return Err(match &*refused {
            Failure::Refused { facts, .. } if facts.cap_sys_boot == Some(false) => refused,
            _ => Failure::AddressesHidden.into(),
        });
    }
    // For more memory than is available the kernel would end other programs, or panic
    // (mm/oom_kill.c).
    let crash = payload.crash.as_ref().map(CrashKernel::is_followed);
    let loaded = if size > memory.available { Err(Errno::ENOMEM) } else { kexec_load(plan, crash) };
    loaded.map_err(|errno| payload.refused(Call::Load, errno, size))
}

/// Unloads the kernel that is loaded for a reboot or a panic, with whichever call the running kernel has.
/// Succeeds without a call when no kernel is loaded; fails with [`Failure::UnloadRefused`].
pub fn unload(starts: Starts) -> Result<()> {
    let crash = starts == Starts::AtPanic;
    if matches!(host::kernel::is_loaded(crash), Ok(false)) {
        return Ok(());
    }
    let result = match kexec_unload(crash) {
        Err(Errno::ENOSYS) => kexec_file_unload(crash),
        // A lockdown forbids kexec_load; the file call unloads all the same.
        Err(refusal @ (Errno::EPERM | Errno::EACCES)) => kexec_file_unload(crash).or(Err(refusal)),
        other => other,
    };
    result.map_err(|errno| Failure::UnloadRefused { errno, facts: Box::new(refusal::known()) }.into())
}
