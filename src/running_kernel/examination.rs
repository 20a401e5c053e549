//! What the doctor looks at beside process 1 and the load itself.

use super::facts::{boot_params, is_loaded, release};
use super::files::{exists, joined, names, read_or_empty, value};
use super::refusal;
use super::syscalls;
use crate::bytes::parts;
use crate::doctor::{Exposure, Facts};
use crate::going_down::SKIP_FILE;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

/// All that the doctor looks at but process 1 and the files to load.
pub fn examination(found: &mut Facts) {
    found.refusal = refusal::known();
    found.has_load = syscalls::has_kexec_load();
    found.has_file_load = syscalls::has_kexec_file_load();
    found.loaded = is_loaded(false).unwrap_or(false);
    found.secure_boot = secure_boot();
    (found.flavour, found.release) = release().unwrap_or_default();
    // Alpine's kernel packages say which release is installed of a flavour.
    found.installed = found.flavour.as_deref().and_then(|flavour| {
        let release = value(format_args!("/usr/share/kernel/{flavour}/kernel.release"))?;
        core::str::from_utf8(release.trim_ascii()).ok().map(str::to_string)
    });
    found.container = container();
    found.has_tracefs =
        parts(&read_or_empty("/proc/filesystems"), b'\n').any(|line| line.ends_with(b"\ttracefs"));
    found.skip = exists(SKIP_FILE);
    found.installed_services = exists("/etc/init.d/kexec-load") && exists("/etc/init.d/kexec-exec");
    found.load_started =
        exists("/run/openrc/started/kexec-load") || exists("/run/openrc/starting/kexec-load");
    found.load_misplaced = exists("/etc/runlevels/shutdown/kexec-load");
    found.exec_started = exists("/run/openrc/started/kexec-exec");
    found.load_enabled = names("/etc/runlevels").iter().filter(|name| *name != "shutdown").any(|runlevel| {
        let path = joined(&["/etc/runlevels".as_ref(), runlevel, "kexec-load".as_ref()]);
        exists(path)
    });
    found.exec_enabled = exists("/etc/runlevels/shutdown/kexec-exec");
}

/// Whether Secure Boot is on: as the kernel found at boot (zero-page.rst, offset 0x1ec,
/// secure_boot: 2 disabled, 3 enabled), else as the firmware's variable says (UEFI,
/// 3.3 Globally Defined Variables; four bytes of attributes come first).
fn secure_boot() -> Option<bool> {
    match boot_params().as_deref().and_then(|data| data.get(0x1ec)) {
        Some(2) => return Some(false),
        Some(3) => return Some(true),
        _ => {}
    }
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    read_or_empty(variable).get(4).map(|&value| value == 1)
}

/// The container that this is, by the marks that they leave.
fn container() -> Option<OsString> {
    for &(file, name) in &[("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
        if exists(file) {
            return Some(name.into());
        }
    }
    // systemd.io/CONTAINER_INTERFACE, which lxc follows, too.
    let environment = read_or_empty("/proc/1/environ");
    let name = parts(&environment, 0).find_map(|word| word.strip_prefix(b"container="))?;
    Some(OsStr::from_bytes(name).to_os_string())
}

/// Who else than root can change what is at `path`, by the file itself or by a directory
/// above it; also where symbolic links lead to.
pub fn exposure(path: &OsStr) -> Exposure {
    let mut found = Exposure { path: path.to_os_string(), ..Exposure::default() };
    look_along(path, &mut found);
    // Where it really lies, however many links there are on the way.
    if let Ok(file) = syscalls::open(path, libc::O_PATH | libc::O_CLOEXEC, 0)
        && let Ok(real) = syscalls::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()).as_ref())
    {
        let is_link = found.link.is_some();
        look_along(&real, &mut found);
        found.leads_to = Some(real).filter(|_| is_link);
    }
    found
}

/// Looks at each directory above `path` and at itself, as far as they can be seen.
fn look_along(path: &OsStr, found: &mut Exposure) {
    let bytes = path.as_bytes();
    let ends = (0..bytes.len()).filter(|&at| bytes.get(at) == Some(&b'/')).map(|at| at.max(1));
    for end in ends.chain([bytes.len()]) {
        see(OsStr::from_bytes(bytes.get(..end).unwrap_or_default()), found);
    }
}

/// The first of each counts.
fn see(here: &OsStr, found: &mut Exposure) {
    if found.link.is_none() && syscalls::read_link(here).is_ok() {
        found.link = Some(here.to_os_string());
    }
    // In a directory with the sticky bit, others cannot take away what is root's.
    let is_open = |mode| mode & 0o022 != 0 && mode & (libc::S_IFMT | 0o1000) != libc::S_IFDIR | 0o1000;
    match syscalls::status(here) {
        Ok(status) if found.by.is_none() && (status.owner != 0 || is_open(status.mode)) => {
            found.by = Some((here.to_os_string(), status.mode & 0o7777, status.owner));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_else_can_change_a_file_and_where_its_links_lead() {
        use std::fs;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let top = std::env::temp_dir().join(format!("rc-kexec-exposed-{}", std::process::id()));
        let of = |name: &str| top.join(name).into_os_string();
        fs::create_dir_all(of("dir")).unwrap();
        fs::write(of("dir/file"), "x").unwrap();
        symlink("dir/file", of("link")).unwrap();
        symlink("dir", of("dirlink")).unwrap();
        let below = |path: &str| {
            let mut found = Exposure::default();
            look_along(&of(path), &mut found);
            found.link
        };
        assert_eq!(below("dir/file"), None);
        assert_eq!(below("link"), Some(of("link")));
        assert_eq!(below("dirlink/file"), Some(of("dirlink")));
        assert_eq!(exposure(&of("link")).leads_to, Some(fs::canonicalize(of("link")).unwrap().into()));
        assert_eq!(exposure(&of("dir/file")).leads_to, None);
        // A file of root's, by its name alone, and one of anybody's.
        for (mode, wanted) in [(0o644, false), (0o664, true), (0o646, true), (0o600, false)] {
            fs::set_permissions(of("dir/file"), fs::Permissions::from_mode(mode)).unwrap();
            let owner = fs::metadata(of("dir/file")).unwrap().uid();
            let mut found = Exposure::default();
            let name = of("dir/file");
            see(&name, &mut found);
            let wanted = (wanted || owner != 0).then(|| (name.clone(), mode, owner));
            assert_eq!(found.by, wanted, "{mode:o}");
        }
        // A folder of anybody's, where only its owner can take a file away, and where not.
        for (mode, wanted) in [(0o1777, false), (0o777, true), (0o775, true), (0o755, false)] {
            fs::set_permissions(of("dir"), fs::Permissions::from_mode(mode)).unwrap();
            let owner = fs::metadata(of("dir")).unwrap().uid();
            let mut found = Exposure::default();
            see(&of("dir"), &mut found);
            assert_eq!(found.by.is_some(), wanted || owner != 0, "{mode:o}");
        }
        fs::remove_dir_all(&top).unwrap();
    }
}
