//! The machine's memory, as /proc and /sys show it.

use super::files::{names, read, read_or_empty, read_whole, value, value_of};
use super::sys::file;
use crate::base::range::RangeSet;
use crate::base::text::{Shown, parse_decimal};
use crate::failure::{Failure, Result};
use crate::plan::memory_map::{self, Iomem, MemoryMap};

/// Where the memory map came from.
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
    /// What the next kernel is told.
    pub map: MemoryMap,
    /// What may be written.
    pub usable: RangeSet,
    /// RAM as the kernel counts it for its limits, in pages.
    pub total_pages: u64,
    /// What may be had of it, in bytes: see [`available`].
    pub available: u64,
    /// Where `map` came from.
    pub source: MapSource,
    /// On arm64, the RAM that was there when the running kernel started.
    pub settled: RangeSet,
    /// Whether /proc/iomem hid its addresses, so that `usable` is only what the
    /// firmware calls RAM: good enough to draw, not to load.
    pub iomem_hidden: bool,
}

impl Memory {
    /// Nothing read yet.
    const fn new() -> Memory {
        Memory {
            map: MemoryMap::new(),
            usable: RangeSet::new(),
            total_pages: 0,
            available: 0,
            source: MapSource::Firmware,
            settled: RangeSet::new(),
            iomem_hidden: false,
        }
    }

    /// Reads the memory map: /sys/firmware/memmap where it exists, else /proc/iomem. What may be
    /// written is RAM in both.
    pub fn read() -> Result<Memory> {
        let mut memory = Memory::new();
        // What is not there must not be taken for what could not be seen: without /sys a
        // machine with EFI looks like one with a BIOS.
        let path = "/sys/kernel";
        file::metadata(path.as_ref()).map_err(|errno| Failure::SystemFile { path, errno })?;
        let meminfo = read_whole("/proc/meminfo")?;
        memory.total_pages = kib_of(&meminfo, b"MemTotal:").unwrap_or(0) / 4;
        memory.available = available(&meminfo);
        let text = read_whole("/proc/iomem")?;
        let mut iomem = Iomem::new();
        iomem.parse(&text)?;
        memory.iomem_hidden = iomem.hidden;
        if cfg!(target_arch = "aarch64") {
            memory_map::settled(&text, &mut memory.settled)?;
        }

        firmware_map(&mut memory.map)?;
        if memory.map.entries().is_empty() {
            if iomem.hidden {
                return Err(Failure::AddressesHidden.into());
            }
            memory.source = MapSource::Iomem;
            for &entry in iomem.map.entries() {
                memory.map.insert(entry)?;
            }
        }
        memory.map.ram(&mut memory.usable)?;
        if !iomem.hidden {
            memory.usable.intersect(&iomem.usable)?;
        }
        Ok(memory)
    }
}

fn firmware_map(map: &mut MemoryMap) -> Result<()> {
    // By the names that are there: memory that was taken out leaves a gap in the numbers.
    for number in &names("/sys/firmware/memmap") {
        let number = number.shown();
        let field =
            |name: &str| value(format_args!("/sys/firmware/memmap/{number}/{name}")).unwrap_or_default();
        // Only complete, or not at all: half a map would make RAM of what is reserved.
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

/// What a load may take, in bytes: free memory and what can be made free without ending a
/// program (proc_meminfo(5): MemAvailable, SwapFree). Of more than that the kernel ends
/// programs until there is enough, or itself (mm/oom_kill.c).
fn available(meminfo: &[u8]) -> u64 {
    let of = |name| kib_of(meminfo, name).unwrap_or(0);
    of(b"MemAvailable:").saturating_add(of(b"SwapFree:")).saturating_mul(1024)
}

/// [`available`] now; none where /proc does not say.
pub fn memory_available() -> Option<u64> {
    read("/proc/meminfo").ok().map(|meminfo| available(&meminfo))
}

/// Anonymous memory of this process now, in KiB (RssAnon, proc(5)).
pub fn anonymous_kib() -> Option<u64> {
    kib_of(&read_or_empty("/proc/self/status"), b"RssAnon:")
}

/// The most memory that a decoded image may take, in bytes. Half of RAM is what the
/// kernel loads at the most, and half of what is available leaves as much for a decoder's
/// window: more would have other programs killed.
pub fn memory_for_images() -> Result<u64> {
    let meminfo = read_whole("/proc/meminfo")?;
    let of = |name| kib_of(&meminfo, name).unwrap_or(0).saturating_mul(512);
    Ok(of(b"MemTotal:").min(of(b"MemAvailable:")))
}
