//! The payload: all files of a load, opened and checked, and the command line.

use super::files::Files;
use super::initrds::{self, Initrd};
use super::kernel::Kernel;
use super::line;
use super::request::{Efi, Request, Starts};
#[cfg(feature = "vmcore")]
use super::reserve::with_need;
use super::select::Chosen;
use crate::base::cmdline;
use crate::base::range::Range;
use crate::failure::{Failure, NotDone, Result};
use crate::host::memory::Memory;
use crate::host::sys::process;
use crate::host::{crash, files, machine};
use crate::image::machine::Machine;
use crate::image::{Image, initrd};
use crate::known::boot_loader::OPTION;
use crate::known::call::Call;
use crate::known::refusal::{Attempt, Room};
use crate::plan::crash::CrashKernel;
use crate::plan::placer::MAX_INITRDS;
use crate::plan::x86::EfiState;
use crate::plan::{NoPlan, Plan, arm64, device_tree, x86};
use nix::errno::Errno;
use std::borrow::Cow;
use std::ffi::{CString, OsStr};

/// Checked files and a command line. Each file was opened once, and exactly that is loaded.
#[derive(Debug)]
pub struct Payload<'f> {
    /// Keeps the files.
    pub(super) files: &'f Files,
    /// The kernel.
    pub kernel: Kernel<'f>,
    /// The initrds, in their order. The last one has the added files and the key.
    pub initrds: Vec<Initrd<'f>>,
    /// A device tree instead of the running kernel's (arm64).
    pub dtb: Option<Cow<'f, [u8]>>,
    /// The next kernel's command line.
    pub line: CString,
    /// The running kernel's command line; empty when it cannot be read.
    pub running: Vec<u8>,
    /// What a crash kernel needs, if it is one.
    pub crash: Option<CrashKernel>,
    efi: Efi,
    /// The bounds of the request for every segment.
    bounds: Range,
    /// Whether a key is added.
    pub has_key: bool,
}

/// A layout over this machine's memory, and what it tells the next kernel of the machine.
#[derive(Debug)]
pub struct Layout<'p> {
    /// The segments and the entry.
    pub plan: Plan<'p>,
    /// What the next kernel is told of the machine, beside the memory map.
    pub hands_on: HandsOn,
    /// The address of ACPI's root pointer, if the next kernel may need it on its command line.
    pub untold_rsdp: Option<u64>,
}

/// What a layout tells the next kernel of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandsOn {
    /// EFI's tables, or that there are none (x86).
    Efi(EfiState),
    /// The running kernel's device tree.
    RunningTree,
    /// The device tree that was given; and where it tells of less memory than the running kernel's, how much
    /// each tells of, in bytes.
    GivenTree(Option<(u64, u64)>),
}

/// Opens the kernel, and unpacks it where that is needed. `kind` is a type as kexec(8) spells it.
///
/// Fails when the file cannot be read ([`Failure::Unusable`]), when it is not a kernel that this
/// crate loads on this machine ([`Failure::Kernel`]), when unpacking needs too much memory, and when it
/// is not of this kind ([`Failure::WrongType`]).
pub fn kernel<'f>(files: &'f Files, path: &OsStr, kind: Option<&OsStr>) -> Result<Kernel<'f>> {
    of_kind(Kernel::open(files, path, Some(process::machine()))?, kind)
}

/// The same with a kernel of any machine, to look at.
pub fn identify<'f>(files: &'f Files, path: &OsStr, kind: Option<&OsStr>) -> Result<Kernel<'f>> {
    of_kind(Kernel::open(files, path, None)?, kind)
}

fn of_kind<'f>(kernel: Kernel<'f>, kind: Option<&OsStr>) -> Result<Kernel<'f>> {
    match kind {
        Some(kind) if !kernel.is_of_type(kind) => {
            let (found, wanted) = (kernel.format(), kind.to_os_string());
            Err(Failure::WrongType { path: kernel.path, found, wanted }.into())
        }
        _ => Ok(kernel),
    }
}

/// Opens everything that goes with a kernel: initrds, added files, a device tree, the command line.
///
/// Fails where [`initrds::open`] and [`line::line`] fail.
pub fn open<'f>(
    files: &'f Files,
    chosen: &Chosen,
    request: &Request,
    kernel: Kernel<'f>,
) -> Result<Payload<'f>> {
    let initrds = initrds::open(files, chosen, request, &kernel)?;
    with_initrds(files, request, kernel, initrds)
}

/// The rest of [`open`], when the initrds are open already.
pub fn with_initrds<'f>(
    files: &'f Files,
    request: &Request,
    kernel: Kernel<'f>,
    initrds: Vec<Initrd<'f>>,
) -> Result<Payload<'f>> {
    let dtb = device_tree(request, &kernel)?;
    let running = files::boot_loaders_line();
    let line = line::line(request, &running, &kernel)?;
    let crash = match request.starts {
        Starts::AtReboot => None,
        #[cfg(not(feature = "vmcore"))]
        Starts::AtPanic => Some(crash::kernel()?),
        #[cfg(feature = "vmcore")]
        Starts::AtPanic => Some(crash::kernel().map_err(|why| with_need(why, &kernel, &initrds))?),
    };
    Ok(Payload {
        files,
        kernel,
        initrds,
        dtb,
        line,
        running: running.unwrap_or_default(),
        crash,
        bounds: request.bounds,
        efi: request.efi,
        has_key: request.key.file().is_some(),
    })
}

/// The device tree that replaces the running kernel's: the named one, else a unified image's own.
fn device_tree<'f>(request: &Request, kernel: &Kernel<'f>) -> Result<Option<Cow<'f, [u8]>>> {
    let is_given_one = kernel.image.machine() == Machine::Arm64;
    match &request.dtb {
        Some(_) if !is_given_one => Err(NotDone::DeviceTreeElsewhere.into()),
        // Read and not mapped: the user may name /sys/firmware/fdt.
        Some(path) => match files::read(path) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            Err(errno) => Err(Failure::unusable(path, errno.into())),
        },
        // Other machines do not use a .dtb.
        None if !is_given_one => Ok(None),
        None => Ok(kernel.unified.and_then(|unified| unified.dtb).map(Cow::Borrowed)),
    }
}

impl Payload<'_> {
    /// The memory that it may be laid out over. Fails as [`Memory::read`] does.
    pub fn memory(&self) -> Result<Memory> {
        self.crash.as_ref().map_or_else(Memory::read, Memory::reserved)
    }

    /// The command line in a layout: a crash kernel is told where the ELF core header is.
    fn line_of_layout(&self) -> Vec<u8> {
        let line = self.line.as_bytes().to_vec();
        match &self.crash {
            // On arm64 the device tree has it.
            Some(crash) if cfg!(not(target_arch = "aarch64")) => {
                let word = format!("elfcorehdr={:#x}", crash.header_at.start());
                cmdline::with_words(line, word.as_bytes())
            }
            _ => line,
        }
    }

    /// Lays everything out over the machine's memory. Nothing is loaded.
    ///
    /// Fails when there is no layout ([`Failure::NoPlan`]), when more initrds were named than
    /// kexec_load(2) has segments for ([`Failure::TooManyInitrds`]), and when a needed file of
    /// /proc or /sys cannot be read.
    ///
    /// A place that has to stay as it is leaves the usable memory, and the layout begins again.
    pub fn plan(&self, memory: &mut Memory) -> Result<Layout<'_>> {
        let mut initrds = heapless::Vec::<&[u8], MAX_INITRDS>::new();
        for initrd in &self.initrds {
            let full = |_| Failure::TooManyInitrds { given: self.initrds.len(), limit: MAX_INITRDS };
            initrds.push(initrd.bytes()).map_err(full)?;
        }
        let line = &self.line_of_layout();
        let no_plan = |why| Failure::NoPlan { path: self.kernel.path.clone(), why };
        // One architecture uses one layout. The linker drops the other.
        match (&self.kernel.image, cfg!(target_arch = "aarch64")) {
            (Image::BzImage(image), false) => {
                let running = machine::x86()?;
                let efi_is_wanted = self.efi == Efi::HandedOn;
                loop {
                    let inputs = x86::Inputs { efi_is_wanted, ..running.inputs(memory, self.bounds) };
                    let (plan, efi) =
                        x86::plan(image, &initrds, line, self.crash.as_ref(), &inputs).map_err(no_plan)?;
                    let untold_rsdp = x86::untold_rsdp(image, &inputs);
                    let untold_rsdp = untold_rsdp.filter(|_| !cmdline::has_start(line, b"acpi_rsdp="));
                    if self.crash.is_some() || !memory.leave_out_kept(&plan)? {
                        return Ok(Layout { plan, hands_on: HandsOn::Efi(efi), untold_rsdp });
                    }
                }
            }
            (Image::Arm64(image), true) => {
                let running = machine::arm64();
                let inputs = running.inputs(memory, self.bounds, self.dtb.as_deref())?;
                let plan =
                    arm64::plan(image, &initrds, line, self.crash.as_ref(), &inputs).map_err(no_plan)?;
                let shortfall = |given| device_tree::shortfall(given, inputs.running?);
                let given = self.dtb.as_deref().map(shortfall);
                let hands_on = given.map_or(HandsOn::RunningTree, HandsOn::GivenTree);
                Ok(Layout { plan, hands_on, untold_rsdp: None })
            }
            _ => Err(no_plan(NoPlan::OtherMachine).into()),
        }
    }

    /// The memory that kexec_file_load needs for this payload, in bytes: the kernel reads the files
    /// whole (kernel/kexec_file.c, kimage_file_prepare_segments), and then it allocates the memory
    /// of the segments beside them (kimage_load_segment); the kernel's segment is as large as its
    /// init_size (arch/x86/kernel/kexec-bzimage64.c, bzImage64_load).
    pub fn size_by_file(&self) -> u64 {
        let initrds = self.initrds.iter().map(|initrd| initrd.bytes().len() as u64);
        let initrds = initrds.fold(0, u64::saturating_add);
        let files = initrds.saturating_add(self.kernel.length() as u64);
        files.saturating_add(initrds).saturating_add(self.kernel.image.memory_size())
    }

    /// The room that the load needs and has; `None` when the memory map cannot be read.
    fn room(&self) -> Option<Room> {
        let usable = self.memory().ok()?.usable;
        let initrds = self.initrds.iter().map(|initrd| initrd.bytes().len() as u64);
        Some(Room {
            wanted: self.kernel.image.memory_size().max(initrds.fold(0, u64::saturating_add)),
            largest: usable.iter().map(Range::size).max()?,
            end: usable.iter().next_back()?.end(),
        })
    }

    /// The running kernel's refusal of this load, with all that the machine says about it. `size`
    /// is the memory that the load needs, in bytes; 0 when memory is not the reason.
    pub fn refused(&self, call: Call, errno: Errno, size: u64) -> Box<Failure> {
        Box::new(Failure::Refused {
            path: self.kernel.path.clone(),
            call,
            errno,
            load: Attempt {
                command_line: self.line.as_bytes().len(),
                command_line_limit: self.kernel.image.cmdline_size(),
                size,
                room: if errno == Errno::EADDRNOTAVAIL { self.room() } else { None },
            },
            facts: Box::new(crate::host::refusal::known()),
        })
    }

    /// Whether the running kernel's command line has a root=, and the next one has not.
    pub fn loses_root(&self) -> bool {
        cmdline::has_start(&self.running, b"root=") && !cmdline::has_start(self.line.as_bytes(), b"root=")
    }

    /// Whether a root is named and there is no initrd, and the running kernel was started with one.
    pub fn loses_initrd(&self) -> bool {
        let has_root = cmdline::has_start(self.line.as_bytes(), b"root=");
        let is_empty = self.initrds.iter().all(|initrd| initrd.bytes() == initrd::NOTHING);
        has_root && is_empty && machine::had_initrd()
    }

    /// Whether the running kernel has the option that unlocks loads of a kernel such as Alpine's, and
    /// the next one would not: it could load nothing.
    pub fn loses_lock_option(&self) -> bool {
        let has_it = |line: &[u8]| cmdline::has_word(line, OPTION.as_bytes());
        has_it(&self.running) && !has_it(self.line.as_bytes())
    }

    /// Whether a key is added, and the command line names nothing to unlock with it.
    pub fn unlocks_nothing(&self) -> bool {
        self.has_key && !cmdline::has_start(self.line.as_bytes(), b"cryptroot=")
    }

    /// Whether the command line names another key file than the added one.
    pub fn names_another_key(&self) -> bool {
        let ours = [&b"cryptkey"[..], b"cryptkey=/crypto_keyfile.bin"];
        self.has_key && cmdline::cryptkey(self.line.as_bytes()).is_some_and(|word| !ours.contains(&word))
    }
}
