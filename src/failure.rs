//! Every way to fail, as plain values. `say` has the words for them.

use crate::base::range::TooMany;
#[cfg(feature = "vmcore")]
use crate::dump;
use crate::image::{NotLoadable, initrd};
#[cfg(feature = "vmcore")]
use crate::known::boot_loader::BootLoader;
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Refusal};
use crate::known::shutdown::Decision;
use crate::known::xen::Xen;
use crate::plan::NoPlan;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};

/// The result of a function whose failure can end the program. The failure is in a box, so that `?`
/// copies one word from caller to caller, and not a hundred bytes.
pub type Result<T, E = Box<Failure>> = core::result::Result<T, E>;

/// Why a request could not be met. Its `Display` is the message for an administrator, with a remedy
/// when the facts decide on one.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage {
        /// The applet whose help says more; empty for the program itself.
        applet: &'static str,
        /// The message.
        what: String,
    },
    /// A file of the load cannot be read.
    Unusable {
        /// The file.
        path: OsString,
        /// Why.
        why: Unusable,
    },
    /// The kernel file cannot be loaded on this machine.
    Kernel {
        /// The file.
        path: OsString,
        /// Why.
        why: NotLoadable,
    },
    /// The kernel could not unpack an initrd.
    Initrd {
        /// The file.
        path: OsString,
        /// Why.
        why: initrd::Defect,
    },
    #[cfg(feature = "vmcore")]
    /// A dump cannot be read, or not the part of it that was asked for.
    Dump {
        /// The file.
        path: OsString,
        /// Why.
        why: dump::Defect,
    },
    #[cfg(feature = "vmcore")]
    /// There is no /proc/vmcore, and no other dump was named.
    NoVmcore,
    #[cfg(feature = "vmcore")]
    /// A dump cannot be written.
    Save {
        /// The new file.
        path: OsString,
        /// Why.
        errno: Errno,
    },
    #[cfg(feature = "vmcore")]
    /// A crash kernel cannot save in this folder.
    NoPlace {
        /// The folder.
        dir: OsString,
        /// The device or the type of its file system.
        what: OsString,
        /// Whether the device is encrypted or made of several.
        several: bool,
    },
    #[cfg(feature = "vmcore")]
    /// Standard output does not take what was asked for.
    Print(Errno),
    /// kexec_load(2) has no segments for so many initrds.
    TooManyInitrds {
        /// How many there are, the added files included.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No kernel was named and none was found.
    NoKernelFound {
        /// The names that were tried.
        tried: Vec<OsString>,
        /// The kernels that are there, which nothing says to take.
        there: Vec<OsString>,
        /// The directory, when fstab(5) has a file system for it that is not mounted.
        unmounted: Option<OsString>,
    },
    /// No kernel was named, and several boot media have one.
    SeveralMedia {
        /// Their folders.
        folders: Vec<OsString>,
    },
    /// The kernel's initrd was not found, and the running kernel was started with one.
    NoInitrdFound {
        /// The kernel.
        kernel: OsString,
        /// The names that were tried for its initrd.
        tried: Vec<OsString>,
        /// What could be the initrd of some kernel, beside it.
        there: Vec<OsString>,
    },
    /// The initramfs beside the installed kernel was made before that kernel came.
    OldInitrd {
        /// The kernel.
        kernel: OsString,
        /// The initramfs.
        initrd: OsString,
    },
    /// The kernel file is not of the type that `--type` names.
    WrongType {
        /// The kernel.
        path: OsString,
        /// The name of its format.
        found: &'static str,
        /// The type that the user gave.
        wanted: OsString,
    },
    /// The kernel, its initrds and its command line do not fit into the memory of this machine, or
    /// the kernel cannot be laid out.
    NoPlan {
        /// The kernel.
        path: OsString,
        /// Why.
        why: NoPlan,
    },
    /// The command line has a NUL byte.
    NulInCommandLine,
    /// /proc/iomem hides its addresses, as it does without CAP_SYS_ADMIN.
    AddressesHidden,
    /// The memory map has more ranges than this limit.
    TooManyRanges(usize),
    /// A file of /proc, /sys or /etc cannot be read.
    SystemFile {
        /// The file.
        path: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The kernel could not be unpacked in memory.
    Unpack {
        /// The kernel.
        path: OsString,
        /// Why.
        errno: Errno,
    },
    /// The initrds, or the added files, could not be put together in memory.
    JoinInitrds(Errno),
    /// A key file may not be handed on.
    Key {
        /// The file.
        path: OsString,
        /// Why.
        why: BadKey,
    },
    /// The running kernel refused a load, or would have: ENOMEM can come from this program.
    Refused {
        /// The kernel file.
        path: OsString,
        /// The call.
        call: Call,
        /// Its answer.
        errno: Errno,
        /// The properties of the load that can explain the refusal.
        load: Attempt,
        /// The facts about this machine that can explain it.
        facts: Box<Refusal>,
    },
    /// The running kernel refused to unload.
    UnloadRefused {
        /// Its answer.
        errno: Errno,
        /// The facts about this machine that can explain it.
        facts: Box<Refusal>,
    },
    /// No kernel is loaded that could be started.
    NothingLoaded,
    /// The machine is not going to reboot, or that is not known.
    NotRebooting {
        /// The rule that decided.
        decision: Decision,
    },
    /// Init's signals cannot be watched.
    Arm {
        /// The file or directory at which it failed.
        path: OsString,
        /// Why.
        errno: Errno,
    },
    /// Watching init's signals cannot be undone.
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
    /// The inittab has another `reboot` line.
    OtherRebootLine,
    /// The file that asks for an ordinary reboot cannot be made.
    Skip {
        /// Why.
        errno: Errno,
    },
    /// The line cannot be added to the inittab, or init cannot be told to read it.
    SetUp {
        /// Why.
        errno: Errno,
    },
    /// reboot(2) did not start the loaded kernel.
    ExecRefused {
        /// Its answer.
        errno: Errno,
        /// The facts about this machine that can explain it.
        facts: Box<Refusal>,
    },
    /// An ordinary reboot was refused.
    RebootRefused(Errno),
    /// Init could not be asked for a reboot.
    NoReboot(Errno),
    /// A crash kernel, for which no memory is reserved. It takes the place of [`NotDone::NoCrashMemory`]
    /// where the files are known.
    #[cfg(feature = "vmcore")]
    NoReservation(Box<Reservation>),
    /// This cannot be done, whatever the files are.
    NotDone(NotDone),
}

/// The memory that a crash kernel needs, and where the boot option for it is set.
#[cfg(feature = "vmcore")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// What the kernel and its initrds need, in bytes: whole MiB.
    pub needs: u64,
    /// The boot loaders that are set up.
    pub boot_loaders: Vec<BootLoader>,
}

/// Why a key file may not be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// Others than root can read it: its permission bits and its owner.
    Readable(u32, u32),
    /// Its file system is not known to be encrypted.
    Bare,
    /// It is empty.
    Empty,
    /// The memory for it cannot be kept out of swap space.
    NotLocked(Errno),
}

/// A request that cannot be met, whatever the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// A kexec under Xen, where it would switch the machine off.
    Xen(Xen),
    /// A kexec while so many bytes of memory are not accepted.
    Unaccepted(u64),
    /// A crash kernel, for which no memory is reserved.
    NoCrashMemory,
    /// `--dtb` for a kernel that is not for arm64.
    DeviceTreeElsewhere,
    /// `--dtb` with kexec_file_load.
    DeviceTreeByFileLoad,
    /// `--crypt-key` with kexec_file_load, which leaves copies of the key in memory.
    KeyByFileLoad,
    /// `--crypt-key` on a kernel without kexec_load.
    KeyWithoutLoad,
    /// `--crypt-key` on a kernel whose lockdown forbids kexec_load.
    KeyLockedDown,
}

/// Why a file cannot be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// open, stat or mmap failed.
    System(Errno),
    /// It is a directory.
    Directory,
    /// It is a device, a pipe or a socket.
    Special,
    /// Its length changed after it was checked.
    Changed,
    /// It has more bytes than the machine's memory, which has so many.
    LargerThanMemory(u64),
}

impl From<Errno> for Unusable {
    fn from(errno: Errno) -> Unusable {
        Unusable::System(errno)
    }
}

impl From<TooMany> for Box<Failure> {
    fn from(full: TooMany) -> Box<Failure> {
        Box::new(Failure::TooManyRanges(full.capacity))
    }
}

impl From<NotDone> for Box<Failure> {
    fn from(what: NotDone) -> Box<Failure> {
        Box::new(Failure::NotDone(what))
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// [`Failure::Unusable`], with the file's name.
    pub fn unusable(path: &OsStr, why: Unusable) -> Box<Failure> {
        Box::new(Failure::Unusable { path: path.to_os_string(), why })
    }

    /// Whether kexec_file_load failed for a reason that kexec_load may not have: the kernel lacks the
    /// call, found no place in its own order, needs memory for the files beside the segments (also
    /// where this program found that it would), trusts no signature of the image, or has no loader
    /// for it (kernel/kexec_file.c).
    pub fn is_for_kexec_load(&self) -> bool {
        let errno = match self {
            Failure::Refused { call: Call::FileLoad, errno, .. } => *errno,
            _ => return false,
        };
        matches!(
            errno,
            Errno::ENOSYS
                | Errno::EADDRNOTAVAIL
                | Errno::ENOMEM
                | Errno::ENODATA
                | Errno::ENOKEY
                | Errno::EKEYREJECTED
                | Errno::EBADMSG
                | Errno::ENOEXEC
        )
    }
}
