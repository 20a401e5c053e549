//! The running kernel: its release, and what is loaded in it.

use super::files::{self, is_dir, read, read_or_empty, read_whole, value};
use crate::base::bytes::parts;
use crate::failure::{Failure, Result};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Whether a kernel is loaded for a kexec (`crash`: for a panic).
pub fn is_loaded(crash: bool) -> Result<bool> {
    let path = if crash { "/sys/kernel/kexec_crash_loaded" } else { "/sys/kernel/kexec_loaded" };
    match read(path) {
        Ok(text) => Ok(text.trim_ascii() == b"1"),
        // Without the file the kernel has no kexec, and nothing is loaded.
        Err(Errno::ENOENT) if is_dir("/sys/kernel") => Ok(false),
        Err(errno) => Err(Failure::SystemFile { path, errno }.into()),
    }
}

/// The flavour of the running kernel, what follows the last `-` of its release,
/// and the release itself.
pub fn release() -> Result<(Option<String>, String)> {
    let release = read_whole("/proc/sys/kernel/osrelease")?;
    let release = core::str::from_utf8(release.trim_ascii()).unwrap_or_default();
    let dash = release.bytes().rposition(|byte| byte == b'-');
    let flavour = dash.and_then(|at| release.get(at.checked_add(1)?..)).filter(|flavour| !flavour.is_empty());
    Ok((flavour.map(str::to_string), release.to_string()))
}

/// The directory `boot`, when fstab(5) has a file system for it that is not mounted.
pub fn unmounted(boot: &OsStr) -> Option<OsString> {
    let second_word_is = |line: &[u8], wanted: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        !line.starts_with(b"#") && words.nth(1) == Some(wanted)
    };
    let lists =
        |path: &str| parts(&read_or_empty(path), b'\n').any(|line| second_word_is(line, boot.as_bytes()));
    (lists("/etc/fstab") && !lists("/proc/mounts")).then(|| boot.to_os_string())
}

/// The container that this is, by the marks that they leave.
pub fn container() -> Option<OsString> {
    for &(file, name) in &[("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
        if files::exists(file) {
            return Some(name.into());
        }
    }
    // systemd.io/CONTAINER_INTERFACE, which lxc follows, too.
    let environment = read_or_empty("/proc/1/environ");
    let name = parts(&environment, 0).find_map(|word| word.strip_prefix(b"container="))?;
    Some(OsStr::from_bytes(name).to_os_string())
}

/// The release that is installed of a flavour, which Alpine's kernel packages write down.
pub fn installed(flavour: Option<&str>) -> Option<String> {
    let flavour = flavour?;
    let release = value(format_args!("/usr/share/kernel/{flavour}/kernel.release"))?;
    core::str::from_utf8(release.trim_ascii()).ok().map(str::to_string)
}
