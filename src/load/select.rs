//! Chooses the kernel, and where its initrds come from. No file is opened: only names are looked up.
//!
//! The installed kernel is the one of the running flavour: under a name without a version, as on
//! Alpine and Arch; else the newest of those whose names have one; else a unified image; else a kernel
//! whose name says nothing.

use super::request::{Initrds, KernelChoice, Request};
use crate::failure::{Failure, Result};
use crate::host::{another_root, files, kernel, machine, medium};
use crate::known::kernel_name::{self, Release};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A kernel, and where its initrds come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The kernel.
    pub kernel: OsString,
    /// The flavour of which it is the newest kernel, if several names were compared for that.
    pub newest_of: Option<String>,
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
    /// The part of its name after the word for the kernel; empty for `vmlinuz`, `None` for a kernel
    /// with another name.
    name: Option<OsString>,
    /// Whether this is the running system's kernel and Alpine's, which has the flavour for a name.
    is_alpines: bool,
}

/// The words with which kernels' names begin: most distributions', and Gentoo's.
const WORDS: [&str; 2] = ["vmlinuz-", "kernel-"];

/// Where unified images are, under the directory of kernels and where EFI's partition is mounted
/// otherwise (systemd's Boot Loader Specification, "Type #2 EFI Unified Kernel Images").
const UNIFIED: [&str; 3] = ["", "/efi", "/boot/efi"];

/// Chooses the files of a load. Fails with [`Failure::NoKernelFound`] when no kernel is named and
/// none is installed, and with [`Failure::SeveralMedia`] when several boot media have one.
pub fn select(request: &Request) -> Result<Chosen> {
    let (kernel, newest_of, beside) = match &request.kernel {
        KernelChoice::Named { path, finds_initrds } => {
            let kernel = if *finds_initrds { another_root::inside(path) } else { path.clone() };
            (kernel, None, finds_initrds.then(|| Beside::of(path)))
        }
        KernelChoice::Installed { boot, flavour } => {
            let running = match flavour {
                Some(flavour) => flavour.clone(),
                None => kernel::release()?,
            };
            let look = |dir: &OsStr| installed(&another_root::inside(dir), &running);
            let media = || if boot == "/boot" { medium::boot_folders() } else { Vec::new() };
            let found = look(boot).or_else(|failure| only(media(), &look).unwrap_or(Err(failure)))?;
            (found.kernel, found.newest_of, Some(found.beside))
        }
    };
    let initrds = match (&request.initrds, beside) {
        (Initrds::None, _) => Source::Named(Vec::new()),
        (Initrds::These(files), None) => Source::Named(files.clone()),
        (Initrds::These(files), Some(_)) => {
            Source::Named(files.iter().map(|path| another_root::inside(path)).collect())
        }
        (Initrds::Unsaid, None) => Source::Own,
        (Initrds::Unsaid, Some(beside)) => Source::OwnElse(beside),
    };
    Ok(Chosen { kernel, newest_of, initrds })
}

struct Found {
    kernel: OsString,
    newest_of: Option<String>,
    beside: Beside,
}

/// What is found in one of these folders; [`Failure::SeveralMedia`] where it is found in several.
fn only<T>(folders: Vec<OsString>, look: &dyn Fn(&OsStr) -> Result<T>) -> Option<Result<T>> {
    let (mut found, mut having) = (None, Vec::new());
    for folder in folders {
        if let Ok(one) = look(&folder) {
            found = Some(one);
            having.push(folder);
        }
    }
    if having.len() > 1 {
        return Some(Err(Failure::SeveralMedia { folders: having }.into()));
    }
    found.map(Ok)
}

/// The kernel in `boot` with the flavour of `running`, a release or a flavour.
fn installed(boot: &OsStr, running: &str) -> Result<Found> {
    let release = Release::of(running);
    let mut tried = Vec::new();
    for name in names_without_version(release) {
        let kernel = in_dir(boot, &[WORDS[0].as_ref(), name.as_ref()]);
        if files::is_file(&kernel) {
            // In another folder are another system's kernels, or copies.
            let is_alpines = name == release.flavour && boot == "/boot";
            let beside = Beside { dir: boot.to_os_string(), name: Some(name.into()), is_alpines };
            return Ok(Found { kernel, newest_of: None, beside });
        }
        tried.push(kernel);
    }
    let there = files::names(boot);
    if let Some(name) = newest(boot, &there, release) {
        let kernel = in_dir(boot, &[name]);
        let beside = Beside::of(&kernel);
        return Ok(Found { kernel, newest_of: Some(release.flavour.into()), beside });
    }
    tried.push(in_dir(boot, &[WORDS[0].as_ref(), running.as_ref()]));
    if let Some(kernel) = unified(boot, release) {
        let beside = Beside::of(&kernel);
        return Ok(Found { kernel, newest_of: None, beside });
    }
    // postmarketOS, and whoever copies one kernel by hand.
    let kernel = in_dir(boot, &["vmlinuz".as_ref()]);
    if files::is_file(&kernel) {
        let beside = Beside::of(&kernel);
        return Ok(Found { kernel, newest_of: None, beside });
    }
    tried.push(kernel);
    let is_kernel = |name: &&OsString| starts_with_a_word(name).is_some();
    let there = there.iter().filter(is_kernel).map(|name| in_dir(boot, &[name])).collect();
    Err(Failure::NoKernelFound { tried, there, unmounted: kernel::unmounted(boot) }.into())
}

/// The names without a version for this flavour: Alpine's, which is the flavour, and Arch's, which has
/// the last word of the release behind `linux`, and nothing behind it for its plain kernel
/// (6.9.3-arch1-1, 6.6.32-1-lts).
fn names_without_version(release: Release) -> Vec<String> {
    let flavour = release.flavour;
    if flavour.is_empty() {
        return Vec::new();
    }
    let arch = match flavour.rsplit('-').next() {
        _ if flavour.starts_with("arch") || flavour.starts_with("artix") => "linux".to_string(),
        last => format!("linux-{}", last.unwrap_or(flavour)),
    };
    vec![flavour.to_string(), arch]
}

/// The newest of the files in `dir` whose names have a version and this flavour.
fn newest<'n>(dir: &OsStr, names: &'n [OsString], wanted: Release) -> Option<&'n OsStr> {
    let release = |name: &'n OsString| {
        let release = Release::of(starts_with_a_word(name)?);
        let fits = release.has_version && release.has_flavour_of(&wanted);
        (fits && files::is_file(&in_dir(dir, &[name]))).then_some((release, name.as_os_str()))
    };
    let newest = names.iter().filter_map(release).max_by(|(one, _), (other, _)| one.cmp_version(other));
    newest.map(|(_, name)| name)
}

/// What follows the word for a kernel in the name of one.
fn starts_with_a_word(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?;
    WORDS.iter().find_map(|word| name.strip_prefix(word))
}

/// The newest unified image of this flavour.
fn unified(boot: &OsStr, wanted: Release) -> Option<OsString> {
    let without_version = names_without_version(wanted);
    let fits = |release: Release| {
        let is_called = |name: &str| {
            let rest = release.whole.strip_suffix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
        };
        if release.has_version {
            release.has_flavour_of(&wanted)
        } else {
            without_version.iter().any(|name| is_called(name))
        }
    };
    UNIFIED.iter().find_map(|place| {
        let place = if place.is_empty() { boot } else { place.as_ref() };
        let dir = in_dir(place, &["EFI/Linux".as_ref()]);
        let names = files::names(&dir);
        let releases = names.iter().filter_map(|name| Some((kernel_name::of_unified(name.to_str()?)?, name)));
        let of_flavour = releases.filter(|(release, _)| fits(*release));
        let (_, newest) = of_flavour.max_by(|(one, _), (other, _)| one.cmp_version(other))?;
        Some(in_dir(&dir, &[newest]))
    })
}

impl Beside {
    /// The place beside a named kernel, `DIR/vmlinuz-NAME`, `DIR/kernel-NAME` or `DIR/vmlinuz`.
    fn of(kernel: &OsStr) -> Beside {
        let bytes = kernel.as_bytes();
        let slash = bytes.iter().rposition(|&byte| byte == b'/');
        let (dir, file) = slash.and_then(|at| bytes.split_at_checked(at)).unwrap_or((b".", bytes));
        let file = OsStr::from_bytes(file.strip_prefix(b"/").unwrap_or(file));
        let name = if file == "vmlinuz" { Some("") } else { starts_with_a_word(file) };
        Beside {
            dir: OsStr::from_bytes(dir).to_os_string(),
            name: name.map(OsString::from),
            is_alpines: false,
        }
    }

    /// The initrds beside `kernel`, microcode first. When no initramfs is there and the running
    /// kernel was started with an initrd, this fails with [`Failure::NoInitrdFound`]: the next
    /// kernel would need one, too, and not come up.
    pub fn initrds(&self, kernel: &OsStr) -> Result<Vec<OsString>> {
        self.find(kernel, machine::had_initrd())
    }

    fn find(&self, kernel: &OsStr, had_initrd: bool) -> Result<Vec<OsString>> {
        match self.files() {
            Ok(initrds) => {
                self.check_age(kernel, initrds.last().map(OsString::as_os_str))?;
                Ok(initrds)
            }
            Err(tried) if had_initrd => {
                let is_initrd = |name: &&OsString| {
                    let name = name.as_bytes();
                    name.starts_with(b"initr") || name.starts_with(b"initramfs")
                };
                let there = files::names(&self.dir);
                let there = there.iter().filter(is_initrd).map(|name| in_dir(&self.dir, &[name])).collect();
                Err(Failure::NoInitrdFound { kernel: kernel.to_os_string(), tried, there }.into())
            }
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Fails with [`Failure::OldInitrd`] when an initramfs of Alpine's was made before its kernel came: it
    /// has no modules for that, and the next kernel would not find its root. That happens while an
    /// upgrade goes on, and where mkinitfs's trigger is disabled for a unified image. A boot loader that
    /// starts another file is then the way that works, so this is no mere warning. Names with versions
    /// cannot be confused so.
    fn check_age(&self, kernel: &OsStr, initramfs: Option<&OsStr>) -> Result<()> {
        let flavour = self.name.as_deref().filter(|_| self.is_alpines).and_then(OsStr::to_str);
        let came = flavour.and_then(kernel::installed_at);
        let made = initramfs.and_then(files::modified);
        match (came, made, initramfs) {
            (Some(came), Some(made), Some(initrd)) if made < came => {
                let (kernel, initrd) = (kernel.to_os_string(), initrd.to_os_string());
                Err(Failure::OldInitrd { kernel, initrd }.into())
            }
            _ => Ok(()),
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
        let dash: &OsStr = if name.is_empty() { "" } else { "-" }.as_ref();
        let spellings = [("initramfs", ""), ("initrd.img", ""), ("initramfs", ".img"), ("initrd", "")];
        let mut tried = Vec::new();
        for (before, after) in spellings {
            let path = in_dir(&self.dir, &[before.as_ref(), dash, name, after.as_ref()]);
            if files::is_file(&path) {
                found.push(path);
                return Ok(found);
            }
            tried.push(path);
        }
        Err(tried)
    }
}

/// The path of a file in `dir`, its name in parts, without links that lead out of another system.
fn in_dir(dir: &OsStr, name: &[&OsStr]) -> OsString {
    let mut path = dir.to_os_string();
    path.push("/");
    name.iter().for_each(|part| path.push(part));
    another_root::inside(&path)
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

        fn found(&self, running: &str, had_initrd: bool) -> Result<Vec<String>> {
            let found = installed(self.0.as_os_str(), running)?;
            let initrds = found.beside.find(&found.kernel, had_initrd)?;
            let name = |path: &OsString| Path::new(path).file_name().unwrap().to_str().unwrap().to_string();
            Ok([found.kernel].iter().chain(&initrds).map(name).collect())
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
            boot.found("6.12.31-0-virt", true).unwrap(),
            ["vmlinuz-virt", "intel-ucode.img", "amd-ucode.img", "initramfs-virt"]
        );
    }

    #[test]
    fn a_diskless_systems_kernel_is_on_the_one_medium_that_has_it() {
        let (usb, cdrom, data) = (
            Boot::with("usb", &["vmlinuz-lts", "initramfs-lts"]),
            Boot::with("cdrom", &["vmlinuz-lts"]),
            Boot::with("data", &["vmlinuz-virt"]),
        );
        let look = |dir: &OsStr| installed(dir, "6.12.31-0-lts").map(|found| found.kernel);
        let dir = |boot: &Boot| boot.0.clone().into_os_string();
        let kernel = usb.0.join("vmlinuz-lts").into_os_string();
        assert_eq!(only(vec![dir(&data), dir(&usb)], &look).unwrap().unwrap(), kernel);
        assert!(only(vec![dir(&data)], &look).is_none());
        let several = only(vec![dir(&cdrom), dir(&data), dir(&usb)], &look).unwrap().unwrap_err();
        assert_eq!(
            several.to_string(),
            format!(
                "unable to choose a kernel: each of these folders has one: {} {}\n  name one of them: \
                 --boot FOLDER, or kexec_boot in /etc/conf.d/kexec-load",
                cdrom.0.display(),
                usb.0.display()
            )
        );
    }

    #[test]
    fn releases_and_their_spellings() {
        for initrd in ["initrd.img-6.1.0-1-amd64", "initramfs-6.1.0-1-amd64.img", "initramfs-6.1.0-1-amd64"] {
            let boot = Boot::with("release", &["vmlinuz-6.1.0-1-amd64", initrd]);
            let found = boot.found("6.1.0-1-amd64", true).unwrap();
            assert_eq!(found, ["vmlinuz-6.1.0-1-amd64", initrd]);
        }
    }

    #[test]
    fn names_that_are_in_use() {
        // the files, the running release -> what is chosen
        let table: &[(&[&str], &str, &[&str])] = &[
            // Debian after an upgrade: the newest of the flavour, and no other flavour.
            (
                &[
                    "vmlinuz-6.9.0-1-amd64",
                    "vmlinuz-6.12.3-amd64",
                    "initrd.img-6.12.3-amd64",
                    "vmlinuz-99.0-cloud-amd64",
                    "vmlinuz-6.13-amd64.old",
                    "vmlinuz-6.14.old",
                ],
                "6.9.0-1-amd64",
                &["vmlinuz-6.12.3-amd64", "initrd.img-6.12.3-amd64"],
            ),
            // The running one was removed.
            (
                &["vmlinuz-6.9.1-amd64", "initrd.img-6.9.1-amd64"],
                "6.12.3-amd64",
                &["vmlinuz-6.9.1-amd64", "initrd.img-6.9.1-amd64"],
            ),
            // Gentoo.
            (
                &["kernel-6.6.21-gentoo-r1", "kernel-6.6.9-gentoo", "initramfs-6.6.21-gentoo-r1.img"],
                "6.6.9-gentoo",
                &["kernel-6.6.21-gentoo-r1", "initramfs-6.6.21-gentoo-r1.img"],
            ),
            (
                &[
                    "kernel-6.6.21-gentoo-r2-x86_64",
                    "kernel-6.6.9-gentoo-r1-x86_64",
                    "kernel-6.6.30-gentoo-rt-x86_64",
                    "initramfs-6.6.21-gentoo-r2-x86_64.img",
                ],
                "6.6.9-gentoo-r1-x86_64",
                &["kernel-6.6.21-gentoo-r2-x86_64", "initramfs-6.6.21-gentoo-r2-x86_64.img"],
            ),
            // A copy of a kernel without a flavour is no newer one.
            (
                &["vmlinuz-6.12.31", "vmlinuz-6.12.31.old", "initramfs-6.12.31"],
                "6.12.31",
                &["vmlinuz-6.12.31", "initramfs-6.12.31"],
            ),
            // Arch and Artix.
            (
                &["vmlinuz-linux", "initramfs-linux.img", "vmlinuz-linux-lts"],
                "6.9.3-arch1-1",
                &["vmlinuz-linux", "initramfs-linux.img"],
            ),
            (
                &["vmlinuz-linux", "initramfs-linux.img"],
                "6.9.3-artix1-1",
                &["vmlinuz-linux", "initramfs-linux.img"],
            ),
            (
                &["vmlinuz-linux-lts", "initramfs-linux-lts.img"],
                "6.6.32-1-lts",
                &["vmlinuz-linux-lts", "initramfs-linux-lts.img"],
            ),
            (
                &["vmlinuz-linux-zen", "initramfs-linux-zen.img"],
                "6.9.3-zen1-1-zen",
                &["vmlinuz-linux-zen", "initramfs-linux-zen.img"],
            ),
            // postmarketOS.
            (&["vmlinuz", "initramfs"], "6.6.0-postmarketos-qcom", &["vmlinuz", "initramfs"]),
        ];
        for (number, (names, running, wanted)) in table.iter().enumerate() {
            let boot = Boot::with(&format!("in-use-{number}"), names);
            assert_eq!(boot.found(running, true).unwrap(), *wanted, "{running}");
        }
    }

    #[test]
    fn a_unified_image_is_a_kernel_to_choose() {
        let boot = Boot::with("unified", &[]);
        let dir = boot.0.join("EFI/Linux");
        std::fs::create_dir_all(&dir).unwrap();
        let names = [
            "linux-virt.efi",
            "linux-lts.efi",
            "virt.txt",
            "arch-linux.efi",
            "debian-6.9.1+deb13-amd64.efi",
            "debian-6.12.48+deb13-amd64+3.efi",
        ];
        for name in names {
            std::fs::write(dir.join(name), "x").unwrap();
        }
        for (running, wanted) in [
            ("6.12.31-0-lts", "linux-lts.efi"),
            ("6.9.3-arch1-1", "arch-linux.efi"),
            ("6.9.1+deb13-amd64", "debian-6.12.48+deb13-amd64+3.efi"),
        ] {
            let found = installed(boot.0.as_os_str(), running).unwrap();
            assert_eq!(found.kernel, dir.join(wanted), "{running}");
        }
        let found = installed(boot.0.as_os_str(), "6.12.31-0-virt").unwrap();
        assert_eq!(found.kernel, dir.join("linux-virt.efi"));
        std::fs::write(boot.0.join("vmlinuz-virt"), "x").unwrap();
        let found = installed(boot.0.as_os_str(), "6.12.31-0-virt").unwrap();
        assert_eq!(found.kernel, boot.0.join("vmlinuz-virt"));
        std::fs::remove_dir_all(boot.0.join("EFI")).unwrap();
    }

    #[test]
    fn what_is_there_is_named_where_nothing_fits() {
        let boot =
            Boot::with("there", &["vmlinuz-lts", "kernel-6.1-x", "vmlinuz-6.1-amd64", "initrd.gz-6.1-amd64"]);
        let refusal = boot.found("6.12.31-0-virt", true).unwrap_err().to_string();
        for name in ["vmlinuz-lts", "kernel-6.1-x", "vmlinuz-6.1-amd64"] {
            assert!(refusal.contains(name), "{refusal}");
        }
        let refusal = boot.found("6.1-amd64", true).unwrap_err().to_string();
        assert!(refusal.contains("initrd.gz-6.1-amd64"), "{refusal}");
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
        let refusal = boot.found("6.12.31-0-virt", true).unwrap_err();
        assert!(refusal.to_string().contains("initramfs-virt"), "{refusal}");
        assert_eq!(boot.found("6.12.31-0-virt", false).unwrap(), ["vmlinuz-virt"]);
        let none = boot.found("6.12.31", false).unwrap_err();
        assert!(none.to_string().contains("vmlinuz-6.12.31"), "{none}");
    }
}
