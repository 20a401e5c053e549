//! Who else can change a file, and where its symbolic links lead.

use super::sys::file::{self, Metadata};
use crate::known::exposure::Exposure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Whether others than root can change the file at `path`: the file itself, or a directory above
/// it, along every symbolic link on the way. A file that is not there is [`Exposure::unseen`].
pub fn exposure(path: &OsStr) -> Exposure {
    let mut found = Exposure { path: path.to_os_string(), ..Exposure::default() };
    let mut here = path.to_os_string();
    // path_resolution(7): "the maximum number of symbolic links that will be followed while
    // resolving a pathname is 40."
    for _ in 0..40 {
        let Some(next) = look_along(&here, &mut found) else { break };
        here = next;
    }
    found.leads_to = found.link.is_some().then_some(here);
    found
}

/// Looks at each directory above `path`, and then at the file, up to the first symbolic link.
/// Returns the path with that link replaced; `None` when there is no link.
fn look_along(path: &OsStr, found: &mut Exposure) -> Option<OsString> {
    let bytes = path.as_bytes();
    let slashes = (0..bytes.len()).filter(|&at| bytes.get(at) == Some(&b'/'));
    for end in slashes.map(|at| at.max(1)).chain([bytes.len()]) {
        let (name, rest) = bytes.split_at_checked(end)?;
        let here = OsStr::from_bytes(name);
        if let Ok(target) = file::read_link(here) {
            found.link.get_or_insert_with(|| here.to_os_string());
            // A relative target replaces the link's last part, an absolute one all of it.
            let last = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at.saturating_add(1));
            let mut next = Vec::new();
            if !target.as_bytes().starts_with(b"/") {
                next.extend_from_slice(name.get(..last)?);
            }
            next.extend_from_slice(target.as_bytes());
            next.extend_from_slice(rest);
            return Some(OsString::from_vec(next));
        }
        match file::metadata(here) {
            Ok(status) => see(here, &status, found),
            Err(errno) => {
                found.unseen = Some(errno);
                break;
            }
        }
    }
    None
}

/// Notes `here` when others can write to it, and it is the first.
fn see(here: &OsStr, status: &Metadata, found: &mut Exposure) {
    // In a directory with the sticky bit, others cannot remove root's files.
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
            let status = Metadata { mode, owner, ..file::metadata("/".as_ref()).unwrap() };
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
