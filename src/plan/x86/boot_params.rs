//! struct boot_params, the "zero page": Documentation/arch/x86/zero-page.rst.

use super::{COMMAND_LINE, Inputs, MIB, Parameters, Places};
use crate::base::bytes::{put, u32_at, u64_at};
use crate::base::range::{Range, TooMany};
use crate::image::bzimage::{BzImage, SETUP_HEADER};
use crate::plan::memory_map::{Entry, Kind, MemoryMap};

// Offsets in struct boot_params, and sizes of its fields, in bytes
// (arch/x86/include/uapi/asm/bootparam.h).
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

/// How many entries the table in boot_params has room for.
pub const E820_MAX_ENTRIES_ZEROPAGE: usize = 128;
/// struct boot_e820_entry: address, size and type, packed.
pub const E820_ENTRY_SIZE: usize = 20;

/// The boot loader ID that is assigned to kexec-tools, 0xD. kexec_file_load writes it too
/// (kexec-bzimage64.c): the next kernel sees no difference between the two calls.
const LOADER_KEXEC: u8 = 0x0d << 4;

/// Fills in the fields that hold no address of this plan. `None` if the parameters are too
/// short for one.
pub fn fill(parameters: &mut Parameters, kernel: &BzImage, inputs: &Inputs) -> Option<()> {
    // "the setup header at offset 0x01f1 of kernel image on should be loaded into struct
    // boot_params". The list of setup_data is already there, and the file has none.
    let setup_data = u64_at(parameters, SETUP_DATA)?;
    put(parameters, SETUP_HEADER, kernel.setup_header())?;
    put(parameters, SETUP_DATA, &setup_data.to_le_bytes())?;
    // loadflags stay as they are in the file: LOADED_HIGH is true.
    put(parameters, TYPE_OF_LOADER, &[LOADER_KEXEC])?;

    let entries = inputs.firmware_map.entries();
    let first = entries.get(..E820_MAX_ENTRIES_ZEROPAGE).unwrap_or(entries);
    put_e820(parameters, E820_TABLE, first)?;
    put(parameters, E820_ENTRIES, &[u8::try_from(first.len()).ok()?])?;

    let old = inputs.boot_params.filter(|old| old.len() >= SIZE);
    let old_rsdp = old.and_then(|old| u64_at(old, ACPI_RSDP_ADDR)).filter(|&rsdp| rsdp != 0);
    let rsdp = old_rsdp.or(inputs.efi.and_then(|efi| efi.acpi_rsdp)).unwrap_or(0);
    put(parameters, ACPI_RSDP_ADDR, &rsdp.to_le_bytes())?;
    let Some(old) = old else { return Some(()) };
    hand_on(parameters, old, inputs.framebuffer_live)?;
    // After screen_info, in which ext_mem_k lies.
    put_old_memory_sizes(parameters, entries)
}

/// Fills in what the running kernel knows from the firmware, and the next kernel cannot ask
/// for again.
fn hand_on(parameters: &mut Parameters, old: &[u8], framebuffer_live: bool) -> Option<()> {
    copy(parameters, old, HARDWARE_SUBARCH, 4)?;
    copy(parameters, old, SECURE_BOOT, 1)?;
    // EDD: what the BIOS said of its disks.
    copy(parameters, old, EDDBUF_ENTRIES, 1)?;
    copy(parameters, old, EDDBUF, EDDBUF_SIZE)?;
    copy(parameters, old, EDD_MBR_SIG_BUF_ENTRIES, 1)?;
    copy(parameters, old, EDD_MBR_SIG_BUFFER, EDD_MBR_SIG_BUFFER_SIZE)?;
    // The screen as the firmware left it: true until a driver changes the mode.
    if framebuffer_live {
        copy(parameters, old, SCREEN_INFO, SCREEN_INFO_SIZE)?;
        copy(parameters, old, EDID_INFO, EDID_INFO_SIZE)?;
    }
    Some(())
}

/// ext_mem_k and alt_mem_k: KiB of RAM from 1 MiB on, for readers older than e820.
fn put_old_memory_sizes(parameters: &mut Parameters, entries: &[Entry]) -> Option<()> {
    let at_1m =
        |entry: &&Entry| entry.kind == Kind::Ram && entry.range.start() <= MIB && entry.range.end() > MIB;
    let above = entries.iter().find(at_1m).map_or(0, |entry| entry.range.end().saturating_sub(MIB) >> 10);
    let alt = u32::try_from(above).unwrap_or(u32::MAX);
    let ext = u16::try_from(above.min(0xfc00)).ok()?;
    put(parameters, SCREEN_INFO_EXT_MEM_K, &ext.to_le_bytes())?;
    put(parameters, ALT_MEM_K, &alt.to_le_bytes())
}

/// Fills in the addresses: of the kernel, of the initrds, and of the EFI memory map in the
/// parameters, whose link is an offset until now. `None` if the parameters are too short, or
/// an offset in them is wrong.
pub fn put_pointers(parameters: &mut Parameters, at: Places) -> Option<()> {
    let inside = |offset: u64| at.parameters.checked_add(offset);
    let map = u32_at(parameters, EFI_MEMMAP)?;
    if map != 0 {
        put_split(parameters, EFI_MEMMAP, EFI_MEMMAP_HI, inside(u64::from(map))?)?;
    }
    // "Set this field to the linear address of the kernel command line.", and "Fill in this
    // field even if your boot loader does not support a command line".
    put_split(parameters, CMD_LINE_PTR, EXT_CMD_LINE_PTR, inside(COMMAND_LINE as u64)?)?;
    // "Leave at zero if there is no initial ramdisk/ramfs."
    let initrds = at.initrds.unwrap_or_default();
    put_split(parameters, RAMDISK_IMAGE, EXT_RAMDISK_IMAGE, initrds.start)?;
    put_split(parameters, RAMDISK_SIZE, EXT_RAMDISK_SIZE, initrds.length)?;
    // "After loading, the boot loader must set the code32_start field to point to the
    // loaded code": the field has 32 bits. A kernel above 4 GiB is entered at its 64-bit
    // entry point, which does not read it.
    let code32_start = u32::try_from(at.kernel).unwrap_or(0);
    put(parameters, CODE32_START, &code32_start.to_le_bytes())
}

/// Writes the low half of `value` at `low` and the high half at `high`.
fn put_split(parameters: &mut Parameters, low: usize, high: usize, value: u64) -> Option<()> {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    put(parameters, low, &[a, b, c, d])?;
    put(parameters, high, &[e, f, g, h])
}

/// Writes e820 entries at `at`, as many as there is room for.
pub fn put_e820(parameters: &mut Parameters, at: usize, entries: &[Entry]) -> Option<()> {
    let slots = parameters.get_mut(at..)?.chunks_exact_mut(E820_ENTRY_SIZE);
    for (entry, slot) in entries.iter().zip(slots) {
        put(slot, 0, &entry.range.start().to_le_bytes())?;
        put(slot, 8, &entry.range.size().to_le_bytes())?;
        put(slot, 16, &entry.kind.e820_type().to_le_bytes())?;
    }
    Some(())
}

/// Copies `size` bytes at `offset` from the running kernel's boot_params.
pub fn copy(parameters: &mut Parameters, old: &[u8], offset: usize, size: usize) -> Option<()> {
    let field = old.get(offset..offset.checked_add(size)?)?;
    put(parameters, offset, field)
}

/// Adds to `map` what the boot loader told the running kernel of the memory: the table in its
/// boot_params, or the one in a node of setup_data with the type SETUP_E820_EXT.
pub fn e820_of(table: &[u8], map: &mut MemoryMap) -> Result<(), TooMany> {
    for slot in table.chunks_exact(E820_ENTRY_SIZE) {
        let entry = || Some((u64_at(slot, 0)?, u64_at(slot, 8)?, u32_at(slot, 16)?));
        let Some((start, size, kind)) = entry() else { continue };
        if let Some(range) = Range::sized(start, size) {
            map.insert(Entry { range, kind: Kind::from_e820_type(kind) })?;
        }
    }
    Ok(())
}

/// The e820 table in boot_params, as many entries as it says.
pub fn e820_table(boot_params: &[u8]) -> &[u8] {
    let entries = boot_params.get(E820_ENTRIES).copied().unwrap_or(0);
    let length = usize::from(entries).min(E820_MAX_ENTRIES_ZEROPAGE).saturating_mul(E820_ENTRY_SIZE);
    boot_params.get(E820_TABLE..).and_then(|table| table.get(..length)).unwrap_or_default()
}

/// "the amount of linear contiguous memory starting at the kernel runtime start address that the
/// kernel needs", in bytes, of the kernel that was started with these boot_params; 0 when they do not
/// say (boot.rst, init_size).
pub fn init_size(boot_params: &[u8]) -> u64 {
    u32_at(boot_params, 0x260).unwrap_or(0).into()
}

/// Where the firmware's framebuffer was when the running kernel started; `None` without one, or with
/// text mode (include/uapi/linux/screen_info.h: orig_video_isVGA is VIDEO_TYPE_VLFB or
/// VIDEO_TYPE_EFI; lfb_base, and ext_lfb_base with VIDEO_CAPABILITY_64BIT_BASE).
pub fn framebuffer(boot_params: &[u8]) -> Option<u64> {
    if !matches!(boot_params.get(0x0f), Some(0x23 | 0x70)) {
        return None;
    }
    let is_64_bit = u32_at(boot_params, 0x36)? & 2 != 0;
    let high = if is_64_bit { u64::from(u32_at(boot_params, 0x3a)?) << 32 } else { 0 };
    Some(high | u64::from(u32_at(boot_params, 0x18)?)).filter(|&base| base != 0)
}

/// Whether the kernel that was started with these boot_params had an initrd.
pub fn had_initrd(boot_params: &[u8]) -> bool {
    let size = |offset| u32_at(boot_params, offset).unwrap_or(0);
    size(RAMDISK_SIZE) != 0 || size(EXT_RAMDISK_SIZE) != 0
}

#[cfg(test)]
mod tests {
    use crate::base::bytes::u16_at;
    use crate::base::range::Range;
    use crate::image::bzimage::tests::sample;
    use crate::plan::memory_map::{Entry, Kind, MemoryMap};
    use crate::plan::x86::EfiState;
    use crate::plan::x86::boot_params as bp;
    use crate::plan::x86::tests::Fixture;

    #[test]
    fn what_the_boot_loader_told_is_read() {
        let fixture = Fixture::new();
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        let mut map = MemoryMap::new();
        bp::e820_of(bp::e820_table(&laid.page), &mut map).unwrap();
        assert_eq!(map, fixture.map);
        // A type that is not known is not RAM, and neither is a range that ends nowhere.
        let odd = [&1u64.to_le_bytes()[..], &u64::MAX.to_le_bytes(), &1u32.to_le_bytes()].concat();
        let new = [&0u64.to_le_bytes()[..], &9u64.to_le_bytes(), &77u32.to_le_bytes()].concat();
        let mut map = MemoryMap::new();
        bp::e820_of(&[odd, new, vec![1; 19]].concat(), &mut map).unwrap();
        let range = Range::new(0, 9).unwrap();
        assert_eq!(map.entries(), [Entry { range, kind: Kind::Reserved }]);
        assert_eq!(bp::e820_table(b"short"), b"");
    }

    #[test]
    fn where_the_framebuffer_was() {
        let mut old = vec![0; bp::SIZE];
        old[0x18..0x1c].copy_from_slice(&0xfd00_0000u32.to_le_bytes());
        assert_eq!(bp::framebuffer(&old), None);
        old[0x0f] = 0x70;
        old[0x3a] = 1;
        assert_eq!(bp::framebuffer(&old), Some(0xfd00_0000));
        old[0x36] = 2;
        assert_eq!(bp::framebuffer(&old), Some(0x1_fd00_0000));
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
    fn an_old_kernel_without_boot_params_in_sysfs_still_boots() {
        let mut fixture = Fixture::new().with_efi();
        fixture.old.clear();
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert!(matches!(laid.efi, EfiState::Left(_)));
        assert_eq!(laid.u64(bp::ACPI_RSDP_ADDR), 0x7f00_2014);
    }
}
