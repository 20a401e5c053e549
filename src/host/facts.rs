//! What /proc, /sys and /etc say about this machine, as plain values.

use super::files::{self, is_dir, names, read, read_or_empty, value};
use super::sys;
use crate::base::bytes::parts;
use crate::base::range::RangeSet;
use crate::base::text::{Shown, parse_decimal, parse_hex};
use crate::failure::{Failure, Result};
use crate::plan::memory_map::{self, Iomem, MemoryMap};
use crate::plan::x86::{self, Efi, EfiRange};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

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
    pub const fn new() -> Memory {
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

    /// Reads the memory map into an empty self: /sys/firmware/memmap where it
    /// exists, else /proc/iomem; what may be written is RAM by both.
    pub fn read(&mut self) -> Result<()> {
        // What is not there must not be taken for what could not be seen: without /sys a
        // machine with EFI looks like one with a BIOS.
        let path = "/sys/kernel";
        sys::status(path.as_ref()).map_err(|errno| Failure::Facts { path, errno })?;
        let meminfo = read_whole("/proc/meminfo")?;
        self.total_pages = kib_of(&meminfo, b"MemTotal:").unwrap_or(0) / 4;
        self.available = available(&meminfo);
        let text = read_whole("/proc/iomem")?;
        let mut iomem = Iomem::new();
        iomem.parse(&text)?;
        self.iomem_hidden = iomem.hidden;
        if cfg!(target_arch = "aarch64") {
            memory_map::settled(&text, &mut self.settled)?;
        }

        firmware_map(&mut self.map)?;
        if self.map.entries().is_empty() {
            if iomem.hidden {
                return Err(Failure::AddressesHidden.into());
            }
            self.source = MapSource::Iomem;
            for &entry in iomem.map.entries() {
                self.map.insert(entry)?;
            }
        }
        self.map.ram(&mut self.usable)?;
        if !iomem.hidden {
            self.usable.intersect(&iomem.usable)?;
        }
        Ok(())
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

/// A file without which nothing can be loaded.
fn read_whole(path: &'static str) -> Result<Vec<u8>> {
    read(path).map_err(|errno| Failure::Facts { path, errno }.into())
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

/// What follows `name` at the beginning of a line.
pub fn value_of<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    parts(text, b'\n').find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
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

/// Whether the machine was started by EFI, or may have been.
pub fn is_efi() -> bool {
    files::may_exist("/sys/firmware/efi")
}

/// Whether the processor has 64-bit mode (/proc/cpuinfo), whatever the kernel's is.
pub fn has_long_mode() -> bool {
    has_flag(b"lm")
}

/// The device tree that the running kernel was started with.
pub fn device_tree() -> Result<Vec<u8>, Errno> {
    read("/sys/firmware/fdt")
}

/// Whether the running kernel was started with an initrd, or may have been.
pub fn had_initrd() -> bool {
    if cfg!(target_arch = "aarch64") {
        // The EFI stub hands it over in a table of its own, which is not to be seen.
        files::may_exist("/proc/device-tree/chosen/linux,initrd-start") || is_efi()
    } else {
        match read(BOOT_PARAMS) {
            Ok(old) => x86::had_initrd(&old),
            Err(errno) => errno != Errno::ENOENT,
        }
    }
}

/// The running kernel's boot_params.
pub fn boot_params() -> Option<Vec<u8>> {
    read(BOOT_PARAMS).ok()
}

/// [`boot_params`], for a kernel that does without what is in them only where there are none.
pub fn boot_params_to_hand_on() -> Result<Option<Vec<u8>>> {
    match read(BOOT_PARAMS) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Failure::Facts { path: BOOT_PARAMS, errno }.into()),
    }
}

const BOOT_PARAMS: &str = "/sys/kernel/boot_params/data";

/// Reads what the running kernel knows of EFI; false when it was not started with it.
pub fn efi(efi: &mut Efi) -> Result<bool> {
    if !is_efi() {
        return Ok(false);
    }
    let field = |name: &str| value(format_args!("/sys/firmware/efi/{name}"));
    let address = |name| field(name).and_then(|text| parse_hex(&text));
    let path = "/sys/firmware/efi/systab";
    let systab = match read(path) {
        // Not root's, it cannot load either.
        Err(Errno::ENOENT | Errno::EACCES) => Vec::new(),
        other => other.map_err(|errno| Failure::Facts { path, errno })?,
    };
    let table = |name: &[u8]| value_of(&systab, name).and_then(parse_hex);
    efi.is_64_bit = field("fw_platform_size").is_some_and(|text| text.trim_ascii() == b"64");
    efi.fw_vendor = address("fw_vendor");
    efi.config_table = address("config_table");
    efi.smbios = table(b"SMBIOS=");
    efi.acpi_rsdp = table(b"ACPI20=").or_else(|| table(b"ACPI="));
    // They are numbered from 0 on without a gap (drivers/firmware/efi/runtime-map.c).
    for number in 0..names("/sys/firmware/efi/runtime-map").len() {
        let field = |name: &str| {
            let text = value(format_args!("/sys/firmware/efi/runtime-map/{number}/{name}"))?;
            parse_hex(&text)
        };
        let range = (|| {
            Some(EfiRange {
                kind: u32::try_from(field("type")?).ok()?,
                phys_addr: field("phys_addr")?,
                virt_addr: field("virt_addr")?,
                num_pages: field("num_pages")?,
                attribute: field("attribute")?,
            })
        })();
        // Only complete, or not at all: the next kernel must map what this one did.
        let kept = range.is_some_and(|range| efi.runtime_map.push(range).is_ok());
        if !kept {
            efi.runtime_map.clear();
            break;
        }
    }
    Ok(true)
}

/// Whether the screen still shows the firmware's framebuffer or text mode: the
/// kernel keeps a platform device for it until a driver takes the hardware over
/// (drivers/firmware/sysfb.c), and without any driver nothing has changed it.
pub fn framebuffer_live() -> bool {
    let sysfb = |name: &OsString| name.as_bytes().ends_with(b"-framebuffer.0");
    let card = |name: &OsString| name.as_bytes().starts_with(b"card");
    names("/sys/bus/platform/devices").iter().any(sysfb) || !names("/sys/class/drm").iter().any(card)
}

/// Whether five-level paging is on (/proc/cpuinfo: the flag is dropped when the
/// kernel does without).
pub fn five_level_paging() -> bool {
    has_flag(b"la57")
}

fn has_flag(wanted: &[u8]) -> bool {
    // The first processor's lines are enough, and come first.
    let cpuinfo = files::beginning("/proc/cpuinfo");
    let flags = value_of(&cpuinfo, b"flags").unwrap_or_default();
    parts(flags, b' ').any(|flag| flag == wanted)
}

/// Whether a kernel is loaded for a kexec (`crash`: for a panic).
pub fn is_loaded(crash: bool) -> Result<bool> {
    let path = if crash { "/sys/kernel/kexec_crash_loaded" } else { "/sys/kernel/kexec_loaded" };
    match read(path) {
        Ok(text) => Ok(text.trim_ascii() == b"1"),
        // Without the file the kernel has no kexec, and nothing is loaded.
        Err(Errno::ENOENT) if is_dir("/sys/kernel") => Ok(false),
        Err(errno) => Err(Failure::Facts { path, errno }.into()),
    }
}

/// The flavour of the running kernel, what follows the last `-` of its release,
/// and the release itself.
pub fn release() -> Result<(Option<String>, String)> {
    let release = read_whole("/proc/sys/kernel/osrelease")?;
    let release = core::str::from_utf8(release.trim_ascii()).unwrap_or_default();
    let dash = release.bytes().rposition(|byte| byte == b'-');
    let flavour = dash.and_then(|at| release.get(at.checked_add(1)?..)).filter(|flavour| !flavour.is_empty());
    Ok((flavour.map(str::to_string), release.to_string()))
}

/// The directory `boot`, when fstab(5) has a file system for it that is not mounted.
pub fn unmounted(boot: &OsStr) -> Option<OsString> {
    let second_word_is = |line: &[u8], wanted: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        !line.starts_with(b"#") && words.nth(1) == Some(wanted)
    };
    let lists =
        |path: &str| parts(&read_or_empty(path), b'\n').any(|line| second_word_is(line, boot.as_bytes()));
    (lists("/etc/fstab") && !lists("/proc/mounts")).then(|| boot.to_os_string())
}
