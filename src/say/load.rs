//! What a load is about to do, and the notes that go with it.

use super::draw::draw;
use crate::base::text::{Shown, Size};
use crate::failure::Failure;
use crate::host::memory::{MapSource, Memory};
use crate::host::sys::process::page_size;
use crate::image::arm64::Arm64Image;
use crate::image::{Image, initrd};
use crate::known::call::Limit;
use crate::load::initrds::Initrd;
use crate::load::kernel::{Kernel, Layer};
use crate::load::line::own_line;
use crate::load::{Chosen, HandsOn, Initrds, Layout, Payload, Request, Route, Why};
use crate::plan::x86::EfiState;
use nix::errno::Errno;
use std::fmt::{self, Display, Formatter, Write};

/// The last line of a dry run.
const NOTHING_LOADED: &str = "nothing was loaded (--dry-run)";

impl Display for Kernel<'_> {
    /// What it is, for which machine, its version and size: `a unified kernel image of a
    /// bzImage, Linux 6.12.31-0-virt, for x86_64, ...`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for layer in self.layers.iter().filter(|layer| **layer != Layer::Vmlinux) {
            match layer {
                Layer::Zboot(compression) => write!(f, "an EFI zboot image ({compression}) of ")?,
                Layer::Compressed(compression) => write!(f, "{compression} of ")?,
                Layer::UImage => f.write_str("a uImage of ")?,
                _ => f.write_str("a unified kernel image of ")?,
            }
        }
        let version = self.version().unwrap_or("of unknown version");
        write!(f, "{}, Linux {version}, for {}", self.format(), self.image.machine())?;
        if let (Image::BzImage(image), false) = (&self.image, self.layers.contains(&Layer::Vmlinux)) {
            let [minor, major] = image.protocol.to_le_bytes();
            write!(f, ", boot protocol {major}.{minor:02}")?;
        }
        write!(f, ", {}", Size(self.size))
    }
}

impl Display for Initrd<'_> {
    /// Its name, what is in it, its size.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let found = initrd::check(self.bytes()).unwrap_or_default();
        write!(f, "{}, ", self.name.shown())?;
        if found.plain > 0 {
            write!(f, "{} cpio, ", found.plain)?;
        }
        if let Some(compression) = found.compressed {
            write!(f, "{compression}, ")?;
        }
        write!(f, "{}", Size(self.bytes().len() as u64))
    }
}

impl Display for HandsOn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HandsOn::Efi(EfiState::NoEfi) => f.write_str("no EFI"),
            HandsOn::Efi(EfiState::Kept) => f.write_str("EFI is passed on"),
            HandsOn::Efi(EfiState::Left(why)) => write!(f, "EFI is left out: {why}"),
            HandsOn::RunningTree => f.write_str("the device tree is the running kernel's"),
            HandsOn::GivenTree(_) => f.write_str("the device tree is the one that was given"),
        }
    }
}

impl Display for Route {
    /// The call of a dry run, with its reason.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Route::File(Why::Asked) => "kexec_file_load, as asked for",
            Route::Segments(Why::Asked) => "kexec_load, as asked for",
            Route::File(Why::Hidden) => {
                "kexec_file_load or, if this kernel lacks it, kexec_load; a filter on system calls hides which"
            }
            Route::File(_) => {
                "kexec_file_load, which this kernel has; it places the segments by its own rules; kexec_load, if it finds no place or not enough memory, or trusts no signature"
            }
            Route::Segments(Why::Limited(Limit::MemoryMap)) => {
                "kexec_load; kexec_file_load would hide a part of the memory map, which has more than 128 ranges"
            }
            Route::Segments(Why::Limited(Limit::AddedMemory)) => {
                "kexec_load; kexec_file_load could use memory that was added later, which the next kernel does not know"
            }
            Route::Segments(Why::Limited(Limit::Efi32)) => {
                "kexec_load; kexec_file_load loads nothing on a machine with 32-bit EFI"
            }
            Route::Segments(Why::NoCallAtAll) => {
                "none: this kernel has neither kexec_file_load nor kexec_load"
            }
            Route::Segments(Why::Checked) => "kexec_load, with which the crash kernel is checked before it starts",
            Route::Segments(Why::NoFileLoad) => "kexec_load; this kernel has no kexec_file_load",
            Route::Segments(_) => "kexec_load, the only call that can do this",
        })
    }
}

/// Which kernel was found, and why that one.
pub fn choice(out: &mut dyn Write, chosen: &Chosen) -> fmt::Result {
    write!(out, "kernel: {}", chosen.kernel.shown())?;
    match chosen.newest_of.as_deref() {
        None => {}
        Some("") => out.write_str(", the newest one")?,
        Some(flavour) => write!(out, ", the newest of the flavour {flavour}")?,
    }
    out.write_str("\n")
}

/// What the user should know before the load, one line each.
pub fn notes(out: &mut dyn Write, request: &Request, payload: &Payload) -> fmt::Result {
    let running_kib = page_size() >> 10;
    match &payload.kernel.image {
        Image::Arm64(Arm64Image { page_kib: Some(kib), .. }) if *kib as usize != running_kib => writeln!(
            out,
            "note: this kernel uses {kib} KiB pages, the running one {running_kib} KiB: a CPU without them hangs at once"
        )?,
        _ => {}
    }
    if payload.kernel.unified.is_some_and(|unified| unified.cmdline.is_some()) {
        out.write_str(match own_line(request, &payload.kernel) {
            Some(_) => "note: the command line is the unified image's own (.cmdline)\n",
            None => "note: your command line replaces the unified image's own (.cmdline)\n",
        })?;
    }
    if payload.unlocks_nothing() {
        out.write_str(
            "note: the command line has no cryptroot=, without which Alpine's initramfs unlocks nothing\n",
        )?;
    }
    if payload.names_another_key() {
        out.write_str(
            "note: cryptkey= on the command line does not name /crypto_keyfile.bin, where the key is\n",
        )?;
    }
    if payload.loses_initrd() && request.initrds == Initrds::Unsaid {
        out.write_str(
            "note: no initrd is loaded, and the running kernel was started with one: --initrd FILE loads one, --initrd none is without it\n",
        )?;
    }
    if payload.loses_lock_option() {
        out.write_str(
            "note: the new command line has no kexec_load_disabled=0, and the running kernel's has it: the reboot after the next will be an ordinary one\n",
        )?;
    }
    if payload.loses_root() {
        out.write_str("note: the new command line has no root=, but the running kernel's has one\n")?;
    }
    Ok(())
}

/// That kexec_load is tried after this failure of kexec_file_load.
pub fn goes_on(out: &mut dyn Write, failure: &Failure) -> fmt::Result {
    match failure {
        // A kernel that does not have the call did not refuse anything.
        Failure::Refused { errno: Errno::ENOSYS, .. } => Ok(()),
        // The next line would name the remedy that is applied now.
        failure => {
            let text = failure.to_string();
            let first = text.lines().next().unwrap_or_default();
            writeln!(out, "note: {first}\nnote: kexec_load is tried instead")
        }
    }
}

/// The part of a payload that kexec_file_load leaves out.
pub fn file_notes(out: &mut dyn Write, payload: &Payload) -> fmt::Result {
    match payload.dtb {
        Some(_) => out.write_str(
            "note: kexec_file_load accepts no device tree: the unified image's own (.dtb) is left out\n",
        ),
        None => Ok(()),
    }
}

/// The part of a payload that a layout leaves out.
pub fn layout_notes(out: &mut dyn Write, layout: &Layout, memory: &Memory) -> fmt::Result {
    match layout.hands_on {
        // A user who cannot read /proc/iomem cannot read the runtime map either.
        HandsOn::Efi(EfiState::Left(why)) if !memory.iomem_hidden => {
            writeln!(out, "note: the next kernel will have no EFI runtime services: {why}")?;
        }
        HandsOn::GivenTree(Some((given, running))) => writeln!(
            out,
            "note: the device tree that is given tells of {} of memory, the running kernel's of {}: the next kernel will use no more",
            Size(given),
            Size(running)
        )?,
        _ => {}
    }
    if let Some(address) = layout.untold_rsdp {
        writeln!(
            out,
            "note: a kernel as old as this one may not find ACPI's tables without EFI: add acpi_rsdp={address:#x} to its command line"
        )?;
    }
    Ok(())
}

/// What would be loaded, one line each.
pub fn describe(out: &mut dyn Write, payload: &Payload) -> fmt::Result {
    write!(out, "kernel: {}, {}", payload.kernel.path.shown(), payload.kernel)?;
    for initrd in &payload.initrds {
        write!(out, "\ninitrd: {initrd}")?;
    }
    let line = payload.line.as_bytes();
    let (length, limit) = (line.len(), payload.kernel.image.cmdline_size());
    writeln!(out, "\ncommand line ({length} of {limit} bytes): {}", line.shown())
}

/// Where everything goes in memory, for -d.
pub fn explain(out: &mut dyn Write, layout: &Layout, memory: &Memory) -> fmt::Result {
    let source = match memory.source {
        MapSource::Firmware => "/sys/firmware/memmap",
        MapSource::Iomem => "/proc/iomem",
    };
    let ranges = memory.map.entries().len();
    writeln!(out, "memory map: {source}, {ranges} ranges; {}", layout.hands_on)?;
    draw(out, &layout.plan, &memory.map, &memory.usable)
}

/// The output of a dry run.
pub fn rehearse(
    out: &mut dyn Write,
    payload: &Payload,
    layout: Option<&Layout>,
    memory: &Memory,
    route: Route,
) -> fmt::Result {
    describe(out, payload)?;
    if let Some(layout) = layout {
        draw(out, &layout.plan, &memory.map, &memory.usable)?;
    }
    if memory.iomem_hidden {
        out.write_str("/proc/iomem hides its addresses from this user: the drawing shows memory that is reserved for a crash kernel as free\n")?;
    }
    writeln!(out, "system call: {route}\n{NOTHING_LOADED}")
}
