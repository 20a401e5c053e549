//! Every way to fail and every message that a user can see, on one page.
//!
//! A message says what was being done, to which file, why not, and what to do
//! when the facts decide it. No remedy is guessed: a wrong one is worse than none.

use crate::base::range::TooMany;
use crate::base::text::Shown;
use crate::base::text::Size;
use crate::going_down::{SKIP_FILE, Verdict};
use crate::host::sys::strerror;
use crate::image::machine::Machine;
use crate::image::{self, NotLoadable, bzimage, initrd};
use crate::plan::device_tree::Defect;
use crate::plan::{NoPlan, Purpose};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter, Write};

impl From<TooMany> for Box<Failure> {
    fn from(full: TooMany) -> Box<Failure> {
        Box::new(Failure::TooManyRanges(full.capacity))
    }
}

/// A system call that loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// kexec_load(2)
    Load,
    /// kexec_file_load(2)
    FileLoad,
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Load => "kexec_load",
            Call::FileLoad => "kexec_file_load",
        })
    }
}

/// What a function answers that can end the program. The failure is behind a pointer:
/// what `?` hands on from caller to caller is then a word, and not a hundred bytes.
pub type Result<T, E = Box<Failure>> = core::result::Result<T, E>;

/// Why the program ends without having done what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// The words on the command line are wrong; `applet` says where help is.
    Usage {
        /// The applet whose help says more.
        applet: &'static str,
        /// What is wrong with them.
        what: String,
    },
    /// A file that the user named cannot be read.
    Unreadable {
        /// The file.
        path: OsString,
        /// open(2)'s or mmap(2)'s answer.
        errno: Errno,
    },
    /// A path that is a directory or a device, not a regular file.
    NotAFile {
        /// The path.
        path: OsString,
        /// What it is.
        what: &'static str,
    },
    /// The kernel file is not one that can be loaded.
    Kernel {
        /// The file.
        path: OsString,
        /// Why.
        why: NotLoadable,
    },
    /// The initrd file is not one that the kernel can unpack.
    Initrd {
        /// The file.
        path: OsString,
        /// Why.
        why: initrd::Defect,
    },
    /// More initrds than there are segments for.
    TooManyInitrds {
        /// How many were named.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No kernel was named and none was found.
    NoKernelFound {
        /// Where it was looked for.
        tried: Vec<OsString>,
        /// The file system of fstab(5) that belongs there and is not mounted.
        unmounted: Option<OsString>,
    },
    /// The kernel was found, its initrd was not, and the running kernel has one.
    NoInitrdFound {
        /// The kernel.
        kernel: OsString,
        /// Where its initrd was looked for.
        tried: Vec<OsString>,
    },
    /// `--type` names what is not there, or what is not known.
    WrongType {
        /// The kernel.
        path: OsString,
        /// What it is.
        found: &'static str,
        /// The type that the user gave.
        wanted: OsString,
    },
    /// There is no plan for the memory of this machine.
    NoPlan {
        /// The kernel.
        path: OsString,
        /// Why.
        why: NoPlan,
    },
    /// A NUL byte in the command line.
    NulInCommandLine,
    /// /proc/iomem shows no addresses.
    AddressesHidden,
    /// More memory ranges than this program keeps.
    TooManyRanges(usize),
    /// A file of the running kernel cannot be read.
    Facts {
        /// The file.
        path: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The kernel could not be unpacked to memory.
    Unpack {
        /// The kernel.
        path: OsString,
        /// Why.
        errno: Errno,
    },
    /// The initrds, or the files that are added to them, could not be put together.
    JoinInitrds(Errno),
    /// A key file that is not handed on.
    Key {
        /// The file.
        path: OsString,
        /// Why.
        why: BadKey,
    },
    /// The kernel refused a load.
    Refused {
        /// The kernel file.
        path: OsString,
        /// Which call.
        call: Call,
        /// Its answer.
        errno: Errno,
        /// What the load was, as far as it matters for the reasons.
        load: Load,
        /// What is known of this machine.
        facts: Box<Refusal>,
    },
    /// The kernel refused to unload.
    UnloadRefused {
        /// Its answer.
        errno: Errno,
        /// What is known of this machine.
        facts: Box<Refusal>,
    },
    /// There is nothing to start.
    NothingLoaded,
    /// The machine is not going to reboot, or that is not known.
    NotRebooting {
        /// `going-down`'s answer.
        verdict: Verdict,
        /// And its reason.
        reason: String,
    },
    /// Init's signals cannot be watched.
    Arm {
        /// The file or directory at which it failed.
        path: OsString,
        /// Why.
        errno: Errno,
    },
    /// What was done to watch init's signals cannot be undone.
    Disarm {
        /// The file or directory at which it failed.
        path: &'static str,
        /// Why.
        errno: Errno,
    },
    /// Process 1 cannot be seen.
    InitHidden,
    /// Process 1 is not BusyBox's init.
    NotBusyBox,
    /// BusyBox's init does not know the `reboot` action.
    NoRebootAction,
    /// The inittab has a `reboot` line of somebody else's.
    OtherRebootLine,
    /// The file that asks for an ordinary reboot cannot be made.
    Skip {
        /// Why.
        errno: Errno,
    },
    /// The inittab cannot be added to.
    SetUp {
        /// Why.
        errno: Errno,
    },
    /// reboot(2) came back.
    ExecRefused {
        /// Its answer.
        errno: Errno,
        /// What is known of this machine.
        facts: Box<Refusal>,
    },
    /// An ordinary reboot was refused.
    RebootRefused(Errno),
    /// Init could not be asked for a reboot.
    NoReboot(Errno),
    /// Something that users of kexec(8) know and this program does not do.
    NotDone(&'static str),
}

/// Why a key file is not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// Others than root can read it: its permission bits and its owner.
    Readable(u32, u32),
    /// Its file system is not known to be encrypted.
    Bare,
    /// There is nothing in it.
    Empty,
    /// The memory for it cannot be kept out of swap space.
    NotLocked(Errno),
}

/// What a refused load was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// The command line's length, in bytes.
    pub command_line: usize,
    /// The longest that the kernel's header allows.
    pub command_line_limit: usize,
    /// What the segments take together, in bytes.
    pub size: u64,
}

/// What can be known about a refusal, read after it.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Whether this process has CAP_SYS_BOOT.
    pub cap_sys_boot: Option<bool>,
    /// Whether it is root's.
    pub is_root: bool,
    /// kernel.kexec_load_disabled is 1.
    pub load_disabled: bool,
    /// kernel.kexec_load_limit_reboot; none when there is no limit.
    pub loads_left: Option<u64>,
    /// The lockdown in force.
    pub lockdown: Option<OsString>,
    /// Whether the running kernel's command line asks for it.
    pub lockdown_option: bool,
    /// Whether `kexec_load_disabled=0` is on the running kernel's command line: without
    /// effect when the sysctl is 1 all the same.
    pub boot_option: bool,
    /// The file of sysctl.d(5) that sets kernel.kexec_load_disabled to 1.
    pub sysctl_file: Option<OsString>,
    /// Whether this is Alpine, whose kernels know the boot option.
    pub alpine: bool,
    /// The boot loaders that are set up here.
    pub boot_loaders: Vec<BootLoader>,
    /// The security modules in force.
    pub security_modules: Option<OsString>,
    /// Whether the kernel's log says that it cannot stop the other processors.
    pub stuck_cpus: bool,
    /// Whether a seccomp filter is on this process.
    pub seccomp: bool,
    /// MemAvailable and SwapFree, in bytes.
    pub available: Option<u64>,
}

/// A boot loader, by its configuration on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootLoader {
    /// Alpine's update-extlinux; whether the option's line has the usual form.
    Extlinux {
        /// `default_kernel_opts="` begins a line.
        has_line: bool,
    },
    /// GRUB.
    Grub {
        /// `GRUB_CMDLINE_LINUX_DEFAULT="` begins a line.
        has_line: bool,
    },
    /// systemd-boot.
    SystemdBoot {
        /// The entries' folder.
        dir: &'static str,
    },
    /// Alpine's secureboot-hook: unified kernel images.
    UnifiedImage,
    /// The Raspberry Pi's own.
    RaspberryPi {
        /// The file with the command line.
        file: &'static str,
    },
    /// Alpine's diskless medium.
    Diskless {
        /// The configurations found on it.
        files: Vec<OsString>,
    },
}

const OPTION: &str = "kexec_load_disabled=0";

impl Display for BootLoader {
    /// The edit, and the command after it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, line, file, command, has_line) = match self {
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
                    "systemd-boot: add {OPTION} to the options line of the entry in {dir}/*.conf"
                );
            }
            BootLoader::UnifiedImage => {
                return write!(
                    f,
                    "unified kernel image: add {OPTION} to cmdline in /etc/kernel-hooks.d/secureboot.conf, then run: apk fix kernel-hooks"
                );
            }
            BootLoader::RaspberryPi { file } => {
                return write!(f, "Raspberry Pi: add {OPTION} to the one line of {file}");
            }
            BootLoader::Diskless { files } if files.is_empty() => {
                return write!(
                    f,
                    "diskless: add {OPTION} to the kernel's line in syslinux.cfg and grub.cfg on the boot medium"
                );
            }
            BootLoader::Diskless { files } => {
                write!(f, "diskless: add {OPTION} to the kernel's line in")?;
                return each(f, files);
            }
        };
        if *has_line {
            write!(f, "{name}: run: sed -i 's/^{line}=\"/&{OPTION} /' {file} && {command}")
        } else {
            write!(
                f,
                "{name}: in {file} add the line {line}=\"{OPTION}\" (or the word to the one there), then run: {command}"
            )
        }
    }
}

impl Failure {
    /// The exit status: 2 for wrong use, 1 for the rest.
    pub fn exit_status(&self) -> u8 {
        match self {
            Failure::Usage { .. } => 2,
            _ => 1,
        }
    }

    /// A file that cannot be used, in the words of this page.
    pub fn unusable(path: &OsStr, why: crate::host::files::Unusable) -> Box<Failure> {
        use crate::host::files::Unusable;
        let path = path.to_os_string();
        Box::new(match why {
            Unusable::System(errno) => Failure::Unreadable { path, errno },
            Unusable::Directory => Failure::NotAFile { path, what: "a directory" },
            Unusable::Special => Failure::NotAFile { path, what: "no regular file" },
            Unusable::Changed => Failure::NotAFile { path, what: "being written to" },
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage { applet: "", what } => write!(f, "{what}\n  see: rc-kexec --help"),
            Failure::Usage { applet, what } => {
                let before = if applet.starts_with("rc-kexec ") { "" } else { "rc-kexec " };
                write!(f, "{what}\n  see: {before}{applet} --help")
            }
            Failure::Unreadable { path, errno } => unable(f, "read ", path)?.write_str(strerror(*errno)),
            Failure::NotAFile { path, what } => write!(unable(f, "read ", path)?, "it is {what}"),
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
            Failure::Facts { path, errno } => {
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
                why_not(f, Call::Load, *errno, &Load::default(), facts)
            }
            Failure::NothingLoaded => {
                f.write_str("unable to start a kernel: none is loaded\n  load one: kexec-load")
            }
            Failure::NotRebooting { verdict: Verdict::No, reason } => write!(
                f,
                "unable to start the loaded kernel: {reason}\n  reboot in the ordinary way, with kexec-exec in the shutdown runlevel; kexec-exec --now jumps without stopping anything"
            ),
            Failure::NotRebooting { verdict, reason } => {
                write!(f, "unable to start the loaded kernel: the answer to \"is it a reboot?\" is {verdict}: {reason}")
            }
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
                    Errno::EPERM => no_privilege(f, facts),
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
            Failure::NotDone(what) => f.write_str(what),
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
fn each(f: &mut Formatter<'_>, paths: &[OsString]) -> fmt::Result {
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
    use bzimage::Defect;
    use image::decode::Defect as Packed;
    use image::machine::Defect as Damage;
    match why {
        NotLoadable::Empty => f.write_str("the file is empty"),
        NotLoadable::Known(name) => write!(f, "it is {name}, and no kernel"),
        NotLoadable::Unknown(first) => {
            write!(f, "it is no kernel that is known here (it begins with {})", Bytes(&first))
        }
        NotLoadable::BzImage(Defect::Truncated { promised, present })
        | NotLoadable::Damaged(Damage::Truncated { promised, present }) => write!(
            f,
            "the file is cut short: its header promises at least {promised} bytes, and it has {present}{AGAIN}"
        ),
        NotLoadable::BzImage(Defect::TooOld(major, minor)) => {
            write!(f, "its boot protocol is {major}.{minor:02}, and 2.06 is the oldest that is loaded")
        }
        NotLoadable::BzImage(Defect::LoadedLow) => f.write_str("it is a zImage; a bzImage is loaded"),
        NotLoadable::BzImage(Defect::Header(what)) | NotLoadable::Damaged(Damage::Header(what)) => {
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

/// A reason for which the kernel refuses loads, known without asking it.
#[derive(Clone, Copy, Debug)]
pub enum Obstacle<'f> {
    /// No CAP_SYS_BOOT.
    NoPrivilege(&'f Refusal),
    /// kernel.kexec_load_disabled
    Disabled(&'f Refusal),
    /// kernel.kexec_load_limit_reboot
    NoLoadsLeft,
    /// A lockdown, as the call meets it.
    LockedDown(Call, &'f Refusal),
}

impl Display for Obstacle<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NoPrivilege(facts) => no_privilege(f, facts),
            Obstacle::Disabled(facts) => load_disabled(f, facts),
            Obstacle::NoLoadsLeft => f.write_str(
                "kernel.kexec_load_limit_reboot is 0: the loads that were allowed since boot are spent, failed ones too; it cannot be raised\n  an ordinary reboot sets it back",
            ),
            Obstacle::LockedDown(call, facts) => locked_down(f, *call, facts),
        }
    }
}

fn no_privilege(f: &mut Formatter<'_>, facts: &Refusal) -> fmt::Result {
    match (facts.cap_sys_boot, facts.is_root) {
        (Some(false), false) => f.write_str("it takes root, with CAP_SYS_BOOT\n  run it as root"),
        (Some(false), true) => f.write_str(
            "this root does not have CAP_SYS_BOOT, as in a container\n  run it on the machine itself",
        ),
        _ => f.write_str(
            "Operation not permitted, and the kernel does not say why; CAP_SYS_BOOT is not what is missing",
        ),
    }
}

/// The refusals in the order in which the kernel makes them.
fn why_not(f: &mut Formatter<'_>, call: Call, errno: Errno, load: &Load, facts: &Refusal) -> fmt::Result {
    match errno {
        Errno::EPERM if facts.cap_sys_boot == Some(false) => Obstacle::NoPrivilege(facts).fmt(f),
        Errno::EPERM if facts.load_disabled => Obstacle::Disabled(facts).fmt(f),
        Errno::EPERM if facts.loads_left == Some(0) => Obstacle::NoLoadsLeft.fmt(f),
        Errno::EPERM if facts.lockdown.is_some() => Obstacle::LockedDown(call, facts).fmt(f),
        Errno::EPERM => unknown_refusal(f, facts),
        // security/integrity/ima/ima_main.c, ima_load_data and ima_read_file.
        Errno::EACCES => f.write_str(match call {
            Call::Load => "a security module refuses this call (IMA does where it has to appraise kernels)\n  kexec_file_load may pass: --syscall file (kexec -s)",
            Call::FileLoad => "a security module does not accept the file (IMA does not where its appraisal fails)",
        }),
        Errno::ENOSYS => match call {
            Call::FileLoad => f.write_str(
                "this kernel does not have the call (CONFIG_KEXEC_FILE; Alpine's kernels are built without)\n  leave --syscall file (kexec -s) out, and kexec_load is used",
            ),
            Call::Load => f.write_str("this kernel does not have the call (CONFIG_KEXEC)"),
        },
        // arch/arm64/kernel/machine_kexec.c, machine_kexec_prepare.
        Errno::EBUSY if facts.stuck_cpus => f.write_str(
            "CPUs are stuck in the kernel, it says: it cannot stop the other processors, which the firmware started in a way that knows no end (spin-table), or protected KVM keeps them\n  reboot in the ordinary way",
        ),
        Errno::EBUSY => f.write_str("another load is running\n  try again when it has ended"),
        Errno::ENOMEM => {
            f.write_str("the kernel has not enough free memory")?;
            if load.size > 0 {
                write!(f, " for {}", Size(load.size))?;
            }
            match facts.available {
                Some(available) => write!(f, "; {} is available", Size(available)),
                None => Ok(()),
            }
        }
        // The segments are mapped files.
        Errno::EFAULT if load.size > 0 => f.write_str(
            "a file was cut short meanwhile, or its disk failed\n  try again when nothing writes to it",
        ),
        Errno::ENODATA => {
            f.write_str("the image carries no signature, and this kernel enforces signatures")
        }
        Errno::ELIBBAD => f.write_str("the image cannot carry a signature: it is not made to be an EFI program"),
        Errno::ENOPKG => f.write_str("the image's signature is of a kind that this kernel cannot check"),
        Errno::ENOKEY => f.write_str("the image's signature is by a key that this kernel does not trust"),
        Errno::EKEYREJECTED => f.write_str(
            "this kernel rejects the image's signature: the key is revoked, expired or not for kernels, or the image was changed after signing",
        ),
        Errno::EBADMSG => f.write_str("the image's signature cannot be read: it is damaged"),
        Errno::ENOEXEC => f.write_str("the kernel's own loader does not take this image; dmesg may say why"),
        Errno::EINVAL if call == Call::FileLoad && near_limit(load) => write!(
            f,
            "the command line is {} bytes long; this kernel takes {} by kexec_load, but kexec_file_load keeps 31 of them for itself\n  use --syscall load (kexec -c)",
            load.command_line, load.command_line_limit
        ),
        Errno::ETXTBSY => f.write_str("a file is open for writing\n  try again when it is complete"),
        Errno::EADDRNOTAVAIL => f.write_str("it does not take the addresses; dmesg may say why"),
        other => write!(f, "{}; dmesg may say why", strerror(other)),
    }
}

/// kexec_file_load asks for room for the `elfcorehdr=` of a crash kernel (30 bytes
/// and the NUL) on every load (kexec-bzimage64.c, bzImage64_load).
fn near_limit(load: &Load) -> bool {
    load.command_line.saturating_add(31) > load.command_line_limit
}

fn load_disabled(f: &mut Formatter<'_>, facts: &Refusal) -> fmt::Result {
    f.write_str("kernel.kexec_load_disabled is 1, and it cannot be set back while this kernel runs\n  ")?;
    if let Some(path) = &facts.sysctl_file {
        write!(f, "{} sets it: take the line out, then reboot in the ordinary way", path.shown())?;
        if facts.alpine && !facts.boot_option {
            write!(f, " (Alpine's kernels need the boot option {OPTION} as well)")?;
        }
        return Ok(());
    }
    if facts.boot_option {
        return write!(
            f,
            "the boot option {OPTION} is on this kernel's command line and had no effect: this kernel drops options that begin with \"kexec\" (6.12.117 and others since 2025 do), or does not know it, or something wrote 1 to the sysctl after boot (no file of sysctl.d does)"
        );
    }
    write!(f, "the boot option {OPTION} is not on this kernel's command line")?;
    // Only Alpine's kernels are known to know the option: elsewhere the boot loader's
    // edit would be a guess.
    if !facts.alpine {
        return f.write_str(
            ": Alpine's kernels are locked without it; on others something wrote the sysctl after boot (no file of sysctl.d does)",
        );
    }
    match facts.boot_loaders.as_slice() {
        [] => {
            return f.write_str(
                ", and no boot loader that is known here was found: add it where the kernel's options are set",
            );
        }
        [_] => {}
        _ => f.write_str("\n  several boot loaders are set up here; mend the one in use:")?,
    }
    facts.boot_loaders.iter().try_for_each(|one| write!(f, "\n  {one}"))?;
    f.write_str("\n  then reboot once in the ordinary way")
}

fn locked_down(f: &mut Formatter<'_>, call: Call, facts: &Refusal) -> fmt::Result {
    let mode = facts.lockdown.as_deref().unwrap_or_default().shown();
    write!(f, "the kernel is locked down ({mode})")?;
    f.write_str(match call {
        Call::Load => ", which forbids this call\n  kexec_file_load of a kernel with a signature that is trusted may pass: --syscall file (kexec -s)",
        Call::FileLoad => " and found no signature on the image that it trusts",
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

    /// A machine where nothing stands in the way.
    fn free() -> Refusal {
        Refusal { cap_sys_boot: Some(true), is_root: true, ..Refusal::default() }
    }

    fn said(call: Call, errno: Errno, facts: Refusal) -> String {
        let load = Load { command_line: 100, command_line_limit: 2047, size: 64 << 20 };
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
                "it takes root",
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
            (Call::FileLoad, Errno::EPERM, locked(), "no signature on the image that it trusts"),
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
            (Call::Load, Errno::ENOMEM, facts, "not enough free memory for 64 MiB; 10 MiB is available"),
            (Call::FileLoad, Errno::ENODATA, free(), "carries no signature"),
            (Call::FileLoad, Errno::ENOKEY, free(), "does not trust"),
            (Call::FileLoad, Errno::EKEYREJECTED, free(), "rejects the image's signature"),
            (Call::FileLoad, Errno::EBADMSG, free(), "the image's signature cannot be read"),
            (Call::FileLoad, Errno::ELIBBAD, free(), "not made to be an EFI program"),
            (Call::FileLoad, Errno::ENOPKG, free(), "of a kind that this kernel cannot check"),
            (Call::Load, Errno::EACCES, free(), "kexec_file_load may pass"),
            (Call::FileLoad, Errno::EACCES, free(), "does not accept the file"),
            (Call::FileLoad, Errno::ENOEXEC, free(), "own loader does not take this image"),
            (Call::Load, Errno::EADDRNOTAVAIL, free(), "addresses"),
            (Call::Load, Errno::EFAULT, free(), "cut short meanwhile"),
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
        assert!(said(Call::Load, Errno::EPERM, all.clone()).contains("it takes root"));
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
        assert!(text.contains("no boot loader that is known here"), "{text}");
    }

    #[test]
    fn a_remedy_is_not_guessed_where_the_facts_do_not_decide() {
        // Not Alpine: the option may not even be known there, whatever the boot loader.
        for boot_loaders in [vec![], vec![BootLoader::Grub { has_line: true }]] {
            let text =
                said(Call::Load, Errno::EPERM, Refusal { load_disabled: true, boot_loaders, ..free() });
            assert!(
                text.contains("on others something wrote the sysctl") && !text.contains("run:"),
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
        let load = Load { command_line: 2017, command_line_limit: 2047, size: 0 };
        let said = |call, load| {
            let facts = Box::new(free());
            Failure::Refused { path: "k".into(), call, errno: Errno::EINVAL, load, facts }.to_string()
        };
        assert!(said(Call::FileLoad, load).contains("keeps 31 of them"));
        assert!(!said(Call::Load, load).contains("keeps 31"));
        assert!(!said(Call::FileLoad, Load { command_line: 2016, ..load }).contains("keeps 31"));
    }

    #[test]
    fn what_services_meet_has_its_own_words() {
        let arm = |errno| Failure::Arm { path: "/sys/kernel/tracing".into(), errno };
        let not = |verdict| Failure::NotRebooting { verdict, reason: "RC_X is Y".into() };
        let table = [
            (not(Verdict::No), "RC_X is Y\n  reboot in the ordinary way, with kexec-exec in the shutdown"),
            (not(Verdict::PowerOff), "is poweroff: RC_X is Y"),
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

    #[test]
    fn exit_codes() {
        assert_eq!(Failure::Usage { applet: "kexec", what: String::new() }.exit_status(), 2);
        assert_eq!(Failure::NothingLoaded.exit_status(), 1);
    }
}
