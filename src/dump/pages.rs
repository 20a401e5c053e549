//! What each page of the crashed kernel's memory is used for, by its struct page (linux/mm_types.h,
//! linux/page-flags.h). A page about which there is any doubt is one to keep.

use super::{Defect, Dump};
use crate::base::bytes::{u32_at, u64_at};

/// Which pages a saved dump has beside the kernel's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The page cache: what files and file systems are read into.
    pub cache: bool,
    /// What programs have in memory.
    pub user: bool,
    /// Free pages, with what was in them before.
    pub free: bool,
}

/// What a page is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// By the kernel, or unknown.
    Kernel,
    /// By nobody: so many pages from here on.
    Free(u64),
    Cache,
    User,
    /// It must not be read: its memory is broken, or belongs to the hypervisor.
    Untouchable,
}

/// The facts of VMCOREINFO about struct page.
const FACTS: [&str; 7] = [
    "SIZE(page)",
    "OFFSET(page.flags)",
    "OFFSET(page._refcount)",
    "OFFSET(page._mapcount)",
    "OFFSET(page.mapping)",
    "OFFSET(page.private)",
    "OFFSET(page.compound_head)",
];

/// How the struct pages are read.
pub struct Pages {
    /// The virtual address of the first page's: vmemmap.
    array: u64,
    facts: [usize; 7],
    /// Masks of the bits in page.flags.
    lru: u64,
    swap_backed: u64,
    broken: u64,
    head: u64,
    /// The values of page._mapcount for a page of the buddy allocator, of hugetlbfs, and one that is offline.
    buddy: u32,
    huge: Option<u32>,
    offline: Option<u32>,
    /// The number of orders of the buddy allocator.
    orders: u64,
    keep: Keep,
    /// The free pages end here, as far as they are known.
    free_until: u64,
    /// The structs of a block, and that of a folio's first page. The program's allocator frees nothing.
    structs: Vec<u8>,
    folio: Vec<u8>,
}

/// How many pages are looked at together.
pub const BLOCK: usize = 512;

impl Pages {
    /// As VMCOREINFO describes them. `Err` names what it does not tell: then all pages are kept.
    pub fn new(dump: &Dump, keep: Keep) -> Result<Pages, Defect> {
        let info = &dump.info;
        let bit = |name| Ok(1u64.checked_shl(u32::try_from(info.number(name)?).unwrap_or(64)).unwrap_or(0));
        let value = |name| info.number(name).map(|value| value as u32);
        Ok(Pages {
            array: info.address("SYMBOL(vmemmap)")?,
            facts: info.small_numbers(&FACTS)?,
            lru: bit("NUMBER(PG_lru)")?,
            swap_backed: bit("NUMBER(PG_swapbacked)")?,
            broken: bit("NUMBER(PG_hwpoison)").unwrap_or(0),
            head: info.number("NUMBER(PG_head_mask)")?,
            buddy: value("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)")?,
            huge: value("NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)").ok(),
            offline: value("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)").ok(),
            orders: info.number("LENGTH(zone.free_area)")?,
            keep,
            free_until: 0,
            structs: Vec::new(),
            folio: Vec::new(),
        })
    }

    /// For each page from `first` on: whether it is kept. The blocks are asked for in ascending order.
    pub fn read(&mut self, dump: &Dump, first: u64, keep: &mut [bool]) {
        let [size, ..] = self.facts;
        let mut structs = core::mem::take(&mut self.structs);
        structs.resize(size.saturating_mul(keep.len()), 0);
        let address = self.array.wrapping_add(first.wrapping_mul(size as u64));
        let is_known = dump.read(address, &mut structs).is_ok();
        let pages = structs.chunks_exact(size.max(1));
        for ((page, keep), number) in pages.zip(keep.iter_mut()).zip(first..) {
            *keep = true;
            if number < self.free_until {
                *keep = self.keep.free;
            } else if is_known {
                *keep = match self.of(dump, number, page).unwrap_or(Use::Kernel) {
                    Use::Kernel => true,
                    Use::Free(count) => {
                        self.free_until = number.saturating_add(count);
                        self.keep.free
                    }
                    Use::Cache => self.keep.cache,
                    Use::User => self.keep.user,
                    Use::Untouchable => false,
                }
            }
        }
        self.structs = structs;
    }

    /// The use of a page. `None` when its struct lacks a field.
    fn of(&mut self, dump: &Dump, number: u64, page: &[u8]) -> Option<Use> {
        let [size, flags, count, map_count, _, private, head] = self.facts;
        let (kind, bits) = (u32_at(page, map_count)?, u64_at(page, flags)?);
        if bits & self.broken != 0 || Some(kind) == self.offline {
            return Some(Use::Untouchable);
        }
        // __free_one_page: a free block is aligned to its size, and only its first page is marked.
        if kind == self.buddy && u32_at(page, count)? == 0 {
            let order = u64_at(page, private)?;
            let length = 1u64.checked_shl(u32::try_from(order).ok()?)?;
            return Some(if order < self.orders && number.is_multiple_of(length) {
                Use::Free(length)
            } else {
                Use::Kernel
            });
        }
        // "compound_head: Bit zero is set" on the pages after the first one of a folio, and it tells where that
        // one is.
        let first = u64_at(page, head)?;
        if first & 1 == 0 {
            return self.of_folio(page);
        }
        let first = first.wrapping_sub(1);
        let distance = first.wrapping_sub(self.array);
        if !distance.is_multiple_of(size as u64) || distance >= number.wrapping_mul(size as u64) {
            return Some(Use::Kernel);
        }
        self.folio.resize(size, 0);
        dump.read(first, &mut self.folio).ok()?;
        // The bits of a page that is not the first one of a folio are not those of a folio.
        let is_first = u64_at(&self.folio, flags)? & self.head != 0;
        if is_first { self.of_folio(&self.folio) } else { Some(Use::Kernel) }
    }

    /// The use of a folio, by its first page.
    fn of_folio(&self, page: &[u8]) -> Option<Use> {
        let [_, flags, count, map_count, mapping, ..] = self.facts;
        let (kind, bits) = (u32_at(page, map_count)?, u64_at(page, flags)?);
        let (mapping, count) = (u64_at(page, mapping)?, u32_at(page, count)?);
        if count == 0 {
            return Some(Use::Kernel);
        }
        if Some(kind) == self.huge {
            return Some(Use::User);
        }
        // A page type, such as that of slab and page tables, has the place of the count and is far below zero.
        if kind.cast_signed() < -1 || mapping == 0 || bits & (self.lru | self.swap_backed) == 0 {
            return Some(Use::Kernel);
        }
        // PAGE_MAPPING_ANON is bit 0, PAGE_MAPPING_MOVABLE bit 1; KSM has both.
        Some(match mapping & 3 {
            1 | 3 => Use::User,
            0 if bits & self.lru != 0 => Use::Cache,
            _ => Use::Kernel,
        })
    }
}
