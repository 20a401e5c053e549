//! The machine's memory, as /proc and /sys show it.

use super::files::{self, names, read, read_or_empty, read_settled, read_whole, value, value_of};
use super::machine;
use super::sys::file;
use crate::base::range::{Range, RangeSet};
use crate::base::text::{Shown, parse_decimal, parse_hex};
use crate::failure::{Failure, Result};
use crate::plan::crash::CrashKernel;
use crate::plan::memory_map::{self, Iomem, MemoryMap};
use crate::plan::{Plan, x86};
use nix::errno::Errno;

/// Where a memory map comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSource {
    /// /sys/firmware/memmap: as the firmware gave it.
    Firmware,
    /// /proc/iomem: as the running kernel uses it.
    Iomem,
}

/// The machine's memory.
#[derive(Debug)]
pub struct Memory {
    /// The map that the next kernel is told.
    pub map: MemoryMap,
    /// The RAM that a segment may overwrite.
    pub usable: RangeSet,
    /// MemTotal, in pages of 4 KiB: a load may use half of it.
    pub total_pages: u64,
    /// The memory that a load may use, in bytes (proc_meminfo(5), MemAvailable and SwapFree).
    pub available: u64,
    /// Where `map` comes from.
    pub source: MapSource,
    /// On arm64, the RAM that was present when the running kernel started; empty elsewhere.
    pub settled: RangeSet,
    /// Whether /proc/iomem hid its addresses, as it does without CAP_SYS_ADMIN. `usable` is then
    /// all that the firmware calls RAM: good enough to draw, not to load.
    pub iomem_hidden: bool,
    /// The running kernel's own memory, if /proc/iomem shows it (x86).
    image: Option<Range>,
}

impl Memory {
    const fn new() -> Memory {
        Memory {
            map: MemoryMap::new(),
            usable: RangeSet::new(),
            total_pages: 0,
            available: 0,
            source: MapSource::Firmware,
            settled: RangeSet::new(),
            iomem_hidden: false,
            image: None,
        }
    }

    /// Reads the memory map: on x86 /sys/firmware/memmap where it exists, else /proc/iomem, and on x86
    /// without the RAM that was added later ([`MemoryMap::settle`]). Only what is RAM there and in
    /// /proc/iomem may be overwritten.
    ///
    /// Fails when /proc or /sys cannot be read ([`Failure::SystemFile`]), when there is no map at
    /// all without addresses in /proc/iomem ([`Failure::AddressesHidden`]), and when a map has
    /// more ranges than a layout keeps ([`Failure::TooManyRanges`]).
    pub fn read() -> Result<Memory> {
        let mut memory = Memory::new();
        // Without this check a machine with EFI would look like one with a BIOS where /sys is not
        // mounted.
        let path = "/sys/kernel";
        file::metadata(path.as_ref()).map_err(|errno| Failure::SystemFile { path, errno })?;
        let meminfo = read_whole("/proc/meminfo")?;
        memory.total_pages = kib_of(&meminfo, b"MemTotal:").unwrap_or(0) / 4;
        memory.available = available(&meminfo);
        let text = read_settled("/proc/iomem")?;
        let mut iomem = Iomem::new();
        iomem.parse(&text)?;
        memory.iomem_hidden = iomem.hidden;
        if cfg!(target_arch = "aarch64") {
            memory_map::settled(&text, &mut memory.settled)?;
        }

        // On arm64 nothing fills /sys/firmware/memmap at boot: it has only memory that was added later
        // (mm/memory_hotplug.c).
        if cfg!(not(target_arch = "aarch64")) {
            firmware_map(&mut memory.map)?;
        }
        if memory.map.entries().is_empty() {
            if iomem.hidden {
                return Err(Failure::AddressesHidden.into());
            }
            memory.source = MapSource::Iomem;
            for &entry in iomem.map.entries() {
                memory.map.insert(entry)?;
            }
        }
        if cfg!(not(target_arch = "aarch64")) {
            let boot_params = machine::boot_params_to_hand_on()?.unwrap_or_default();
            memory.map.settle(boot_ram(&boot_params)?.as_ref(), &iomem.map)?;
            memory.image = memory_map::kernel_image(&text, x86::init_size(&boot_params));
        }
        memory.map.ram(&mut memory.usable)?;
        if !iomem.hidden {
            memory.usable.intersect(&iomem.usable)?;
        }
        Ok(memory)
    }

    /// The memory of a crash kernel. Its segments are copied there at once, so a load needs no other.
    pub fn reserved(kernel: &CrashKernel) -> Result<Memory> {
        let mut memory = Memory::new();
        memory.map = kernel.map.clone();
        memory.usable.insert(kernel.main)?;
        memory.settled.insert(kernel.main)?;
        memory.total_pages = kib_of(&read_whole("/proc/meminfo")?, b"MemTotal:").unwrap_or(0) / 4;
        memory.available = u64::MAX;
        memory.source = MapSource::Iomem;
        Ok(memory)
    }

    /// Takes from the usable memory each block of 2 MiB in which a page of a segment has to be left
    /// alone: tables of EFI's, for instance, that the running kernel keeps for the next one, and
    /// that are RAM in both maps (drivers/firmware/efi/memattr.c, tpm.c). Says whether there is any.
    /// Where the kernel does not tell (CONFIG_PROC_PAGE_MONITOR), there is none. This is for x86; on
    /// arm64 /proc/iomem has such tables.
    pub fn leave_out_kept(&mut self, plan: &Plan) -> Result<bool> {
        let path = "/proc/kpageflags";
        let unreadable = |errno| Failure::SystemFile { path, errno };
        let flags = match files::open_to_read(path.as_ref()) {
            Err(Errno::ENOENT) => return Ok(false),
            // A user can draw; the load is root's.
            Err(_) if self.iomem_hidden => return Ok(false),
            other => other.map_err(unreadable)?,
        };
        let mut entries = vec![0u8; 16 * ENTRIES];
        let mut found = false;
        for place in plan.segments().map(|segment| segment.place) {
            let mut at = place.start() & !(BLOCK - 1);
            while at < place.end() {
                let length = file::read_at(&flags, &mut entries, at >> 9).map_err(unreadable)?;
                // Behind the last page there is nothing.
                if length == 0 {
                    break;
                }
                for block in entries.get(..length).unwrap_or_default().chunks(ENTRIES) {
                    let range = Range::sized(at, BLOCK).unwrap_or_default();
                    let pages = range.intersection(place);
                    if pages.is_some_and(|pages| memory_map::has_kept_page(block, at, pages, self.image)) {
                        self.usable.remove(range)?;
                        found = true;
                    }
                    at = range.end();
                }
            }
        }
        Ok(found)
    }
}

/// The unit in which memory is left out, in bytes, and the length of its entries in /proc/kpageflags:
/// 8 bytes for each page of 4096 (Documentation/admin-guide/mm/pagemap.rst).
const BLOCK: u64 = 2 << 20;
const ENTRIES: usize = (BLOCK >> 9) as usize;

/// The RAM that the boot loader told the running kernel of; `None` when it told nothing.
fn boot_ram(boot_params: &[u8]) -> Result<Option<RangeSet>> {
    let mut map = MemoryMap::new();
    x86::e820_of(x86::e820_table(boot_params), &mut map)?;
    let nodes = "/sys/kernel/boot_params/setup_data";
    for node in &names(nodes) {
        let node = node.shown();
        let kind = value(format_args!("{nodes}/{node}/type"));
        if kind.and_then(|text| parse_hex(&text)) == Some(x86::SETUP_E820_EXT.into()) {
            let path = format!("{nodes}/{node}/data");
            let data = read(&path).map_err(|errno| Failure::SystemFile { path: nodes, errno })?;
            x86::e820_of(&data, &mut map)?;
        }
    }
    let mut ram = RangeSet::new();
    map.ram(&mut ram)?;
    Ok(Some(ram).filter(|ram| !ram.is_empty()))
}

fn firmware_map(map: &mut MemoryMap) -> Result<()> {
    // The names, and not numbers from 0 on: removed memory leaves a gap.
    for number in &names("/sys/firmware/memmap") {
        let number = number.shown();
        let field =
            |name: &str| value(format_args!("/sys/firmware/memmap/{number}/{name}")).unwrap_or_default();
        // Only a complete map counts: in half a map reserved memory could look like RAM.
        let Some(entry) = memory_map::parse_memmap_entry(&field("start"), &field("end"), &field("type"))
        else {
            map.clear();
            return Ok(());
        };
        map.insert(entry)?;
    }
    Ok(())
}

/// The number of KiB in a line of /proc/meminfo or /proc/self/status.
fn kib_of(text: &[u8], name: &[u8]) -> Option<u64> {
    parse_decimal(value_of(text, name)?.strip_suffix(b"kB")?)
}

/// The memory that a load may use, in bytes: free memory, and memory that the kernel can free
/// without ending a program (proc_meminfo(5): MemAvailable, SwapFree). For more than that the
/// kernel ends programs, or panics (mm/oom_kill.c).
fn available(meminfo: &[u8]) -> u64 {
    let of = |name| kib_of(meminfo, name).unwrap_or(0);
    of(b"MemAvailable:").saturating_add(of(b"SwapFree:")).saturating_mul(1024)
}

/// The memory that a load may use now, in bytes ([`Memory::available`]); `None` when /proc/meminfo
/// cannot be read.
pub fn memory_available() -> Option<u64> {
    read("/proc/meminfo").ok().map(|meminfo| available(&meminfo))
}

/// The memory that the firmware did not accept yet, in bytes (fs/proc/meminfo.c, "Unaccepted:").
pub fn unaccepted() -> Result<u64> {
    Ok(kib_of(&read_whole("/proc/meminfo")?, b"Unaccepted:").unwrap_or(0).saturating_mul(1024))
}

/// Whether memory was added while the machine ran: RAM in the firmware's map of which the boot loader
/// told nothing. False where either is not known.
pub fn has_added() -> bool {
    let mut map = MemoryMap::new();
    let boot_params = machine::boot_params().unwrap_or_default();
    match (firmware_map(&mut map), boot_ram(&boot_params)) {
        (Ok(()), Ok(Some(boot))) => map.has_ram_outside(&boot),
        _ => false,
    }
}

/// Anonymous memory of this process now, in KiB (RssAnon, proc(5)).
pub fn anonymous_kib() -> Option<u64> {
    kib_of(&read_or_empty("/proc/self/status"), b"RssAnon:")
}

/// The machine's memory, in bytes (MemTotal); the largest number when /proc/meminfo does not say.
pub fn total() -> Result<u64> {
    Ok(kib_of(&read_whole("/proc/meminfo")?, b"MemTotal:").unwrap_or(u64::MAX).saturating_mul(1024))
}

/// The memory that the kernel itself uses, in bytes (proc_meminfo(5)), as far as it tells, with 32 MiB for its
/// image: what a dump has without the pages of programs and files.
#[cfg(feature = "vmcore")]
pub fn of_kernel() -> u64 {
    let meminfo = read_or_empty("/proc/meminfo");
    let fields: [&[u8]; 5] = [b"Slab:", b"KernelStack:", b"PageTables:", b"VmallocUsed:", b"Percpu:"];
    let sizes = fields.iter().filter_map(|name| kib_of(&meminfo, name));
    sizes.fold(32 << 10, u64::saturating_add).saturating_mul(1024)
}

/// The largest decoded image that is accepted, in bytes: half of RAM, because the kernel loads no
/// more (kernel/kexec_core.c, sanity_check_segment_list), and half of the available memory, so
/// that a decoder's window has room beside it.
pub fn memory_for_images() -> Result<u64> {
    let meminfo = read_whole("/proc/meminfo")?;
    let of = |name| kib_of(&meminfo, name).unwrap_or(0).saturating_mul(512);
    Ok(of(b"MemTotal:").min(of(b"MemAvailable:")))
}
