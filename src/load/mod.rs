//! Loads a kernel: names, then files, then one of two system calls. Nothing is changed before that
//! one call, and a call that fails leaves the kernel that was loaded before in place.
//!
//! ```no_run
//! use rc_kexec::load::{self, Files, Request};
//!
//! fn main() -> Result<(), Box<rc_kexec::failure::Failure>> {
//!     let request = Request::default();
//!     let files = Files::new();
//!     let chosen = load::select(&request)?;
//!     let kernel = load::kernel(&files, &chosen.kernel, None)?;
//!     let payload = load::open(&files, &chosen, &request, kernel)?;
//!     match load::route(&request, &payload, rc_kexec::host::calls())? {
//!         load::Route::Segments(_) => {
//!             let memory = rc_kexec::host::memory::Memory::read()?;
//!             load::segments(&payload, &payload.plan(&memory)?.plan, &memory)
//!         }
//!         load::Route::File(_) | load::Route::FileElseSegments => load::file(&payload),
//!     }
//! }
//! ```

mod files;
pub mod initrds;
pub mod kernel;
mod key;
pub mod line;
mod payload;
mod request;
mod route;
mod select;

pub use files::Files;
pub use payload::{HandsOn, Layout, Payload, kernel, open, with_initrds};
pub use request::{AddedFile, After, Base, Choice, Goal, Initrds, KernelChoice, Key, KeyFile, Line, Request};
pub use route::{Route, Why, permit, route};
pub use select::{Chosen, select};

use crate::failure::{Failure, Result};
use crate::host::memory::{self, Memory};
use crate::host::sys::file::write_all;
use crate::host::sys::kexec::{kexec_file_load, kexec_file_unload, kexec_load, kexec_unload};
use crate::host::sys::memory::{memfd, seal};
use crate::host::{self, refusal};
use crate::known::call::Call;
use crate::plan::{PAGE, Plan, placer};
use initrds::Initrd;
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Loads with kexec_file_load: the kernel's own loader reads the files.
pub fn file(payload: &Payload) -> Result<()> {
    let kernel = payload.kernel.file(payload.files)?;
    let initrd = one_initrd(&payload.initrds).map_err(Failure::JoinInitrds)?;
    // It reads the files again: what it finds has to be what was checked.
    let mut length = payload.kernel.length();
    let check = host::files::check_length;
    check(kernel, length).map_err(|why| Failure::unusable(&payload.kernel.path, why))?;
    for initrd in &payload.initrds {
        let bytes = initrd.bytes().len();
        length = length.saturating_add(bytes);
        if let Some(file) = initrd.file() {
            check(file, bytes).map_err(|why| Failure::unusable(&initrd.name, why))?;
        }
    }
    // It reads them into memory first, and copies them from there (kernel/kexec_file.c,
    // kimage_file_prepare_segments). Beyond what is available the kernel would end other programs.
    let size = (length as u64).saturating_mul(2);
    if memory::memory_available().is_some_and(|available| size > available) {
        return Err(payload.refused(Call::FileLoad, Errno::ENOMEM, size));
    }
    kexec_file_load(kernel, initrd.as_ref(), &payload.line)
        .map_err(|errno| payload.refused(Call::FileLoad, errno, 0))
}

/// The one initrd that kexec_file_load takes: the file itself, or several put end to end in sealed
/// memory, each on a page as kexec_load has them.
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

/// Loads a layout with kexec_load.
pub fn segments(payload: &Payload, plan: &Plan, memory: &Memory) -> Result<()> {
    let size = plan.memory_size();
    if memory.iomem_hidden {
        // Where the crash kernel lies is not known, so nothing may be written. Who lacks
        // CAP_SYS_BOOT as well is told of that first.
        let refused = payload.refused(Call::Load, Errno::EPERM, size);
        return Err(match &*refused {
            Failure::Refused { facts, .. } if facts.cap_sys_boot == Some(false) => refused,
            _ => Failure::AddressesHidden.into(),
        });
    }
    // The kernel would end other programs for more than is available, or stop with a panic.
    let loaded = if size > memory.available { Err(Errno::ENOMEM) } else { kexec_load(plan) };
    loaded.map_err(|errno| payload.refused(Call::Load, errno, size))
}

/// Unloads what is loaded, with whichever call this kernel has. Asks nothing of the kernel where
/// nothing is loaded.
pub fn unload() -> Result<()> {
    if matches!(host::kernel::is_loaded(false), Ok(false)) {
        return Ok(());
    }
    let result = match kexec_unload() {
        Err(Errno::ENOSYS) => kexec_file_unload(),
        // A lockdown forbids kexec_load; the file call unloads all the same.
        Err(refusal @ (Errno::EPERM | Errno::EACCES)) => kexec_file_unload().or(Err(refusal)),
        other => other,
    };
    result.map_err(|errno| Failure::UnloadRefused { errno, facts: Box::new(refusal::known()) }.into())
}
