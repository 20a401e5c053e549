//! mount(2) and umount(2).

use core::ffi::CStr;
use nix::errno::Errno;

/// mount(2) of tracefs.
pub fn mount_tracefs(path: &CStr) -> Result<(), Errno> {
    let (name, flags) = (c"tracefs".as_ptr(), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    // SAFETY: mount reads three NUL-terminated strings; tracefs needs no data.
    Errno::result(unsafe { libc::mount(name, path.as_ptr(), name, flags, core::ptr::null()) }).map(drop)
}

/// umount(2).
pub fn unmount(path: &CStr) -> Result<(), Errno> {
    // SAFETY: umount reads a NUL-terminated string.
    Errno::result(unsafe { libc::umount2(path.as_ptr(), 0) }).map(drop)
}
