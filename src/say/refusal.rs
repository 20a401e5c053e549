//! Why the running kernel refuses, and what to do about it.

use super::each;
use crate::base::text::{Shown, Size};
use crate::host::sys::process::strerror;
use crate::known::boot_loader::{BootLoader, Configuration, OPTION};
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Obstacle, Refusal, Room};
use crate::known::xen::Xen;
use nix::errno::Errno;
use std::fmt::{self, Display, Formatter};

impl Display for Obstacle<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NoPrivilege(facts) => no_privilege(f, facts),
            Obstacle::Disabled(facts) => load_disabled(f, facts),
            Obstacle::NoLoadsLeft => f.write_str(
                "kernel.kexec_load_limit_reboot is 0: all loads allowed since boot are used up (failed ones count, too), and the limit cannot be raised\n  an ordinary reboot resets it",
            ),
            Obstacle::LockedDown(call, facts) => locked_down(f, *call, facts),
        }
    }
}

impl Display for Xen {
    /// What this kernel is to Xen, and what a kexec would do to it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Xen::Absent => "no Xen",
            Xen::Machine => {
                "this is a guest of Xen: where the host's tools know no soft reset, a kexec ends the guest\n  try it while somebody can start the guest again"
            }
            Xen::ControlDomain => {
                "this is Xen's control domain (dom0): a kexec would switch the whole host off\n  reboot in the ordinary way"
            }
            Xen::Paravirtual => {
                "this is a paravirtualized (PV) guest of Xen: a kexec would switch it off\n  reboot in the ordinary way"
            }
            Xen::Unknown => {
                "/sys/hypervisor does not say what this kernel is to Xen: a kexec may switch the machine off\n  reboot in the ordinary way"
            }
        })
    }
}

/// The edit of a boot loader's configuration that adds an option.
pub struct Edit<'e> {
    /// The boot loader.
    pub boot_loader: &'e BootLoader,
    /// The option.
    pub option: &'e str,
}

impl Display for Edit<'_> {
    /// Which file to change and how, and the command to run after that.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let option = self.option;
        let (name, line, file, command, has_line) = match self.boot_loader {
            BootLoader::Extlinux { has_line } => {
                ("extlinux", "default_kernel_opts", "/etc/update-extlinux.conf", "update-extlinux", has_line)
            }
            BootLoader::Grub { has_line } => (
                "GRUB",
                "GRUB_CMDLINE_LINUX_DEFAULT",
                "/etc/default/grub",
                "grub-mkconfig -o /boot/grub/grub.cfg",
                has_line,
            ),
            BootLoader::SystemdBoot { dir } => {
                return write!(
                    f,
                    "systemd-boot: add {option} to the options line of the entry in {dir}/*.conf"
                );
            }
            BootLoader::ByHand { what: Configuration { name, lines, .. }, file } => {
                return write!(f, "{name}: add {option} to {lines} of {file}");
            }
            BootLoader::UnifiedImage => {
                return write!(
                    f,
                    "unified kernel image: add {option} to cmdline in /etc/kernel-hooks.d/secureboot.conf, then run: apk fix kernel-hooks"
                );
            }
            BootLoader::RaspberryPi { file } => {
                return write!(f, "Raspberry Pi: add {option} to the one line of {file}");
            }
            BootLoader::Diskless { files } if files.is_empty() => {
                return write!(
                    f,
                    "diskless: add {option} to the kernel's line in syslinux.cfg and grub.cfg on the boot medium"
                );
            }
            BootLoader::Diskless { files } => {
                write!(f, "diskless: add {option} to the kernel's line in")?;
                return each(f, files);
            }
        };
        if *has_line {
            write!(f, "{name}: run: sed -i 's/^{line}=\"/&{option} /' {file} && {command}")
        } else {
            write!(
                f,
                "{name}: in {file} add the line {line}=\"{option}\" (or the option to the line that is there), then run: {command}"
            )
        }
    }
}

fn no_privilege(f: &mut Formatter<'_>, facts: &Refusal) -> fmt::Result {
    match (facts.cap_sys_boot, facts.is_root) {
        (Some(false), false) => f.write_str("it needs root, with CAP_SYS_BOOT\n  run it as root"),
        (Some(false), true) => f.write_str(
            "this root does not have CAP_SYS_BOOT, as in a container\n  run it on the machine itself",
        ),
        (Some(true), _) => f.write_str(
            "Operation not permitted, and the kernel does not say why; this process has CAP_SYS_BOOT",
        ),
        (None, _) => f.write_str("Operation not permitted, and the kernel does not say why"),
    }
}

/// Why a call failed.
pub fn why_not(
    f: &mut Formatter<'_>,
    call: Call,
    errno: Errno,
    load: &Attempt,
    facts: &Refusal,
) -> fmt::Result {
    match errno {
        Errno::EPERM => match Obstacle::of(call, facts) {
            Some(obstacle) => obstacle.fmt(f),
            None => unknown_refusal(f, facts),
        },
        // security/integrity/ima/ima_main.c, ima_load_data and ima_read_file.
        Errno::EACCES => f.write_str(match call {
            Call::Load => "a security module forbids this call (IMA does where it must appraise kernels)\n  it may allow kexec_file_load: --syscall file (kexec -s)",
            Call::FileLoad => "a security module rejects the file (IMA does where its appraisal fails)",
        }),
        Errno::ENOSYS => match call {
            Call::FileLoad => f.write_str(
                "this kernel does not have the call (CONFIG_KEXEC_FILE; Alpine's kernels are built without it)\n  leave --syscall file (kexec -s) out: rc-kexec then uses kexec_load",
            ),
            Call::Load => f.write_str("this kernel does not have the call (CONFIG_KEXEC)"),
        },
        // arch/arm64/kernel/machine_kexec.c, machine_kexec_prepare.
        Errno::EBUSY if facts.stuck_cpus => f.write_str(
            "the kernel cannot stop the other CPUs (it says: CPUs are stuck in the kernel): the firmware started them with a spin-table, to which no CPU can return, or protected KVM keeps them\n  reboot in the ordinary way",
        ),
        Errno::EBUSY => f.write_str("another load is running\n  try again when it has ended"),
        Errno::ENOMEM => {
            f.write_str("the kernel does not have enough free memory")?;
            if load.size > 0 {
                write!(f, " for {}", Size(load.size))?;
            }
            match facts.available {
                Some(available) => write!(f, "; {} is available", Size(available)),
                None => Ok(()),
            }
        }
        // The kernel reads the segments from mapped files.
        Errno::EFAULT if load.size > 0 => f.write_str(
            "a file was cut short during the load, or its disk failed\n  try again when nothing writes to it",
        ),
        Errno::ENODATA => {
            f.write_str("the image has no signature, and this kernel requires one")
        }
        Errno::ELIBBAD => f.write_str("the image cannot have a signature: it is not an EFI program"),
        Errno::ENOPKG => f.write_str("this kernel cannot check a signature of this kind"),
        Errno::ENOKEY => f.write_str("the image is signed with a key that this kernel does not trust"),
        Errno::EKEYREJECTED => f.write_str(
            "this kernel rejects the image's signature: the key is revoked, expired or not for kernels, or the image was changed after signing",
        ),
        Errno::EBADMSG => f.write_str("the image's signature is damaged"),
        Errno::ENOEXEC => f.write_str("the kernel's own loader does not accept this image; dmesg may say why"),
        Errno::EINVAL if call == Call::FileLoad && load.is_near_limit() => write!(
            f,
            "the command line is {} bytes long; this kernel accepts {}, but kexec_file_load reserves 31 of them\n  use kexec_load: --syscall load (kexec -c)",
            load.command_line, load.command_line_limit
        ),
        Errno::ETXTBSY => f.write_str("a file is open for writing\n  try again when it is complete"),
        Errno::EADDRNOTAVAIL => no_place(f, call, load, facts),
        other => write!(f, "{}; dmesg may say why", strerror(other)),
    }
}

/// EADDRNOTAVAIL: kexec_file_load looks for places by itself (kernel/kexec_file.c,
/// kexec_locate_mem_hole); kexec_load gets them (kernel/kexec_core.c, sanity_check_segment_list).
fn no_place(f: &mut Formatter<'_>, call: Call, load: &Attempt, facts: &Refusal) -> fmt::Result {
    f.write_str(match call {
        Call::FileLoad => "the kernel found no place for it in memory",
        Call::Load => "the kernel does not accept the addresses",
    })?;
    if let Some(Room { wanted, largest, end }) = load.room {
        let (wanted, largest) = (Size(wanted), Size(largest));
        write!(
            f,
            ": it needs {wanted} in one piece, the largest piece of RAM has {largest}, and RAM ends at {end:#x}"
        )?;
    }
    if let Some(available) = facts.available {
        write!(f, "; {} is available", Size(available))?;
    }
    f.write_str("; dmesg may say more")
}

fn load_disabled(f: &mut Formatter<'_>, facts: &Refusal) -> fmt::Result {
    f.write_str("kernel.kexec_load_disabled is 1, and it cannot be set back while this kernel runs\n  ")?;
    if let Some(path) = &facts.sysctl_file {
        write!(f, "{} sets it: remove the line, then reboot in the ordinary way", path.shown())?;
        if facts.alpine && !facts.boot_option {
            write!(f, " (Alpine's kernels need the boot option {OPTION} as well)")?;
        }
        return Ok(());
    }
    if facts.boot_option {
        return write!(
            f,
            "the boot option {OPTION} is on this kernel's command line but had no effect: this kernel drops options that begin with \"kexec\" (6.12.117 and others since 2025 do), or does not know this one, or something wrote 1 to the sysctl after boot (no file in sysctl.d does)"
        );
    }
    write!(f, "the boot option {OPTION} is not on this kernel's command line")?;
    // Only Alpine's kernels certainly know the option: elsewhere an edit of the boot loader's
    // file would be a guess.
    if !facts.alpine {
        return f.write_str(
            ": Alpine's kernels are locked without it; on other kernels something wrote 1 to the sysctl after boot (no file in sysctl.d does)",
        );
    }
    match facts.boot_loaders.as_slice() {
        [] => {
            return f.write_str(
                ", and rc-kexec found no boot loader that it knows: add the option where the kernel's options are set",
            );
        }
        [_] => {}
        _ => f.write_str("\n  several boot loaders are set up here; change the one in use:")?,
    }
    let mut edits = facts.boot_loaders.iter().map(|boot_loader| Edit { boot_loader, option: OPTION });
    edits.try_for_each(|edit| write!(f, "\n  {edit}"))?;
    f.write_str("\n  then reboot once in the ordinary way")
}

fn locked_down(f: &mut Formatter<'_>, call: Call, facts: &Refusal) -> fmt::Result {
    let mode = facts.lockdown.as_deref().unwrap_or_default().shown();
    write!(f, "the kernel is locked down ({mode})")?;
    f.write_str(match call {
        Call::Load => ", which forbids this call\n  kexec_file_load may load a kernel with a trusted signature: --syscall file (kexec -s)",
        Call::FileLoad => ", and the image has no signature that it trusts",
    })?;
    if facts.lockdown_option {
        f.write_str("\n  the lockdown comes from the lockdown= option on the running kernel's command line")?;
    }
    Ok(())
}

fn unknown_refusal(f: &mut Formatter<'_>, facts: &Refusal) -> fmt::Result {
    f.write_str("Operation not permitted, and the kernel does not say why. Known: ")?;
    f.write_str(match facts.cap_sys_boot {
        Some(true) => "CAP_SYS_BOOT is there, ",
        Some(false) => "CAP_SYS_BOOT is missing, ",
        None => "",
    })?;
    f.write_str("kexec_load_disabled is not 1, no lockdown is in force, loads are left")?;
    match &facts.security_modules {
        Some(modules) => {
            write!(f, "; security modules: {} (loadpin and integrity can refuse)", modules.shown())?;
        }
        None => f.write_str("; the security modules cannot be listed")?,
    }
    if facts.seccomp {
        f.write_str("; a seccomp filter is on this process and can refuse")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::known::boot_loader::BY_HAND;

    /// A machine where nothing stands in the way.
    fn free() -> Refusal {
        Refusal { cap_sys_boot: Some(true), is_root: true, ..Refusal::default() }
    }

    fn said(call: Call, errno: Errno, facts: Refusal) -> String {
        let room = Some(Room { wanted: 56 << 20, largest: 40 << 20, end: 0x2000_0000 });
        let load = Attempt { command_line: 100, command_line_limit: 2047, size: 64 << 20, room };
        Failure::Refused { path: "/boot/vmlinuz".into(), call, errno, load, facts: Box::new(facts) }
            .to_string()
    }

    #[test]
    fn every_refusal_has_its_own_words() {
        let facts = Refusal { available: Some(10 << 20), lockdown: None, ..free() };
        let locked = || Refusal { lockdown: Some("integrity".into()), ..free() };
        let disabled = || Refusal { load_disabled: true, ..free() };
        let table: Vec<(Call, Errno, Refusal, &str)> = vec![
            (
                Call::Load,
                Errno::EPERM,
                Refusal { cap_sys_boot: Some(false), is_root: false, ..free() },
                "it needs root",
            ),
            (Call::Load, Errno::EPERM, Refusal { cap_sys_boot: Some(false), ..free() }, "as in a container"),
            (Call::Load, Errno::EPERM, disabled(), "kexec_load_disabled is 1"),
            (Call::FileLoad, Errno::EPERM, disabled(), "kexec_load_disabled is 1"),
            (
                Call::Load,
                Errno::EPERM,
                Refusal { loads_left: Some(0), ..free() },
                "kexec_load_limit_reboot is 0",
            ),
            (Call::Load, Errno::EPERM, locked(), "which forbids this call"),
            (Call::FileLoad, Errno::EPERM, locked(), "no signature that it trusts"),
            (Call::Load, Errno::EPERM, free(), "the kernel does not say why"),
            (
                Call::Load,
                Errno::EPERM,
                Refusal { security_modules: Some("loadpin".into()), ..free() },
                "security modules: loadpin",
            ),
            (Call::Load, Errno::EPERM, Refusal { seccomp: true, ..free() }, "a seccomp filter"),
            (Call::Load, Errno::ENOSYS, free(), "CONFIG_KEXEC)"),
            (Call::FileLoad, Errno::ENOSYS, free(), "CONFIG_KEXEC_FILE;"),
            (Call::Load, Errno::EBUSY, free(), "another load is running"),
            (Call::Load, Errno::ENOMEM, facts, "not have enough free memory for 64 MiB; 10 MiB is available"),
            (Call::FileLoad, Errno::ENODATA, free(), "has no signature"),
            (Call::FileLoad, Errno::ENOKEY, free(), "does not trust"),
            (Call::FileLoad, Errno::EKEYREJECTED, free(), "rejects the image's signature"),
            (Call::FileLoad, Errno::EBADMSG, free(), "signature is damaged"),
            (Call::FileLoad, Errno::ELIBBAD, free(), "not an EFI program"),
            (Call::FileLoad, Errno::ENOPKG, free(), "cannot check a signature of this kind"),
            (Call::Load, Errno::EACCES, free(), "it may allow kexec_file_load"),
            (Call::FileLoad, Errno::EACCES, free(), "rejects the file"),
            (Call::FileLoad, Errno::ENOEXEC, free(), "own loader does not accept this image"),
            (Call::Load, Errno::EADDRNOTAVAIL, free(), "addresses"),
            (
                Call::FileLoad,
                Errno::EADDRNOTAVAIL,
                Refusal { available: Some(90 << 20), ..free() },
                "it needs 56 MiB in one piece, the largest piece of RAM has 40 MiB, and RAM ends at 0x20000000; 90 MiB is available; dmesg may say more\n  kexec_load may load it: --syscall load",
            ),
            (Call::Load, Errno::EFAULT, free(), "cut short during the load"),
            (Call::FileLoad, Errno::ETXTBSY, free(), "open for writing"),
            (Call::Load, Errno::EINVAL, free(), "Invalid argument"),
        ];
        let mut seen = Vec::new();
        for (call, errno, facts, wanted) in table {
            let text = said(call, errno, facts);
            assert!(text.starts_with(&format!("unable to load /boot/vmlinuz with {call}: ")), "{text}");
            assert!(text.contains(wanted), "{errno}: {text}");
            assert!(!seen.contains(&text) || errno == Errno::EPERM, "twice: {text}");
            seen.push(text);
        }
    }

    #[test]
    fn the_first_reason_of_the_kernel_is_the_one_that_is_named() {
        // All at once: the order is kexec_load_permitted's, then lockdown's.
        let all = Refusal {
            cap_sys_boot: Some(false),
            load_disabled: true,
            loads_left: Some(0),
            lockdown: Some("integrity".into()),
            ..Refusal::default()
        };
        assert!(said(Call::Load, Errno::EPERM, all.clone()).contains("it needs root"));
        let all = Refusal { cap_sys_boot: Some(true), ..all };
        assert!(said(Call::Load, Errno::EPERM, all.clone()).contains("kexec_load_disabled"));
        let all = Refusal { load_disabled: false, ..all };
        assert!(said(Call::Load, Errno::EPERM, all.clone()).contains("limit_reboot"));
        let all = Refusal { loads_left: Some(3), ..all };
        assert!(said(Call::Load, Errno::EPERM, all).contains("locked down"));
    }

    #[test]
    fn a_disabled_load_names_the_boot_loader_that_is_there_and_no_other() {
        let on = |boot_loaders| Refusal { load_disabled: true, alpine: true, boot_loaders, ..free() };
        let table: Vec<(BootLoader, &str)> = vec![
            (BootLoader::Extlinux { has_line: true }, "&& update-extlinux"),
            (BootLoader::Extlinux { has_line: false }, "then run: update-extlinux"),
            (
                BootLoader::Grub { has_line: true },
                "/etc/default/grub && grub-mkconfig -o /boot/grub/grub.cfg",
            ),
            (BootLoader::Grub { has_line: false }, "then run: grub-mkconfig -o /boot/grub/grub.cfg"),
            (BootLoader::SystemdBoot { dir: "/boot/loader/entries" }, "/boot/loader/entries/*.conf"),
            (BootLoader::UnifiedImage, "apk fix kernel-hooks"),
            (BootLoader::RaspberryPi { file: "/boot/cmdline.txt" }, "/boot/cmdline.txt"),
            (
                BootLoader::ByHand { what: &BY_HAND[0], file: BY_HAND[0].files[0] },
                "U-Boot: add kexec_load_disabled=0 to the append lines of /boot/extlinux/extlinux.conf",
            ),
            (
                BootLoader::ByHand { what: &BY_HAND[1], file: "/boot/limine.conf" },
                "limine: add kexec_load_disabled=0 to the cmdline: lines of /boot/limine.conf",
            ),
            (
                BootLoader::Diskless { files: vec!["/media/usb/boot/grub/grub.cfg".into()] },
                "/media/usb/boot/grub/grub.cfg",
            ),
            (BootLoader::Diskless { files: vec![] }, "syslinux.cfg and grub.cfg on the boot medium"),
        ];
        for (loader, wanted) in table {
            let text = said(Call::Load, Errno::EPERM, on(vec![loader]));
            assert!(text.contains(wanted) && text.contains(OPTION), "{text}");
            assert!(text.ends_with("then reboot once in the ordinary way"), "{text}");
            assert!(!text.contains("several"), "{text}");
        }
        let two = on(vec![BootLoader::Extlinux { has_line: true }, BootLoader::UnifiedImage]);
        let text = said(Call::Load, Errno::EPERM, two);
        assert!(
            text.contains("several") && text.contains("extlinux") && text.contains("kernel-hooks"),
            "{text}"
        );
        let text = said(Call::Load, Errno::EPERM, on(vec![]));
        assert!(text.contains("found no boot loader that it knows"), "{text}");
    }

    #[test]
    fn a_remedy_is_not_guessed_where_the_facts_do_not_decide() {
        // Not Alpine: that kernel may not know the option, whatever the boot loader is.
        for boot_loaders in [vec![], vec![BootLoader::Grub { has_line: true }]] {
            let text =
                said(Call::Load, Errno::EPERM, Refusal { load_disabled: true, boot_loaders, ..free() });
            assert!(
                text.contains("on other kernels something wrote 1 to the sysctl") && !text.contains("run:"),
                "{text}"
            );
        }
        let present = Refusal { load_disabled: true, alpine: true, boot_option: true, ..free() };
        let text = said(Call::Load, Errno::EPERM, present.clone());
        assert!(text.contains("had no effect") && !text.contains("run:"), "{text}");
        let file = Some("/etc/sysctl.d/99.conf".into());
        let text = said(Call::Load, Errno::EPERM, Refusal { sysctl_file: file.clone(), ..present });
        assert!(text.contains("/etc/sysctl.d/99.conf sets it") && !text.contains("as well"), "{text}");
        let absent = Refusal { load_disabled: true, alpine: true, sysctl_file: file, ..free() };
        assert!(
            said(Call::Load, Errno::EPERM, absent)
                .contains("need the boot option kexec_load_disabled=0 as well")
        );
    }

    #[test]
    fn a_long_command_line_explains_einval_of_the_file_call_only() {
        let load = Attempt { command_line: 2017, command_line_limit: 2047, size: 0, room: None };
        let said = |call, load| {
            let facts = Box::new(free());
            Failure::Refused { path: "k".into(), call, errno: Errno::EINVAL, load, facts }.to_string()
        };
        assert!(said(Call::FileLoad, load).contains("reserves 31 of them"));
        assert!(!said(Call::Load, load).contains("reserves 31"));
        assert!(!said(Call::FileLoad, Attempt { command_line: 2016, ..load }).contains("reserves 31"));
    }
}
