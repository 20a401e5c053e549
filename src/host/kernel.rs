//! The running kernel: its release, whether a kernel is loaded in it, and where it runs.

use super::files::{self, is_dir, read, read_or_empty, read_whole, value};
use super::sys::file::metadata;
use crate::base::bytes::parts;
#[cfg(all(feature = "vmcore", target_arch = "x86_64"))]
use crate::base::text::parse_decimal;
use crate::failure::{Failure, Result};
use crate::known::xen::Xen;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Whether a kernel is loaded for a kexec; with `crash`, for a panic. Fails with
/// [`Failure::SystemFile`] when /sys cannot be read.
pub fn is_loaded(crash: bool) -> Result<bool> {
    let path = if crash { "/sys/kernel/kexec_crash_loaded" } else { "/sys/kernel/kexec_loaded" };
    match read(path) {
        Ok(text) => Ok(text.trim_ascii() == b"1"),
        // A kernel without kexec has no such file, and nothing is loaded.
        Err(Errno::ENOENT) if is_dir("/sys/kernel") => Ok(false),
        Err(errno) => Err(Failure::SystemFile { path, errno }.into()),
    }
}

/// The running kernel's version: 6.12 is (6, 12).
#[cfg(all(feature = "vmcore", target_arch = "x86_64"))]
pub fn version() -> Option<(u64, u64)> {
    let release = release().ok()?;
    let mut numbers = release.split(['.', '-']).map(|number| parse_decimal(number.as_bytes()));
    Some((numbers.next()??, numbers.next()??))
}

/// The running kernel's release.
pub fn release() -> Result<String> {
    let release = read_whole("/proc/sys/kernel/osrelease")?;
    Ok(core::str::from_utf8(release.trim_ascii()).unwrap_or_default().to_string())
}

/// `boot`, when fstab(5) has a file system for this directory, and it is not mounted.
pub fn unmounted(boot: &OsStr) -> Option<OsString> {
    let dir = boot.as_bytes();
    (lists("/etc/fstab", dir) && !lists("/proc/mounts", dir)).then(|| boot.to_os_string())
}

/// Whether a table such as fstab(5) has a file system for this directory.
pub fn lists(table: &str, dir: &[u8]) -> bool {
    let has_it = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        !line.starts_with(b"#") && words.nth(1) == Some(dir)
    };
    parts(&read_or_empty(table), b'\n').any(has_it)
}

/// The kind of container that this process runs in; `None` when none has left its mark.
pub fn container() -> Option<OsString> {
    for &(file, name) in &[("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
        if files::exists(file) {
            return Some(name.into());
        }
    }
    // systemd.io/CONTAINER_INTERFACE; lxc follows it, too.
    let environment = read_or_empty("/proc/1/environ");
    let name = parts(&environment, 0).find_map(|word| word.strip_prefix(b"container="))?;
    Some(OsStr::from_bytes(name).to_os_string())
}

/// What this kernel is to Xen.
pub fn xen() -> Xen {
    let file = files::read_if_there;
    let [kind, guest, capabilities] =
        ["/sys/hypervisor/type", "/sys/hypervisor/guest_type", "/proc/xen/capabilities"].map(file);
    Xen::of(kind.as_deref(), guest.as_deref(), capabilities.as_deref())
}

/// When the installed kernel of a flavour came, in seconds since 1970, from the file in Alpine's kernel
/// packages; `None` elsewhere. Its change time counts: its modification time is that of the build.
pub fn installed_at(flavour: &str) -> Option<u64> {
    let path = format!("/usr/share/kernel/{flavour}/kernel.release");
    metadata(path.as_ref()).ok().map(|status| status.changed)
}

/// The installed release of a flavour, from the file in Alpine's kernel packages; `None` elsewhere.
pub fn installed(flavour: Option<&str>) -> Option<String> {
    let flavour = flavour?;
    let release = value(format_args!("/usr/share/kernel/{flavour}/kernel.release"))?;
    core::str::from_utf8(release.trim_ascii()).ok().map(str::to_string)
}
