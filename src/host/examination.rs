//! What the doctor looks at beside process 1 and the load itself.

use super::facts::{boot_params, is_loaded, release};
use super::files::{exists, joined, names, read_or_empty, value};
use super::refusal;
use super::sys::{self, Status};
use crate::base::bytes::parts;
use crate::doctor::{Exposure, Facts};
use crate::going_down::SKIP_FILE;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// All that the doctor looks at but process 1 and the files to load.
pub fn examination(found: &mut Facts) {
    found.refusal = refusal::known();
    found.has_load = sys::has_kexec_load();
    found.has_file_load = sys::has_kexec_file_load();
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
/// that its name names above it, from link to link; and where symbolic links lead to.
pub fn exposure(path: &OsStr) -> Exposure {
    let mut found = Exposure { path: path.to_os_string(), ..Exposure::default() };
    let mut here = path.to_os_string();
    // The kernel follows no more of them (path_resolution(7)).
    for _ in 0..40 {
        let Some(next) = look_along(&here, &mut found) else { break };
        here = next;
    }
    found.leads_to = found.link.is_some().then_some(here);
    found
}

/// Looks at each directory above `path` and at itself, up to the first symbolic link: in
/// its place what it leads to, with the rest of the path.
fn look_along(path: &OsStr, found: &mut Exposure) -> Option<OsString> {
    let bytes = path.as_bytes();
    let slashes = (0..bytes.len()).filter(|&at| bytes.get(at) == Some(&b'/'));
    for end in slashes.map(|at| at.max(1)).chain([bytes.len()]) {
        let (name, rest) = bytes.split_at_checked(end)?;
        let here = OsStr::from_bytes(name);
        if let Ok(target) = sys::read_link(here) {
            found.link.get_or_insert_with(|| here.to_os_string());
            // In the place of the link's last part, unless it begins at the top.
            let last = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at.saturating_add(1));
            let mut next = Vec::new();
            if !target.as_bytes().starts_with(b"/") {
                next.extend_from_slice(name.get(..last)?);
            }
            next.extend_from_slice(target.as_bytes());
            next.extend_from_slice(rest);
            return Some(OsString::from_vec(next));
        }
        match sys::status(here) {
            Ok(status) => see(here, &status, found),
            Err(errno) => {
                found.unseen = Some(errno);
                break;
            }
        }
    }
    None
}

/// The first that others can write to is named.
fn see(here: &OsStr, status: &Status, found: &mut Exposure) {
    // In a directory with the sticky bit, others cannot take away what is root's.
    let is_open = status.mode & 0o022 != 0 && status.mode & (libc::S_IFMT | 0o1000) != libc::S_IFDIR | 0o1000;
    if status.owner != 0 || is_open {
        found.by.get_or_insert_with(|| (here.to_os_string(), status.mode & 0o7777, status.owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn who_else_can_change_a_file_and_where_its_links_lead() {
        use std::fs;
        use std::os::unix::fs::symlink;
        let top = std::env::temp_dir().join(format!("rc-kexec-exposed-{}", std::process::id()));
        let of = |name: &str| top.join(name).into_os_string();
        fs::create_dir_all(of("dir")).unwrap();
        fs::create_dir_all(of("open")).unwrap();
        fs::write(of("dir/file"), "x").unwrap();
        symlink("dir/file", of("link")).unwrap();
        symlink("dir", of("dirlink")).unwrap();
        symlink(of("open/middle"), of("chain")).unwrap();
        symlink("../dir/./file", of("open/middle")).unwrap();
        symlink("nothing", of("dangling")).unwrap();
        symlink("loop", of("loop")).unwrap();
        let table = [
            ("dir/file", None, None, None),
            ("link", Some("link"), Some("dir/file"), None),
            ("dirlink/file", Some("dirlink"), Some("dir/file"), None),
            ("chain", Some("chain"), Some("open/../dir/./file"), None),
            ("dangling", Some("dangling"), Some("nothing"), Some(Errno::ENOENT)),
            ("none", None, None, Some(Errno::ENOENT)),
            ("dir/file/x", None, None, Some(Errno::ENOTDIR)),
        ];
        for (path, link, leads_to, unseen) in table {
            let found = exposure(&of(path));
            assert_eq!((found.link, found.leads_to), (link.map(of), leads_to.map(of)), "{path}");
            assert_eq!(found.unseen, unseen, "{path}");
        }
        assert_eq!(exposure(&of("loop")).leads_to, Some(of("loop")));
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(exposure("/".as_ref()).unseen, None);
        assert_eq!(exposure("no such file".as_ref()).unseen, Some(Errno::ENOENT));
        assert_eq!(exposure("Cargo.toml".as_ref()).unseen, None);
    }

    #[test]
    fn what_others_can_write_to() {
        let of = |mode, owner| {
            let mut found = Exposure::default();
            let status = Status { mode, owner, ..sys::status("/".as_ref()).unwrap() };
            see("/x".as_ref(), &status, &mut found);
            found.by
        };
        let open = |mode, owner| Some(("/x".into(), mode, owner));
        for (mode, wanted) in [(0o644, None), (0o664, open(0o664, 0)), (0o646, open(0o646, 0)), (0o600, None)]
        {
            assert_eq!(of(libc::S_IFREG | mode, 0), wanted, "{mode:o}");
        }
        // In a directory with the sticky bit only its owner can take a file away.
        for (mode, wanted) in
            [(0o1777, None), (0o777, open(0o777, 0)), (0o775, open(0o775, 0)), (0o755, None)]
        {
            assert_eq!(of(libc::S_IFDIR | mode, 0), wanted, "{mode:o}");
        }
        assert_eq!(of(libc::S_IFREG | 0o600, 1000), open(0o600, 1000));
    }
}
