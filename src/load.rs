//! Story 1: open -> recognise -> offer to the kernel (file call), or plan ->
//! segments -> load. Nothing is changed before the one system call, and that
//! leaves what was loaded before in place when it fails.

use crate::base::cmdline;
use crate::base::range::Range;
use crate::base::text::Shown;
use crate::base::text::Size;
use crate::cli::{After, Choice, LoadRequest};
use crate::failure::{Call, Failure, Load, Result};
use crate::host::facts::{self, MapSource, Memory};
use crate::host::sys::{self, MemoryFile};
use crate::host::{files, refusal};
use crate::image::arm64::Arm64Image;
use crate::image::machine::Machine;
use crate::image::{Image, initrd, pe};
use crate::kernel_file::{self, KernelFile};
use crate::plan::arm64;
use crate::plan::draw::draw;
use crate::plan::placer::{self, MAX_INITRDS};
use crate::plan::x86::{self, Efi, EfiState};
use crate::plan::{NoPlan, PAGE, Plan};
use crate::{exec, find, overlay};
use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fmt::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// The last line of a dry run.
const NOTHING_LOADED: &str = "nothing was loaded (--dry-run)";

/// The addresses that kexec_load of this program can name: on a 32-bit machine not all.
const REACHABLE: Range = match Range::new(0, usize::MAX as u64) {
    Some(range) => range,
    None => Range::ALL,
};

/// What is to be loaded: checked files and a command line.
struct Job<'a> {
    request: &'a LoadRequest,
    kernel: KernelFile,
    initrds: Vec<Initrd>,
    dtb: Option<&'static [u8]>,
    /// The next kernel's.
    command_line: CString,
    /// The running kernel's, as far as it can be read.
    running: Vec<u8>,
}

/// An initrd: a file of the user's, or a section of a unified image.
struct Initrd {
    name: OsString,
    content: Content,
}

/// Where an initrd's bytes are.
enum Content {
    /// In a file of the user's or a part of one, and the file that holds these bytes and
    /// no others.
    Mapped(&'static [u8], Option<&'static OwnedFd>),
    /// In memory alone; wiped with the job.
    Made(MemoryFile),
}

impl Initrd {
    fn mapped(name: OsString, bytes: &'static [u8], file: Option<&'static OwnedFd>) -> Initrd {
        Initrd { name, content: Content::Mapped(bytes, file) }
    }

    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Mapped(bytes, _) => bytes,
            Content::Made(memory) => memory.bytes(),
        }
    }

    fn file(&self) -> Option<&OwnedFd> {
        match &self.content {
            Content::Mapped(_, file) => *file,
            Content::Made(memory) => Some(&memory.file),
        }
    }
}

/// Loads, or draws, what `request` says.
pub fn run(request: &LoadRequest) -> Result<()> {
    let (path, initrd_paths) = named_or_found(request)?;
    if request.kernel.is_none() && !request.name_only {
        files::print(format_args!("kernel: {}\n", path.shown()));
        for initrd in &initrd_paths {
            files::print(format_args!("initrd: {}\n", initrd.shown()));
        }
    }
    let kernel = open_kernel(&path, request)?;
    if request.name_only {
        files::print(format_args!("{}: {kernel}\n", path.shown()));
        return Ok(());
    }
    let job = Job::new(request, kernel, &initrd_paths, None)?;
    job.warn_and_explain();

    if request.dry_run {
        return job.draw();
    }
    let call = job.load()?;
    // What was added is wiped before anything else happens.
    drop(job);
    if request.say {
        files::print(format_args!("loaded with {call}; the next reboot by kexec starts it\n"));
    }
    if request.debug {
        let kib = facts::anonymous_kib().unwrap_or(0);
        files::eprint(format_args!("anonymous memory: {kib} KiB\n"));
    }
    match request.after {
        After::Nothing => Ok(()),
        After::Jump { sync } => Err(exec::jump(sync)),
        After::Reboot => Err(Failure::NoReboot(sys::exec(c"/sbin/reboot", &[c"reboot"])).into()),
    }
}

/// A load as it would go, as far as it gets: for the doctor. Nothing is changed.
pub fn rehearse(request: &LoadRequest) -> Rehearsal {
    let mut found = Rehearsal::default();
    let outcome = (|| {
        let (path, initrd_paths) = named_or_found(request)?;
        found.files = initrd_paths.clone();
        found.files.insert(0, path.clone());
        found.files.extend(request.added.iter().map(|added| added.source.clone()));
        let kernel = open_kernel(&path, request)?;
        found.kernel = Some(format!("{}, {kernel}", path.shown()));
        let job = Job::new(request, kernel, &initrd_paths, Some(&mut found))?;
        found.loses_root = job.loses_root();
        found.unlocks_nothing = job.unlocks_nothing();
        job.with_plan(false, &mut |plan, memory| {
            let half = memory.total_pages.saturating_mul(PAGE / 2);
            found.memory = Some((plan.memory_size(), half));
            Ok(())
        })
    })();
    found.failure = outcome.err();
    found
}

/// What a rehearsal found, step by step; none where it did not get to.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// The kernel and the initrds, by their names.
    pub files: Vec<OsString>,
    /// The kernel.
    pub kernel: Option<String>,
    /// The initrds.
    pub initrds: Option<String>,
    /// The command line's length.
    pub command_line: Option<String>,
    /// Whether the running kernel has a root= and the next one would not.
    pub loses_root: bool,
    /// Whether there is a key and nothing that it is for.
    pub unlocks_nothing: bool,
    /// The memory that it takes, and the most that the kernel allows, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Why it ended.
    pub failure: Option<Box<Failure>>,
}

/// The kernel and the initrds by their names.
fn named_or_found(request: &LoadRequest) -> Result<(OsString, Vec<OsString>)> {
    match &request.kernel {
        // Where installed kernels are looked for, a named one's initrds are, too.
        Some(kernel) if request.boot.is_some() => {
            let initrds = match request.initrds.as_slice() {
                // A unified image brings its own.
                [] if kernel_file::is_unified(kernel)? => Vec::new(),
                [] => find::initrds_of(kernel)?,
                named => without_none(named),
            };
            Ok((kernel.clone(), initrds))
        }
        Some(kernel) => Ok((kernel.clone(), without_none(&request.initrds))),
        None => {
            let boot = request.boot.as_deref().unwrap_or("/boot".as_ref());
            let found = find::installed_kernel(boot, &request.initrds)?;
            Ok((found.kernel, without_none(&found.initrds)))
        }
    }
}

/// The initrds that were named; `none` alone stands for none.
fn without_none(named: &[OsString]) -> Vec<OsString> {
    match named {
        [only] if only == "none" => Vec::new(),
        several => several.to_vec(),
    }
}

/// The kernel, by its content; `--type` may only agree.
fn open_kernel(path: &OsStr, request: &LoadRequest) -> Result<KernelFile> {
    let kernel = KernelFile::open(path)?;
    match &request.kind {
        Some(kind) if !kernel.is_of_type(kind) => {
            let (found, wanted) = (kernel.format(), kind.clone());
            Err(Failure::WrongType { path: kernel.path, found, wanted }.into())
        }
        _ => Ok(kernel),
    }
}

/// The initrds, checked: those that were named, else those in a unified image, whose
/// microcode comes first.
fn open_initrds(paths: &[OsString], request: &LoadRequest, kernel: &KernelFile) -> Result<Vec<Initrd>> {
    if paths.len() > MAX_INITRDS {
        return Err(Failure::TooManyInitrds { given: paths.len(), limit: MAX_INITRDS }.into());
    }
    let mut initrds = Vec::new();
    for path in paths {
        let input = kernel_file::open(path)?;
        initrds.push(Initrd::mapped(path.clone(), input.bytes(), Some(&input.file)));
    }
    if let (Some(unified), []) = (kernel.unified, request.initrds.as_slice()) {
        for (section, bytes) in [(".ucode", unified.ucode), (".initrd", unified.initrd)] {
            let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { continue };
            let mut name = kernel.path.clone();
            name.push(" ");
            name.push(section);
            initrds.push(Initrd::mapped(name, bytes, None));
        }
    }
    // A kernel without an initrd would take the one of the first boot from a table of
    // EFI's (drivers/firmware/efi/efi.c, LINUX_EFI_INITRD_MEDIA_GUID), whose memory holds
    // anything by now.
    if initrds.is_empty() && !request.adds() && facts::is_efi() {
        initrds.push(Initrd::mapped("an empty one".into(), initrd::NOTHING, None));
    }
    for initrd in &initrds {
        initrd::check(initrd.bytes()).map_err(|why| Failure::Initrd { path: initrd.name.clone(), why })?;
    }
    if request.adds() {
        // A bootconfig is looked for at the end of it all, and goes there.
        let mut tail = &[][..];
        if let Some(Initrd { content: Content::Mapped(bytes, file), .. }) = initrds.last_mut() {
            let (archives, bootconfig) = initrd::without_bootconfig(bytes);
            if !bootconfig.is_empty() {
                (tail, *bytes, *file) = (bootconfig, archives, None);
            }
        }
        let name = OsString::from("the files that are added");
        initrds.push(Initrd { name, content: Content::Made(overlay::build(request, tail)?) });
    }
    Ok(initrds)
}

/// The device tree to hand on where it is not the running kernel's: the one that was
/// named, else the one in a unified image.
fn open_dtb(request: &LoadRequest, kernel: &KernelFile) -> Result<Option<&'static [u8]>> {
    match &request.dtb {
        Some(_) if kernel.image.machine() != Machine::Arm64 => {
            Err(Failure::NotDone("unable to hand on --dtb: only arm64 kernels are given a device tree")
                .into())
        }
        // Read and not mapped: /sys/firmware/fdt is one of those that may be named.
        Some(path) => match files::read(path) {
            Ok(bytes) => Ok(Some(Vec::leak(bytes))),
            Err(errno) => Err(Failure::Unreadable { path: path.clone(), errno }.into()),
        },
        // On other machines a .dtb says nothing.
        None if kernel.image.machine() != Machine::Arm64 => Ok(None),
        None => Ok(kernel.unified.and_then(|unified| unified.dtb)),
    }
}

/// The command line that the next kernel gets.
fn new_command_line(
    request: &LoadRequest,
    running: &Result<Vec<u8>, Errno>,
    kernel: &KernelFile,
) -> Result<CString> {
    let mut line = Vec::new();
    if let Some(own) = own_command_line(request, kernel) {
        line.extend(own.iter().map(|&byte| pe::command_line_byte(byte)));
    } else if request.reuse {
        let running = running.as_ref().map_err(|&errno| Failure::Facts { path: "/proc/cmdline", errno })?;
        line = cmdline::without_marks(running);
    }
    if let Some(append) = request.append.as_deref() {
        if !line.is_empty() && !append.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(append.as_bytes());
    }
    if request.crypt_key.is_some() && cryptkey(&line).is_none() {
        let words = cmdline::KEY_WORDS;
        line.extend_from_slice(if line.is_empty() { words.trim_ascii_start() } else { words });
    }
    let (length, limit) = (line.len(), kernel.image.cmdline_size());
    if length > limit {
        let why = NoPlan::CommandLineTooLong { length, limit };
        return Err(Failure::NoPlan { path: kernel.path.clone(), why }.into());
    }
    CString::new(line).map_err(|_| Failure::NulInCommandLine.into())
}

/// The word `cryptkey` or `cryptkey=...` of a command line.
fn cryptkey(line: &[u8]) -> Option<&[u8]> {
    cmdline::words(line).find(|word| *word == b"cryptkey" || word.starts_with(b"cryptkey="))
}

/// A unified image's own command line, where the user says nothing of one.
fn own_command_line<'k>(request: &LoadRequest, kernel: &'k KernelFile) -> Option<&'k [u8]> {
    kernel.unified.and_then(|unified| unified.cmdline).filter(|_| request.own_line)
}

/// An initrd in a line: its name, what is in it, its size.
fn describe_initrd(out: &mut dyn Write, initrd: &Initrd) -> fmt::Result {
    let found = initrd::check(initrd.bytes()).unwrap_or_default();
    write!(out, "{}, ", initrd.name.shown())?;
    if found.plain > 0 {
        write!(out, "{} cpio, ", found.plain)?;
    }
    if let Some(compression) = found.compressed {
        write!(out, "{compression}, ")?;
    }
    write!(out, "{}", Size(initrd.bytes().len() as u64))
}

impl<'a> Job<'a> {
    /// Opens and checks all that goes with a kernel, and notes what it found on the way for
    /// a rehearsal, which is told as far as it gets.
    fn new(
        request: &'a LoadRequest,
        kernel: KernelFile,
        initrd_paths: &[OsString],
        mut found: Option<&mut Rehearsal>,
    ) -> Result<Job<'a>> {
        kernel.check_machine(sys::machine())?;
        let initrds = open_initrds(initrd_paths, request, &kernel)?;
        if request.crypt_key.is_some() {
            if sys::has_kexec_load() == Some(false) {
                return Err(Failure::NotDone("unable to hand on --crypt-key: it takes kexec_load, which this kernel does not have; kexec_file_load would leave copies of the key in memory").into());
            }
            if refusal::lockdown().is_some() {
                return Err(Failure::NotDone("unable to hand on --crypt-key: it takes kexec_load, which this kernel's lockdown forbids; kexec_file_load would leave copies of the key in memory").into());
            }
        }
        if let Some(found) = &mut found {
            let mut text = String::new();
            for (index, initrd) in initrds.iter().enumerate() {
                text.push_str(if index > 0 { "; " } else { "" });
                let _ = describe_initrd(&mut text, initrd);
            }
            found.initrds = Some(if initrds.is_empty() { "none".to_string() } else { text });
        }

        let dtb = open_dtb(request, &kernel)?;
        let running = files::command_line();
        let command_line = new_command_line(request, &running, &kernel)?;
        if let Some(found) = found {
            let length = command_line.as_bytes().len();
            found.command_line = Some(format!("{length} of {} bytes", kernel.image.cmdline_size()));
        }
        Ok(Job { request, kernel, initrds, dtb, command_line, running: running.unwrap_or_default() })
    }

    /// Which call to load with; `None` when only trying would tell.
    fn call(&self) -> Option<Call> {
        match self.request.choice {
            Choice::Only(call) => Some(call),
            // kexec_file_load takes neither bounds nor a device tree.
            Choice::Auto if self.request.bounds != Range::ALL || self.dtb.is_some() => Some(Call::Load),
            // It reads the initrd into memory that it does not wipe afterwards
            // (kernel/kexec_file.c, kimage_file_post_load_cleanup).
            Choice::Auto if self.request.crypt_key.is_some() => Some(Call::Load),
            Choice::Auto if self.kernel.only_by_segments() => Some(Call::Load),
            Choice::Auto => {
                sys::has_kexec_file_load().map(|has| if has { Call::FileLoad } else { Call::Load })
            }
        }
    }

    /// Offers the files to the kernel's own loader, or lays them out for it. Only a
    /// call that is not there is made up for by the other: any refusal is an answer.
    fn load(&self) -> Result<Call> {
        match self.call() {
            Some(Call::FileLoad) => self.file_load().map(|()| Call::FileLoad),
            Some(Call::Load) => self.segment_load().map(|()| Call::Load),
            None => match self.file_load() {
                Err(refusal) if matches!(*refusal, Failure::Refused { errno: Errno::ENOSYS, .. }) => {
                    self.segment_load().map(|()| Call::Load)
                }
                other => other.map(|()| Call::FileLoad),
            },
        }
    }

    fn file_load(&self) -> Result<()> {
        if self.request.dtb.is_some() {
            return Err(Failure::NotDone("unable to hand on --dtb: kexec_file_load takes no device tree; leave the system call to rc-kexec").into());
        }
        if self.request.crypt_key.is_some() {
            return Err(Failure::NotDone("unable to hand on --crypt-key: kexec_file_load leaves copies of the key in memory; leave the system call to rc-kexec").into());
        }
        if self.dtb.is_some() {
            files::eprint(format_args!(
                "note: kexec_file_load takes no device tree: the unified image's own (.dtb) is left out\n"
            ));
        }
        let kernel = self.kernel.file()?;
        let initrd = self.one_initrd().map_err(Failure::JoinInitrds)?;
        // The kernel reads the files again: what it finds has to be what was checked.
        let mut length = self.kernel.length();
        files::check_length(kernel, length).map_err(|why| Failure::unusable(&self.kernel.path, why))?;
        for initrd in &self.initrds {
            let bytes = initrd.bytes().len();
            length = length.saturating_add(bytes);
            if let Some(file) = initrd.file() {
                files::check_length(file, bytes).map_err(|why| Failure::unusable(&initrd.name, why))?;
            }
        }
        // It reads them into memory first, and copies them from there (kernel/kexec_file.c,
        // kimage_file_prepare_segments). For the rest see segment_load.
        let size = (length as u64).saturating_mul(2);
        if facts::memory_available().is_some_and(|available| size > available) {
            return Err(self.refused(Call::FileLoad, Errno::ENOMEM, size));
        }
        sys::kexec_file_load(kernel, initrd.as_ref(), &self.command_line)
            .map_err(|errno| self.refused(Call::FileLoad, errno, 0))
    }

    /// The one initrd that kexec_file_load takes: the file itself, or several put
    /// end to end in memory, each on a page as kexec_load has them, and sealed.
    fn one_initrd(&self) -> Result<Option<OwnedFd>, Errno> {
        match self.initrds.as_slice() {
            [] => Ok(None),
            [only] if only.file().is_some() => only.file().map(nix::unistd::dup).transpose(),
            several => {
                let memfd = sys::memfd(c"rc-kexec-initrd")?;
                for (index, initrd) in several.iter().enumerate() {
                    let bytes = initrd.bytes();
                    sys::write_all(&memfd, bytes)?;
                    // The end stays where it is: a bootconfig is looked for there.
                    if index.saturating_add(1) == several.len() {
                        break;
                    }
                    let room = placer::initrd_room(bytes, PAGE).ok_or(Errno::EFBIG)?;
                    let padding = room.saturating_sub(bytes.len() as u64) as usize;
                    let zeros = [0u8; (PAGE + placer::END) as usize];
                    sys::write_all(&memfd, zeros.get(..padding).unwrap_or_default())?;
                }
                sys::seal(&memfd)?;
                Ok(Some(memfd))
            }
        }
    }

    fn segment_load(&self) -> Result<()> {
        self.with_plan(true, &mut |plan, memory| {
            if memory.iomem_hidden {
                // Where the crash kernel lies is not known, so nothing may be written.
                // Who lacks CAP_SYS_BOOT as well is told of that first.
                let refused = self.refused(Call::Load, Errno::EPERM, plan.memory_size());
                return Err(match &*refused {
                    Failure::Refused { facts, .. } if facts.cap_sys_boot == Some(false) => refused,
                    _ => Failure::AddressesHidden.into(),
                });
            }
            let size = plan.memory_size();
            // The kernel would end other programs for it, or all of it.
            let loaded = if size > memory.available { Err(Errno::ENOMEM) } else { sys::kexec_load(plan) };
            loaded.map_err(|errno| self.refused(Call::Load, errno, size))
        })
    }

    /// Lays everything out over this machine's memory, and says what is left out.
    fn with_plan(&self, say: bool, then: &mut dyn FnMut(&Plan, &Memory) -> Result<()>) -> Result<()> {
        let mut memory = Memory::new();
        memory.read()?;
        let memory = &memory;
        let mut bytes = heapless::Vec::<&[u8], MAX_INITRDS>::new();
        for initrd in &self.initrds {
            let full = |_| Failure::TooManyInitrds { given: self.initrds.len(), limit: MAX_INITRDS };
            bytes.push(initrd.bytes()).map_err(full)?;
        }
        let line = self.command_line.as_bytes();
        // One architecture's layout is all that a program can use.
        if cfg!(target_arch = "aarch64") {
            self.with_plan_on_arm64(&bytes, line, memory, then)
        } else {
            self.with_plan_on_x86(&bytes, line, memory, say, then)
        }
    }

    fn with_plan_on_x86(
        &self,
        initrds: &[&[u8]],
        line: &[u8],
        memory: &Memory,
        say: bool,
        then: &mut dyn FnMut(&Plan, &Memory) -> Result<()>,
    ) -> Result<()> {
        let boot_params = facts::boot_params_to_hand_on()?;
        let mut efi = Efi::default();
        let has_efi = facts::efi(&mut efi)?;
        let inputs = x86::Inputs {
            firmware_map: &memory.map,
            usable: &memory.usable,
            total_pages: memory.total_pages,
            boot_params: boot_params.as_deref(),
            efi: has_efi.then_some(&efi),
            framebuffer_live: facts::framebuffer_live(),
            rng_seed: sys::random_seed(),
            five_level_paging: facts::five_level_paging(),
            bounds: self.request.bounds.intersection(REACHABLE).unwrap_or(self.request.bounds),
            protected_mode: sys::machine() == Machine::X86,
        };
        let Image::BzImage(image) = &self.kernel.image else {
            return Err(self.no_plan(NoPlan::OtherMachine));
        };
        let (plan, efi_state) = x86::plan(image, initrds, line, &inputs).map_err(|why| self.no_plan(why))?;
        // Who may not read /proc/iomem may not read the runtime map either.
        if let (EfiState::Left(why), true) = (efi_state, say && !memory.iomem_hidden) {
            files::eprint(format_args!(
                "note: the next kernel will do without EFI runtime services: {why}\n"
            ));
        }
        if self.request.debug {
            self.explain_plan(&plan, memory, &efi_state);
        }
        then(&plan, memory)
    }

    fn with_plan_on_arm64(
        &self,
        initrds: &[&[u8]],
        line: &[u8],
        memory: &Memory,
        then: &mut dyn FnMut(&Plan, &Memory) -> Result<()>,
    ) -> Result<()> {
        let running = facts::device_tree();
        let seed = sys::random_seed();
        let inputs = arm64::Inputs {
            usable: &memory.usable,
            settled: &memory.settled,
            total_pages: memory.total_pages,
            tree: match (&running, self.dtb) {
                (_, Some(dtb)) => dtb,
                (Ok(running), None) => running,
                (&Err(errno), None) => return Err(Failure::Facts { path: "/sys/firmware/fdt", errno }.into()),
            },
            running: running.as_deref().ok().filter(|_| self.dtb.is_some()),
            seed: seed.as_ref(),
            bounds: self.request.bounds,
        };
        let Image::Arm64(image) = &self.kernel.image else { return Err(self.no_plan(NoPlan::OtherMachine)) };
        let plan = arm64::plan(image, initrds, line, &inputs).map_err(|why| self.no_plan(why))?;
        if self.request.debug {
            let whose = if self.dtb.is_some() { "one that was given" } else { "the running kernel's" };
            self.explain_plan(&plan, memory, &format_args!("the device tree is {whose}"));
        }
        then(&plan, memory)
    }

    fn no_plan(&self, why: NoPlan) -> Box<Failure> {
        Failure::NoPlan { path: self.kernel.path.clone(), why }.into()
    }

    /// `--dry-run`
    fn draw(&self) -> Result<()> {
        self.with_plan(true, &mut |plan, memory| {
            files::print_with(&mut |out| {
                self.describe(out)?;
                draw(out, plan, &memory.map, &memory.usable)?;
                if memory.iomem_hidden {
                    out.write_str("/proc/iomem hides its addresses from this user: what the kernel keeps for a crash kernel is drawn as free\n")?;
                }
                let call = match (self.request.choice, self.call()) {
                    (Choice::Only(call), _) => {
                        return writeln!(out, "system call: {call}, as asked for\n{NOTHING_LOADED}");
                    }
                    (Choice::Auto, Some(Call::FileLoad)) => {
                        "kexec_file_load, which this kernel has; it places the segments by its own rules"
                    }
                    (Choice::Auto, Some(Call::Load)) if sys::has_kexec_load() == Some(false) => {
                        "none: this kernel has neither kexec_file_load nor kexec_load"
                    }
                    (Choice::Auto, Some(Call::Load)) if sys::has_kexec_file_load() == Some(false) => {
                        "kexec_load; this kernel has no kexec_file_load"
                    }
                    (Choice::Auto, Some(Call::Load)) => "kexec_load, the only one that can do this",
                    (Choice::Auto, None) => {
                        "kexec_file_load, and where that is not there kexec_load; which one cannot be told"
                    }
                };
                writeln!(out, "system call: {call}\n{NOTHING_LOADED}")
            });
            Ok(())
        })
    }

    /// What would be loaded, a line each.
    fn describe(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "kernel: {}, {}", self.kernel.path.shown(), self.kernel)?;
        for initrd in &self.initrds {
            out.write_str("\ninitrd: ")?;
            describe_initrd(out, initrd)?;
        }
        let line = self.command_line.as_bytes();
        let text = line.shown();
        writeln!(out, "\ncommand line ({} of {} bytes): {text}", line.len(), self.kernel.image.cmdline_size())
    }

    /// Whether the running kernel has a root= and the next one would not.
    fn loses_root(&self) -> bool {
        let has_root = |line: &[u8]| cmdline::words(line).any(|word| word.starts_with(b"root="));
        has_root(&self.running) && !has_root(self.command_line.as_bytes())
    }

    /// Whether a key is handed on to an initramfs that is told of nothing to unlock.
    fn unlocks_nothing(&self) -> bool {
        let mut words = cmdline::words(self.command_line.as_bytes());
        self.request.crypt_key.is_some() && !words.any(|word| word.starts_with(b"cryptroot="))
    }

    /// What the user should see before the load, and with -d all that is known.
    fn warn_and_explain(&self) {
        let running_kib = sys::page_size() >> 10;
        match &self.kernel.image {
            Image::Arm64(Arm64Image { page_kib: Some(kib), .. }) if *kib as usize != running_kib => {
                files::eprint(format_args!(
                    "note: this kernel's pages are of {kib} KiB, the running one's of {running_kib}: a processor that does not have them stops at once\n"
                ));
            }
            _ => {}
        }
        if self.kernel.unified.is_some_and(|unified| unified.cmdline.is_some()) {
            files::eprint(format_args!(
                "note: the command line is {}\n",
                match own_command_line(self.request, &self.kernel) {
                    Some(_) => "the unified image's own (.cmdline)",
                    None => "the one asked for; the unified image's own (.cmdline) is left out",
                }
            ));
        }
        if self.request.crypt_key.is_some() {
            let line = self.command_line.as_bytes();
            if self.unlocks_nothing() {
                files::eprint(format_args!(
                    "note: the command line has no cryptroot=, without which Alpine's initramfs unlocks nothing\n"
                ));
            }
            let words = [&b"cryptkey"[..], b"cryptkey=/crypto_keyfile.bin"];
            if cryptkey(line).is_some_and(|word| !words.contains(&word)) {
                files::eprint(format_args!(
                    "note: cryptkey= on the command line names another file than /crypto_keyfile.bin, where the key is\n"
                ));
            }
        }
        if self.loses_root() {
            files::eprint(format_args!(
                "note: the new command line has no root=, and the running kernel's has one\n"
            ));
        }
        if !self.request.debug {
            return;
        }
        exec::explain_ignored(&self.request.ignored);
        files::eprint_with(&mut |out| self.describe(out));
    }

    fn explain_plan(&self, plan: &Plan, memory: &Memory, hands_on: &dyn fmt::Display) {
        let source = match memory.source {
            MapSource::Firmware => "/sys/firmware/memmap",
            MapSource::Iomem => "/proc/iomem",
        };
        let ranges = memory.map.entries().len();
        files::eprint_with(&mut |out| {
            writeln!(out, "memory map: {source}, {ranges} ranges; {hands_on}")?;
            draw(out, plan, &memory.map, &memory.usable)
        });
    }

    fn refused(&self, call: Call, errno: Errno, size: u64) -> Box<Failure> {
        Box::new(Failure::Refused {
            path: self.kernel.path.clone(),
            call,
            errno,
            load: Load {
                command_line: self.command_line.as_bytes().len(),
                command_line_limit: self.kernel.image.cmdline_size(),
                size,
            },
            facts: Box::new(refusal::known()),
        })
    }
}

/// Unloads what is loaded, by whichever call this kernel has; nothing is asked of it
/// where nothing is.
pub fn unload() -> Result<()> {
    if matches!(facts::is_loaded(false), Ok(false)) {
        return Ok(());
    }
    let result = match sys::kexec_unload() {
        Err(Errno::ENOSYS) => sys::kexec_file_unload(),
        // kexec_load is what a lockdown forbids; the file call unloads all the same.
        Err(refusal @ (Errno::EPERM | Errno::EACCES)) => sys::kexec_file_unload().or(Err(refusal)),
        other => other,
    };
    result.map_err(|errno| Failure::UnloadRefused { errno, facts: Box::new(refusal::known()) }.into())
}
