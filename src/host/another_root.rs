//! Paths below a file system that another system lives in: rc-kexec-init mounts one, and so does
//! whoever repairs a machine. An absolute symbolic link there begins at the top of that file system.

use super::files::read_or_empty;
use super::kernel::lists;
use super::mounts::{self, unescaped};
use super::sys::file;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The same file as the other system sees it: `path` unless an absolute link is on the way that leads
/// out of another system's file system; then the path without such links.
pub fn inside(path: &OsStr) -> OsString {
    follow(path, &|link| file::read_link(link).ok(), &top).unwrap_or_else(|| path.to_os_string())
}

/// Follows every link of `path`; `None` when no link has to be read otherwise than the kernel does.
/// `target` reads a link, and `top` is that of another system around a directory.
fn follow(
    path: &OsStr,
    target: &dyn Fn(&OsStr) -> Option<OsString>,
    top: &dyn Fn(&OsStr) -> Option<OsString>,
) -> Option<OsString> {
    let mut here = path.as_bytes().to_vec();
    let mut is_other = false;
    // path_resolution(7): "the maximum number of symbolic links that will be followed while
    // resolving a pathname is 40."
    for _ in 0..40 {
        let mut ends = (1..=here.len()).filter(|&end| matches!(here.get(end), Some(b'/') | None));
        let link = ends.find_map(|end| {
            let (name, rest) = here.split_at_checked(end)?;
            Some((name, rest, target(OsStr::from_bytes(name))?))
        });
        let Some((name, rest, to)) = link else { break };
        // The directory of the link, with its slash.
        let after_slash = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at.saturating_add(1));
        let dir = name.get(..after_slash).unwrap_or_default();
        let to = to.as_bytes();
        let mut next = Vec::new();
        if !to.starts_with(b"/") {
            next.extend_from_slice(dir);
        } else if let Some(top) = top(OsStr::from_bytes(dir)).filter(|top| !is_below(to, top.as_bytes())) {
            next.extend_from_slice(top.as_bytes());
            is_other = true;
        }
        next.extend_from_slice(to);
        next.extend_from_slice(rest);
        here = next;
    }
    is_other.then(|| OsString::from_vec(here))
}

/// Whether a path is below a directory already, as a link is that was made from outside.
fn is_below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Where the file system of a directory is mounted, if it can be another system's: it is on a device,
/// and it is neither the running root nor in its fstab(5).
fn top(dir: &OsStr) -> Option<OsString> {
    let dir = if dir.is_empty() { OsStr::new(".") } else { dir };
    let number = file::metadata(dir).ok()?.mount;
    let point = mount_point(&read_or_empty("/proc/self/mountinfo"), number)?;
    (point != "/" && !lists("/etc/fstab", point.as_bytes())).then_some(point)
}

/// The mount point of a file system on a device, by the number of its mount
/// (proc_pid_mountinfo(5)).
fn mount_point(mounts: &[u8], number: u64) -> Option<OsString> {
    let mount = mounts::by_number(mounts, number)?;
    mount.source.starts_with(b"/dev/").then(|| unescaped(mount.point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_links_of_another_system_begin_at_its_top() {
        let links = [
            ("/mnt/boot/vmlinuz", "/boot/vmlinuz-6.1"),
            ("/mnt/vmlinuz", "boot/vmlinuz"),
            ("/mnt/kernels", "/srv/boot"),
            ("/mnt/srv/boot/k", "../vmlinuz"),
            ("/mnt/outside", "/mnt/boot/k"),
            ("/mnt/loop", "/loop"),
            ("/boot/vmlinuz", "/boot/vmlinuz-6.1"),
            ("/boot/relative", "vmlinuz-6.1"),
        ];
        let target = |path: &OsStr| {
            links.iter().find(|(link, _)| path == *link).map(|(_, target)| OsString::from(target))
        };
        let top = |dir: &OsStr| dir.as_bytes().starts_with(b"/mnt/").then(|| OsString::from("/mnt"));
        let table = [
            ("/mnt/boot/vmlinuz", Some("/mnt/boot/vmlinuz-6.1")),
            ("/mnt/vmlinuz", Some("/mnt/boot/vmlinuz-6.1")),
            ("/mnt/kernels/k", Some("/mnt/srv/boot/../vmlinuz")),
            // As the kernel reads them.
            ("/mnt/outside", None),
            ("/mnt/boot/none", None),
            ("/boot/vmlinuz", None),
            ("/boot/relative", None),
            ("vmlinuz", None),
            ("/", None),
            ("", None),
        ];
        for (path, wanted) in table {
            assert_eq!(follow(path.as_ref(), &target, &top), wanted.map(OsString::from), "{path}");
        }
        // It ends, and opening the path says ELOOP.
        assert_eq!(follow("/mnt/loop".as_ref(), &target, &top), Some("/mnt/loop".into()));
    }

    #[test]
    fn where_a_file_system_on_a_device_is_mounted() {
        let mounts = b"22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n\
            41 22 8:17 / /mnt/my\\040disk rw - ext4 /dev/sdb1 rw\n\
            42 22 0:5 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(mount_point(mounts, 22), Some("/".into()));
        assert_eq!(mount_point(mounts, 41), Some("/mnt/my disk".into()));
        for number in [42, 4, 0] {
            assert_eq!(mount_point(mounts, number), None, "{number}");
        }
    }
}
