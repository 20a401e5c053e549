//! Failures: what rc-kexec was doing, to which file, why it failed, and what to do when the facts
//! decide it. No remedy is a guess: a wrong one is worse than none.

use super::each;
#[cfg(feature = "vmcore")]
use super::refusal::Edit;
use super::refusal::why_not;
use crate::base::text::{Shown, Size};
#[cfg(feature = "vmcore")]
use crate::failure::Reservation;
use crate::failure::{BadKey, Failure, NotDone, Unusable};
use crate::host::sys::process::{is_root, strerror};
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Obstacle, Refusal};
use crate::known::shutdown::{Decision, SKIP_FILE, Verdict};
use crate::settings;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
#[cfg(feature = "vmcore")]
use std::fmt::Write;
use std::fmt::{self, Display, Formatter};

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage { applet, what } => usage(f, applet, what),
            Failure::Unusable { path, why } => {
                write!(f, "unable to read {}: {why}{}", path.shown(), who_can(*why, is_root()))
            }
            Failure::Kernel { path, why } => write!(f, "unable to load {}: {why}", path.shown()),
            #[cfg(feature = "vmcore")]
            Failure::Dump { path, why } => write!(f, "unable to read the dump {}: {why}", path.shown()),
            #[cfg(feature = "vmcore")]
            Failure::NoVmcore => f.write_str(
                "unable to read /proc/vmcore: this is not a crash kernel, started by a panic\n  name a saved dump",
            ),
            #[cfg(feature = "vmcore")]
            Failure::Save { path, errno: Errno::EEXIST } => {
                write!(f, "unable to save the dump as {0}: {0} exists\n  name another file", path.shown())
            }
            #[cfg(feature = "vmcore")]
            Failure::Save { path, errno } => {
                write!(f, "unable to save the dump as {}: {}", path.shown(), strerror(*errno))?;
                f.write_str("\n  what was written so far can be read; rc-kexec vmcore info says that it is incomplete")
            }
            #[cfg(feature = "vmcore")]
            Failure::NoPlace { dir, what, several } => {
                let (dir, what) = (dir.shown(), what.shown());
                write!(f, "unable to save dumps in {dir}: ")?;
                match several {
                    true => write!(
                        f,
                        "{what} is encrypted or made of several disks, and a crash kernel cannot open it"
                    ),
                    false => write!(f, "its file system ({what}) is not on a disk"),
                }?;
                f.write_str(
                    "\n  name a folder on a disk or partition as kdump_dir, or a place as kdump_places, in /etc/conf.d/kdump",
                )
            }
            #[cfg(feature = "vmcore")]
            Failure::Print(errno) => write!(f, "unable to print all of it: {}", strerror(*errno)),
            Failure::Initrd { path, why } => write!(f, "unable to use the initrd {}: {why}", path.shown()),
            Failure::TooManyInitrds { given, limit } => write!(
                f,
                "unable to load {given} initrds: kexec_load accepts at most {limit} besides the kernel\n  join some of them: cat A B > C"
            ),
            Failure::NoKernelFound { tried, there, unmounted } => no_kernel(f, tried, there, unmounted.as_deref()),
            Failure::SeveralMedia { folders } => {
                f.write_str("unable to choose a kernel: each of these folders has one:")?;
                each(f, folders)?;
                write!(f, "\n  name one of them: --boot FOLDER, or kexec_boot in {}", settings::FILE)
            }
            Failure::NoInitrdFound { kernel, tried, there } => no_initrd(f, kernel, tried, there),
            Failure::OldInitrd { kernel, initrd } => write!(
                f,
                "unable to use the initrd {}: it is older than the kernel {}, whose modules it does not have\n  make it again: mkinitfs; or name what is to be loaded: --initrd FILE, or kexec_initrds (for a unified image kexec_kernel) in {}",
                initrd.shown(),
                kernel.shown(),
                settings::FILE
            ),
            Failure::WrongType { path, found, wanted } => write!(
                f,
                "unable to load {}: it is {found}, and --type says {}\n  leave --type out: the file's content decides",
                path.shown(),
                wanted.shown()
            ),
            Failure::NoPlan { path, why } => write!(f, "unable to load {}: {why}", path.shown()),
            Failure::NulInCommandLine => {
                f.write_str("unable to use the command line: it contains a NUL byte")
            }
            Failure::AddressesHidden => f.write_str(
                "unable to read the memory map: /proc/iomem shows its addresses only with CAP_SYS_ADMIN\n  run it as root",
            ),
            Failure::TooManyRanges(capacity) => {
                write!(f, "unable to read the memory map: it has more than {capacity} ranges")
            }
            Failure::SystemFile { path, errno } => system_file(f, path, *errno),
            Failure::Unpack { path, errno } => {
                write!(f, "unable to unpack {} into memory: {}", path.shown(), strerror(*errno))
            }
            Failure::JoinInitrds(errno) => {
                write!(f, "unable to join the initrds in memory: {}", strerror(*errno))
            }
            Failure::Key { path, why } => bad_key(f, path, *why),
            Failure::Refused { path, call, errno, load, facts } => {
                write!(f, "unable to load {} with {call}: ", path.shown())?;
                why_not(f, *call, *errno, load, facts)?;
                // For ENOSYS, why_not says it.
                if self.is_for_kexec_load() && facts.lockdown.is_none() && *errno != Errno::ENOSYS {
                    f.write_str("\n  kexec_load may load it: --syscall load (kexec -c)")?;
                }
                Ok(())
            }
            Failure::UnloadRefused { errno, facts } => {
                f.write_str("unable to unload the loaded kernel: ")?;
                why_not(f, Call::Load, *errno, &Attempt::default(), facts)
            }
            Failure::NothingLoaded => {
                f.write_str("unable to start a kernel: none is loaded\n  load one: kexec-load")
            }
            Failure::NotRebooting { decision } => not_rebooting(f, decision),
            Failure::Arm { path, errno } => unable_to_watch(f, path, *errno),
            Failure::Disarm { path, errno } => {
                write!(f, "unable to stop watching init's signals: {path}: {}", strerror(*errno))
            }
            Failure::InitHidden => f.write_str(
                "unable to identify process 1: /proc/1/exe is readable only to root, outside a container",
            ),
            Failure::NotBusyBox => f.write_str(
                "unable to set up /etc/inittab: process 1 is not BusyBox's init, and no other init reads the line",
            ),
            Failure::NoRebootAction => f.write_str(
                "unable to set up /etc/inittab: this init does not know the reboot action (Alpine's busybox does since 1.37.0-r13; an upgrade counts from the next boot on)\n  kexec-load watches init's signals instead",
            ),
            Failure::OtherRebootLine => f.write_str(
                "unable to set up /etc/inittab: it has a ::reboot: line that does not run openrc reboot\n  change that line to ::reboot:/sbin/openrc reboot",
            ),
            Failure::SetUp { errno } => write!(f, "unable to set up /etc/inittab: {}", strerror(*errno)),
            Failure::Skip { errno } => write!(
                f,
                "unable to create {SKIP_FILE}: {}\n  to make the next reboot an ordinary one: rc-service kexec-load stop",
                strerror(*errno)
            ),
            Failure::ExecRefused { errno, facts } => exec_refused(f, *errno, facts),
            Failure::RebootRefused(errno) => write!(f, "unable to reboot: {}", strerror(*errno)),
            Failure::NoReboot(errno) => write!(
                f,
                "unable to ask init for a reboot: /sbin/reboot: {}; the kernel is loaded\n  reboot with this system's own command, or start the kernel at once: kexec -e",
                strerror(*errno)
            ),
            #[cfg(feature = "vmcore")]
            Failure::NoReservation(reservation) => {
                let needs = Size(reservation.needs);
                write!(
                    f,
                    "unable to load a crash kernel: no memory is reserved for one; this kernel and its initrds need {needs}"
                )?;
                reservation.edits(f)
            }
            Failure::NotDone(what) => what.fmt(f),
        }
    }
}

fn usage(f: &mut Formatter<'_>, applet: &str, what: &str) -> fmt::Result {
    match applet {
        "" => write!(f, "{what}\n  see: rc-kexec --help"),
        _ if applet.starts_with("rc-kexec ") => write!(f, "{what}\n  see: {applet} --help"),
        _ => write!(f, "{what}\n  see: rc-kexec {applet} --help"),
    }
}

impl Display for Unusable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unusable::System(errno) => strerror(*errno),
            Unusable::Directory => "it is a directory",
            Unusable::Special => "it is not a regular file",
            Unusable::Changed => "something is writing to it",
            Unusable::LargerThanMemory(total) => {
                return write!(f, "it is larger than this machine's memory, {}", Size(*total));
            }
        })
    }
}

fn no_kernel(
    f: &mut Formatter<'_>,
    tried: &[OsString],
    there: &[OsString],
    unmounted: Option<&OsStr>,
) -> fmt::Result {
    f.write_str("unable to find a kernel: ")?;
    absent(f, tried)?;
    present(f, there)?;
    match unmounted {
        Some(dir) => {
            write!(f, "; {0} is in /etc/fstab but not mounted\n  run: mount {0}", dir.shown())
        }
        None => f.write_str("\n  name it: kexec-load KERNEL --initrd FILE"),
    }
}

fn no_initrd(f: &mut Formatter<'_>, kernel: &OsStr, tried: &[OsString], there: &[OsString]) -> fmt::Result {
    let kernel = kernel.shown();
    write!(f, "unable to find the initrd of {kernel}: ")?;
    match tried {
        [] => f.write_str("its name does not begin with vmlinuz- or kernel-")?,
        tried => absent(f, tried)?,
    }
    present(f, there)?;
    write!(
        f,
        "; the running kernel was started with an initrd\n  name it: kexec-load {kernel} --initrd FILE; kexec-load {kernel} alone loads none"
    )
}

/// The remedy for a file that this user may not read: root may read every file.
fn who_can(why: Unusable, is_root: bool) -> &'static str {
    match why {
        Unusable::System(Errno::EACCES) if !is_root => "\n  run it as root",
        _ => "",
    }
}

/// Says that none of these files exists.
fn absent(f: &mut Formatter<'_>, tried: &[OsString]) -> fmt::Result {
    match tried {
        [one] => write!(f, "{} does not exist", one.shown()),
        tried => {
            f.write_str("none of these files exists:")?;
            each(f, tried)
        }
    }
}

/// Says what is there instead.
fn present(f: &mut Formatter<'_>, there: &[OsString]) -> fmt::Result {
    match there {
        [] => Ok(()),
        there => {
            f.write_str("; there is:")?;
            each(f, there)
        }
    }
}

fn system_file(f: &mut Formatter<'_>, path: &str, errno: Errno) -> fmt::Result {
    write!(f, "unable to read {path}: {}", strerror(errno))?;
    if errno == Errno::ENOENT {
        f.write_str("\n  are /proc and /sys mounted?")?;
    }
    Ok(())
}

fn bad_key(f: &mut Formatter<'_>, path: &OsStr, why: BadKey) -> fmt::Result {
    let path = path.shown();
    write!(f, "unable to pass on the key {path}: ")?;
    match why {
        BadKey::Readable(mode, owner) => write!(
            f,
            "users other than root can read it (mode {mode:04o}, owner {owner})\n  chown 0 {path} && chmod 0400 {path}"
        ),
        BadKey::Bare => f.write_str(
            "its file system is not known to be encrypted: whoever has the disk could read the key\n  move it to the encrypted root; or use it as it is: --force",
        ),
        BadKey::Empty => f.write_str("the file is empty"),
        BadKey::NotLocked(errno) => write!(f, "the memory for it cannot be locked: {}", strerror(errno)),
    }
}

fn not_rebooting(f: &mut Formatter<'_>, decision: &Decision) -> fmt::Result {
    f.write_str("unable to start the loaded kernel: ")?;
    match decision.verdict() {
        Verdict::No => write!(
            f,
            "{decision}\n  reboot in the ordinary way, with kexec-exec in the shutdown runlevel; kexec-exec --now starts it at once and stops nothing first"
        ),
        Verdict::PowerOff => write!(f, "this is a poweroff: {decision}"),
        Verdict::Halt => write!(f, "this is a halt: {decision}"),
        Verdict::Unknown => write!(f, "this may be a poweroff: {decision}"),
        Verdict::Skip | Verdict::Reboot => decision.fmt(f),
    }
}

fn unable_to_watch(f: &mut Formatter<'_>, path: &OsStr, errno: Errno) -> fmt::Result {
    write!(f, "unable to watch init's signals: {}: ", path.shown())?;
    match errno {
        Errno::EPERM | Errno::EACCES => write!(
            f,
            "{}: it needs root, and a kernel that is not locked down for confidentiality",
            strerror(errno)
        ),
        Errno::ENODEV | Errno::ENOENT => f.write_str(
            "this kernel has no tracefs with events (CONFIG_FTRACE, CONFIG_ENABLE_DEFAULT_TRACERS)",
        ),
        other => f.write_str(strerror(other)),
    }
}

fn exec_refused(f: &mut Formatter<'_>, errno: Errno, facts: &Refusal) -> fmt::Result {
    f.write_str("unable to start the loaded kernel: ")?;
    match errno {
        Errno::EPERM => Obstacle::NoPrivilege(facts).fmt(f),
        Errno::EINVAL => f.write_str(
            "the kernel has none loaded (reboot: Invalid argument); a container cannot start a kernel",
        ),
        Errno::EBUSY => f.write_str("a load is running\n  try again when it has ended"),
        other => write!(f, "reboot: {}", strerror(other)),
    }
}

#[cfg(feature = "vmcore")]
impl Reservation {
    /// Each edit that reserves what is needed.
    pub fn edits(&self, out: &mut dyn Write) -> fmt::Result {
        let option = format!("crashkernel={}M", self.needs >> 20);
        if self.boot_loaders.is_empty() {
            write!(out, "\n  add {option} to the boot loader's options for the kernel")?;
        }
        for boot_loader in &self.boot_loaders {
            write!(out, "\n  {}", Edit { boot_loader, option: &option })?;
        }
        out.write_str("\n  then reboot")
    }
}

impl Display for NotDone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotDone::Xen(xen) => return write!(f, "unable to use kexec: {xen}"),
            NotDone::Unaccepted(size) => {
                let size = Size(*size);
                return write!(
                    f,
                    "unable to use kexec: {size} of this guest's memory (TDX or SEV-SNP) is not accepted yet, and a kexec would end the guest
  add accept_memory=eager to the kernel's command line and reboot once"
                );
            }
            NotDone::NoCrashMemory => {
                "unable to load a crash kernel: no memory is reserved for one\n  add crashkernel=256M to the boot loader's options for the kernel, and reboot in the ordinary way"
            }
            NotDone::DeviceTreeElsewhere => "unable to use --dtb: only arm64 kernels use a device tree",
            NotDone::DeviceTreeByFileLoad => {
                "unable to use --dtb: kexec_file_load accepts no device tree\n  let rc-kexec choose the system call"
            }
            NotDone::KeyByFileLoad => {
                "unable to use --crypt-key: kexec_file_load leaves copies of the key in memory\n  let rc-kexec choose the system call"
            }
            NotDone::KeyWithoutLoad => {
                "unable to use --crypt-key: it needs kexec_load, which this kernel does not have; kexec_file_load would leave copies of the key in memory"
            }
            NotDone::KeyLockedDown => {
                "unable to use --crypt-key: it needs kexec_load, which this kernel's lockdown forbids; kexec_file_load would leave copies of the key in memory"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::shutdown::Decision;

    #[test]
    fn a_file_for_root_alone_needs_root() {
        assert_eq!(who_can(Errno::EACCES.into(), false), "\n  run it as root");
        assert_eq!(who_can(Errno::EACCES.into(), true), "");
        assert_eq!(who_can(Errno::ENOENT.into(), false), "");
    }

    #[test]
    fn what_services_meet_has_its_own_words() {
        let arm = |errno| Failure::Arm { path: "/sys/kernel/tracing".into(), errno };
        let not = |decision| Failure::NotRebooting { decision };
        let table = [
            (
                not(Decision::NotGoingDown),
                "(RC_GOINGDOWN is not YES)\n  reboot in the ordinary way, with kexec-exec in the shutdown",
            ),
            (not(Decision::NoVariable("sysvinit")), "this is a poweroff: RC_REBOOT is not set"),
            (arm(Errno::ENODEV), "this kernel has no tracefs"),
            (arm(Errno::EPERM), "locked down for confidentiality"),
            (arm(Errno::ENOSPC), "/sys/kernel/tracing: No space left on device"),
            (Failure::Disarm { path: "/sys/x", errno: Errno::EBUSY }, "/sys/x: Resource busy"),
            (Failure::InitHidden, "only to root, outside a container"),
            (Failure::NotBusyBox, "is not BusyBox's init"),
            (Failure::NoRebootAction, "1.37.0-r13"),
            (Failure::OtherRebootLine, "change that line to ::reboot:/sbin/openrc reboot"),
            (Failure::SetUp { errno: Errno::EROFS }, "/etc/inittab: Read-only file system"),
            (Failure::Skip { errno: Errno::ENOSPC }, "rc-service kexec-load stop"),
            (Failure::RebootRefused(Errno::EPERM), "unable to reboot: Operation not permitted"),
            (
                Failure::NoKernelFound {
                    tried: vec!["/boot/k".into()],
                    there: Vec::new(),
                    unmounted: Some("/boot".into()),
                },
                "/boot/k does not exist; /boot is in /etc/fstab but not mounted\n  run: mount /boot",
            ),
        ];
        for (failure, wanted) in table {
            let said = failure.to_string();
            assert!(said.starts_with("unable to ") && said.contains(wanted), "{wanted}: {said}");
        }
    }
}
