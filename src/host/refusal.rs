//! Why this machine refuses to load, as far as it says.

use super::files::{self, exists, joined, names, read, read_or_empty, value, value_of};
use super::memory::memory_available;
use super::sys::kexec::CAP_SYS_BOOT;
use super::sys::process::kernel_log;
use crate::base::bytes::parts;
use crate::base::cmdline;
use crate::base::text::{parse_decimal, parse_hex};
use crate::known::boot_loader::{self, BootLoader};
use crate::known::refusal::Refusal;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Everything that this machine says about why it refused a load. Read it after the refusal: a load
/// that succeeds needs none of it.
pub fn known() -> Refusal {
    let status = read_or_empty("/proc/self/status");
    let sysctl = |name: &str| parse_decimal(&value(format_args!("/proc/sys/kernel/{name}"))?);
    let line = files::command_line().unwrap_or_default();
    Refusal {
        cap_sys_boot: has_cap_sys_boot(&status),
        is_root: value_of(&status, b"Uid:").is_some_and(|ids| ids.starts_with(b"0\t")),
        load_disabled: sysctl("kexec_load_disabled") == Some(1),
        // Without a limit the file says -1, which this parser does not accept.
        loads_left: sysctl("kexec_load_limit_reboot"),
        lockdown: lockdown(),
        lockdown_option: cmdline::has_word(&line, b"lockdown=integrity")
            || cmdline::has_word(&line, b"lockdown=confidentiality"),
        boot_option: cmdline::has_word(&line, b"kexec_load_disabled=0"),
        sysctl_file: sysctl_file(),
        alpine: exists("/etc/alpine-release"),
        boot_loaders: boot_loaders(&line),
        security_modules: read("/sys/kernel/security/lsm")
            .ok()
            .map(|text| OsStr::from_bytes(text.trim_ascii()).to_os_string()),
        stuck_cpus: cfg!(target_arch = "aarch64") && stuck_cpus(),
        seccomp: value_of(&status, b"Seccomp:") == Some(b"2"),
        available: memory_available(),
    }
}

/// Whether this process has CAP_SYS_BOOT (capabilities(7)) in the first user namespace, where the
/// kernel checks it. `None` when /proc does not say.
fn has_cap_sys_boot(status: &[u8]) -> Option<bool> {
    let effective = parse_hex(value_of(status, b"CapEff:")?)?;
    Some(effective >> CAP_SYS_BOOT & 1 == 1 && !in_user_namespace(&read_or_empty("/proc/self/uid_map")))
}

/// Whether this is another user namespace than the first one, whose map has all users as
/// themselves (user_namespaces(7)). Without user namespaces the file is missing.
fn in_user_namespace(uid_map: &[u8]) -> bool {
    let words = uid_map.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !uid_map.is_empty() && !words.eq([&b"0"[..], b"0", b"4294967295"])
}

/// Whether the kernel logged that it refused a load because it cannot stop its processors
/// (arch/arm64/kernel/machine_kexec.c, machine_kexec_prepare).
fn stuck_cpus() -> bool {
    let mut log = [0u8; 4096];
    let wanted = b"CPUs are stuck in the kernel";
    kernel_log(&mut log).windows(wanted.len()).any(|window| window == wanted)
}

/// The lockdown in force, the word in brackets (kernel_lockdown(7)); `None` without one.
pub fn lockdown() -> Option<OsString> {
    let text = read_or_empty("/sys/kernel/security/lockdown");
    let word = parts(parts(&text, b'[').nth(1)?, b']').next()?;
    (word != b"none").then(|| OsStr::from_bytes(word).to_os_string())
}

/// The first file of sysctl.d(5) that sets kernel.kexec_load_disabled to 1.
fn sysctl_file() -> Option<OsString> {
    let sets = |path: &OsString| {
        let text = read(path.as_os_str()).unwrap_or_default();
        parts(&text, b'\n').any(sets_load_disabled)
    };
    let mut files = vec![OsString::from("/etc/sysctl.conf")];
    for dir in
        &["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"]
    {
        for name in &names(dir) {
            if name.as_bytes().ends_with(b".conf") {
                files.push(joined(&[dir.as_ref(), name]));
            }
        }
    }
    files.into_iter().find(sets)
}

/// Whether a line of sysctl.d(5) sets kernel.kexec_load_disabled to 1.
fn sets_load_disabled(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |&byte| byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let known = [&b"kernel.kexec_load_disabled"[..], b"kernel/kexec_load_disabled"];
    known.contains(&name.trim_ascii()) && parts.next().map(<[u8]>::trim_ascii) == Some(b"1")
}

/// The boot loaders whose configuration is on this machine.
fn boot_loaders(command_line: &[u8]) -> Vec<BootLoader> {
    let mut found = Vec::new();
    let first = |paths: &[&'static str]| paths.iter().copied().find(|path| exists(path));
    let has_line =
        |path: &str, start: &[u8]| parts(&read_or_empty(path), b'\n').any(|line| line.starts_with(start));
    let path = "/etc/update-extlinux.conf";
    if exists(path) {
        found.push(BootLoader::Extlinux { has_line: has_line(path, b"default_kernel_opts=\"") });
    }
    let path = "/etc/default/grub";
    if exists(path) {
        found.push(BootLoader::Grub { has_line: has_line(path, b"GRUB_CMDLINE_LINUX_DEFAULT=\"") });
    }
    if let Some(dir) = first(&["/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries"]) {
        found.push(BootLoader::SystemdBoot { dir });
    }
    for what in &boot_loader::BY_HAND {
        if let Some(file) = first(what.files) {
            found.push(BootLoader::ByHand { what, file });
        }
    }
    if exists("/etc/kernel-hooks.d/secureboot.conf") {
        found.push(BootLoader::UnifiedImage);
    }
    if read_or_empty("/proc/device-tree/model").starts_with(b"Raspberry Pi") {
        let file = first(&["/boot/cmdline.txt", "/media/mmcblk0p1/cmdline.txt"]);
        found.push(BootLoader::RaspberryPi { file: file.unwrap_or("cmdline.txt on the boot partition") });
    }
    let diskless = |word: &[u8]| word.starts_with(b"modloop=") || word.starts_with(b"alpine_dev=");
    if cmdline::words(command_line).any(diskless) {
        let mut files = Vec::new();
        for medium in &names("/media") {
            for config in &[
                "boot/syslinux/syslinux.cfg",
                "boot/grub/grub.cfg",
                "boot/extlinux/extlinux.conf",
                "extlinux/extlinux.conf",
                "boot/limine/limine.conf",
            ] {
                let path = joined(&["/media".as_ref(), medium, config.as_ref()]);
                if exists(&path) {
                    files.push(path);
                }
            }
        }
        found.push(BootLoader::Diskless { files });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_by_its_map_of_users() {
        let table = [
            ("         0          0 4294967295\n", false),
            ("", false),
            ("         0       1000          1\n", true),
            ("         0     100000      65536\n", true),
            ("         0          0      65536\n     65536     200000          1\n", true),
        ];
        for (map, wanted) in table {
            assert_eq!(in_user_namespace(map.as_bytes()), wanted, "{map:?}");
        }
    }

    #[test]
    fn a_line_of_sysctl_d_that_locks_and_those_that_do_not() {
        let table = [
            ("kernel.kexec_load_disabled = 1", true),
            ("kernel.kexec_load_disabled=1", true),
            (" -kernel/kexec_load_disabled= 1 ", true),
            ("kernel.kexec_load_disabled = 0", false),
            ("# kernel.kexec_load_disabled = 1", false),
            ("kernel.kexec_load_disabled_x = 1", false),
            ("kernel.kexec_load_disabled", false),
            ("", false),
        ];
        for (line, wanted) in table {
            assert_eq!(sets_load_disabled(line.as_bytes()), wanted, "{line}");
        }
    }
}
