//! The facts of the running machine that each architecture's layout needs.

use super::files::{self, names, read, read_or_empty, read_settled, value, value_of};
use super::memory::Memory;
use super::sys::process;
use crate::base::bytes::{parts, wipe};
use crate::base::range::Range;
use crate::base::text::{Shown, parse_hex};
use crate::failure::{Failure, Result};
use crate::image::machine::Machine;
use crate::plan::memory_map::is_pci_memory;
use crate::plan::x86::{Efi, EfiRange};
use crate::plan::{arm64, x86};
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The addresses that fit into struct kexec_segment: from a 32-bit program not all of them.
const REACHABLE: Range = match Range::new(0, usize::MAX as u64) {
    Some(range) => range,
    None => Range::ALL,
};

/// The facts that an x86 layout needs beside the memory.
#[derive(Debug)]
pub struct X86 {
    boot_params: Option<Vec<u8>>,
    efi: Option<Efi>,
    framebuffer_live: bool,
    five_level_paging: bool,
    seed: Option<[u8; 32]>,
}

/// Reads them. Fails with [`Failure::SystemFile`] when the kernel has boot_params or an EFI system
/// table and they cannot be read, or /proc/cpuinfo or /proc/iomem cannot.
pub fn x86() -> Result<X86> {
    let boot_params = boot_params_to_hand_on()?;
    Ok(X86 {
        framebuffer_live: framebuffer_live(boot_params.as_deref())?,
        five_level_paging: five_level_paging()?,
        efi: efi()?,
        boot_params,
        seed: process::random_seed(),
    })
}

impl Drop for X86 {
    fn drop(&mut self) {
        wipe(self.seed.as_mut_slice().as_flattened_mut());
    }
}

impl X86 {
    /// The inputs of a layout that hands EFI on. Every segment has to lie in `bounds`.
    pub fn inputs<'m>(&'m self, memory: &'m Memory, bounds: Range) -> x86::Inputs<'m> {
        x86::Inputs {
            firmware_map: &memory.map,
            usable: &memory.usable,
            total_pages: memory.total_pages,
            boot_params: self.boot_params.as_deref(),
            efi: self.efi.as_ref(),
            efi_is_wanted: true,
            framebuffer_live: self.framebuffer_live,
            rng_seed: self.seed.as_ref(),
            five_level_paging: self.five_level_paging,
            bounds: bounds.intersection(REACHABLE).unwrap_or(bounds),
            protected_mode: process::machine() == Machine::X86,
        }
    }
}

/// The facts that an arm64 layout needs beside the memory.
#[derive(Debug)]
pub struct Arm64 {
    tree: Result<Vec<u8>, Errno>,
    seed: Option<[u8; 40]>,
}

/// Reads them. A missing device tree is no failure yet: the user may give one.
pub fn arm64() -> Arm64 {
    Arm64 { tree: device_tree(), seed: process::random_seed() }
}

impl Drop for Arm64 {
    fn drop(&mut self) {
        wipe(self.seed.as_mut_slice().as_flattened_mut());
    }
}

impl Arm64 {
    /// The inputs of the layout. Every segment has to lie in `bounds`; the device tree is `given`,
    /// else the running kernel's. Fails with [`Failure::SystemFile`] when neither is there.
    pub fn inputs<'m>(
        &'m self,
        memory: &'m Memory,
        bounds: Range,
        given: Option<&'m [u8]>,
    ) -> Result<arm64::Inputs<'m>> {
        let (tree, running) = match (&self.tree, given) {
            (running, Some(given)) => (given, running.as_deref().ok()),
            (Ok(running), None) => (running.as_slice(), None),
            (&Err(errno), None) => {
                return Err(Failure::SystemFile { path: "/sys/firmware/fdt", errno }.into());
            }
        };
        Ok(arm64::Inputs {
            usable: &memory.usable,
            settled: &memory.settled,
            total_pages: memory.total_pages,
            tree,
            running,
            seed: self.seed.as_ref(),
            bounds,
        })
    }
}

/// Whether EFI started the machine, or may have: true when /sys cannot say.
pub fn is_efi() -> bool {
    files::may_exist("/sys/firmware/efi")
}

/// Whether the firmware's EFI is 32-bit, as it may be under a 64-bit kernel.
pub fn has_32_bit_efi() -> bool {
    value(format_args!("{EFI_SIZE}")).is_some_and(|text| text.trim_ascii() == b"32")
}

const EFI_SIZE: &str = "/sys/firmware/efi/fw_platform_size";

/// Whether the processor has 64-bit mode (/proc/cpuinfo), whichever the kernel runs in.
pub fn has_long_mode() -> Result<bool> {
    has_flag(b"lm")
}

/// The device tree from which the running kernel started.
pub fn device_tree() -> Result<Vec<u8>, Errno> {
    read("/sys/firmware/fdt")
}

/// Whether the running kernel was started with an initrd, or may have been: true when /proc and
/// /sys cannot say.
pub fn had_initrd() -> bool {
    if cfg!(target_arch = "aarch64") {
        // The EFI stub hands an initrd over in a table that the kernel shows nowhere.
        files::may_exist("/proc/device-tree/chosen/linux,initrd-start") || is_efi()
    } else {
        match read(BOOT_PARAMS) {
            Ok(old) => x86::had_initrd(&old),
            Err(errno) => errno != Errno::ENOENT,
        }
    }
}

/// The running kernel's boot_params (Documentation/arch/x86/zero-page.rst); `None` when they
/// cannot be read.
pub fn boot_params() -> Option<Vec<u8>> {
    read(BOOT_PARAMS).ok()
}

const BOOT_PARAMS: &str = "/sys/kernel/boot_params/data";

/// [`boot_params`] for the next kernel: `None` only when the running kernel has none.
pub fn boot_params_to_hand_on() -> Result<Option<Vec<u8>>> {
    match read(BOOT_PARAMS) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Failure::SystemFile { path: BOOT_PARAMS, errno }.into()),
    }
}

/// The running kernel's facts about EFI; `None` when EFI did not start the machine.
fn efi() -> Result<Option<Efi>> {
    if !is_efi() {
        return Ok(None);
    }
    let mut efi = Efi::default();
    let field = |name: &str| value(format_args!("/sys/firmware/efi/{name}"));
    let address = |name| field(name).and_then(|text| parse_hex(&text));
    let path = "/sys/firmware/efi/systab";
    let systab = match read(path) {
        // The file is root's, and a user who cannot read it cannot load either.
        Err(Errno::ENOENT | Errno::EACCES) => Vec::new(),
        other => other.map_err(|errno| Failure::SystemFile { path, errno })?,
    };
    let table = |name: &[u8]| value_of(&systab, name).and_then(parse_hex);
    efi.is_64_bit = value(format_args!("{EFI_SIZE}")).is_some_and(|text| text.trim_ascii() == b"64");
    efi.fw_vendor = address("fw_vendor");
    efi.config_table = address("config_table");
    efi.smbios = table(b"SMBIOS=");
    efi.acpi_rsdp = table(b"ACPI20=").or_else(|| table(b"ACPI="));
    read_runtime_map(&mut efi);
    Ok(Some(efi))
}

/// Reads EFI's runtime map into an empty `efi.runtime_map`. Only a complete map counts: the next
/// kernel must map what this one did.
fn read_runtime_map(efi: &mut Efi) {
    // The entries have numbers from 0 on without a gap (drivers/firmware/efi/runtime-map.c).
    for number in 0..names("/sys/firmware/efi/runtime-map").len() {
        let kept = runtime_range(number).is_some_and(|range| efi.runtime_map.push(range).is_ok());
        if !kept {
            efi.runtime_map.clear();
            break;
        }
    }
}

fn runtime_range(number: usize) -> Option<EfiRange> {
    let field = |name: &str| {
        let text = value(format_args!("/sys/firmware/efi/runtime-map/{number}/{name}"))?;
        parse_hex(&text)
    };
    Some(EfiRange {
        kind: u32::try_from(field("type")?).ok()?,
        phys_addr: field("phys_addr")?,
        virt_addr: field("virt_addr")?,
        num_pages: field("num_pages")?,
        attribute: field("attribute")?,
    })
}

/// Whether the screen still shows the firmware's framebuffer or text mode, where boot_params say. The
/// kernel keeps a platform device for it until a driver claims the hardware
/// (drivers/firmware/sysfb.c); without a driver nothing has changed it. But the kernel may have moved
/// a PCI device's memory, and only it knows then (drivers/video/screen_info_pci.c).
fn framebuffer_live(boot_params: Option<&[u8]>) -> Result<bool> {
    let is_display = |name: &OsString| {
        let class = value(format_args!("/sys/bus/pci/devices/{}/class", name.shown()));
        // Base class 03: display controller (include/linux/pci_ids.h).
        class.is_some_and(|class| class.starts_with(b"0x03"))
    };
    let base = boot_params.and_then(x86::framebuffer);
    if let Some(base) = base
        && names("/sys/bus/pci/devices").iter().any(is_display)
        && !is_pci_memory(&read_settled("/proc/iomem")?, base)
    {
        return Ok(false);
    }
    let sysfb = |name: &OsString| name.as_bytes().ends_with(b"-framebuffer.0");
    let card = |name: &OsString| name.as_bytes().starts_with(b"card");
    Ok(names("/sys/bus/platform/devices").iter().any(sysfb) || !names("/sys/class/drm").iter().any(card))
}

/// Whether five-level paging is on (/proc/cpuinfo, where the kernel clears the flag when it is
/// off).
pub fn five_level_paging() -> Result<bool> {
    // On arm64 /proc/cpuinfo has no flags.
    if cfg!(target_arch = "aarch64") { Ok(false) } else { has_flag(b"la57") }
}

fn has_flag(wanted: &[u8]) -> Result<bool> {
    let path = "/proc/cpuinfo";
    // The lines of the first processor are enough.
    let cpuinfo = files::beginning(path).map_err(|errno| Failure::SystemFile { path, errno })?;
    let missing = Failure::SystemFile { path, errno: Errno::ENODATA };
    let flags = value_of(&cpuinfo, b"flags").ok_or(missing)?;
    Ok(parts(flags, b' ').any(|flag| flag == wanted))
}

/// Whether Secure Boot is on: what the kernel found at boot (boot_params, offset 0x1ec, secure_boot:
/// 2 disabled, 3 enabled; include/linux/efi.h), else what the firmware's variable says (UEFI,
/// 3.3 Globally Defined Variables; four bytes of attributes come first). `None` when neither says.
pub fn secure_boot() -> Option<bool> {
    match boot_params().as_deref().and_then(|data| data.get(0x1ec)) {
        Some(2) => return Some(false),
        Some(3) => return Some(true),
        _ => {}
    }
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    read_or_empty(variable).get(4).map(|&value| value == 1)
}
