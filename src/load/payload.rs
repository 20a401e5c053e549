//! All that a load hands to the next kernel, opened and checked.

use super::files::Files;
use super::initrds::{self, Initrd};
use super::kernel::Kernel;
use super::line;
use super::request::Request;
use super::select::Chosen;
use crate::base::cmdline;
use crate::base::range::Range;
use crate::failure::{Failure, NotDone, Result};
use crate::host::sys::process;
use crate::host::{files, machine};
use crate::image::Image;
use crate::image::machine::Machine;
use crate::known::call::Call;
use crate::known::refusal::Attempt;
use crate::plan::placer::MAX_INITRDS;
use crate::plan::x86::EfiState;
use crate::plan::{NoPlan, Plan, arm64, x86};
use nix::errno::Errno;
use std::borrow::Cow;
use std::ffi::{CString, OsStr};

/// Checked files and a command line. What is opened once is what is loaded.
#[derive(Debug)]
pub struct Payload<'f> {
    /// Where the files are kept.
    pub(super) files: &'f Files,
    /// The kernel.
    pub kernel: Kernel<'f>,
    /// The initrds, in their order; the added files are the last.
    pub initrds: Vec<Initrd<'f>>,
    /// The device tree to hand on, where it is not the running kernel's.
    pub dtb: Option<Cow<'f, [u8]>>,
    /// The next kernel's command line.
    pub line: CString,
    /// The running kernel's, empty where it cannot be read.
    pub running: Vec<u8>,
    /// Bounds that the user gave for every segment.
    bounds: Range,
    /// Whether a key is among the added files.
    pub has_key: bool,
}

/// A layout over this machine's memory, and what it hands on.
#[derive(Debug)]
pub struct Layout<'p> {
    /// The segments and the entry.
    pub plan: Plan<'p>,
    /// What the next kernel is told of the machine, beside its memory.
    pub hands_on: HandsOn,
}

/// What a layout tells the next kernel of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandsOn {
    /// EFI, or that it does without (x86).
    Efi(EfiState),
    /// The running kernel's device tree.
    RunningTree,
    /// The device tree that was given.
    GivenTree,
}

/// Opens the kernel. `kind`, as kexec(8) spells types, may only agree with its content.
pub fn kernel<'f>(files: &'f Files, path: &OsStr, kind: Option<&OsStr>) -> Result<Kernel<'f>> {
    let kernel = Kernel::open(files, path)?;
    match kind {
        Some(kind) if !kernel.is_of_type(kind) => {
            let (found, wanted) = (kernel.format(), kind.to_os_string());
            Err(Failure::WrongType { path: kernel.path, found, wanted }.into())
        }
        _ => Ok(kernel),
    }
}

/// Opens all that goes with a kernel of this machine.
pub fn open<'f>(
    files: &'f Files,
    chosen: &Chosen,
    request: &Request,
    kernel: Kernel<'f>,
) -> Result<Payload<'f>> {
    kernel.check_machine(process::machine())?;
    let initrds = initrds::open(files, chosen, request, &kernel)?;
    with_initrds(files, request, kernel, initrds)
}

/// As [`open`], where the initrds are open.
pub fn with_initrds<'f>(
    files: &'f Files,
    request: &Request,
    kernel: Kernel<'f>,
    initrds: Vec<Initrd<'f>>,
) -> Result<Payload<'f>> {
    let dtb = device_tree(request, &kernel)?;
    let running = files::command_line();
    let line = line::line(request, &running, &kernel)?;
    Ok(Payload {
        files,
        kernel,
        initrds,
        dtb,
        line,
        running: running.unwrap_or_default(),
        bounds: request.bounds,
        has_key: request.key.file().is_some(),
    })
}

/// The device tree to hand on where it is not the running kernel's: the one that was named, else
/// the one in a unified image.
fn device_tree<'f>(request: &Request, kernel: &Kernel<'f>) -> Result<Option<Cow<'f, [u8]>>> {
    let is_given_one = kernel.image.machine() == Machine::Arm64;
    match &request.dtb {
        Some(_) if !is_given_one => Err(NotDone::DeviceTreeElsewhere.into()),
        // Read and not mapped: /sys/firmware/fdt may be named, too.
        Some(path) => match files::read(path) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            Err(errno) => Err(Failure::unusable(path, errno.into())),
        },
        // On other machines a .dtb means nothing.
        None if !is_given_one => Ok(None),
        None => Ok(kernel.unified.and_then(|unified| unified.dtb).map(Cow::Borrowed)),
    }
}

impl Payload<'_> {
    /// Lays everything out over the machine's memory.
    pub fn plan(&self, memory: &crate::host::memory::Memory) -> Result<Layout<'_>> {
        let mut initrds = heapless::Vec::<&[u8], MAX_INITRDS>::new();
        for initrd in &self.initrds {
            let full = |_| Failure::TooManyInitrds { given: self.initrds.len(), limit: MAX_INITRDS };
            initrds.push(initrd.bytes()).map_err(full)?;
        }
        let line = self.line.as_bytes();
        let no_plan = |why| Failure::NoPlan { path: self.kernel.path.clone(), why };
        // A machine's kernels are of one layout. The linker drops the other.
        match (&self.kernel.image, cfg!(target_arch = "aarch64")) {
            (Image::BzImage(image), false) => {
                let running = machine::x86()?;
                let inputs = running.inputs(memory, self.bounds);
                let (plan, efi) = x86::plan(image, &initrds, line, &inputs).map_err(no_plan)?;
                Ok(Layout { plan, hands_on: HandsOn::Efi(efi) })
            }
            (Image::Arm64(image), true) => {
                let running = machine::arm64();
                let inputs = running.inputs(memory, self.bounds, self.dtb.as_deref())?;
                let plan = arm64::plan(image, &initrds, line, &inputs).map_err(no_plan)?;
                let is_given = self.dtb.is_some();
                let hands_on = if is_given { HandsOn::GivenTree } else { HandsOn::RunningTree };
                Ok(Layout { plan, hands_on })
            }
            _ => Err(no_plan(NoPlan::OtherMachine).into()),
        }
    }

    /// The kernel's refusal of this load, with all that is known about it. `size` is the memory
    /// that the load needs, in bytes; 0 where that is not the reason.
    pub fn refused(&self, call: Call, errno: Errno, size: u64) -> Box<Failure> {
        Box::new(Failure::Refused {
            path: self.kernel.path.clone(),
            call,
            errno,
            load: Attempt {
                command_line: self.line.as_bytes().len(),
                command_line_limit: self.kernel.image.cmdline_size(),
                size,
            },
            facts: Box::new(crate::host::refusal::known()),
        })
    }

    /// Whether the running kernel has a root= and the next one would not.
    pub fn loses_root(&self) -> bool {
        let has_root = |line: &[u8]| cmdline::words(line).any(|word| word.starts_with(b"root="));
        has_root(&self.running) && !has_root(self.line.as_bytes())
    }

    /// Whether a key is handed to an initramfs that is told of nothing to unlock.
    pub fn unlocks_nothing(&self) -> bool {
        let mut words = cmdline::words(self.line.as_bytes());
        self.has_key && !words.any(|word| word.starts_with(b"cryptroot="))
    }

    /// Whether the command line names another file than the one that the key becomes.
    pub fn names_another_key(&self) -> bool {
        let ours = [&b"cryptkey"[..], b"cryptkey=/crypto_keyfile.bin"];
        self.has_key && cmdline::cryptkey(self.line.as_bytes()).is_some_and(|word| !ours.contains(&word))
    }
}
