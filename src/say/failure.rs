//! Failures: what was being done, to which file, why not, and what to do when the facts decide it.
//! No remedy is guessed: a wrong one is worse than none.

use super::refusal::why_not;
use crate::base::text::{Shown, Size};
use crate::failure::{BadKey, Failure, NotDone, Unusable};
use crate::host::sys::process::strerror;
use crate::image::decode::Defect as Packed;
use crate::image::machine::{Defect as Damage, Machine};
use crate::image::{NotLoadable, bzimage, initrd};
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Obstacle};
use crate::known::shutdown::{SKIP_FILE, Verdict};
use crate::plan::device_tree::Defect;
use crate::plan::{NoPlan, Purpose};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter, Write};

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage { applet: "", what } => write!(f, "{what}\n  see: rc-kexec --help"),
            Failure::Usage { applet, what } => {
                let before = if applet.starts_with("rc-kexec ") { "" } else { "rc-kexec " };
                write!(f, "{what}\n  see: {before}{applet} --help")
            }
            Failure::Unusable { path, why } => {
                let f = unable(f, "read ", path)?;
                match why {
                    Unusable::System(errno) => f.write_str(strerror(*errno)),
                    Unusable::Directory => f.write_str("it is a directory"),
                    Unusable::Special => f.write_str("it is not a regular file"),
                    Unusable::Changed => f.write_str("something is writing to it"),
                }
            }
            Failure::Kernel { path, why } => kernel_problem(unable(f, "load ", path)?, *why),
            Failure::Initrd { path, why } => initrd_problem(unable(f, "use the initrd ", path)?, *why),
            Failure::TooManyInitrds { given, limit } => write!(
                f,
                "unable to load {given} initrds: kexec_load takes at most {limit} beside the kernel\n  join some of them: cat A B > C"
            ),
            Failure::NoKernelFound { tried, unmounted } => {
                f.write_str("unable to find a kernel: there is none of")?;
                each(f, tried)?;
                match unmounted {
                    Some(dir) => write!(f, "; {0} is in /etc/fstab and not mounted\n  mount {0}", dir.shown()),
                    None => f.write_str("\n  name it: kexec-load KERNEL --initrd FILE"),
                }
            }
            Failure::NoInitrdFound { kernel, tried } => {
                let f = unable(f, "find the initrd of ", kernel)?;
                f.write_str(if tried.is_empty() { "there is none" } else { "there is none of" })?;
                each(f, tried)?;
                write!(
                    f,
                    ", and the running kernel was started with one\n  name it: kexec-load {0} --initrd FILE; kexec-load {0} alone loads none",
                    kernel.shown()
                )
            }
            Failure::WrongType { path, found, wanted } => write!(
                unable(f, "load ", path)?,
                "it is {found}, and --type says {}\n  --type may be left out: the file's content decides",
                wanted.shown()
            ),
            Failure::NoPlan { path, why } => plan_problem(unable(f, "load ", path)?, *why),
            Failure::NulInCommandLine => f.write_str("unable to use the command line: there is a NUL byte in it"),
            Failure::AddressesHidden => f.write_str(
                "unable to read the memory map: /proc/iomem shows its addresses only with CAP_SYS_ADMIN\n  run it as root",
            ),
            Failure::TooManyRanges(capacity) => {
                write!(f, "unable to read the memory map: it has more than {capacity} ranges")
            }
            Failure::SystemFile { path, errno } => {
                unable(f, "read ", path.as_ref())?.write_str(strerror(*errno))?;
                if *errno == Errno::ENOENT {
                    f.write_str("\n  are /proc and /sys mounted?")?;
                }
                Ok(())
            }
            Failure::Unpack { path, errno } => {
                write!(f, "unable to unpack {} in memory: {}", path.shown(), strerror(*errno))
            }
            Failure::JoinInitrds(errno) => {
                write!(f, "unable to join the initrds in memory: {}", strerror(*errno))
            }
            Failure::Key { path, why } => {
                let f = unable(f, "hand on the key ", path)?;
                let shown = path.shown();
                match why {
                    BadKey::Readable(mode, owner) => write!(
                        f,
                        "others than root can read it (mode {mode:04o}, owner {owner})\n  chown 0 {shown} && chmod 0400 {shown}"
                    ),
                    BadKey::Bare => f.write_str(
                        "its file system is not known to be encrypted, and who has the disk would have the key\n  put it on the encrypted root; --force takes it as it is",
                    ),
                    BadKey::Empty => f.write_str("there is nothing in it"),
                    BadKey::NotLocked(errno) => {
                        write!(f, "the memory for it cannot be locked: {}", strerror(*errno))
                    }
                }
            }
            Failure::Refused { path, call, errno, load, facts } => {
                write!(f, "unable to load {} with {call}: ", path.shown())?;
                why_not(f, *call, *errno, load, facts)
            }
            Failure::UnloadRefused { errno, facts } => {
                f.write_str("unable to unload the kernel that is loaded: ")?;
                why_not(f, Call::Load, *errno, &Attempt::default(), facts)
            }
            Failure::NothingLoaded => {
                f.write_str("unable to start a kernel: none is loaded\n  load one: kexec-load")
            }
            Failure::NotRebooting { decision } => match decision.verdict() {
                Verdict::No => write!(
                    f,
                    "unable to start the loaded kernel: {decision}\n  reboot in the ordinary way, with kexec-exec in the shutdown runlevel; kexec-exec --now jumps without stopping anything"
                ),
                verdict => write!(
                    f,
                    "unable to start the loaded kernel: the answer to \"is it a reboot?\" is {verdict}: {decision}"
                ),
            },
            Failure::Arm { path, errno } => {
                let f = unable(f, "watch init's signals: ", path)?;
                match errno {
                    Errno::EPERM | Errno::EACCES => write!(
                        f,
                        "{}: it takes root, and a kernel that is not locked down for confidentiality",
                        strerror(*errno)
                    ),
                    Errno::ENODEV | Errno::ENOENT => {
                        f.write_str("this kernel has no tracefs with its events (CONFIG_FTRACE, CONFIG_ENABLE_DEFAULT_TRACERS)")
                    }
                    other => f.write_str(strerror(*other)),
                }
            }
            Failure::Disarm { path, errno } => {
                unable(f, "stop watching init's signals: ", path.as_ref())?.write_str(strerror(*errno))
            }
            Failure::InitHidden => f.write_str("unable to see process 1: /proc/1/exe takes root, outside of a container"),
            Failure::NotBusyBox | Failure::NoRebootAction | Failure::OtherRebootLine | Failure::SetUp { .. } => {
                f.write_str("unable to set up /etc/inittab: ")?;
                f.write_str(match self {
                    Failure::NotBusyBox => "process 1 is not BusyBox's init, and the line is for that one",
                    Failure::NoRebootAction => "this init does not know the reboot action (Alpine's busybox since 1.37.0-r13 does; after an upgrade the next boot's init)\n  kexec-load watches init's signals instead",
                    Failure::SetUp { errno } => strerror(*errno),
                    _ => "it has a ::reboot: line that does not run openrc reboot\n  change that line to ::reboot:/sbin/openrc reboot",
                })
            }
            Failure::Skip { errno } => write!(
                f,
                "unable to make {SKIP_FILE}: {}\n  to make the next reboot an ordinary one: rc-service kexec-load stop",
                strerror(*errno)
            ),
            Failure::ExecRefused { errno, facts } => {
                f.write_str("unable to start the loaded kernel: ")?;
                match errno {
                    Errno::EPERM => Obstacle::NoPrivilege(facts).fmt(f),
                    Errno::EINVAL => f.write_str(
                        "the kernel knows of none (reboot: Invalid argument); a container cannot start one",
                    ),
                    Errno::EBUSY => f.write_str("a load is running\n  try again when it has ended"),
                    other => write!(f, "reboot: {}", strerror(*other)),
                }
            }
            Failure::RebootRefused(errno) => write!(f, "unable to reboot: {}", strerror(*errno)),
            Failure::NoReboot(errno) => write!(
                f,
                "unable to ask init for a reboot: /sbin/reboot: {}; the kernel is loaded\n  reboot in this system's own way, or jump at once: kexec -e",
                strerror(*errno)
            ),
            Failure::NotDone(what) => f.write_str(match what {
                NotDone::CrashKernel => {
                    "unable to load or unload a crash kernel (-p): rc-kexec starts kernels for a reboot only\n  kexec-tools does it"
                }
                NotDone::DeviceTreeElsewhere => {
                    "unable to hand on --dtb: only arm64 kernels are given a device tree"
                }
                NotDone::DeviceTreeByFileLoad => {
                    "unable to hand on --dtb: kexec_file_load accepts no device tree\n  leave the system call to rc-kexec"
                }
                NotDone::KeyByFileLoad => {
                    "unable to hand on --crypt-key: kexec_file_load leaves copies of the key in memory\n  leave the system call to rc-kexec"
                }
                NotDone::KeyWithoutLoad => {
                    "unable to hand on --crypt-key: it needs kexec_load, which this kernel does not have; kexec_file_load would leave copies of the key in memory"
                }
                NotDone::KeyLockedDown => {
                    "unable to hand on --crypt-key: it needs kexec_load, which this kernel's lockdown forbids; kexec_file_load would leave copies of the key in memory"
                }
            }),
        }
    }
}

/// "unable to DO PATH: ", and where the reason goes.
fn unable<'f, 'a>(
    f: &'f mut Formatter<'a>,
    what: &str,
    path: &OsStr,
) -> Result<&'f mut Formatter<'a>, fmt::Error> {
    write!(f, "unable to {what}{}: ", path.shown())?;
    Ok(f)
}

/// Paths, a space before each.
pub fn each(f: &mut Formatter<'_>, paths: &[OsString]) -> fmt::Result {
    paths.iter().try_for_each(|path| write!(f, " {}", path.shown()))
}

/// Bytes from a file that may be no text.
struct Bytes<'b>(&'b [u8]);

impl Display for Bytes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

fn kernel_problem(f: &mut Formatter<'_>, why: NotLoadable) -> fmt::Result {
    match why {
        NotLoadable::Empty => f.write_str("the file is empty"),
        NotLoadable::Known(name) => write!(f, "it is {name}, and no kernel"),
        NotLoadable::Unknown(first) => {
            write!(f, "it is no kernel that is known here (it begins with {})", Bytes(&first))
        }
        NotLoadable::BzImage(bzimage::Defect::Truncated { promised, present })
        | NotLoadable::Damaged(Damage::Truncated { promised, present }) => write!(
            f,
            "the file is cut short: its header promises at least {promised} bytes, and it has {present}{AGAIN}"
        ),
        NotLoadable::BzImage(bzimage::Defect::TooOld(major, minor)) => {
            write!(f, "its boot protocol is {major}.{minor:02}, and 2.06 is the oldest that is loaded")
        }
        NotLoadable::BzImage(bzimage::Defect::LoadedLow) => {
            f.write_str("it is a zImage; a bzImage is loaded")
        }
        NotLoadable::BzImage(bzimage::Defect::Header(what)) | NotLoadable::Damaged(Damage::Header(what)) => {
            write!(f, "its header is damaged: {what}")
        }
        NotLoadable::Damaged(Damage::Machine(machine)) => write!(f, "it is for {machine}"),
        NotLoadable::Packed(compression, Packed::TooLarge { limit }) => write!(
            f,
            "its {compression} data decode to more than {}, which is as much memory as there is for it",
            Size(limit)
        ),
        NotLoadable::TooLarge(limit) => {
            write!(f, "it unpacks to more than {}, which is as much memory as there is for it", Size(limit))
        }
        NotLoadable::Packed(compression, Packed::Damaged(what)) => {
            write!(f, "its {compression} data are damaged ({what}){AGAIN}")
        }
        NotLoadable::Packed(compression, _) => {
            write!(f, "the file is cut short: its {compression} data end too soon{AGAIN}")
        }
        NotLoadable::Nested => f.write_str("there is a kernel in a kernel in a kernel in it"),
        NotLoadable::OtherMachine(format, theirs, here) => {
            // An Image has its machine in its name.
            match theirs {
                Machine::Arm64 if format.contains("arm64") => write!(f, "this is {format}"),
                _ => write!(f, "this is {format} for {theirs}"),
            }?;
            write!(f, "; this machine is {here}")
        }
    }
}

/// What to do about a file that is not whole.
const AGAIN: &str = "\n  install or copy it again";

fn initrd_problem(f: &mut Formatter<'_>, why: initrd::Defect) -> fmt::Result {
    match why {
        initrd::Defect::Empty => f.write_str("there is nothing in it"),
        initrd::Defect::NoArchive { offset, first } => write!(
            f,
            "no archive that the kernel can unpack begins at byte {offset} ({}): cpio, gzip, bzip2, lzma, xz, lzo, lz4 or zstd",
            Bytes(&first)
        ),
        initrd::Defect::Truncated { promised, present } => write!(
            f,
            "the file is cut short: its cpio archive goes on to byte {promised} at least, and it has {present}\n  make or copy it again"
        ),
    }
}

fn plan_problem(f: &mut Formatter<'_>, why: NoPlan) -> fmt::Result {
    match why {
            NoPlan::TooManySegments => f.write_str("it would take more than 16 segments"),
            NoPlan::TooManyRanges(capacity) => write!(f, "the memory map has more than {capacity} ranges"),
            NoPlan::OverHalfOfRam { needed, allowed } => write!(
                f,
                "it takes {} of memory with its initrds, and the kernel allows half of RAM, {}\n  a smaller initrd would fit",
                Size(needed),
                Size(allowed)
            ),
            NoPlan::NoRoom { purpose, size, bounds } => {
                write!(f, "there is no free range of {} for the {} in {bounds}", Size(size), match purpose {
                    Purpose::Initrd(_) => "initrds",
                    Purpose::Kernel => "kernel",
                    Purpose::Parameters => "parameters",
                })
            }
            NoPlan::CommandLineTooLong { length, limit } => write!(
                f,
                "the command line is {length} bytes long, and this kernel takes {limit}"
            ),
            NoPlan::NoMemory => f.write_str("the memory map shows no RAM that may be written"),
            NoPlan::FiveLevelPaging => f.write_str(
                "five-level paging is on, and this kernel cannot be entered so (XLF_5LEVEL is not set)\n  boot the running kernel with no5lvl",
            ),
            NoPlan::ParametersTooLarge(room) => {
                write!(f, "its parameters and command line take more than {room} bytes")
            }
            NoPlan::OtherMachine => f.write_str("it is for another machine"),
            NoPlan::DeviceTree(Defect::Damaged(what)) => write!(f, "its device tree cannot be used: {what}"),
            NoPlan::DeviceTree(Defect::TooLarge) => f.write_str("its device tree is larger than 2 MiB"),
            NoPlan::DeviceTree(Defect::NoMemory) => f.write_str(
                "its device tree tells of no memory, which the firmware adds to one when it starts the machine\n  the running kernel's: --dtb /sys/firmware/fdt",
            ),
            NoPlan::Broken(what) => write!(f, "the layout is wrong, a mistake of rc-kexec: {what}"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::shutdown::Decision;

    #[test]
    fn what_services_meet_has_its_own_words() {
        let arm = |errno| Failure::Arm { path: "/sys/kernel/tracing".into(), errno };
        let not = |decision| Failure::NotRebooting { decision };
        let table = [
            (
                not(Decision::NotGoingDown),
                "(RC_GOINGDOWN is not YES)\n  reboot in the ordinary way, with kexec-exec in the shutdown",
            ),
            (not(Decision::NoVariable("sysvinit")), "is poweroff: RC_REBOOT is not set"),
            (arm(Errno::ENODEV), "this kernel has no tracefs"),
            (arm(Errno::EPERM), "locked down for confidentiality"),
            (arm(Errno::ENOSPC), "/sys/kernel/tracing: No space left on device"),
            (Failure::Disarm { path: "/sys/x", errno: Errno::EBUSY }, "/sys/x: Resource busy"),
            (Failure::InitHidden, "takes root, outside of a container"),
            (Failure::NotBusyBox, "is not BusyBox's init"),
            (Failure::NoRebootAction, "1.37.0-r13"),
            (Failure::OtherRebootLine, "change that line to ::reboot:/sbin/openrc reboot"),
            (Failure::SetUp { errno: Errno::EROFS }, "/etc/inittab: Read-only file system"),
            (Failure::Skip { errno: Errno::ENOSPC }, "rc-service kexec-load stop"),
            (Failure::RebootRefused(Errno::EPERM), "unable to reboot: Operation not permitted"),
            (
                Failure::NoKernelFound { tried: vec!["/boot/k".into()], unmounted: Some("/boot".into()) },
                "there is none of /boot/k; /boot is in /etc/fstab and not mounted\n  mount /boot",
            ),
        ];
        for (failure, wanted) in table {
            let said = failure.to_string();
            assert!(said.starts_with("unable to ") && said.contains(wanted), "{wanted}: {said}");
        }
    }
}
