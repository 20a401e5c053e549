//! Which kernel is installed for this machine? The one of the running flavour, as
//! Alpine names it, then the one of the running release, as others do.

use crate::failure::{Failure, Result};
use crate::host::{facts, files};
use crate::kernel_file;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A kernel and its initrds.
#[derive(Debug)]
pub struct Found {
    /// The kernel.
    pub kernel: OsString,
    /// Microcode first, the initramfs last.
    pub initrds: Vec<OsString>,
}

/// Finds the installed kernel in `boot`. `initrds` of the user's take the place of
/// those found beside it.
pub fn installed_kernel(boot: &OsStr, initrds: &[OsString]) -> Result<Found> {
    let (flavour, release) = facts::release()?;
    let had_initrd = facts::had_initrd();
    choose(boot, flavour.as_deref(), &release, initrds, had_initrd)
}

/// The initrds beside a kernel that was named: of `DIR/vmlinuz-X`, as of an installed
/// one. None for a kernel of another name, unless the running kernel has one.
pub fn initrds_of(kernel: &OsStr) -> Result<Vec<OsString>> {
    let had_initrd = facts::had_initrd();
    beside(kernel, had_initrd)
}

fn beside(kernel: &OsStr, had_initrd: bool) -> Result<Vec<OsString>> {
    let bytes = kernel.as_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/');
    let (dir, file) = slash.and_then(|at| bytes.split_at_checked(at)).unwrap_or((b".", bytes));
    let name = file.strip_prefix(b"/").unwrap_or(file).strip_prefix(b"vmlinuz-");
    let found = match name.and_then(|name| core::str::from_utf8(name).ok()) {
        Some(name) => initrds_beside(OsStr::from_bytes(dir), name, false),
        None => Err(Vec::new()),
    };
    match found {
        Ok(initrds) => Ok(initrds),
        Err(tried) if had_initrd => {
            Err(Failure::NoInitrdFound { kernel: kernel.to_os_string(), tried }.into())
        }
        Err(_) => Ok(Vec::new()),
    }
}

fn choose(
    boot: &OsStr,
    flavour: Option<&str>,
    release: &str,
    initrds: &[OsString],
    had_initrd: bool,
) -> Result<Found> {
    // Whether the name is Alpine's, and what follows `vmlinuz-` in it.
    let names = [(true, flavour), (false, Some(release))];
    let mut tried = Vec::new();
    for (alpine, name) in names {
        let Some(name) = name else { continue };
        let kernel = in_boot(boot, &["vmlinuz-", name]);
        if !files::is_file(&kernel) {
            tried.push(kernel);
            continue;
        }
        // A unified image brings its own.
        if !initrds.is_empty() || kernel_file::is_unified(&kernel)? {
            return Ok(Found { kernel, initrds: initrds.to_vec() });
        }
        return match initrds_beside(boot, name, alpine) {
            Ok(initrds) => Ok(Found { kernel, initrds }),
            // A kernel that needs one would not come up; one that never had one does.
            Err(tried) if had_initrd => Err(Failure::NoInitrdFound { kernel, tried }.into()),
            Err(_) => Ok(Found { kernel, initrds: Vec::new() }),
        };
    }
    Err(Failure::NoKernelFound { tried, unmounted: facts::unmounted(boot) }.into())
}

fn in_boot(boot: &OsStr, name: &[&str]) -> OsString {
    let mut path = boot.to_os_string();
    path.push("/");
    name.iter().for_each(|part| path.push(part));
    path
}

/// The microcode archives, which have to be first, and the initramfs; or where
/// that was looked for.
fn initrds_beside(boot: &OsStr, name: &str, alpine: bool) -> Result<Vec<OsString>, Vec<OsString>> {
    let mut found = Vec::new();
    for microcode in &["intel", "amd"] {
        let path = in_boot(boot, &[microcode, "-ucode.img"]);
        if files::is_file(&path) {
            found.push(path);
        }
    }
    let spellings = &[("initramfs-", ""), ("initrd.img-", ""), ("initramfs-", ".img")];
    let mut tried = Vec::new();
    for (before, after) in spellings.iter().take(if alpine { 1 } else { 3 }) {
        let path = in_boot(boot, &[before, name, after]);
        if files::is_file(&path) {
            found.push(path);
            return Ok(found);
        }
        tried.push(path);
    }
    Err(tried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    /// A /boot with these files in it.
    struct Boot(PathBuf);

    impl Boot {
        fn with(test: &str, files: &[&str]) -> Boot {
            let dir = std::env::temp_dir().join(format!("rc-kexec-find-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            files.iter().for_each(|name| std::fs::write(dir.join(name), "x").unwrap());
            Boot(dir)
        }

        fn found(&self, flavour: Option<&str>, release: &str, had_initrd: bool) -> Result<Vec<String>> {
            let found = choose(self.0.as_os_str(), flavour, release, &[], had_initrd)?;
            let name = |path: &OsString| Path::new(path).file_name().unwrap().to_str().unwrap().to_string();
            Ok([found.kernel].iter().chain(&found.initrds).map(name).collect())
        }
    }

    impl Drop for Boot {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn alpines_names_come_first_with_microcode_before_the_initramfs() {
        let boot = Boot::with(
            "alpine",
            &["vmlinuz-virt", "initramfs-virt", "vmlinuz-6.12.31-0-virt", "amd-ucode.img", "intel-ucode.img"],
        );
        assert_eq!(
            boot.found(Some("virt"), "6.12.31-0-virt", true).unwrap(),
            ["vmlinuz-virt", "intel-ucode.img", "amd-ucode.img", "initramfs-virt"]
        );
    }

    #[test]
    fn releases_and_their_spellings() {
        for initrd in ["initrd.img-6.1.0-1-amd64", "initramfs-6.1.0-1-amd64.img", "initramfs-6.1.0-1-amd64"] {
            let boot = Boot::with("release", &["vmlinuz-6.1.0-1-amd64", initrd]);
            let found = boot.found(Some("amd64"), "6.1.0-1-amd64", true).unwrap();
            assert_eq!(found, ["vmlinuz-6.1.0-1-amd64", initrd]);
        }
    }

    #[test]
    fn the_initrds_of_a_kernel_that_is_named_are_beside_it() {
        let boot =
            Boot::with("named", &["vmlinuz-edge", "initramfs-edge", "amd-ucode.img", "other", "vmlinuz-x"]);
        let of = |name: &str, had| beside(boot.0.join(name).as_os_str(), had);
        let wanted = ["amd-ucode.img", "initramfs-edge"].map(|name| boot.0.join(name).into_os_string());
        assert_eq!(of("vmlinuz-edge", true).unwrap(), wanted);
        for name in ["other", "vmlinuz-x"] {
            assert!(of(name, true).is_err(), "{name}");
            assert_eq!(of(name, false).unwrap(), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_missing_initramfs_matters_when_the_machine_had_one() {
        let boot = Boot::with("missing", &["vmlinuz-virt"]);
        let refusal = boot.found(Some("virt"), "6.12.31-0-virt", true).unwrap_err();
        assert!(refusal.to_string().contains("initramfs-virt"), "{refusal}");
        assert_eq!(boot.found(Some("virt"), "6.12.31-0-virt", false).unwrap(), ["vmlinuz-virt"]);
        let none = boot.found(None, "6.12.31", false).unwrap_err();
        assert!(none.to_string().contains("vmlinuz-6.12.31"), "{none}");
    }
}
