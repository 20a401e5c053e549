//! The crashed kernel's page tables: from a virtual address to a physical one.

use super::{Defect, Vmcoreinfo};
use crate::image::machine::Machine;

/// __START_KERNEL_map: where x86_64 kernels map themselves (arch/x86/include/asm/page_64_types.h).
const X86_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// The bits of the physical address in an entry (arch/x86/include/asm/pgtable_types.h, PHYSICAL_PAGE_MASK;
/// arch/arm64/include/asm/pgtable-hwdef.h, PTE_ADDR_LOW): 47 on arm64, 51 on x86. Bits 51 to 48 of an address
/// lie elsewhere in an arm64 entry, and no machine that is seen here has memory there.
const X86_ADDRESS: u64 = (1 << 52) - 1;
const ARM64_ADDRESS: u64 = (1 << 48) - 1;

/// log2 of the size of a page, 4 to 64 KiB.
pub fn page_shift(info: &Vmcoreinfo) -> Result<u32, Defect> {
    let page = info.number("PAGESIZE")?;
    let is_size = page.is_power_of_two() && (4096..=65536).contains(&page);
    if is_size { Ok(page.trailing_zeros()) } else { Err(Defect::Missing("PAGESIZE")) }
}

/// Where the tables are and how they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    machine: Machine,
    /// The physical address of the top level.
    root: u64,
    /// log2 of a page's size in bytes.
    page_shift: u32,
    /// How many bits of a virtual address are translated.
    bits: u32,
    /// The bits of an entry that are the physical address.
    address: u64,
}

impl Tables {
    /// As VMCOREINFO describes them.
    pub fn new(machine: Machine, info: &Vmcoreinfo) -> Result<Tables, Defect> {
        let page_shift = page_shift(info)?;
        if machine == Machine::Arm64 {
            // "kimage_voffset: The offset between the kernel virtual and physical mappings."
            let offset = info.number("NUMBER(kimage_voffset)")?;
            let root = info.address("SYMBOL(swapper_pg_dir)")?.wrapping_sub(offset);
            // "TCR_EL1.T1SZ: Indicates the size offset of the memory region addressed by TTBR1_EL1. The region
            // size is 2^(64-T1SZ) bytes." The kernels before 5.10 do not tell it.
            let bits = match info.number("NUMBER(TCR_EL1_T1SZ)") {
                Ok(size) => 64u64.saturating_sub(size),
                Err(_) => info.number("NUMBER(VA_BITS)")?,
            };
            let bits = u32::try_from(bits).ok().filter(|bits| (page_shift..=52).contains(bits));
            let bits = bits.ok_or(Defect::Missing("NUMBER(TCR_EL1_T1SZ)"))?;
            return Ok(Tables { machine, root, page_shift, bits, address: ARM64_ADDRESS });
        }
        // "phys_base: Used to convert the virtual address of an exported kernel symbol to its corresponding
        // physical address. init_top_pgt: Used to walk through the whole page table."
        let base = info.number("NUMBER(phys_base)")?;
        let root = info.address("SYMBOL(init_top_pgt)")?.wrapping_sub(X86_KERNEL_MAP).wrapping_add(base);
        let bits = if info.number("NUMBER(pgtable_l5_enabled)") == Ok(1) { 57 } else { 48 };
        // "sme_mask: For AMD-specific with SME support: it indicates the secure memory encryption mask."
        let encrypted = info.number("NUMBER(sme_mask)").unwrap_or(0);
        Ok(Tables { machine, root, page_shift, bits, address: X86_ADDRESS & !encrypted })
    }

    /// The physical address of a virtual one, and how many bytes from there on lie together. `read` reads
    /// a 64-bit word of physical memory.
    pub fn translate(
        &self,
        address: u64,
        read: &dyn Fn(u64) -> Result<u64, Defect>,
    ) -> Result<(u64, u64), Defect> {
        let page_mask = (1u64 << self.page_shift).wrapping_sub(1);
        // An entry has 8 bytes, so that a page of them resolves this many bits.
        let step = self.page_shift.saturating_sub(3);
        // How many bits the levels below resolve.
        let mut below = self.page_shift;
        while below.saturating_add(step) < self.bits {
            below = below.saturating_add(step);
        }
        let mut table = self.root;
        loop {
            // The top level may resolve fewer bits than the others.
            let width = step.min(self.bits.saturating_sub(below));
            let index = (address >> below) & (1u64 << width).wrapping_sub(1);
            let entry = read(table.wrapping_add(index.wrapping_mul(8)))?;
            let is_last = below == self.page_shift;
            if entry & 1 == 0 {
                return Err(Defect::Unmapped(address));
            }
            // Intel's manual, volume 3A, section 4.5: bit 7 of an entry that is not the last level's is set when
            // it maps a page. Arm's (DDI 0487), section D8.3: bit 1 of such an entry is 0 when it is a block.
            let is_page = if self.machine == Machine::Arm64 { entry & 2 == 0 } else { entry & 0x80 != 0 };
            let next = entry & self.address & !page_mask;
            if is_last || is_page {
                let inside = (1u64 << below).wrapping_sub(1);
                let offset = address & inside;
                return Ok(((next & !inside) | offset, (1u64 << below).wrapping_sub(offset)));
            }
            table = next;
            below = below.saturating_sub(step);
        }
    }
}
