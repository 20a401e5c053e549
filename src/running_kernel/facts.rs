//! What /proc, /sys and /etc say about this machine, as plain values.

use super::files::{read, read_optional};
use super::syscalls::{self, CAP_SYS_BOOT};
use crate::bytes::{parse_decimal, parse_hex, trim};
use crate::command_line;
use crate::failure::{BootLoader, BootOption, Failure, Refusal, WhoWrote};
use crate::layout::memory_map::{self, MemoryMap};
use crate::layout::range::RangeSet;
use crate::layout::x86_64::{Efi, EfiRange};
use std::path::{Path, PathBuf};

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
    /// Where `map` came from.
    pub source: MapSource,
    /// Whether /proc/iomem hid its addresses, so that `usable` is only what the
    /// firmware calls RAM: good enough to draw, not to load.
    pub iomem_hidden: bool,
}

/// Reads the memory map: /sys/firmware/memmap where it exists, else /proc/iomem;
/// what may be written is RAM by both.
pub fn memory() -> Result<Memory, Failure> {
    let unreadable = |path: &'static str| move |error| Failure::Facts { path, error };
    let too_many = |full: crate::layout::range::TooMany| Failure::TooManyRanges(full.capacity);
    let text = read("/proc/iomem").map_err(unreadable("/proc/iomem"))?;
    let iomem = memory_map::parse_iomem(&text).map_err(too_many)?;
    let firmware = firmware_map()?;
    let meminfo = read("/proc/meminfo").map_err(unreadable("/proc/meminfo"))?;
    let total_pages = kib_of(&meminfo, b"MemTotal:").unwrap_or(0) / 4;

    let (map, source) = if !firmware.entries().is_empty() {
        (firmware, MapSource::Firmware)
    } else if iomem.hidden {
        return Err(Failure::AddressesHidden);
    } else {
        (iomem.map, MapSource::Iomem)
    };
    let mut usable = map.ram().map_err(too_many)?;
    if !iomem.hidden {
        usable = usable.intersection(&iomem.usable).map_err(too_many)?;
    }
    Ok(Memory { map, usable, total_pages, source, iomem_hidden: iomem.hidden })
}

fn firmware_map() -> Result<MemoryMap, Failure> {
    let mut map = MemoryMap::new();
    for number in 0u32.. {
        let dir = PathBuf::from(format!("/sys/firmware/memmap/{number}"));
        let Some(start) = read_optional(dir.join("start")) else { break };
        let rest = (read_optional(dir.join("end")), read_optional(dir.join("type")));
        let (Some(end), Some(kind)) = rest else { break };
        // Only complete, or not at all: half a map would make RAM of what is reserved.
        let Some(entry) = memory_map::parse_memmap_entry(&start, &end, &kind) else {
            return Ok(MemoryMap::new());
        };
        map.insert(entry).map_err(|full| Failure::TooManyRanges(full.capacity))?;
    }
    Ok(map)
}

/// The number of KiB in a line of /proc/meminfo or /proc/self/status.
fn kib_of(text: &[u8], name: &[u8]) -> Option<u64> {
    parse_decimal(value_of(text, name)?.strip_suffix(b"kB")?)
}

/// What follows `name` at the beginning of a line.
fn value_of<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name)).map(trim)
}

/// MemAvailable of /proc/meminfo, in bytes.
pub fn memory_available() -> Option<u64> {
    let meminfo = read_optional("/proc/meminfo")?;
    kib_of(&meminfo, b"MemAvailable:")?.checked_mul(1024)
}

/// Anonymous memory of this process now, in KiB (RssAnon, proc(5)).
pub fn anonymous_kib() -> Option<u64> {
    kib_of(&read_optional("/proc/self/status")?, b"RssAnon:")
}

/// The running kernel's boot_params.
pub fn boot_params() -> Option<Vec<u8>> {
    read_optional("/sys/kernel/boot_params/data")
}

/// What the running kernel knows of EFI; `None` when it was not started with it.
pub fn efi() -> Option<Efi> {
    let dir = Path::new("/sys/firmware/efi");
    if !dir.is_dir() {
        return None;
    }
    let address = |name: &str| read_optional(dir.join(name)).and_then(|text| parse_hex(&text));
    let systab = read_optional(dir.join("systab")).unwrap_or_default();
    let table = |name: &[u8]| value_of(&systab, name).and_then(parse_hex);
    let mut efi = Efi {
        is_64_bit: read_optional(dir.join("fw_platform_size")).is_some_and(|text| trim(&text) == b"64"),
        fw_vendor: address("fw_vendor"),
        config_table: address("config_table"),
        smbios: table(b"SMBIOS="),
        acpi_rsdp: table(b"ACPI20=").or_else(|| table(b"ACPI=")),
        runtime_map: heapless::Vec::new(),
    };
    for number in 0u32.. {
        let entry = dir.join(format!("runtime-map/{number}"));
        let field = |name: &str| read_optional(entry.join(name)).and_then(|text| parse_hex(&text));
        let Some(phys_addr) = field("phys_addr") else { break };
        let range = (|| {
            Some(EfiRange {
                kind: u32::try_from(field("type")?).ok()?,
                phys_addr,
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
    Some(efi)
}

/// Whether the screen still shows the firmware's framebuffer or text mode: the
/// kernel keeps a platform device for it until a driver takes the hardware over
/// (drivers/firmware/sysfb.c), and without any driver nothing has changed it.
pub fn framebuffer_live() -> bool {
    let names = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    let is_sysfb = |name: &std::ffi::OsString| name.as_encoded_bytes().ends_with(b"-framebuffer.0");
    let is_card = |name: &std::ffi::OsString| name.as_encoded_bytes().starts_with(b"card");
    names("/sys/bus/platform/devices").iter().any(is_sysfb) || !names("/sys/class/drm").iter().any(is_card)
}

/// Whether five-level paging is on (/proc/cpuinfo: the flag is dropped when the
/// kernel does without).
pub fn five_level_paging() -> bool {
    let cpuinfo = read_optional("/proc/cpuinfo").unwrap_or_default();
    let flags = value_of(&cpuinfo, b"flags").unwrap_or_default();
    flags.split(|&byte| byte == b' ').any(|flag| flag == b"la57")
}

/// Whether a kernel is loaded for a kexec (`crash`: for a panic).
pub fn is_loaded(crash: bool) -> Result<bool, Failure> {
    let path = if crash { "/sys/kernel/kexec_crash_loaded" } else { "/sys/kernel/kexec_loaded" };
    match read(path) {
        Ok(text) => Ok(trim(&text) == b"1"),
        // Without the file the kernel has no kexec, and nothing is loaded.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && Path::new("/sys/kernel").is_dir() => {
            Ok(false)
        }
        Err(error) => Err(Failure::Facts { path, error }),
    }
}

/// The flavour of the running kernel, what follows the last `-` of its release,
/// and the release itself.
pub fn release() -> Option<(Option<String>, String)> {
    let release = syscalls::kernel_release()?.into_string().ok()?;
    let flavour = release.rsplit_once('-').map(|(_, flavour)| flavour.to_string());
    Some((flavour.filter(|flavour| !flavour.is_empty()), release))
}

/// Whether this process has CAP_SYS_BOOT (capabilities(7)).
fn has_cap_sys_boot(status: &[u8]) -> Option<bool> {
    let effective = parse_hex(value_of(status, b"CapEff:")?)?;
    Some(effective >> CAP_SYS_BOOT & 1 == 1)
}

/// Everything that can be known about why a load was refused. Read afterwards:
/// a load that succeeds asks none of it.
pub fn refusal() -> Refusal {
    let status = read_optional("/proc/self/status").unwrap_or_default();
    let sysctl = |name: &str| read_optional(format!("/proc/sys/kernel/{name}"));
    let number = |text: Option<Vec<u8>>| text.and_then(|text| parse_decimal(&text));
    let line = super::files::command_line().unwrap_or_default();
    Refusal {
        cap_sys_boot: has_cap_sys_boot(&status),
        is_root: value_of(&status, b"Uid:").is_some_and(|ids| ids.starts_with(b"0\t")),
        load_disabled: number(sysctl("kexec_load_disabled")) == Some(1),
        // -1, no limit, is no number here.
        loads_left: number(sysctl("kexec_load_limit_reboot")),
        lockdown: lockdown(),
        lockdown_option: command_line::has_word(&line, b"lockdown=integrity")
            || command_line::has_word(&line, b"lockdown=confidentiality"),
        boot_option: if command_line::has_word(&line, b"kexec_load_disabled=0") {
            BootOption::Present
        } else {
            BootOption::Absent
        },
        who_wrote: who_wrote_sysctl(),
        alpine: Path::new("/etc/alpine-release").exists(),
        boot_loaders: boot_loaders(&line),
        security_modules: read_optional("/sys/kernel/security/lsm")
            .map(|text| String::from_utf8_lossy(trim(&text)).into_owned()),
        seccomp: value_of(&status, b"Seccomp:") == Some(b"2"),
        available: memory_available(),
    }
}

/// The lockdown in force: the word in brackets, `none` left out.
pub fn lockdown() -> Option<String> {
    let text = read_optional("/sys/kernel/security/lockdown")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, rest) = text.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    (word != "none").then(|| word.to_string())
}

/// A file of sysctl.d(5) that sets kernel.kexec_load_disabled.
fn who_wrote_sysctl() -> WhoWrote {
    let sets = |path: &Path| {
        let text = read_optional(path).unwrap_or_default();
        text.split(|&byte| byte == b'\n').any(|line| {
            let line = trim(line);
            let name = line.strip_prefix(b"-").unwrap_or(line);
            let dotted = name.starts_with(b"kernel.kexec_load_disabled");
            dotted || name.starts_with(b"kernel/kexec_load_disabled")
        })
    };
    let mut files = vec![PathBuf::from("/etc/sysctl.conf")];
    for dir in ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"] {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()));
    }
    files.into_iter().find(|path| sets(path)).map_or(WhoWrote::Unknown, WhoWrote::File)
}

/// The boot loaders that are set up here, by their configuration.
fn boot_loaders(command_line: &[u8]) -> Vec<BootLoader> {
    let mut found = Vec::new();
    let exists = |path: &&&str| Path::new(path).exists();
    let has_line = |path: &str, start: &[u8]| {
        let text = read_optional(path).unwrap_or_default();
        text.split(|&byte| byte == b'\n').any(|line| line.starts_with(start))
    };
    let path = "/etc/update-extlinux.conf";
    if Path::new(path).exists() {
        found.push(BootLoader::Extlinux { has_line: has_line(path, b"default_kernel_opts=\"") });
    }
    let path = "/etc/default/grub";
    if Path::new(path).exists() {
        let config = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"].iter().find(exists);
        found.push(BootLoader::Grub {
            has_line: has_line(path, b"GRUB_CMDLINE_LINUX_DEFAULT=\""),
            config: config.unwrap_or(&"/boot/grub/grub.cfg"),
        });
    }
    let dirs = ["/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries"];
    if let Some(dir) = dirs.iter().find(exists) {
        found.push(BootLoader::SystemdBoot { dir });
    }
    if Path::new("/etc/kernel-hooks.d/secureboot.conf").exists() {
        found.push(BootLoader::UnifiedImage);
    }
    let model = read_optional("/proc/device-tree/model").unwrap_or_default();
    if model.starts_with(b"Raspberry Pi") {
        let file = ["/boot/cmdline.txt", "/media/mmcblk0p1/cmdline.txt"].iter().find(exists);
        found.push(BootLoader::RaspberryPi { file: file.unwrap_or(&"cmdline.txt on the boot partition") });
    }
    let diskless = |word: &[u8]| word.starts_with(b"modloop=") || word.starts_with(b"alpine_dev=");
    if command_line::words(command_line).any(diskless) {
        let media = std::fs::read_dir("/media").into_iter().flatten().flatten();
        let config = media.flat_map(|entry| {
            ["boot/syslinux/syslinux.cfg", "boot/grub/grub.cfg"].map(|name| entry.path().join(name))
        });
        found.push(BootLoader::Diskless { files: config.filter(|path| path.exists()).collect() });
    }
    found
}
