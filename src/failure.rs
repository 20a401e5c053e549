//! Every way to fail, as plain values. [`crate::say`] has the words.

use crate::base::range::TooMany;
use crate::image::{NotLoadable, initrd};
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Refusal};
use crate::known::shutdown::Decision;
use crate::plan::NoPlan;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};

/// What a function returns that can end the program. The failure is behind a pointer: what `?`
/// hands from caller to caller is then a word and not a hundred bytes.
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
    /// A file that the user named, or that was found, cannot be read.
    Unusable {
        /// The file.
        path: OsString,
        /// Why.
        why: Unusable,
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
    /// A file of /proc, /sys or /etc cannot be read.
    SystemFile {
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
        load: Attempt,
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
        /// What the evidence came to.
        decision: Decision,
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
    /// Something that users of kexec(8) know, and that cannot be done here.
    NotDone(NotDone),
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

/// What cannot be done, whatever the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// `kexec -p`
    CrashKernel,
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
    /// Its length differs from a moment ago.
    Changed,
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
    /// A file that cannot be used, with its name.
    pub fn unusable(path: &OsStr, why: Unusable) -> Box<Failure> {
        Box::new(Failure::Unusable { path: path.to_os_string(), why })
    }

    /// Whether the kernel does not have the call that was made, so that another one may load.
    pub fn is_missing_call(&self) -> bool {
        matches!(self, Failure::Refused { errno: Errno::ENOSYS, .. })
    }
}
