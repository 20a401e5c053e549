//! The request for a load, as plain values: `cli` makes them from words, `settings` from the
//! settings of the services.

use crate::base::range::Range;
use crate::known::call::Call;
use std::ffi::OsString;

/// A request for a load. The default loads the installed kernel with the running kernel's command
/// line.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// When the loaded kernel is started.
    pub starts: Starts,
    /// The kernel.
    pub kernel: KernelChoice,
    /// The initrds.
    pub initrds: Initrds,
    /// The command line.
    pub line: Line,
    /// Whether an initrd may end without a cpio trailer, which one that was cut does, too.
    pub without_trailer: bool,
    /// Files to add to the next kernel's initramfs.
    pub added: Vec<AddedFile>,
    /// A key to add to it, with which Alpine's initramfs unlocks the root.
    pub key: Key,
    /// A file with a device tree, instead of the running kernel's (arm64).
    pub dtb: Option<OsString>,
    /// The type that the kernel file must have, as kexec(8) spells types.
    pub kind: Option<OsString>,
    /// What the next kernel is told of EFI (x86).
    pub efi: Efi,
    /// The system call.
    pub call: Choice,
    /// The addresses at which segments may lie.
    pub bounds: Range,
}

/// When a loaded kernel is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Starts {
    /// At a reboot.
    #[default]
    AtReboot,
    /// When the running kernel panics: it is a crash kernel.
    AtPanic,
}

/// Which kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelChoice {
    /// This file.
    Named {
        /// The file.
        path: OsString,
        /// Whether to look for initrds beside it when the request says none.
        finds_initrds: bool,
    },
    /// The installed kernel of a flavour.
    Installed {
        /// The directory with the kernels.
        boot: OsString,
        /// The flavour; `None` for the running kernel's.
        flavour: Option<String>,
    },
}

impl KernelChoice {
    /// From a kernel file and a directory with kernels, each when it was given. With both, the
    /// kernel finds its initrds; without any, the directory is /boot.
    pub fn new(kernel: Option<OsString>, boot: Option<OsString>) -> KernelChoice {
        match (kernel, boot) {
            (Some(path), boot) => KernelChoice::Named { path, finds_initrds: boot.is_some() },
            (None, boot) => {
                KernelChoice::Installed { boot: boot.unwrap_or_else(|| "/boot".into()), flavour: None }
            }
        }
    }
}

impl Default for KernelChoice {
    fn default() -> KernelChoice {
        KernelChoice::new(None, None)
    }
}

/// Which initrds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Initrds {
    /// The user says nothing: those in a unified image, else those beside an installed kernel, or
    /// beside a named one that [finds its initrds](KernelChoice::Named).
    #[default]
    Unsaid,
    /// No initrd, not even one in a unified image.
    None,
    /// These files, in their order.
    These(Vec<OsString>),
}

impl Initrds {
    /// From the given names. The name `none` alone means no initrd.
    pub fn named(names: Vec<OsString>) -> Initrds {
        match names.as_slice() {
            [] => Initrds::Unsaid,
            [only] if only == "none" => Initrds::None,
            _ => Initrds::These(names),
        }
    }
}

/// Which command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The user says nothing: a unified image's own, else this base.
    Unsaid(Base),
    /// This base, and these words after it.
    Said(Base, OsString),
}

impl Default for Line {
    fn default() -> Line {
        Line::Unsaid(Base::Running)
    }
}

impl Line {
    /// Makes the running kernel's command line, where it is the base, the one of a crash kernel.
    pub fn for_crash(&mut self, starts: Starts) {
        let (Line::Unsaid(base) | Line::Said(base, _)) = self;
        if starts == Starts::AtPanic && *base == Base::Running {
            *base = Base::RunningForCrash;
        }
    }
}

/// The beginning of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Empty,
    /// The running kernel's, for a crash kernel: without what would hurt there, and with what it needs.
    RunningForCrash,
    /// The running kernel's command line, without the words that its boot loader added.
    Running,
}

/// A file to add to the next kernel's initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedFile {
    /// The file on this system.
    pub source: OsString,
    /// Its path in the initramfs, as [`crate::image::newc::name`] returns it.
    pub name: OsString,
    /// Its permission bits in the initramfs; `None` for those that it has on this system.
    pub mode: Option<u32>,
}

/// A key for the next kernel's initramfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// No key.
    #[default]
    Absent,
    /// The bytes of this file.
    File(KeyFile),
    /// As many zeros as this file has bytes: a rehearsal checks the file, and never reads it.
    Blank(KeyFile),
}

/// The file that holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The file.
    pub path: OsString,
    /// Accept it on a file system that is not known to be encrypted.
    pub force: bool,
}

impl Key {
    /// The file with the key, also when its bytes are not read.
    pub fn file(&self) -> Option<&KeyFile> {
        match self {
            Key::Absent => None,
            Key::File(file) | Key::Blank(file) => Some(file),
        }
    }
}

/// What the next kernel is told of EFI (x86).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Efi {
    /// What the running kernel knows, so that it has the runtime services.
    #[default]
    HandedOn,
    /// Nothing, as with kexec(8)'s `--noefi`; but where ACPI's tables are.
    LeftOut,
}

/// Which system call to load with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// kexec_file_load where the kernel has it and it can do the load, else kexec_load.
    #[default]
    Auto,
    /// This call, and never the other one.
    Only(Call),
}

impl Choice {
    /// The choice that a user's `word` names.
    pub fn from_word(word: &[u8]) -> Option<Choice> {
        match word {
            b"auto" => Some(Choice::Auto),
            b"load" => Some(Choice::Only(Call::Load)),
            b"file" => Some(Choice::Only(Call::FileLoad)),
            _ => None,
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Say which kernel it is.
    Identify,
    /// Draw the layout, and load nothing.
    Draw,
    /// Load.
    Load(After),
}

/// The next step after a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// Start the loaded kernel at once.
    Jump {
        /// Call sync(2) first.
        sync: bool,
    },
    /// Ask init for a reboot.
    Reboot,
}

impl Request {
    /// The same load without the key's bytes, for a dry run and for the doctor.
    pub fn rehearsed(mut self) -> Request {
        if let Key::File(file) = self.key {
            self.key = Key::Blank(file);
        }
        self
    }

    /// Whether files or a key are added to the next kernel's initramfs.
    pub fn adds(&self) -> bool {
        self.key != Key::Absent || !self.added.is_empty()
    }
}
