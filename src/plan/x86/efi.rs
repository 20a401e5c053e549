//! EFI runtime services for the next kernel: they keep working only if it maps them where
//! the running kernel once told the firmware that they are.

use super::{Inputs, Parameters, boot_params as bp, enters_32, pad, setup_data};
use crate::base::bytes::{put, u32_at};
use crate::base::table::Table;
use crate::image::bzimage::BzImage;
use core::fmt;

/// "EL64": 64-bit EFI started the running kernel.
const EFI64_LOADER_SIGNATURE: u32 = u32::from_le_bytes(*b"EL64");
/// The size of efi_memory_desc_t, in bytes: type, padding, physical address, virtual
/// address, pages, attribute.
const EFI_MEMORY_DESC_SIZE: usize = 40;
/// The size of struct efi_setup_data, in bytes: fw_vendor, unused, tables, smbios, and eight
/// reserved numbers (arch/x86/include/asm/efi.h).
const EFI_SETUP_DATA_SIZE: usize = 12 * 8;

/// The most ranges of EFI's runtime map that are kept.
pub const MAX_EFI_RANGES: usize = 256;

/// One directory of /sys/firmware/efi/runtime-map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EfiRange {
    /// The EFI memory type.
    pub kind: u32,
    /// The physical address.
    pub phys_addr: u64,
    /// The virtual address that the firmware has been told. It can be told only once.
    pub virt_addr: u64,
    /// The size, in pages of 4 KiB.
    pub num_pages: u64,
    /// The EFI memory attributes.
    pub attribute: u64,
}

/// What the running kernel knows of EFI (/sys/firmware/efi).
#[derive(Clone, Debug, Default)]
pub struct Efi {
    /// Whether the firmware is 64-bit (`fw_platform_size`).
    pub is_64_bit: bool,
    /// The physical address of the vendor's name (`fw_vendor`).
    pub fw_vendor: Option<u64>,
    /// The physical address of the configuration tables (`config_table`).
    pub config_table: Option<u64>,
    /// The physical address of the SMBIOS table (in `systab`).
    pub smbios: Option<u64>,
    /// The physical address of ACPI's RSDP (in `systab`).
    pub acpi_rsdp: Option<u64>,
    /// `runtime-map`, in its order.
    pub runtime_map: Table<EfiRange, MAX_EFI_RANGES>,
}

/// Whether the next kernel gets EFI runtime services, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EfiState {
    /// EFI did not start this machine.
    NoEfi,
    /// The next kernel gets them.
    Kept,
    /// The next kernel does not get them, for this reason.
    Left(&'static str),
}

impl fmt::Display for EfiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EfiState::NoEfi => f.write_str("no EFI"),
            EfiState::Kept => f.write_str("EFI is handed on"),
            EfiState::Left(why) => write!(f, "EFI is left out: {why}"),
        }
    }
}

/// Whether everything is there that the next kernel needs to call EFI's services. If
/// anything is missing it must not try: efi_info stays zero, and the kernel starts as on a
/// machine without EFI.
pub fn state(kernel: &BzImage, inputs: &Inputs) -> EfiState {
    let Some(efi) = inputs.efi else { return EfiState::NoEfi };
    if !inputs.efi_is_wanted {
        return EfiState::Left("--noefi asks for that");
    }
    if enters_32(kernel, inputs) {
        return EfiState::Left("a kernel that is entered in 32-bit mode does not take EFI over");
    }
    if !kernel.efi_kexec() {
        return EfiState::Left("this kernel does not take EFI over from a kexec (XLF_EFI_KEXEC)");
    }
    let Some(old) = inputs.boot_params else {
        return EfiState::Left("/sys/kernel/boot_params/data cannot be read");
    };
    if !efi.is_64_bit || u32_at(old, bp::EFI_LOADER_SIGNATURE) != Some(EFI64_LOADER_SIGNATURE) {
        return EfiState::Left("the firmware is not 64-bit EFI");
    }
    let descriptor_size = u32_at(old, bp::EFI_MEMDESC_SIZE);
    if efi.runtime_map.is_empty() || descriptor_size.is_none_or(|size| !(40..=256).contains(&size)) {
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

/// The address of ACPI's root pointer, where the next kernel may learn it only from its command line:
/// EFI is left out, and the kernel may be older than boot_params.acpi_rsdp_addr, which came with Linux
/// 5.0. No protocol of its own tells them apart (boot.rst, "Protocol 2.14 BURNT BY INCORRECT COMMIT
/// [...] ASSUME SAME AS 2.13"). Without both a kernel looks for the pointer where a BIOS leaves it.
pub fn untold_rsdp(kernel: &BzImage, inputs: &Inputs) -> Option<u64> {
    let is_left_out = matches!(state(kernel, inputs), EfiState::Left(_));
    inputs.efi?.acpi_rsdp.filter(|_| is_left_out && kernel.protocol < RSDP_PROTOCOL)
}

/// The first protocol of which every kernel reads acpi_rsdp_addr.
const RSDP_PROTOCOL: u16 = 0x20f;

/// Appends the runtime map and a SETUP_EFI node, and fills in efi_info. To be called if
/// [`state`] is [`EfiState::Kept`]; `None` otherwise, or if the parameters get too large.
pub fn write(parameters: &mut Parameters, inputs: &Inputs) -> Option<()> {
    let (efi, old) = (inputs.efi?, inputs.boot_params?);
    write_map(parameters, efi, old)?;
    // What the running kernel changed in the firmware's tables.
    let data = setup_data::push(parameters, setup_data::SETUP_EFI, EFI_SETUP_DATA_SIZE)?;
    put(parameters, data, &efi.fw_vendor?.to_le_bytes())?;
    put(parameters, data.checked_add(16)?, &efi.config_table?.to_le_bytes())?;
    put(parameters, data.checked_add(24)?, &efi.smbios.unwrap_or(0).to_le_bytes())
}

/// Appends the runtime map, and fills in efi_info with the old one's values and the map's
/// offset, which becomes an address in [`super::boot_params::put_pointers`].
fn write_map(parameters: &mut Parameters, efi: &Efi, old: &[u8]) -> Option<()> {
    let descriptor_size = u32_at(old, bp::EFI_MEMDESC_SIZE)? as usize;
    let map = pad(parameters, 16)?;
    for range in efi.runtime_map.iter() {
        let at = parameters.len();
        parameters.resize(at.checked_add(descriptor_size.max(EFI_MEMORY_DESC_SIZE))?, 0).ok()?;
        let descriptor = parameters.get_mut(at..)?;
        put(descriptor, 0, &range.kind.to_le_bytes())?;
        put(descriptor, 8, &range.phys_addr.to_le_bytes())?;
        put(descriptor, 16, &range.virt_addr.to_le_bytes())?;
        put(descriptor, 24, &range.num_pages.to_le_bytes())?;
        put(descriptor, 32, &range.attribute.to_le_bytes())?;
    }
    let map_size = u32::try_from(parameters.len().checked_sub(map)?).ok()?;

    bp::copy(parameters, old, bp::EFI_LOADER_SIGNATURE, 4)?;
    bp::copy(parameters, old, bp::EFI_SYSTAB, 4)?;
    bp::copy(parameters, old, bp::EFI_SYSTAB_HI, 4)?;
    bp::copy(parameters, old, bp::EFI_MEMDESC_SIZE, 4)?;
    bp::copy(parameters, old, bp::EFI_MEMDESC_VERSION, 4)?;
    put(parameters, bp::EFI_MEMMAP, &u32::try_from(map).ok()?.to_le_bytes())?;
    put(parameters, bp::EFI_MEMMAP_SIZE, &map_size.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::u64_at;
    use crate::image::bzimage::tests::sample;
    use crate::plan::x86::setup_data::SETUP_EFI;
    use crate::plan::x86::tests::Fixture;

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
        let parts: [fn(&mut Fixture); 7] = [
            |fixture| fixture.efi_is_wanted = false,
            |fixture| fixture.efi.as_mut().unwrap().runtime_map.clear(),
            |fixture| fixture.efi.as_mut().unwrap().fw_vendor = None,
            |fixture| fixture.efi.as_mut().unwrap().config_table = None,
            |fixture| fixture.efi.as_mut().unwrap().is_64_bit = false,
            |fixture| fixture.old[bp::EFI_LOADER_SIGNATURE] = b'X',
            |fixture| put(&mut fixture.old, bp::EFI_MEMDESC_SIZE, &[0; 4]).unwrap(),
        ];
        for (number, take) in parts.into_iter().enumerate() {
            let mut fixture = Fixture::new().with_efi();
            put(&mut fixture.old, bp::ACPI_RSDP_ADDR, &[0; 8]).unwrap();
            take(&mut fixture);
            let laid = fixture.plan(&sample(), &[], b"").unwrap();
            assert!(matches!(laid.efi, EfiState::Left(_)), "{number}");
            assert!(laid.page[0x1c0..0x1e0].iter().all(|&byte| byte == 0), "{number}");
            assert!(laid.setup_data().is_empty(), "{number}");
            assert_eq!(laid.u64(bp::ACPI_RSDP_ADDR), 0x7f00_2014, "{number}");
            // Which kernels read that, only a later protocol says.
            assert_eq!(laid.untold_rsdp, None, "{number}");
            let mut file = sample();
            put(&mut file, 0x206, &0x20du16.to_le_bytes()).unwrap();
            let laid = fixture.plan(&file, &[], b"").unwrap();
            assert_eq!(laid.untold_rsdp, Some(0x7f00_2014), "{number}");
        }
        assert_eq!(Fixture::new().with_efi().plan(&sample(), &[], b"").unwrap().untold_rsdp, None);
    }
}
