//! What the user wants to load. Plain values: [`crate::cli`] makes them from words,
//! [`crate::settings`] from the services' settings.

use crate::base::range::Range;
use crate::known::call::Call;
use std::ffi::OsString;

/// A load.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The kernel.
    pub kernel: KernelChoice,
    /// Its initrds.
    pub initrds: Initrds,
    /// Its command line.
    pub line: Line,
    /// Files to add to its initramfs.
    pub added: Vec<AddedFile>,
    /// A key to add to its initramfs, for Alpine's to unlock the root.
    pub key: Key,
    /// A device tree to hand on instead of the running kernel's (arm64).
    pub dtb: Option<OsString>,
    /// The type that the file must have, as kexec(8) spells types.
    pub kind: Option<OsString>,
    /// The system call.
    pub call: Choice,
    /// Where segments may lie.
    pub bounds: Range,
}

/// Which kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelChoice {
    /// This file.
    Named {
        /// The file.
        path: OsString,
        /// Whether its initrds, where none are named, are those beside it.
        finds_initrds: bool,
    },
    /// The installed kernel of the running flavour, else of the running release.
    Installed {
        /// The directory with the kernels.
        boot: OsString,
    },
}

impl KernelChoice {
    /// From a kernel's name and a directory with kernels, each where it was given.
    pub fn new(kernel: Option<OsString>, boot: Option<OsString>) -> KernelChoice {
        match (kernel, boot) {
            (Some(path), boot) => KernelChoice::Named { path, finds_initrds: boot.is_some() },
            (None, boot) => KernelChoice::Installed { boot: boot.unwrap_or_else(|| "/boot".into()) },
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
    /// The user says nothing: those of a unified image, else those beside the kernel.
    #[default]
    Unsaid,
    /// None at all.
    None,
    /// These files, in their order.
    These(Vec<OsString>),
}

impl Initrds {
    /// From the names that were given; the name `none` alone stands for no initrd.
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
    /// The user says nothing: a unified image's own, else this one.
    Unsaid(Base),
    /// This one, and these words after it.
    Said(Base, OsString),
}

impl Default for Line {
    fn default() -> Line {
        Line::Unsaid(Base::Running)
    }
}

/// What a command line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Empty,
    /// The running kernel's command line, without what its boot loader put there.
    Running,
}

/// A file to add to the next kernel's initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedFile {
    /// The file, here.
    pub source: OsString,
    /// Its path there, as newc::name has it.
    pub name: OsString,
    /// Its permission bits there; the ones that it has here when absent.
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
    /// As many zeros as this file has bytes: a rehearsal checks the file and cannot read it.
    Blank(KeyFile),
}

/// The file that holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The file.
    pub path: OsString,
    /// Accept it from a file system that is not known to be encrypted.
    pub force: bool,
}

impl Key {
    /// The file, whether its bytes are read or not.
    pub fn file(&self) -> Option<&KeyFile> {
        match self {
            Key::Absent => None,
            Key::File(file) | Key::Blank(file) => Some(file),
        }
    }
}

/// Which system call to load with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// kexec_file_load where the kernel has it, else kexec_load.
    #[default]
    Auto,
    /// This one and no other.
    Only(Call),
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Say what the kernel is.
    Identify,
    /// Draw the memory, load nothing.
    Draw,
    /// Load.
    Load(After),
}

/// What follows a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// Jump at once.
    Jump {
        /// Write file systems' data first.
        sync: bool,
    },
    /// Ask init for a reboot.
    Reboot,
}

impl Request {
    /// The same load without the key's bytes: what a dry run and the doctor go through.
    pub fn rehearsed(mut self) -> Request {
        if let Key::File(file) = self.key {
            self.key = Key::Blank(file);
        }
        self
    }

    /// Whether files are added to the next kernel's initramfs.
    pub fn adds(&self) -> bool {
        self.key != Key::Absent || !self.added.is_empty()
    }
}
