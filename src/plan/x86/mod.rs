//! Where a bzImage goes on x86_64 and x86, and the boot_params it is given:
//! Documentation/arch/x86/boot.rst ("64-bit Boot Protocol", "32-bit Boot Protocol")
//! and zero-page.rst.
//!
//! One segment holds all that this program writes: boot_params, the trampoline,
//! the command line, and the setup_data list. The kernel and each initrd are
//! segments whose bytes are the mapped files themselves.

use crate::base::bytes::{self, u32_at};
use crate::base::range::{Range, RangeSet, align_up};
use crate::base::table::Table;
use crate::image::bzimage::{BzImage, SETUP_HEADER};
use crate::plan::memory_map::{Entry, Kind, MemoryMap};
use crate::plan::placer::Placer;
use crate::plan::trampoline;
use crate::plan::{NoPlan, PAGE, Plan, Purpose, Segments, Source, push};

/// Offsets in struct boot_params (arch/x86/include/uapi/asm/bootparam.h).
mod boot_params {
    pub const SIZE: usize = 0x1000;
    pub const SCREEN_INFO: usize = 0x000;
    pub const SCREEN_INFO_SIZE: usize = 0x40;
    pub const SCREEN_INFO_EXT_MEM_K: usize = 0x002;
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const EXT_RAMDISK_IMAGE: usize = 0x0c0;
    pub const EXT_RAMDISK_SIZE: usize = 0x0c4;
    pub const EXT_CMD_LINE_PTR: usize = 0x0c8;
    pub const EDID_INFO: usize = 0x140;
    pub const EDID_INFO_SIZE: usize = 0x80;
    pub const EFI_LOADER_SIGNATURE: usize = 0x1c0;
    pub const EFI_SYSTAB: usize = 0x1c4;
    pub const EFI_MEMDESC_SIZE: usize = 0x1c8;
    pub const EFI_MEMDESC_VERSION: usize = 0x1cc;
    pub const EFI_MEMMAP: usize = 0x1d0;
    pub const EFI_MEMMAP_SIZE: usize = 0x1d4;
    pub const EFI_SYSTAB_HI: usize = 0x1d8;
    pub const EFI_MEMMAP_HI: usize = 0x1dc;
    pub const ALT_MEM_K: usize = 0x1e0;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const EDDBUF_ENTRIES: usize = 0x1e9;
    pub const EDD_MBR_SIG_BUF_ENTRIES: usize = 0x1ea;
    pub const SECURE_BOOT: usize = 0x1ec;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const CODE32_START: usize = 0x214;
    pub const RAMDISK_IMAGE: usize = 0x218;
    pub const RAMDISK_SIZE: usize = 0x21c;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const HARDWARE_SUBARCH: usize = 0x23c;
    pub const SETUP_DATA: usize = 0x250;
    pub const EDD_MBR_SIG_BUFFER: usize = 0x290;
    pub const EDD_MBR_SIG_BUFFER_SIZE: usize = 0x40;
    pub const E820_TABLE: usize = 0x2d0;
    pub const EDDBUF: usize = 0xd00;
    pub const EDDBUF_SIZE: usize = 0x1ec;
}

/// Entries of boot_params.e820_table (E820_MAX_ENTRIES_ZEROPAGE).
const E820_MAX_ENTRIES_ZEROPAGE: usize = 128;
/// struct boot_e820_entry: address, size, type, packed.
const E820_ENTRY_SIZE: usize = 20;

/// Types of setup_data (arch/x86/include/uapi/asm/setup_data.h).
const SETUP_E820_EXT: u32 = 1;
const SETUP_EFI: u32 = 4;
const SETUP_RNG_SEED: u32 = 9;
/// struct setup_data: next, type, len; data follow.
const SETUP_DATA_HEADER: usize = 16;

/// The boot loader id that is assigned to kexec ("D kexec-tools"), which the
/// kernel's own kexec_file_load writes too: both calls look the same afterwards.
const LOADER_KEXEC: u8 = 0x0d << 4;

/// boot.rst: "the start address of loaded 64-bit kernel plus 0x200".
const ENTRY64: u64 = 0x200;

const MIB: u64 = 1 << 20;
const FOUR_GIB: u64 = 1 << 32;
/// Below 1 MiB is the firmware's and the real-mode trampolines'; nothing goes there.
const LOWEST: u64 = MIB;
/// Initrds go above the memory of old DMA and of kernels that unpack low, as
/// the kernel's own loader does (MIN_INITRD_LOAD_ADDR, kexec-bzimage64.c).
const LOWEST_INITRD: u64 = 16 * MIB;

/// "EL64": the firmware that started this machine is 64-bit EFI.
const EFI64_LOADER_SIGNATURE: u32 = u32::from_le_bytes(*b"EL64");
/// efi_memory_desc_t: type, padding, physical and virtual address, pages, attribute.
const EFI_MEMORY_DESC_SIZE: usize = 40;

/// How many ranges of the EFI runtime map are kept.
pub const MAX_EFI_RANGES: usize = 256;

/// How large the segment of parameters may be, in bytes.
pub const PARAMETERS_SIZE: usize = 96 * 1024;

/// The bytes of the segment of parameters.
type Parameters = Table<u8, PARAMETERS_SIZE>;

/// One directory of /sys/firmware/efi/runtime-map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EfiRange {
    /// EFI memory type.
    pub kind: u32,
    /// Physical address.
    pub phys_addr: u64,
    /// The virtual address that the firmware was told once and for all.
    pub virt_addr: u64,
    /// Size in pages of 4 KiB.
    pub num_pages: u64,
    /// EFI memory attributes.
    pub attribute: u64,
}

/// What the running kernel knows of EFI (/sys/firmware/efi).
#[derive(Clone, Debug, Default)]
pub struct Efi {
    /// Whether the firmware is 64-bit (`fw_platform_size`).
    pub is_64_bit: bool,
    /// `fw_vendor`, a physical address.
    pub fw_vendor: Option<u64>,
    /// `config_table`, a physical address.
    pub config_table: Option<u64>,
    /// The SMBIOS table (`systab`), a physical address.
    pub smbios: Option<u64>,
    /// The ACPI RSDP (`systab`), a physical address.
    pub acpi_rsdp: Option<u64>,
    /// `runtime-map`, in its order.
    pub runtime_map: Table<EfiRange, MAX_EFI_RANGES>,
}

/// What the layout needs to know of the running machine.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'m> {
    /// The memory map that the next kernel is told.
    pub firmware_map: &'m MemoryMap,
    /// RAM that may be written.
    pub usable: &'m RangeSet,
    /// RAM as the running kernel counts it, in pages.
    pub total_pages: u64,
    /// The running kernel's boot_params (/sys/kernel/boot_params/data).
    pub boot_params: Option<&'m [u8]>,
    /// EFI, when the running kernel was started with it.
    pub efi: Option<&'m Efi>,
    /// Whether the firmware's framebuffer is still what the screen shows.
    pub framebuffer_live: bool,
    /// Random bytes for the next kernel, when the running kernel has good ones.
    pub rng_seed: Option<[u8; 32]>,
    /// Whether five-level paging is on.
    pub five_level_paging: bool,
    /// Bounds that the user gave for every segment.
    pub bounds: Range,
    /// Whether the running kernel is a 32-bit one, whose kexec ends in protected mode
    /// without paging; a 64-bit one's ends in long mode.
    pub protected_mode: bool,
}

/// Whether the next kernel gets EFI runtime services, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EfiState {
    /// The machine was not started by EFI.
    NoEfi,
    /// The next kernel takes EFI over.
    Kept,
    /// The next kernel does without; this is missing.
    Left(&'static str),
}

impl core::fmt::Display for EfiState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            EfiState::NoEfi => f.write_str("no EFI"),
            EfiState::Kept => f.write_str("EFI is handed on"),
            EfiState::Left(why) => write!(f, "EFI is left out: {why}"),
        }
    }
}

/// Lays out `kernel`, the initrds in their order, and the command line.
pub fn plan<'a>(
    kernel: &BzImage<'a>,
    initrds: &[&'a [u8]],
    command_line: &[u8],
    inputs: &Inputs<'_>,
) -> Result<(Plan<'a>, EfiState), NoPlan> {
    if command_line.len() > kernel.cmdline_size {
        let (length, limit) = (command_line.len(), kernel.cmdline_size);
        return Err(NoPlan::CommandLineTooLong { length, limit });
    }
    let enters_32 = inputs.protected_mode || !kernel.is_64_bit();
    // The way into a 32-bit entry leaves long mode, and five-level paging with it.
    if inputs.five_level_paging && !enters_32 && !kernel.five_level() {
        return Err(NoPlan::FiveLevelPaging);
    }
    let above_4g = kernel.above_4g() && !enters_32;
    let highest = if above_4g { u64::MAX } else { FOUR_GIB };
    let mut free = inputs.usable.clone();
    let mut placer = Placer::new(&mut free, PAGE, inputs.bounds, highest)?;

    let kernel_place = place_kernel(kernel, &mut placer)?;
    // "The maximum address that may be occupied by the initial ramdisk/ramfs
    // contents", which a kernel that can be loaded above 4G does not mean.
    let max = if above_4g { u64::MAX } else { kernel.initrd_addr_max.saturating_add(1) };
    let (initrd_place, initrd_size) = placer.initrds(initrds, LOWEST_INITRD, max)?;

    let efi = if enters_32 && inputs.efi.is_some() {
        EfiState::Left("a kernel that is entered in 32-bit mode does not take EFI over")
    } else {
        efi_state(kernel, inputs)
    };
    let mut parameters = write_parameters(command_line, inputs, efi)?;
    let size = align_up(parameters.len() as u64, PAGE).ok_or(NoPlan::ParametersTooLarge(PARAMETERS_SIZE))?;
    let parameters_place = placer.lowest(Purpose::Parameters, size, PAGE, LOWEST, u64::MAX)?;

    let at = parameters_place.start();
    fill_boot_params(&mut parameters, kernel, inputs)
        .and_then(|()| put_pointers(&mut parameters, at, kernel_place, initrd_place, initrd_size))
        .and_then(|()| {
            let entry = kernel_place.start();
            let target = parameters.get_mut(TRAMPOLINE..)?;
            let trampoline_at = at.checked_add(TRAMPOLINE as u64)?;
            if enters_32 {
                let protected = inputs.protected_mode;
                return trampoline::write_x86_32(target, trampoline_at, at, entry, protected);
            }
            trampoline::write_x86_64(target, trampoline_at, at, entry.checked_add(ENTRY64)?)
        })
        .ok_or(NoPlan::Broken("boot_params is too small"))?;

    let mut segments = Segments::new();
    push(&mut segments, Purpose::Kernel, Source::File(kernel.protected_mode()), kernel_place)?;
    placer.push_initrds(&mut segments, initrds, initrd_place)?;
    // The last, which is copied last: its last page stays in the page that the kernel
    // copies by (relocate_kernel_64.S, swap_pages), and an initrd may hold a key.
    push(&mut segments, Purpose::Parameters, Source::Parameters, parameters_place)?;
    let entry = at.saturating_add(TRAMPOLINE as u64);
    let plan = Plan::new(entry, parameters.into_vec(), segments, inputs.usable, inputs.total_pages)?;
    Ok((plan, efi))
}

fn place_kernel(kernel: &BzImage, placer: &mut Placer) -> Result<Range, NoPlan> {
    // "init_size: the amount of linear contiguous memory starting at the kernel
    // runtime start address that the kernel needs before it is capable of
    // examining its memory map."
    let size = align_up(kernel.init_size, PAGE).ok_or(NoPlan::Broken("init_size"))?;
    let min = kernel.pref_address.max(LOWEST);
    if !kernel.relocatable {
        return placer.lowest(Purpose::Kernel, size, PAGE, min, min.saturating_add(size));
    }
    placer.lowest(Purpose::Kernel, size, kernel.kernel_alignment, min, u64::MAX)
}

/// The trampoline follows boot_params in the segment of parameters.
const TRAMPOLINE: usize = boot_params::SIZE;
/// The command line follows the trampoline.
const COMMAND_LINE: usize = TRAMPOLINE + trampoline::X86_64_SIZE;

/// Writes the parts of the parameters whose size depends on the machine, with
/// offsets where addresses will stand: boot_params (zero), the trampoline's
/// room, the command line with its NUL, and the setup_data list.
fn write_parameters(command_line: &[u8], inputs: &Inputs, efi: EfiState) -> Result<Parameters, NoPlan> {
    let full = NoPlan::ParametersTooLarge(PARAMETERS_SIZE);
    let mut parameters = Parameters::new();
    parameters.resize(COMMAND_LINE, 0).map_err(|_| full)?;
    parameters.extend_from_slice(command_line).map_err(|_| full)?;
    parameters.push(0).map_err(|_| full)?;
    if efi == EfiState::Kept {
        write_efi(&mut parameters, inputs).ok_or(full)?;
    }
    let rest = inputs.firmware_map.entries().get(E820_MAX_ENTRIES_ZEROPAGE..).unwrap_or_default();
    if !rest.is_empty() {
        let length = rest.len().checked_mul(E820_ENTRY_SIZE).ok_or(full)?;
        let data = push_setup_data(&mut parameters, SETUP_E820_EXT, length).ok_or(full)?;
        put_e820(&mut parameters, data, rest).ok_or(full)?;
    }
    if let Some(seed) = &inputs.rng_seed {
        let data = push_setup_data(&mut parameters, SETUP_RNG_SEED, seed.len()).ok_or(full)?;
        bytes::put(&mut parameters, data, seed).ok_or(full)?;
    }
    Ok(parameters)
}

/// Appends a setup_data node with `length` zero bytes of data to the list whose
/// head is boot_params.hdr.setup_data; answers the offset of its data. Links are
/// offsets until [`put_pointers`] makes addresses of them.
fn push_setup_data(parameters: &mut Parameters, kind: u32, length: usize) -> Option<usize> {
    let node = pad(parameters, 16)?;
    let data = node.checked_add(SETUP_DATA_HEADER)?;
    parameters.resize(data.checked_add(length)?, 0).ok()?;
    // "the next is a 64-bit physical pointer to the next node of linked list,
    // the next field of the last node is 0"
    let head = bytes::u64_at(parameters, boot_params::SETUP_DATA)?;
    bytes::put(parameters, node, &head.to_le_bytes())?;
    bytes::put(parameters, node.checked_add(8)?, &kind.to_le_bytes())?;
    bytes::put(parameters, node.checked_add(12)?, &u32::try_from(length).ok()?.to_le_bytes())?;
    bytes::put(parameters, boot_params::SETUP_DATA, &(node as u64).to_le_bytes())?;
    Some(data)
}

/// Pads to a multiple of `align`; answers the new length.
fn pad(parameters: &mut Parameters, align: usize) -> Option<usize> {
    let length = parameters.len().checked_next_multiple_of(align)?;
    parameters.resize(length, 0).ok()?;
    Some(length)
}

/// Whether every part is there that the next kernel needs to run EFI's services
/// where the firmware was once told that they are. With one missing it must not
/// try: efi_info stays zero and the next kernel starts as on a machine without.
fn efi_state(kernel: &BzImage, inputs: &Inputs) -> EfiState {
    let Some(efi) = inputs.efi else { return EfiState::NoEfi };
    let signature = inputs.boot_params.and_then(|old| u32_at(old, boot_params::EFI_LOADER_SIGNATURE));
    let stride = inputs.boot_params.and_then(|old| u32_at(old, boot_params::EFI_MEMDESC_SIZE));
    if !kernel.efi_kexec() {
        return EfiState::Left("this kernel does not take EFI over from a kexec (XLF_EFI_KEXEC)");
    }
    if inputs.boot_params.is_none() {
        return EfiState::Left("/sys/kernel/boot_params/data cannot be read");
    }
    if !efi.is_64_bit || signature != Some(EFI64_LOADER_SIGNATURE) {
        return EfiState::Left("the firmware is not 64-bit EFI");
    }
    if efi.runtime_map.is_empty() || stride.is_none_or(|size| !(40..=256).contains(&size)) {
        return EfiState::Left("/sys/firmware/efi/runtime-map is not there, or too long");
    }
    if efi.fw_vendor.is_none() {
        return EfiState::Left("/sys/firmware/efi/fw_vendor is not there");
    }
    if efi.config_table.is_none() {
        return EfiState::Left("/sys/firmware/efi/config_table is not there");
    }
    EfiState::Kept
}

/// efi_info with the runtime map behind it, and SETUP_EFI with what the running
/// kernel changed in the tables (struct efi_setup_data, arch/x86/include/asm/efi.h).
fn write_efi(parameters: &mut Parameters, inputs: &Inputs) -> Option<()> {
    use boot_params as bp;
    let efi = inputs.efi?;
    let old = inputs.boot_params?;
    let stride = u32_at(old, bp::EFI_MEMDESC_SIZE)? as usize;

    let map = pad(parameters, 16)?;
    for range in efi.runtime_map.iter() {
        let at = parameters.len();
        parameters.resize(at.checked_add(stride.max(EFI_MEMORY_DESC_SIZE))?, 0).ok()?;
        let descriptor = parameters.get_mut(at..)?;
        bytes::put(descriptor, 0, &range.kind.to_le_bytes())?;
        bytes::put(descriptor, 8, &range.phys_addr.to_le_bytes())?;
        bytes::put(descriptor, 16, &range.virt_addr.to_le_bytes())?;
        bytes::put(descriptor, 24, &range.num_pages.to_le_bytes())?;
        bytes::put(descriptor, 32, &range.attribute.to_le_bytes())?;
    }
    let map_size = u32::try_from(parameters.len().checked_sub(map)?).ok()?;

    copy(parameters, old, bp::EFI_LOADER_SIGNATURE, 4)?;
    copy(parameters, old, bp::EFI_SYSTAB, 4)?;
    copy(parameters, old, bp::EFI_SYSTAB_HI, 4)?;
    copy(parameters, old, bp::EFI_MEMDESC_SIZE, 4)?;
    copy(parameters, old, bp::EFI_MEMDESC_VERSION, 4)?;
    // An offset until put_pointers.
    bytes::put(parameters, bp::EFI_MEMMAP, &u32::try_from(map).ok()?.to_le_bytes())?;
    bytes::put(parameters, bp::EFI_MEMMAP_SIZE, &map_size.to_le_bytes())?;

    // fw_vendor, unused, tables, smbios, reserved[8].
    let data = push_setup_data(parameters, SETUP_EFI, 12 * 8)?;
    bytes::put(parameters, data, &efi.fw_vendor?.to_le_bytes())?;
    bytes::put(parameters, data.checked_add(16)?, &efi.config_table?.to_le_bytes())?;
    bytes::put(parameters, data.checked_add(24)?, &efi.smbios.unwrap_or(0).to_le_bytes())
}

/// The fields of boot_params that hold no address of our own.
fn fill_boot_params(parameters: &mut Parameters, kernel: &BzImage, inputs: &Inputs) -> Option<()> {
    use boot_params as bp;
    // "the setup header at offset 0x01f1 of kernel image on should be loaded into
    // struct boot_params", all else zero; setup_data is ours, and not in the file.
    let setup_data = bytes::u64_at(parameters, bp::SETUP_DATA)?;
    bytes::put(parameters, SETUP_HEADER, kernel.setup_header())?;
    bytes::put(parameters, bp::SETUP_DATA, &setup_data.to_le_bytes())?;
    // loadflags stay as they are in the file: LOADED_HIGH is true.
    bytes::put(parameters, bp::TYPE_OF_LOADER, &[LOADER_KEXEC])?;

    let entries = inputs.firmware_map.entries();
    let first = entries.get(..E820_MAX_ENTRIES_ZEROPAGE).unwrap_or(entries);
    put_e820(parameters, bp::E820_TABLE, first)?;
    bytes::put(parameters, bp::E820_ENTRIES, &[u8::try_from(first.len()).ok()?])?;

    let rsdp_of_efi = inputs.efi.and_then(|efi| efi.acpi_rsdp);
    let Some(old) = inputs.boot_params.filter(|old| old.len() >= bp::SIZE) else {
        return bytes::put(parameters, bp::ACPI_RSDP_ADDR, &rsdp_of_efi.unwrap_or(0).to_le_bytes());
    };
    let rsdp = bytes::u64_at(old, bp::ACPI_RSDP_ADDR).filter(|&rsdp| rsdp != 0).or(rsdp_of_efi);
    bytes::put(parameters, bp::ACPI_RSDP_ADDR, &rsdp.unwrap_or(0).to_le_bytes())?;
    copy(parameters, old, bp::HARDWARE_SUBARCH, 4)?;
    copy(parameters, old, bp::SECURE_BOOT, 1)?;
    // EDD: what the firmware said of its disks; the next kernel cannot ask again.
    copy(parameters, old, bp::EDDBUF_ENTRIES, 1)?;
    copy(parameters, old, bp::EDDBUF, bp::EDDBUF_SIZE)?;
    copy(parameters, old, bp::EDD_MBR_SIG_BUF_ENTRIES, 1)?;
    copy(parameters, old, bp::EDD_MBR_SIG_BUFFER, bp::EDD_MBR_SIG_BUFFER_SIZE)?;
    // The screen, as the firmware left it: true until a driver changes the mode.
    if inputs.framebuffer_live {
        copy(parameters, old, bp::SCREEN_INFO, bp::SCREEN_INFO_SIZE)?;
        copy(parameters, old, bp::EDID_INFO, bp::EDID_INFO_SIZE)?;
    }
    put_old_memory_sizes(parameters, entries)
}

/// ext_mem_k and alt_mem_k: KiB of RAM above 1 MiB, for readers older than e820.
fn put_old_memory_sizes(parameters: &mut Parameters, entries: &[Entry]) -> Option<()> {
    let at_1m =
        |entry: &&Entry| entry.kind == Kind::Ram && entry.range.start() <= MIB && entry.range.end() > MIB;
    let above = entries.iter().find(at_1m).map_or(0, |entry| entry.range.end().saturating_sub(MIB) >> 10);
    let alt = u32::try_from(above).unwrap_or(u32::MAX);
    let ext = u16::try_from(above.min(0xfc00)).ok()?;
    bytes::put(parameters, boot_params::SCREEN_INFO_EXT_MEM_K, &ext.to_le_bytes())?;
    bytes::put(parameters, boot_params::ALT_MEM_K, &alt.to_le_bytes())
}

/// Writes the addresses: of the parts of the segment at `at`, whose links are
/// offsets so far, and of kernel and initrds.
fn put_pointers(
    parameters: &mut Parameters,
    at: u64,
    kernel: Range,
    initrd: Option<Range>,
    initrd_size: u64,
) -> Option<()> {
    use boot_params as bp;
    // setup_data, node by node.
    let mut link = bp::SETUP_DATA;
    loop {
        let offset = bytes::u64_at(parameters, link)?;
        if offset == 0 {
            break;
        }
        bytes::put(parameters, link, &at.checked_add(offset)?.to_le_bytes())?;
        link = usize::try_from(offset).ok()?;
    }
    let map = u32_at(parameters, bp::EFI_MEMMAP)?;
    if map != 0 {
        put_split(parameters, bp::EFI_MEMMAP, bp::EFI_MEMMAP_HI, at.checked_add(u64::from(map))?)?;
    }
    // "the command line can be located anywhere", with its high half in
    // ext_cmd_line_ptr; "Fill in this field even if" there is none.
    put_split(parameters, bp::CMD_LINE_PTR, bp::EXT_CMD_LINE_PTR, at.checked_add(COMMAND_LINE as u64)?)?;
    put_split(parameters, bp::RAMDISK_IMAGE, bp::EXT_RAMDISK_IMAGE, initrd.map_or(0, Range::start))?;
    put_split(parameters, bp::RAMDISK_SIZE, bp::EXT_RAMDISK_SIZE, initrd_size)?;
    // "After loading, the boot loader must set the code32_start field to point to
    // the loaded code": 32 bits, so only below 4 GiB; the 64-bit entry reads none.
    let code32_start = u32::try_from(kernel.start()).unwrap_or(0);
    bytes::put(parameters, bp::CODE32_START, &code32_start.to_le_bytes())
}

/// Writes the low half of `value` at `low` and the high half at `high`.
fn put_split(parameters: &mut Parameters, low: usize, high: usize, value: u64) -> Option<()> {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    bytes::put(parameters, low, &[a, b, c, d])?;
    bytes::put(parameters, high, &[e, f, g, h])
}

fn put_e820(parameters: &mut Parameters, at: usize, entries: &[Entry]) -> Option<()> {
    let slots = parameters.get_mut(at..)?.chunks_exact_mut(E820_ENTRY_SIZE);
    for (entry, slot) in entries.iter().zip(slots) {
        bytes::put(slot, 0, &entry.range.start().to_le_bytes())?;
        bytes::put(slot, 8, &entry.range.size().to_le_bytes())?;
        bytes::put(slot, 16, &entry.kind.e820_type().to_le_bytes())?;
    }
    Some(())
}

/// Copies a field of the running kernel's boot_params to the same offset.
fn copy(parameters: &mut Parameters, old: &[u8], offset: usize, size: usize) -> Option<()> {
    let field = old.get(offset..offset.checked_add(size)?)?;
    bytes::put(parameters, offset, field)
}

/// Whether the running kernel was started with an initrd.
pub fn had_initrd(boot_params: &[u8]) -> bool {
    let size = |offset| u32_at(boot_params, offset).unwrap_or(0);
    size(boot_params::RAMDISK_SIZE) != 0 || size(boot_params::EXT_RAMDISK_SIZE) != 0
}

#[cfg(test)]
mod tests {
    use super::boot_params as bp;
    use super::*;
    use crate::base::bytes::{u16_at, u64_at};
    use crate::image::bzimage::tests::sample;
    use crate::plan::placer::MAX_INITRDS;

    /// A machine with 2 GiB below and 4 GiB above the hole, and its old boot_params.
    struct Fixture {
        map: MemoryMap,
        usable: RangeSet,
        old: Vec<u8>,
        efi: Option<Efi>,
        seed: Option<[u8; 32]>,
        live: bool,
        five_level: bool,
        bounds: Range,
        protected: bool,
    }

    impl Fixture {
        fn new() -> Fixture {
            let mut fixture = Fixture {
                map: MemoryMap::new(),
                usable: RangeSet::new(),
                old: (0..bp::SIZE).map(|i| (i % 251) as u8 | 1).collect(),
                efi: None,
                seed: None,
                live: true,
                five_level: false,
                bounds: Range::ALL,
                protected: false,
            };
            fixture.add(0x1000, 0x9_fc00, Kind::Ram);
            fixture.add(0x9_fc00, 0xa_0000, Kind::Reserved);
            fixture.add(0x10_0000, 0x7fee_0000, Kind::Ram);
            fixture.add(0x7fee_0000, 0x7ff0_0000, Kind::Acpi);
            fixture.add(0x1_0000_0000, 0x2_0000_0000, Kind::Ram);
            fixture.map.ram(&mut fixture.usable).unwrap();
            fixture
        }

        fn add(&mut self, start: u64, end: u64, kind: Kind) {
            self.map.insert(Entry { range: Range::new(start, end).unwrap(), kind }).unwrap();
        }

        fn with_efi(mut self) -> Fixture {
            bytes::put(&mut self.old, bp::EFI_LOADER_SIGNATURE, b"EL64").unwrap();
            bytes::put(&mut self.old, bp::EFI_MEMDESC_SIZE, &48u32.to_le_bytes()).unwrap();
            let range = EfiRange {
                kind: 5,
                phys_addr: 0x7fe0_0000,
                virt_addr: 0xffff_fffe_0000_0000,
                num_pages: 16,
                attribute: 1 << 63,
            };
            let mut runtime_map = Table::new();
            assert_eq!((runtime_map.push(range), runtime_map.push(range)), (Ok(()), Ok(())));
            self.efi = Some(Efi {
                is_64_bit: true,
                fw_vendor: Some(0x7f00_0018),
                config_table: Some(0x7f00_0098),
                smbios: Some(0x7f00_1000),
                acpi_rsdp: Some(0x7f00_2014),
                runtime_map,
            });
            self
        }

        fn plan(&self, file: &[u8], initrds: &[&[u8]], line: &[u8]) -> Result<Laid, NoPlan> {
            let kernel = BzImage::parse(file).unwrap();
            let inputs = Inputs {
                firmware_map: &self.map,
                usable: &self.usable,
                total_pages: 6 << 18,
                boot_params: Some(&self.old),
                efi: self.efi.as_ref(),
                framebuffer_live: self.live,
                rng_seed: self.seed,
                five_level_paging: self.five_level,
                bounds: self.bounds,
                protected_mode: self.protected,
            };
            let (plan, efi) = plan(&kernel, initrds, line, &inputs)?;
            let place = |purpose| plan.segments().find(|s| s.purpose == purpose).map(|s| s.place);
            Ok(Laid {
                kernel: place(Purpose::Kernel).unwrap(),
                at: place(Purpose::Parameters).unwrap().start(),
                initrds: (0..initrds.len()).map(|i| place(Purpose::Initrd(i)).unwrap()).collect(),
                entry: plan.entry(),
                efi,
                page: plan.segments().find(|s| s.purpose == Purpose::Parameters).unwrap().bytes.to_vec(),
            })
        }
    }

    struct Laid {
        kernel: Range,
        at: u64,
        initrds: Vec<Range>,
        entry: u64,
        efi: EfiState,
        page: Vec<u8>,
    }

    impl Laid {
        fn u32(&self, offset: usize) -> u32 {
            u32_at(&self.page, offset).unwrap()
        }

        fn u64(&self, offset: usize) -> u64 {
            u64_at(&self.page, offset).unwrap()
        }

        fn split(&self, low: usize, high: usize) -> u64 {
            u64::from(self.u32(low)) | u64::from(self.u32(high)) << 32
        }

        /// The setup_data list: type and data of each node.
        fn setup_data(&self) -> Vec<(u32, &[u8])> {
            let mut nodes = Vec::new();
            let mut next = self.u64(bp::SETUP_DATA);
            while next != 0 {
                let node = (next - self.at) as usize;
                let length = self.u32(node + 12) as usize;
                nodes.push((self.u32(node + 8), &self.page[node + 16..node + 16 + length]));
                next = self.u64(node);
            }
            nodes
        }
    }

    #[test]
    fn kernel_low_initrds_high_and_end_to_end() {
        let initrds: [&[u8]; 3] = [&[1; 4097], &[2; 4096], &[3; 10]];
        let laid = Fixture::new().plan(&sample(), &initrds, b"root=/dev/vda").unwrap();
        assert_eq!((laid.kernel.start(), laid.kernel.size()), (0x100_0000, 0x200_0000));
        // Four bytes of zeros follow each at the least.
        assert_eq!(laid.initrds[0].start(), 0x2_0000_0000 - 5 * PAGE);
        assert_eq!(laid.initrds[0].end(), laid.initrds[1].start());
        assert_eq!(laid.initrds[1].end(), laid.initrds[2].start());
        assert_eq!(laid.split(bp::RAMDISK_IMAGE, bp::EXT_RAMDISK_IMAGE), laid.initrds[0].start());
        assert_eq!(laid.split(bp::RAMDISK_SIZE, bp::EXT_RAMDISK_SIZE), 4 * PAGE + 10);
        assert_eq!(laid.at, 0x10_0000);
        assert_eq!(laid.entry, laid.at + 0x1000);
        let line = (laid.split(bp::CMD_LINE_PTR, bp::EXT_CMD_LINE_PTR) - laid.at) as usize;
        assert_eq!(&laid.page[line..line + 14], b"root=/dev/vda\0");
        assert_eq!(laid.u32(bp::CODE32_START), 0x100_0000);
    }

    #[test]
    fn a_kernel_that_cannot_go_above_4g_stays_below_with_all_it_needs() {
        let mut file = sample();
        bytes::put(&mut file, 0x236, &1u16.to_le_bytes()).unwrap();
        let laid = Fixture::new().plan(&file, &[&[1; 4096]], b"").unwrap();
        // initrd_addr_max is 0x7fffffff, and RAM ends before.
        assert_eq!(laid.initrds[0].end(), 0x7fee_0000);
        bytes::put(&mut file, 0x22c, &0x37ff_ffffu32.to_le_bytes()).unwrap();
        let laid = Fixture::new().plan(&file, &[&[1; 4096]], b"").unwrap();
        assert_eq!(laid.initrds[0].end(), 0x3800_0000);
        let mut fixture = Fixture::new();
        fixture.bounds = Range::new(1 << 32, u64::MAX).unwrap();
        assert!(matches!(
            fixture.plan(&file, &[], b""),
            Err(NoPlan::NoRoom { purpose: Purpose::Kernel, .. })
        ));
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert_eq!(laid.kernel.start(), 1 << 32);
        assert_eq!(laid.split(bp::CMD_LINE_PTR, bp::EXT_CMD_LINE_PTR) >> 32, 1);
        assert_eq!(laid.u32(bp::CODE32_START), 0);
    }

    /// A 32-bit kernel: without the 64-bit entry, and with 895 MiB for its initrd.
    fn sample_32() -> Vec<u8> {
        let mut file = sample();
        bytes::put(&mut file, 0x236, &[0, 0]).unwrap();
        bytes::put(&mut file, 0x22c, &0x37ff_ffffu32.to_le_bytes()).unwrap();
        file
    }

    #[test]
    fn what_is_entered_in_32_bit_mode_lies_below_4g_with_all_it_needs() {
        // From a 64-bit kernel, a 32-bit one; from a 32-bit kernel, either.
        for (protected, file) in [(false, sample_32()), (true, sample_32()), (true, sample())] {
            let mut fixture = Fixture::new().with_efi();
            (fixture.protected, fixture.five_level) = (protected, true);
            let laid = fixture.plan(&file, &[&[1; 4096]], b"x").unwrap();
            let limit = u64::from(u32_at(&file, 0x22c).unwrap()) + 1;
            assert_eq!(laid.initrds[0].end(), limit.min(0x7fee_0000), "{protected}");
            assert!(laid.kernel.end() <= FOUR_GIB && laid.at < FOUR_GIB);
            assert_eq!((laid.u32(bp::EXT_CMD_LINE_PTR), laid.u32(bp::EXT_RAMDISK_IMAGE)), (0, 0));
            assert!(matches!(laid.efi, EfiState::Left(_)));
            // The trampoline jumps to the beginning of the protected-mode code, with
            // boot_params in esi: the addresses in ENTER_32.
            let trampoline = &laid.page[TRAMPOLINE..TRAMPOLINE + trampoline::X86_64_SIZE];
            let before =
                if protected { trampoline::PROTECTED.len() } else { trampoline::LONG_TO_PROTECTED.len() };
            assert_eq!(u32_at(trampoline, before + 21).map(u64::from), Some(laid.at));
            assert_eq!(u32_at(trampoline, before + 32).map(u64::from), Some(laid.kernel.start()));
            assert_eq!(u32_at(trampoline, before + 16).map(u64::from), Some(laid.entry + 512));
            // The table's base and its code segment: 32 bits, 4 GiB.
            assert_eq!(u64_at(trampoline, 258), Some(laid.entry + 272));
            assert_eq!(u64_at(trampoline, 272 + 0x10), Some(0x00cf_9b00_0000_ffff));
            if protected {
                assert_eq!(u32_at(trampoline, 5).map(u64::from), Some(laid.entry + 256));
                assert_eq!(u32_at(trampoline, 10).map(u64::from), Some(laid.entry + 16));
            }
        }
        let mut high = Fixture::new();
        high.bounds = Range::new(1 << 32, u64::MAX).unwrap();
        assert!(matches!(high.plan(&sample_32(), &[], b""), Err(NoPlan::NoRoom { .. })));
    }

    #[test]
    fn a_kernel_that_cannot_move_goes_where_it_wants_or_nowhere() {
        let mut file = sample();
        bytes::put(&mut file, 0x234, &[0]).unwrap();
        let mut fixture = Fixture::new();
        assert_eq!(fixture.plan(&file, &[], b"").unwrap().kernel.start(), 0x100_0000);
        fixture.usable.remove(Range::new(0x180_0000, 0x180_1000).unwrap()).unwrap();
        assert!(matches!(fixture.plan(&file, &[], b""), Err(NoPlan::NoRoom { .. })));
        assert_eq!(fixture.plan(&sample(), &[], b"").unwrap().kernel.start(), 0x1a0_0000);
    }

    #[test]
    fn boot_params_are_zero_but_for_what_is_known() {
        let fixture = Fixture::new();
        let file = sample();
        let laid = fixture.plan(&file, &[], b"").unwrap();
        // The setup header, less what the boot loader writes.
        let header = &laid.page[0x1f1..0x26c];
        let written = [
            bp::TYPE_OF_LOADER..0x211,
            bp::CODE32_START..0x220,
            bp::CMD_LINE_PTR..0x22c,
            bp::HARDWARE_SUBARCH..0x240,
            bp::SETUP_DATA..0x258,
        ];
        for (i, (new, old)) in header.iter().zip(&file[0x1f1..0x26c]).enumerate() {
            let offset = 0x1f1 + i;
            assert!(new == old || written.iter().any(|range| range.contains(&offset)), "{offset:#x}");
        }
        assert_eq!(laid.page[bp::TYPE_OF_LOADER], 0xd0);
        // The sentinel must be zero: a loader that copied too much is known by it.
        assert_eq!(laid.page[0x1ef], 0);
        assert!(laid.page[0x40..0x70].iter().all(|&byte| byte == 0), "APM, tboot and IST");
        assert!(laid.page[0x1c0..0x1e0].iter().all(|&byte| byte == 0), "no EFI");
        for (offset, size) in [
            (bp::EDDBUF, bp::EDDBUF_SIZE),
            (bp::EDD_MBR_SIG_BUFFER, 0x40),
            (bp::EDDBUF_ENTRIES, 2),
            (bp::SECURE_BOOT, 1),
            (bp::ACPI_RSDP_ADDR, 8),
            (bp::EDID_INFO, 0x80),
            (0x06, 0x3a),
        ] {
            assert_eq!(laid.page[offset..offset + size], fixture.old[offset..offset + size], "{offset:#x}");
        }
        // RAM at 1 MiB, in KiB less that first one.
        assert_eq!(laid.u32(bp::ALT_MEM_K), (0x7fee_0000 - 0x10_0000) >> 10);
        assert_eq!(u16_at(&laid.page, bp::SCREEN_INFO_EXT_MEM_K), Some(0xfc00));
        assert_eq!(laid.efi, EfiState::NoEfi);
        assert!(laid.setup_data().is_empty());
    }

    #[test]
    fn a_screen_that_a_driver_took_over_is_not_passed_on() {
        let mut fixture = Fixture::new();
        fixture.live = false;
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert!(laid.page[0x04..0x40].iter().all(|&byte| byte == 0));
        assert!(laid.page[bp::EDID_INFO..bp::EDID_INFO + 0x80].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn e820_beyond_128_goes_to_setup_data_in_order() {
        let mut fixture = Fixture::new();
        for i in 0..295 {
            fixture.add(0x10_0000_0000 + i * 0x2000, 0x10_0000_1000 + i * 0x2000, Kind::Reserved);
        }
        fixture.seed = Some([0x5e; 32]);
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert_eq!(laid.page[bp::E820_ENTRIES], 128);
        let nodes = laid.setup_data();
        assert_eq!(nodes.iter().map(|node| node.0).collect::<Vec<_>>(), [SETUP_RNG_SEED, SETUP_E820_EXT]);
        assert_eq!(nodes[0].1, [0x5e; 32]);
        let table = &laid.page[bp::E820_TABLE..bp::E820_TABLE + 128 * 20];
        let all: Vec<u8> = [table, nodes[1].1].concat();
        assert_eq!(all.len(), 300 * 20);
        for (bytes, entry) in all.chunks_exact(20).zip(fixture.map.entries()) {
            assert_eq!(u64_at(bytes, 0), Some(entry.range.start()));
            assert_eq!(u64_at(bytes, 8), Some(entry.range.size()));
            assert_eq!(u32_at(bytes, 16), Some(entry.kind.e820_type()));
        }
    }

    #[test]
    fn efi_is_handed_on_whole() {
        let laid = Fixture::new().with_efi().plan(&sample(), &[], b"").unwrap();
        assert_eq!(laid.efi, EfiState::Kept);
        assert_eq!(&laid.page[bp::EFI_LOADER_SIGNATURE..bp::EFI_LOADER_SIGNATURE + 4], b"EL64");
        assert_eq!(laid.u32(bp::EFI_MEMMAP_SIZE), 96);
        let map = (laid.split(bp::EFI_MEMMAP, bp::EFI_MEMMAP_HI) - laid.at) as usize;
        for descriptor in [map, map + 48] {
            assert_eq!(laid.u32(descriptor), 5);
            assert_eq!(laid.u64(descriptor + 8), 0x7fe0_0000);
            assert_eq!(laid.u64(descriptor + 16), 0xffff_fffe_0000_0000);
            assert_eq!(laid.u64(descriptor + 24), 16);
            assert_eq!(laid.u64(descriptor + 32), 1 << 63);
        }
        let nodes = laid.setup_data();
        assert_eq!((nodes.len(), nodes[0].0, nodes[0].1.len()), (1, SETUP_EFI, 96));
        assert_eq!(u64_at(nodes[0].1, 0), Some(0x7f00_0018));
        assert_eq!(u64_at(nodes[0].1, 16), Some(0x7f00_0098));
        assert_eq!(u64_at(nodes[0].1, 24), Some(0x7f00_1000));
    }

    #[test]
    fn efi_with_any_part_missing_is_left_out_but_for_acpi() {
        let parts: [fn(&mut Fixture); 6] = [
            |fixture| fixture.efi.as_mut().unwrap().runtime_map.clear(),
            |fixture| fixture.efi.as_mut().unwrap().fw_vendor = None,
            |fixture| fixture.efi.as_mut().unwrap().config_table = None,
            |fixture| fixture.efi.as_mut().unwrap().is_64_bit = false,
            |fixture| fixture.old[bp::EFI_LOADER_SIGNATURE] = b'X',
            |fixture| bytes::put(&mut fixture.old, bp::EFI_MEMDESC_SIZE, &[0; 4]).unwrap(),
        ];
        for (number, take) in parts.into_iter().enumerate() {
            let mut fixture = Fixture::new().with_efi();
            bytes::put(&mut fixture.old, bp::ACPI_RSDP_ADDR, &[0; 8]).unwrap();
            take(&mut fixture);
            let laid = fixture.plan(&sample(), &[], b"").unwrap();
            assert!(matches!(laid.efi, EfiState::Left(_)), "{number}");
            assert!(laid.page[0x1c0..0x1e0].iter().all(|&byte| byte == 0), "{number}");
            assert!(laid.setup_data().is_empty(), "{number}");
            assert_eq!(laid.u64(bp::ACPI_RSDP_ADDR), 0x7f00_2014, "{number}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let fixture = Fixture::new();
        let long = vec![b'x'; 2048];
        assert_eq!(
            fixture.plan(&sample(), &[], &long).err(),
            Some(NoPlan::CommandLineTooLong { length: 2048, limit: 2047 })
        );
        assert!(fixture.plan(&sample(), &[], &long[1..]).is_ok());
        let mut five = Fixture::new();
        five.five_level = true;
        assert!(five.plan(&sample(), &[], b"").is_ok());
        let mut file = sample();
        bytes::put(&mut file, 0x236, &0x1fu16.to_le_bytes()).unwrap();
        assert_eq!(five.plan(&file, &[], b"").err(), Some(NoPlan::FiveLevelPaging));
        let many = vec![&b"x"[..]; MAX_INITRDS + 1];
        assert_eq!(fixture.plan(&sample(), &many, b"").err(), Some(NoPlan::TooManySegments));
        assert!(fixture.plan(&sample(), &many[1..], b"").is_ok());
        let mut none = Fixture::new();
        none.usable = RangeSet::new();
        assert_eq!(none.plan(&sample(), &[], b"").err(), Some(NoPlan::NoMemory));
    }

    #[test]
    fn an_old_kernel_without_boot_params_in_sysfs_still_boots() {
        let mut fixture = Fixture::new().with_efi();
        fixture.old.clear();
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert!(matches!(laid.efi, EfiState::Left(_)));
        assert_eq!(laid.u64(bp::ACPI_RSDP_ADDR), 0x7f00_2014);
    }
}
