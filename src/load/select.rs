//! Chooses the kernel, and where its initrds come from. No file is opened: only names are looked up.
//!
//! The installed kernel is `vmlinuz-FLAVOUR` for the running flavour, as on Alpine, else
//! `vmlinuz-RELEASE` for the running release, as on other systems.

use super::request::{Initrds, KernelChoice, Request};
use crate::failure::{Failure, Result};
use crate::host::{files, kernel, machine};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A kernel, and where its initrds come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The kernel.
    pub kernel: OsString,
    /// The source of its initrds.
    pub initrds: Source,
}

/// Where initrds come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// These files, in their order; there may be none.
    Named(Vec<OsString>),
    /// Those in a unified image; else no initrd.
    Own,
    /// Those in a unified image; else the files beside the kernel.
    OwnElse(Beside),
}

/// The place of the initrds beside a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The kernel's directory.
    dir: OsString,
    /// The part of its name after `vmlinuz-`; `None` for a kernel with another name.
    name: Option<OsString>,
    /// Whether the name is a flavour of Alpine's, whose initramfs has one spelling.
    is_alpine: bool,
}

/// Chooses the files of a load. Fails with [`Failure::NoKernelFound`] when no kernel is named and
/// none is installed.
pub fn select(request: &Request) -> Result<Chosen> {
    let (kernel, beside) = match &request.kernel {
        KernelChoice::Named { path, finds_initrds } => {
            (path.clone(), finds_initrds.then(|| Beside::of(path)))
        }
        KernelChoice::Installed { boot } => {
            let (flavour, release) = kernel::release()?;
            let (kernel, beside) = installed(boot, flavour.as_deref(), &release)?;
            (kernel, Some(beside))
        }
    };
    let initrds = match (&request.initrds, beside) {
        (Initrds::None, _) => Source::Named(Vec::new()),
        (Initrds::These(files), _) => Source::Named(files.clone()),
        (Initrds::Unsaid, None) => Source::Own,
        (Initrds::Unsaid, Some(beside)) => Source::OwnElse(beside),
    };
    Ok(Chosen { kernel, initrds })
}

/// The installed kernel in `boot`.
fn installed(boot: &OsStr, flavour: Option<&str>, release: &str) -> Result<(OsString, Beside)> {
    let mut tried = Vec::new();
    for (is_alpine, name) in [(true, flavour), (false, Some(release))] {
        let Some(name) = name else { continue };
        let kernel = in_dir(boot, &["vmlinuz-".as_ref(), name.as_ref()]);
        if files::is_file(&kernel) {
            let beside = Beside { dir: boot.to_os_string(), name: Some(name.into()), is_alpine };
            return Ok((kernel, beside));
        }
        tried.push(kernel);
    }
    Err(Failure::NoKernelFound { tried, unmounted: kernel::unmounted(boot) }.into())
}

impl Beside {
    /// The place beside a named kernel, `DIR/vmlinuz-NAME`.
    fn of(kernel: &OsStr) -> Beside {
        let bytes = kernel.as_bytes();
        let slash = bytes.iter().rposition(|&byte| byte == b'/');
        let (dir, file) = slash.and_then(|at| bytes.split_at_checked(at)).unwrap_or((b".", bytes));
        let name = file.strip_prefix(b"/").unwrap_or(file).strip_prefix(b"vmlinuz-");
        let os = |bytes| OsStr::from_bytes(bytes).to_os_string();
        Beside { dir: os(dir), name: name.map(os), is_alpine: false }
    }

    /// The initrds beside `kernel`, microcode first. When no initramfs is there and the running
    /// kernel was started with an initrd, this fails with [`Failure::NoInitrdFound`]: the next
    /// kernel would need one, too, and not come up.
    pub fn initrds(&self, kernel: &OsStr) -> Result<Vec<OsString>> {
        self.find(kernel, machine::had_initrd())
    }

    fn find(&self, kernel: &OsStr, had_initrd: bool) -> Result<Vec<OsString>> {
        match self.files() {
            Ok(initrds) => Ok(initrds),
            Err(tried) if had_initrd => {
                Err(Failure::NoInitrdFound { kernel: kernel.to_os_string(), tried }.into())
            }
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The microcode archives, which have to be first (Documentation/arch/x86/microcode.rst), and
    /// the initramfs; or the names that were tried for it.
    fn files(&self) -> Result<Vec<OsString>, Vec<OsString>> {
        let Some(name) = &self.name else { return Err(Vec::new()) };
        let mut found = Vec::new();
        for microcode in ["intel-ucode.img", "amd-ucode.img"] {
            let path = in_dir(&self.dir, &[microcode.as_ref()]);
            if files::is_file(&path) {
                found.push(path);
            }
        }
        let spellings = [("initramfs-", ""), ("initrd.img-", ""), ("initramfs-", ".img")];
        let mut tried = Vec::new();
        for (before, after) in spellings.into_iter().take(if self.is_alpine { 1 } else { 3 }) {
            let path = in_dir(&self.dir, &[before.as_ref(), name, after.as_ref()]);
            if files::is_file(&path) {
                found.push(path);
                return Ok(found);
            }
            tried.push(path);
        }
        Err(tried)
    }
}

/// The path of a file in `dir`, its name in parts.
fn in_dir(dir: &OsStr, name: &[&OsStr]) -> OsString {
    let mut path = dir.to_os_string();
    path.push("/");
    name.iter().for_each(|part| path.push(part));
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    /// A /boot with these files in it.
    struct Boot(PathBuf);

    impl Boot {
        fn with(test: &str, files: &[&str]) -> Boot {
            let dir = std::env::temp_dir().join(format!("rc-kexec-select-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            files.iter().for_each(|name| std::fs::write(dir.join(name), "x").unwrap());
            Boot(dir)
        }

        fn found(&self, flavour: Option<&str>, release: &str, had_initrd: bool) -> Result<Vec<String>> {
            let (kernel, beside) = installed(self.0.as_os_str(), flavour, release)?;
            let initrds = beside.find(&kernel, had_initrd)?;
            let name = |path: &OsString| Path::new(path).file_name().unwrap().to_str().unwrap().to_string();
            Ok([kernel].iter().chain(&initrds).map(name).collect())
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
        let of = |name: &str, had| {
            let path = boot.0.join(name).into_os_string();
            Beside::of(&path).find(&path, had)
        };
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
