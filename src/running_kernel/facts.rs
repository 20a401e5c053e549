//! What /proc, /sys and /etc say about this machine, as plain values.

use super::files::{self, exists, is_dir, names, read, read_or_empty, value};
use super::syscalls::{self, CAP_SYS_BOOT, Status};
use crate::bytes::{Shown, parse_decimal, parse_hex, parts};
use crate::command_line;
use crate::doctor::{Exposure, Facts};
use crate::failure::{Answer, BootLoader, Failure, Refusal};
use crate::going_down::SKIP_FILE;
use crate::layout::memory_map::{self, Iomem, MemoryMap};
use crate::layout::range::RangeSet;
use crate::layout::x86_64::{self, Efi, EfiRange};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
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
            source: MapSource::Firmware,
            settled: RangeSet::new(),
            iomem_hidden: false,
        }
    }

    /// Reads the memory map into an empty self: /sys/firmware/memmap where it
    /// exists, else /proc/iomem; what may be written is RAM by both.
    pub fn read(&mut self) -> Answer<()> {
        // What is not there must not be taken for what could not be seen: without /sys a
        // machine with EFI looks like one with a BIOS.
        let path = "/sys/kernel";
        syscalls::status(path.as_ref()).map_err(|errno| Failure::Facts { path, errno })?;
        let meminfo = read_whole("/proc/meminfo")?;
        self.total_pages = kib_of(&meminfo, b"MemTotal:").unwrap_or(0) / 4;
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
fn read_whole(path: &'static str) -> Answer<Vec<u8>> {
    read(path).map_err(|errno| Failure::Facts { path, errno }.into())
}

fn firmware_map(map: &mut MemoryMap) -> Answer<()> {
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
fn value_of<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    parts(text, b'\n').find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
}

/// MemAvailable of /proc/meminfo, in bytes.
fn memory_available() -> Option<u64> {
    let meminfo = read_or_empty("/proc/meminfo");
    kib_of(&meminfo, b"MemAvailable:")?.checked_mul(1024)
}

/// Anonymous memory of this process now, in KiB (RssAnon, proc(5)).
pub fn anonymous_kib() -> Option<u64> {
    kib_of(&read_or_empty("/proc/self/status"), b"RssAnon:")
}

/// The most memory that a decoded image may take, in bytes. Half of RAM is what the
/// kernel loads at the most, and half of what is available leaves as much for a decoder's
/// window: more would have other programs killed.
pub fn memory_for_images() -> Answer<u64> {
    let meminfo = read_whole("/proc/meminfo")?;
    let of = |name| kib_of(&meminfo, name).unwrap_or(0).saturating_mul(512);
    Ok(of(b"MemTotal:").min(of(b"MemAvailable:")))
}

/// Whether the machine was started by EFI.
pub fn is_efi() -> bool {
    is_dir("/sys/firmware/efi")
}

/// Whether the processor has 64-bit mode (/proc/cpuinfo), whatever the kernel's is.
pub fn has_long_mode() -> bool {
    has_flag(b"lm")
}

/// The device tree that the running kernel was started with.
pub fn device_tree() -> Result<Vec<u8>, Errno> {
    read("/sys/firmware/fdt")
}

/// Whether the running kernel was started with an initrd.
pub fn had_initrd() -> bool {
    if cfg!(target_arch = "aarch64") {
        // The EFI stub hands it over in a table of its own, which is not to be seen.
        exists("/proc/device-tree/chosen/linux,initrd-start") || is_efi()
    } else {
        boot_params().is_some_and(|old| x86_64::had_initrd(&old))
    }
}

/// The running kernel's boot_params.
pub fn boot_params() -> Option<Vec<u8>> {
    read(BOOT_PARAMS).ok()
}

/// [`boot_params`], for a kernel that does without what is in them only where there are none.
pub fn boot_params_to_hand_on() -> Answer<Option<Vec<u8>>> {
    match read(BOOT_PARAMS) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Failure::Facts { path: BOOT_PARAMS, errno }.into()),
    }
}

const BOOT_PARAMS: &str = "/sys/kernel/boot_params/data";

/// Reads what the running kernel knows of EFI; false when it was not started with it.
pub fn efi(efi: &mut Efi) -> bool {
    if !is_efi() {
        return false;
    }
    let field = |name: &str| value(format_args!("/sys/firmware/efi/{name}"));
    let address = |name| field(name).and_then(|text| parse_hex(&text));
    let systab = read_or_empty("/sys/firmware/efi/systab");
    let table = |name: &[u8]| value_of(&systab, name).and_then(parse_hex);
    efi.is_64_bit = field("fw_platform_size").is_some_and(|text| text.trim_ascii() == b"64");
    efi.fw_vendor = address("fw_vendor");
    efi.config_table = address("config_table");
    efi.smbios = table(b"SMBIOS=");
    efi.acpi_rsdp = table(b"ACPI20=").or_else(|| table(b"ACPI="));
    for number in 0u32.. {
        let field = |name: &str| {
            let text = value(format_args!("/sys/firmware/efi/runtime-map/{number}/{name}"))?;
            parse_hex(&text)
        };
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
    true
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
pub fn is_loaded(crash: bool) -> Answer<bool> {
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
pub fn release() -> Answer<(Option<String>, String)> {
    let release = read_whole("/proc/sys/kernel/osrelease")?;
    let release = core::str::from_utf8(release.trim_ascii()).unwrap_or_default();
    let dash = release.bytes().rposition(|byte| byte == b'-');
    let flavour = dash.and_then(|at| release.get(at.checked_add(1)?..)).filter(|flavour| !flavour.is_empty());
    Ok((flavour.map(str::to_string), release.to_string()))
}

/// Whether this process has CAP_SYS_BOOT (capabilities(7)), as the kernel asks for it: in a
/// user namespace it is good for nothing outside of that.
fn has_cap_sys_boot(status: &[u8]) -> Option<bool> {
    let effective = parse_hex(value_of(status, b"CapEff:")?)?;
    Some(effective >> CAP_SYS_BOOT & 1 == 1 && !in_user_namespace(&read_or_empty("/proc/self/uid_map")))
}

/// Whether this is another user namespace than the first one, whose map is of all users to
/// themselves (user_namespaces(7)); a kernel without them has no file.
fn in_user_namespace(uid_map: &[u8]) -> bool {
    let words = uid_map.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !uid_map.is_empty() && !words.eq([&b"0"[..], b"0", b"4294967295"])
}

/// Who else than root can change what is at `path`, by the file itself or by a directory
/// above it; also where symbolic links lead to.
pub fn exposure(path: &OsStr) -> Exposure {
    let mut found = Exposure { path: path.to_os_string(), ..Exposure::default() };
    look_along(path, &mut found);
    // Where it really lies, however many links there are on the way.
    if let Ok(file) = syscalls::open(path, libc::O_PATH | libc::O_CLOEXEC, 0)
        && let Ok(real) = syscalls::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()).as_ref())
    {
        let is_link = found.link.is_some();
        look_along(&real, &mut found);
        found.leads_to = Some(real).filter(|_| is_link);
    }
    found
}

/// Looks at each directory above `path` and at itself, as far as they can be seen.
fn look_along(path: &OsStr, found: &mut Exposure) {
    let bytes = path.as_bytes();
    let ends = (0..bytes.len()).filter(|&at| bytes.get(at) == Some(&b'/')).map(|at| at.max(1));
    for end in ends.chain([bytes.len()]) {
        see(OsStr::from_bytes(bytes.get(..end).unwrap_or_default()), found);
    }
}

/// The first of each counts.
fn see(here: &OsStr, found: &mut Exposure) {
    if found.link.is_none() && syscalls::read_link(here).is_ok() {
        found.link = Some(here.to_os_string());
    }
    // In a directory with the sticky bit, others cannot take away what is root's.
    let is_open = |mode| mode & 0o022 != 0 && mode & (libc::S_IFMT | 0o1000) != libc::S_IFDIR | 0o1000;
    match syscalls::status(here) {
        Ok(status) if found.by.is_none() && (status.owner != 0 || is_open(status.mode)) => {
            found.by = Some((here.to_os_string(), status.mode & 0o7777, status.owner));
        }
        _ => {}
    }
}

/// Everything that can be known about why a load was refused. Read afterwards:
/// a load that succeeds asks none of it.
pub fn refusal() -> Refusal {
    let status = read_or_empty("/proc/self/status");
    let sysctl = |name: &str| parse_decimal(&value(format_args!("/proc/sys/kernel/{name}"))?);
    let line = files::command_line().unwrap_or_default();
    Refusal {
        cap_sys_boot: has_cap_sys_boot(&status),
        is_root: value_of(&status, b"Uid:").is_some_and(|ids| ids.starts_with(b"0\t")),
        load_disabled: sysctl("kexec_load_disabled") == Some(1),
        // -1, no limit, is no number here.
        loads_left: sysctl("kexec_load_limit_reboot"),
        lockdown: lockdown(),
        lockdown_option: command_line::has_word(&line, b"lockdown=integrity")
            || command_line::has_word(&line, b"lockdown=confidentiality"),
        boot_option: command_line::has_word(&line, b"kexec_load_disabled=0"),
        sysctl_file: sysctl_file(),
        alpine: exists("/etc/alpine-release"),
        boot_loaders: boot_loaders(&line),
        security_modules: read("/sys/kernel/security/lsm")
            .ok()
            .map(|text| OsStr::from_bytes(text.trim_ascii()).to_os_string()),
        stuck_cpus: cfg!(target_arch = "aarch64") && stuck_cpus(),
        seccomp: value_of(&status, b"Seccomp:") == Some(b"2"),
        available: memory_available(),
    }
}

/// Whether the kernel said, on refusing a load, that it cannot stop its processors.
fn stuck_cpus() -> bool {
    let mut log = [0u8; 4096];
    let wanted = b"CPUs are stuck in the kernel";
    syscalls::kernel_log(&mut log).windows(wanted.len()).any(|window| window == wanted)
}

/// The lockdown in force: the word in brackets, `none` left out.
pub fn lockdown() -> Option<OsString> {
    let text = read_or_empty("/sys/kernel/security/lockdown");
    let word = parts(parts(&text, b'[').nth(1)?, b']').next()?;
    (word != b"none").then(|| OsStr::from_bytes(word).to_os_string())
}

/// A file of sysctl.d(5) that sets kernel.kexec_load_disabled.
fn sysctl_file() -> Option<OsString> {
    let sets = |path: &OsString| {
        let text = read(path.as_os_str()).unwrap_or_default();
        parts(&text, b'\n').any(sets_load_disabled)
    };
    let mut files = vec![OsString::from("/etc/sysctl.conf")];
    for dir in
        &["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"]
    {
        for name in &names(dir) {
            if name.as_bytes().ends_with(b".conf") {
                files.push(joined(&[dir.as_ref(), name]));
            }
        }
    }
    files.into_iter().find(sets)
}

/// Whether a line of sysctl.d(5) sets kernel.kexec_load_disabled to 1.
fn sets_load_disabled(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |&byte| byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let known = [&b"kernel.kexec_load_disabled"[..], b"kernel/kexec_load_disabled"];
    known.contains(&name.trim_ascii()) && parts.next().map(<[u8]>::trim_ascii) == Some(b"1")
}

/// The parts of a path with `/` between.
fn joined(parts: &[&OsStr]) -> OsString {
    let mut path = OsString::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            path.push("/");
        }
        path.push(part);
    }
    path
}

/// The boot loaders that are set up here, by their configuration.
fn boot_loaders(command_line: &[u8]) -> Vec<BootLoader> {
    let mut found = Vec::new();
    let first = |paths: &[&'static str]| paths.iter().copied().find(|path| exists(path));
    let has_line =
        |path: &str, start: &[u8]| parts(&read_or_empty(path), b'\n').any(|line| line.starts_with(start));
    let path = "/etc/update-extlinux.conf";
    if exists(path) {
        found.push(BootLoader::Extlinux { has_line: has_line(path, b"default_kernel_opts=\"") });
    }
    let path = "/etc/default/grub";
    if exists(path) {
        found.push(BootLoader::Grub { has_line: has_line(path, b"GRUB_CMDLINE_LINUX_DEFAULT=\"") });
    }
    if let Some(dir) = first(&["/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries"]) {
        found.push(BootLoader::SystemdBoot { dir });
    }
    if exists("/etc/kernel-hooks.d/secureboot.conf") {
        found.push(BootLoader::UnifiedImage);
    }
    if read_or_empty("/proc/device-tree/model").starts_with(b"Raspberry Pi") {
        let file = first(&["/boot/cmdline.txt", "/media/mmcblk0p1/cmdline.txt"]);
        found.push(BootLoader::RaspberryPi { file: file.unwrap_or("cmdline.txt on the boot partition") });
    }
    let diskless = |word: &[u8]| word.starts_with(b"modloop=") || word.starts_with(b"alpine_dev=");
    if command_line::words(command_line).any(diskless) {
        let mut files = Vec::new();
        for medium in &names("/media") {
            for config in &["boot/syslinux/syslinux.cfg", "boot/grub/grub.cfg"] {
                let path = joined(&["/media".as_ref(), medium, config.as_ref()]);
                if exists(&path) {
                    files.push(path);
                }
            }
        }
        found.push(BootLoader::Diskless { files });
    }
    found
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

/// All that the doctor looks at but process 1 and the files to load.
pub fn examination(found: &mut Facts) {
    found.refusal = refusal();
    found.has_load = syscalls::has_kexec_load();
    found.has_file_load = syscalls::has_kexec_file_load();
    found.loaded = is_loaded(false).unwrap_or(false);
    found.secure_boot = secure_boot();
    (found.flavour, found.release) = release().unwrap_or_default();
    // Alpine's kernel packages say which release is installed of a flavour.
    found.installed = found.flavour.as_deref().and_then(|flavour| {
        let release = value(format_args!("/usr/share/kernel/{flavour}/kernel.release"))?;
        core::str::from_utf8(release.trim_ascii()).ok().map(str::to_string)
    });
    found.container = container();
    found.has_tracefs =
        parts(&read_or_empty("/proc/filesystems"), b'\n').any(|line| line.ends_with(b"\ttracefs"));
    found.skip = exists(SKIP_FILE);
    found.installed_services = exists("/etc/init.d/kexec-load") && exists("/etc/init.d/kexec-exec");
    found.load_started =
        exists("/run/openrc/started/kexec-load") || exists("/run/openrc/starting/kexec-load");
    found.load_misplaced = exists("/etc/runlevels/shutdown/kexec-load");
    found.exec_started = exists("/run/openrc/started/kexec-exec");
    found.load_enabled = names("/etc/runlevels").iter().filter(|name| *name != "shutdown").any(|runlevel| {
        let path = joined(&["/etc/runlevels".as_ref(), runlevel, "kexec-load".as_ref()]);
        exists(path)
    });
    found.exec_enabled = exists("/etc/runlevels/shutdown/kexec-exec");
}

/// Whether Secure Boot is on: as the kernel found at boot (zero-page.rst, offset 0x1ec,
/// secure_boot: 2 disabled, 3 enabled), else as the firmware's variable says (UEFI,
/// 3.3 Globally Defined Variables; four bytes of attributes come first).
fn secure_boot() -> Option<bool> {
    match boot_params().as_deref().and_then(|data| data.get(0x1ec)) {
        Some(2) => return Some(false),
        Some(3) => return Some(true),
        _ => {}
    }
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    read_or_empty(variable).get(4).map(|&value| value == 1)
}

/// The container that this is, by the marks that they leave.
/// Whether all devices under a file's file system are encrypted; not when that cannot
/// be told.
pub fn is_on_encrypted(file: &Status) -> bool {
    let mounts = read_or_empty("/proc/self/mountinfo");
    let Some((kind, source, options)) = mount(&mounts, file.mount) else { return false };
    match core::str::from_utf8(kind).unwrap_or_default() {
        // One that has several devices has a number of its own, and is mounted by the name
        // of one of them.
        "btrfs" => syscalls::status(OsStr::from_bytes(source))
            .is_ok_and(|source| btrfs_is_encrypted("/sys", source.is_device)),
        // These have one, but for a journal or a device for data of their own.
        "ext4" | "ext3" | "ext2" | "xfs" => {
            let elsewhere = |option: &[u8]| option == b"data=journal" || option.starts_with(b"rtdev=");
            let (major, minor) = file.on_device;
            !parts(options, b',').any(elsewhere)
                && is_encrypted(&format!("/sys/dev/block/{major}:{minor}"), 0)
        }
        _ => false,
    }
}

/// A mount by its number (proc_pid_mountinfo(5)): what follows the hyphen, its type, its
/// source and the options of its file system.
fn mount(mounts: &[u8], number: u64) -> Option<(&[u8], &[u8], &[u8])> {
    let mut lines = parts(mounts, b'\n').map(|line| parts(line, b' '));
    let mut fields =
        lines.find_map(|mut fields| (parse_decimal(fields.next()?)? == number).then_some(fields))?;
    fields.find(|&field| field == b"-")?;
    Some((fields.next()?, fields.next()?, fields.next()?))
}

/// Of btrfs, the devices are in sysfs (/sys/fs/btrfs/UUID/devices).
fn btrfs_is_encrypted(sys: &str, (major, minor): (u32, u32)) -> bool {
    let number = format!("{major}:{minor}");
    for uuid in names(&format!("{sys}/fs/btrfs")) {
        let dir = format!("{sys}/fs/btrfs/{}/devices", uuid.shown());
        let (mut is_ours, mut all) = (false, true);
        for name in names(&dir) {
            let device = format!("{dir}/{}", name.shown());
            is_ours |= read_or_empty(&format!("{device}/dev")).trim_ascii() == number.as_bytes();
            all &= is_encrypted(&device, 0);
        }
        if is_ours {
            return all;
        }
    }
    false
}

/// Whether a block device, by its folder in sysfs, is dm-crypt's, or all those are that
/// it is made of: LVM, RAID. cryptsetup names its devices so that lvm2 leaves them alone,
/// `CRYPT-` and the type; VERITY and INTEGRITY do not encrypt.
fn is_encrypted(device: &str, depth: u32) -> bool {
    let uuid = read_or_empty(&format!("{device}/dm/uuid"));
    let types: [&[u8]; 3] = [b"CRYPT-LUKS1-", b"CRYPT-LUKS2-", b"CRYPT-PLAIN-"];
    if types.iter().any(|kind| uuid.starts_with(kind)) {
        return true;
    }
    // A partition's are its disk's. Only of these is it known that their slaves hold all:
    // DRBD has its disk for one, and a network.
    let whole = if exists(format!("{device}/partition")) { "/.." } else { "" };
    let known = ["dm", "md", "bcache"].iter().any(|kind| exists(format!("{device}{whole}/{kind}")));
    let slaves = names(&format!("{device}{whole}/slaves"));
    // More layers than anybody has.
    !slaves.is_empty()
        && known
        && depth < 16
        && slaves.iter().all(|slave| {
            is_encrypted(&format!("{device}{whole}/slaves/{}", slave.shown()), depth.saturating_add(1))
        })
}

fn container() -> Option<OsString> {
    for &(file, name) in &[("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
        if exists(file) {
            return Some(name.into());
        }
    }
    // systemd.io/CONTAINER_INTERFACE, which lxc follows, too.
    let environment = read_or_empty("/proc/1/environ");
    let name = parts(&environment, 0).find_map(|word| word.strip_prefix(b"container="))?;
    Some(OsStr::from_bytes(name).to_os_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_down_to_every_disk_and_what_is_not() {
        let sys = std::env::temp_dir().join(format!("rc-kexec-sys-{}", std::process::id()));
        let sys = sys.to_str().unwrap();
        let device = |name: &str, uuid: &str, slaves: &[&str]| {
            let dir = format!("{sys}/devices/{name}");
            std::fs::create_dir_all(format!("{dir}/slaves")).unwrap();
            std::fs::create_dir_all(format!("{dir}/dm")).unwrap();
            std::fs::write(format!("{dir}/dm/uuid"), format!("{uuid}\n")).unwrap();
            std::fs::write(format!("{dir}/dev"), format!("253:{}\n", name.len())).unwrap();
            for slave in slaves {
                std::os::unix::fs::symlink(format!("{sys}/devices/{slave}"), format!("{dir}/slaves/{slave}"))
                    .unwrap();
            }
            dir
        };
        device("sda", "", &[]);
        device("luks", "CRYPT-LUKS2-0123-root", &["sda"]);
        device("plain", "CRYPT-PLAIN-swap", &["sda"]);
        let table = [
            ("1", "", &["sda"][..], false),
            ("2", "CRYPT-LUKS1-0123-x", &["sda"], true),
            ("3", "LVM-abc", &["luks"], true),
            ("4", "LVM-abc", &["luks", "plain"], true),
            ("5", "LVM-abc", &["luks", "sda"], false),
            ("6", "CRYPT-VERITY-0123-x", &["sda"], false),
            ("7", "CRYPT-INTEGRITY-x", &["luks"], true),
            ("8", "", &["3"], true),
            ("9", "LVM-CRYPT-LUKS2-", &[], false),
        ];
        for (name, uuid, slaves, wanted) in table {
            assert_eq!(is_encrypted(&device(name, uuid, slaves), 0), wanted, "{name} {uuid} {slaves:?}");
        }
        // A partition of RAID, and DRBD, by their folders.
        std::fs::create_dir_all(format!("{sys}/devices/3/p1/partition")).unwrap();
        assert!(is_encrypted(&format!("{sys}/devices/3/p1"), 0));
        std::fs::remove_dir_all(format!("{}/dm", device("drbd", "", &["luks"]))).unwrap();
        assert!(!is_encrypted(&format!("{sys}/devices/drbd"), 0));
        device("loop", "", &["loop"]);
        assert!(!is_encrypted(&format!("{sys}/devices/loop"), 0));
        for (uuid, devices, wanted) in [
            ("one", &["luks"][..], true),
            ("two", &["luks", "plain"], true),
            ("mixed", &["luks", "sda"], false),
        ] {
            let _ = std::fs::remove_dir_all(format!("{sys}/fs"));
            let dir = format!("{sys}/fs/btrfs/{uuid}/devices");
            std::fs::create_dir_all(&dir).unwrap();
            for name in devices {
                std::os::unix::fs::symlink(format!("{sys}/devices/{name}"), format!("{dir}/{name}")).unwrap();
            }
            assert_eq!(btrfs_is_encrypted(sys, (253, 4)), wanted, "{uuid}");
            assert!(!btrfs_is_encrypted(sys, (253, 9)), "{uuid}");
        }
        std::fs::remove_dir_all(sys).unwrap();
    }

    #[test]
    fn a_user_namespace_by_its_map_of_users() {
        let table = [
            ("         0          0 4294967295\n", false),
            ("", false),
            ("         0       1000          1\n", true),
            ("         0     100000      65536\n", true),
            ("         0          0      65536\n     65536     200000          1\n", true),
        ];
        for (map, wanted) in table {
            assert_eq!(in_user_namespace(map.as_bytes()), wanted, "{map:?}");
        }
    }

    #[test]
    fn who_else_can_change_a_file_and_where_its_links_lead() {
        use std::fs;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let top = std::env::temp_dir().join(format!("rc-kexec-exposed-{}", std::process::id()));
        let of = |name: &str| top.join(name).into_os_string();
        fs::create_dir_all(of("dir")).unwrap();
        fs::write(of("dir/file"), "x").unwrap();
        symlink("dir/file", of("link")).unwrap();
        symlink("dir", of("dirlink")).unwrap();
        let below = |path: &str| {
            let mut found = Exposure::default();
            look_along(&of(path), &mut found);
            found.link
        };
        assert_eq!(below("dir/file"), None);
        assert_eq!(below("link"), Some(of("link")));
        assert_eq!(below("dirlink/file"), Some(of("dirlink")));
        assert_eq!(exposure(&of("link")).leads_to, Some(fs::canonicalize(of("link")).unwrap().into()));
        assert_eq!(exposure(&of("dir/file")).leads_to, None);
        // A file of root's, by its name alone, and one of anybody's.
        for (mode, wanted) in [(0o644, false), (0o664, true), (0o646, true), (0o600, false)] {
            fs::set_permissions(of("dir/file"), fs::Permissions::from_mode(mode)).unwrap();
            let owner = fs::metadata(of("dir/file")).unwrap().uid();
            let mut found = Exposure::default();
            let name = of("dir/file");
            see(&name, &mut found);
            let wanted = (wanted || owner != 0).then(|| (name.clone(), mode, owner));
            assert_eq!(found.by, wanted, "{mode:o}");
        }
        // A folder of anybody's, where only its owner can take a file away, and where not.
        for (mode, wanted) in [(0o1777, false), (0o777, true), (0o775, true), (0o755, false)] {
            fs::set_permissions(of("dir"), fs::Permissions::from_mode(mode)).unwrap();
            let owner = fs::metadata(of("dir")).unwrap().uid();
            let mut found = Exposure::default();
            see(&of("dir"), &mut found);
            assert_eq!(found.by.is_some(), wanted || owner != 0, "{mode:o}");
        }
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn a_mount_by_its_number() {
        let mounts = b"22 1 0:21 / / rw,relatime shared:1 - btrfs /dev/mapper/root rw,subvol=/\n\
            231 22 0:5 / /dev rw - devtmpfs dev rw\n";
        let root = (&b"btrfs"[..], &b"/dev/mapper/root"[..], &b"rw,subvol=/"[..]);
        assert_eq!(mount(mounts, 22), Some(root));
        assert_eq!(mount(mounts, 231), Some((&b"devtmpfs"[..], &b"dev"[..], &b"rw"[..])));
        for number in [2, 23, 0] {
            assert_eq!(mount(mounts, number), None, "{number}");
        }
        assert_eq!(mount(b"22 1 0:21 / / rw", 22), None);
        assert_eq!(mount(b"22 1 0:21 / / rw - btrfs x", 22), None);
    }

    #[test]
    fn a_line_of_sysctl_d_that_locks_and_those_that_do_not() {
        let table = [
            ("kernel.kexec_load_disabled = 1", true),
            ("kernel.kexec_load_disabled=1", true),
            (" -kernel/kexec_load_disabled= 1 ", true),
            ("kernel.kexec_load_disabled = 0", false),
            ("# kernel.kexec_load_disabled = 1", false),
            ("kernel.kexec_load_disabled_x = 1", false),
            ("kernel.kexec_load_disabled", false),
            ("", false),
        ];
        for (line, wanted) in table {
            assert_eq!(sets_load_disabled(line.as_bytes()), wanted, "{line}");
        }
    }
}
