//! Story 1: open -> recognise -> offer to the kernel (file call), or plan ->
//! segments -> load. Nothing is changed before the one system call, and that
//! leaves what was loaded before in place when it fails.

use crate::bytes::Shown;
use crate::cli::{After, Choice, LoadRequest};
use crate::command_line;
use crate::failure::{Answer, Call, Failure, Load};
use crate::image::bzimage::BzImage;
use crate::image::{self, Image, initrd};
use crate::layout::draw::{Size, draw};
use crate::layout::range::Range;
use crate::layout::x86_64::{self, Efi, EfiState, MAX_INITRDS, Machine, Parameters};
use crate::layout::{NoPlan, PAGE, Plan};
use crate::running_kernel::facts::{self, MapSource, Memory};
use crate::running_kernel::files::{self, Input};
use crate::running_kernel::syscalls;
use crate::{exec, find};
use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fmt::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// The last line of a dry run.
const NOTHING_LOADED: &str = "nothing was loaded (--dry-run)";

/// What is to be loaded: checked files and a command line.
struct Job<'a> {
    request: &'a LoadRequest,
    path: &'a OsStr,
    kernel: &'a Input,
    image: BzImage<'a>,
    initrds: &'a [Input],
    command_line: CString,
}

/// Loads, or draws, what `request` says.
pub fn run(request: &LoadRequest) -> Answer<()> {
    let (path, initrd_paths) = named_or_found(request)?;
    if request.kernel.is_none() {
        files::print(format_args!("kernel: {}\n", path.shown()));
        for initrd in &initrd_paths {
            files::print(format_args!("initrd: {}\n", initrd.shown()));
        }
    }
    let kernel = open(&path)?;
    let image = recognise(&kernel, request)?;
    let initrds = open_initrds(&initrd_paths)?;
    let running = files::command_line();
    let command_line = new_command_line(request, &running, &image, &path)?;
    let job = Job { request, path: &path, kernel: &kernel, image, initrds: &initrds, command_line };
    job.warn_and_explain(&running.unwrap_or_default());

    if request.dry_run {
        return job.draw();
    }
    let call = job.load()?;
    if request.say {
        files::print(format_args!("loaded with {call}; the next reboot by kexec starts it\n"));
    }
    if request.debug {
        let kib = facts::anonymous_kib().unwrap_or(0);
        files::complain(format_args!("anonymous memory: {kib} KiB\n"));
    }
    match request.after {
        After::Nothing => Ok(()),
        After::Jump { sync } => Err(exec::jump(sync)),
        After::Reboot => Err(Failure::NoReboot(syscalls::exec(c"/sbin/reboot", &[c"reboot"])).into()),
    }
}

/// A load as it would go, as far as it gets: for the doctor. Nothing is changed.
pub fn rehearse(request: &LoadRequest) -> Rehearsal {
    let mut found = Rehearsal::default();
    let outcome = (|| {
        let (path, initrd_paths) = named_or_found(request)?;
        let kernel = open(&path)?;
        let image = recognise(&kernel, request)?;
        let no_line = CString::default();
        let mut job =
            Job { request, path: &path, kernel: &kernel, image, initrds: &[], command_line: no_line };
        let mut text = String::new();
        let _ = job.describe_kernel(&mut text);
        found.kernel = Some(text);

        let initrds = open_initrds(&initrd_paths)?;
        job.initrds = &initrds;
        let mut text = String::new();
        for (index, initrd) in initrds.iter().enumerate() {
            text.push_str(if index > 0 { "; " } else { "" });
            let _ = describe_initrd(&mut text, initrd);
        }
        found.initrds = Some(if initrds.is_empty() { "none".to_string() } else { text });

        let running = files::command_line();
        job.command_line = new_command_line(request, &running, &image, &path)?;
        let length = job.command_line.as_bytes().len();
        found.loses_root = job.loses_root(&running.unwrap_or_default());
        found.command_line = Some(format!("{length} of {} bytes", image.cmdline_size));

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
    /// The kernel.
    pub kernel: Option<String>,
    /// The initrds.
    pub initrds: Option<String>,
    /// The command line's length.
    pub command_line: Option<String>,
    /// Whether the running kernel has a root= and the next one would not.
    pub loses_root: bool,
    /// The memory that it takes, and the most that the kernel allows, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Why it ended.
    pub failure: Option<Box<Failure>>,
}

/// The kernel and the initrds by their names.
fn named_or_found(request: &LoadRequest) -> Answer<(OsString, Vec<OsString>)> {
    match &request.kernel {
        // Where installed kernels are looked for, a named one's initrds are, too.
        Some(kernel) if request.boot.is_some() => {
            let initrds = match request.initrds.as_slice() {
                [] => find::initrds_of(kernel)?,
                [only] if only == "none" => Vec::new(),
                several => several.to_vec(),
            };
            Ok((kernel.clone(), initrds))
        }
        Some(kernel) => Ok((kernel.clone(), request.initrds.clone())),
        None => {
            let boot = request.boot.as_deref().unwrap_or("/boot".as_ref());
            let found = find::installed_kernel(boot, &request.initrds)?;
            Ok((found.kernel, found.initrds))
        }
    }
}

/// What the kernel is, by its content; `--type` may only agree.
fn recognise<'a>(kernel: &'a Input, request: &LoadRequest) -> Answer<BzImage<'a>> {
    let path = || kernel.path.clone();
    let Image::BzImage(image) =
        image::recognise(kernel.bytes()).map_err(|why| Box::new(Failure::Kernel { path: path(), why }))?;
    match &request.kind {
        Some(kind) if !is_bzimage(kind) => {
            Err(Failure::WrongType { path: path(), wanted: kind.clone() }.into())
        }
        _ => Ok(image),
    }
}

/// A file that was named or found.
fn open(path: &OsStr) -> Answer<Input> {
    Input::open(path).map_err(|why| Failure::unusable(path, why))
}

/// The initrds, checked.
fn open_initrds(paths: &[OsString]) -> Answer<Vec<Input>> {
    if paths.len() > MAX_INITRDS {
        return Err(Failure::TooManyInitrds { given: paths.len(), limit: MAX_INITRDS }.into());
    }
    let mut initrds = Vec::new();
    for path in paths {
        let input = open(path)?;
        initrd::check(input.bytes()).map_err(|why| Box::new(Failure::Initrd { path: path.clone(), why }))?;
        initrds.push(input);
    }
    Ok(initrds)
}

/// `--type` as kexec(8) spells it.
fn is_bzimage(kind: &OsStr) -> bool {
    ["bzImage", "bzImage64", "bzImage-x86", "bzImage-x86_64", "auto"]
        .iter()
        .any(|name| kind.eq_ignore_ascii_case(name))
}

/// The command line that the next kernel gets.
fn new_command_line(
    request: &LoadRequest,
    running: &Result<Vec<u8>, Errno>,
    image: &BzImage,
    path: &OsStr,
) -> Answer<CString> {
    let mut line = Vec::new();
    if request.reuse {
        let running =
            running.as_ref().map_err(|&errno| Box::new(Failure::Facts { path: "/proc/cmdline", errno }))?;
        line = command_line::without_marks(running);
    }
    if let Some(append) = request.append.as_deref() {
        if !line.is_empty() && !append.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(append.as_bytes());
    }
    let (length, limit) = (line.len(), image.cmdline_size);
    if length > limit {
        let why = NoPlan::CommandLineTooLong { length, limit };
        return Err(Failure::NoPlan { path: path.to_os_string(), why }.into());
    }
    CString::new(line).map_err(|_| Failure::NulInCommandLine.into())
}

/// An initrd in a line: its name, what is in it, its size.
fn describe_initrd(out: &mut dyn Write, input: &Input) -> fmt::Result {
    let found = initrd::check(input.bytes()).unwrap_or_default();
    write!(out, "{}, ", input.path.shown())?;
    if found.plain > 0 {
        write!(out, "{} cpio, ", found.plain)?;
    }
    if let Some(compression) = found.compressed {
        write!(out, "{compression}, ")?;
    }
    write!(out, "{}", Size(input.bytes().len() as u64))
}

impl Job<'_> {
    /// Which call to load with; `None` when only trying would tell.
    fn call(&self) -> Option<Call> {
        match self.request.choice {
            Choice::Only(call) => Some(call),
            // kexec_file_load takes no bounds.
            Choice::Auto if self.request.bounds != Range::ALL => Some(Call::Load),
            Choice::Auto => {
                syscalls::has_kexec_file_load().map(|has| if has { Call::FileLoad } else { Call::Load })
            }
        }
    }

    /// Offers the files to the kernel's own loader, or lays them out for it. Only a
    /// call that is not there is made up for by the other: any refusal is an answer.
    fn load(&self) -> Answer<Call> {
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

    fn file_load(&self) -> Answer<()> {
        let initrd = self.one_initrd().map_err(|errno| Box::new(Failure::JoinInitrds(errno)))?;
        syscalls::kexec_file_load(&self.kernel.file, initrd.as_ref(), &self.command_line)
            .map_err(|errno| self.refused(Call::FileLoad, errno, 0))
    }

    /// The one initrd that kexec_file_load takes: the file itself, or several put
    /// end to end in memory, each on a page as kexec_load has them, and sealed.
    fn one_initrd(&self) -> Result<Option<OwnedFd>, Errno> {
        match self.initrds {
            [] => Ok(None),
            [only] => Ok(Some(nix::unistd::dup(&only.file)?)),
            several => {
                let memfd = syscalls::memfd(c"rc-kexec-initrd")?;
                for (index, input) in several.iter().enumerate() {
                    let bytes = input.bytes();
                    syscalls::write_all(&memfd, bytes)?;
                    // The end stays where it is: a bootconfig is looked for there.
                    if index.saturating_add(1) == several.len() {
                        break;
                    }
                    let padding = bytes.len().next_multiple_of(PAGE as usize).saturating_sub(bytes.len());
                    syscalls::write_all(&memfd, [0u8; PAGE as usize].get(..padding).unwrap_or_default())?;
                }
                syscalls::seal(&memfd)?;
                Ok(Some(memfd))
            }
        }
    }

    fn segment_load(&self) -> Answer<()> {
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
            syscalls::kexec_load(plan).map_err(|errno| self.refused(Call::Load, errno, plan.memory_size()))
        })
    }

    /// Lays everything out over this machine's memory, and says what is left out.
    fn with_plan(&self, say: bool, then: &mut dyn FnMut(&Plan, &Memory) -> Answer<()>) -> Answer<()> {
        let mut memory = Memory::new();
        memory.read()?;
        let memory = &memory;
        let boot_params = facts::boot_params();
        let mut efi = Efi::default();
        let has_efi = facts::efi(&mut efi);
        let machine = Machine {
            firmware_map: &memory.map,
            usable: &memory.usable,
            total_pages: memory.total_pages,
            boot_params: boot_params.as_deref(),
            efi: has_efi.then_some(&efi),
            framebuffer_live: facts::framebuffer_live(),
            rng_seed: syscalls::random_seed(),
            five_level_paging: facts::five_level_paging(),
            bounds: self.request.bounds,
        };
        let mut bytes = heapless::Vec::<&[u8], MAX_INITRDS>::new();
        for input in self.initrds {
            let full =
                |_| Box::new(Failure::TooManyInitrds { given: self.initrds.len(), limit: MAX_INITRDS });
            bytes.push(input.bytes()).map_err(full)?;
        }
        let mut parameters = Parameters::new();
        let line = self.command_line.as_bytes();
        let (plan, efi_state) = x86_64::plan(&self.image, &bytes, line, &machine, &mut parameters)
            .map_err(|why| Box::new(Failure::NoPlan { path: self.path.to_os_string(), why }))?;
        // Who may not read /proc/iomem may not read the runtime map either.
        if let (EfiState::Left(why), true) = (efi_state, say && !memory.iomem_hidden) {
            files::complain(format_args!(
                "note: the next kernel will do without EFI runtime services: {why}\n"
            ));
        }
        if self.request.debug {
            self.explain_plan(&plan, memory, efi_state);
        }
        then(&plan, memory)
    }

    /// `--dry-run`
    fn draw(&self) -> Answer<()> {
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
                    (Choice::Auto, Some(Call::Load)) if syscalls::has_kexec_load() == Some(false) => {
                        "none: this kernel has neither kexec_file_load nor kexec_load"
                    }
                    (Choice::Auto, Some(Call::Load)) => "kexec_load; this kernel has no kexec_file_load",
                    (Choice::Auto, None) => {
                        "kexec_file_load, and where that is not there kexec_load; which one cannot be told"
                    }
                };
                writeln!(out, "system call: {call}\n{NOTHING_LOADED}")
            });
            Ok(())
        })
    }

    /// The kernel in a line: its name, what it is, its version and size.
    fn describe_kernel(&self, out: &mut dyn Write) -> fmt::Result {
        let [minor, major] = self.image.protocol.to_le_bytes();
        write!(
            out,
            "{}, a bzImage, Linux {}, boot protocol {major}.{minor:02}, {}",
            self.path.shown(),
            self.image.version().unwrap_or("of no known version"),
            Size(self.kernel.bytes().len() as u64)
        )
    }

    /// What would be loaded, a line each.
    fn describe(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("kernel: ")?;
        self.describe_kernel(out)?;
        for input in self.initrds {
            out.write_str("\ninitrd: ")?;
            describe_initrd(out, input)?;
        }
        let line = self.command_line.as_bytes();
        let text = line.shown();
        writeln!(out, "\ncommand line ({} of {} bytes): {text}", line.len(), self.image.cmdline_size)
    }

    /// Whether the running kernel has a root= and the next one would not.
    fn loses_root(&self, running: &[u8]) -> bool {
        let has_root = |line: &[u8]| command_line::words(line).any(|word| word.starts_with(b"root="));
        has_root(running) && !has_root(self.command_line.as_bytes())
    }

    /// What the user should see before the load, and with -d all that is known.
    fn warn_and_explain(&self, running: &[u8]) {
        if self.loses_root(running) {
            files::complain(format_args!(
                "note: the new command line has no root=, and the running kernel's has one\n"
            ));
        }
        if !self.request.debug {
            return;
        }
        exec::explain_ignored(&self.request.ignored);
        files::complain_with(&mut |out| self.describe(out));
    }

    fn explain_plan(&self, plan: &Plan, memory: &Memory, efi: EfiState) {
        let source = match memory.source {
            MapSource::Firmware => "/sys/firmware/memmap",
            MapSource::Iomem => "/proc/iomem",
        };
        let ranges = memory.map.entries().len();
        files::complain_with(&mut |out| {
            writeln!(out, "memory map: {source}, {ranges} ranges; {efi}")?;
            draw(out, plan, &memory.map, &memory.usable)
        });
    }

    fn refused(&self, call: Call, errno: Errno, size: u64) -> Box<Failure> {
        Box::new(Failure::Refused {
            path: self.path.to_os_string(),
            call,
            errno,
            load: Load {
                command_line: self.command_line.as_bytes().len(),
                command_line_limit: self.image.cmdline_size,
                size,
            },
            facts: Box::new(facts::refusal()),
        })
    }
}

/// Unloads what is loaded, by whichever call this kernel has; nothing is asked of it
/// where nothing is.
pub fn unload() -> Answer<()> {
    if matches!(facts::is_loaded(false), Ok(false)) {
        return Ok(());
    }
    let result = match syscalls::kexec_unload() {
        Err(Errno::ENOSYS) => syscalls::kexec_file_unload(),
        // kexec_load is what a lockdown forbids; the file call unloads all the same.
        Err(refusal @ (Errno::EPERM | Errno::EACCES)) => syscalls::kexec_file_unload().or(Err(refusal)),
        other => other,
    };
    result.map_err(|errno| Failure::UnloadRefused { errno, facts: Box::new(facts::refusal()) }.into())
}
