//! The kdump-compressed format, version 6, as makedumpfile writes and crash(8), drgn and libkdumpfile read it
//! (makedumpfile's IMPLEMENTATION, crash's diskdump.h): a header, a second header, VMCOREINFO and the
//! processors' notes, a bit for each page that exists, a bit for each page that is there, a descriptor for each of
//! the latter, and the pages, each packed for itself.

mod read;
mod save;

pub use read::{Memory, open};
pub use save::save;

/// The first bytes of a dump in this format.
pub const MAGIC: [u8; 8] = *b"KDUMP   ";
/// struct disk_dump_header: its size without tasks, and the offsets of its fields.
const HEADER: usize = 464;
const VERSION: usize = 8;
const UTSNAME: usize = 12;
const UTSNAME_SIZE: usize = 6 * 65;
/// Of struct utsname (linux/utsname.h): the machine's name is the fifth of its texts of 65 bytes.
const UTS_MACHINE: usize = 4 * 65;
const STATUS: usize = 424;
const BLOCK_SIZE: usize = 428;
const SUB_HEADER_BLOCKS: usize = 432;
const BITMAP_BLOCKS: usize = 436;
const MAX_PAGE: usize = 440;
const PROCESSORS: usize = 460;
/// DUMP_DH_COMPRESSED_ZLIB, and DUMP_DH_COMPRESSED_INCOMPLETE.
const ZLIB: u32 = 1;
const INCOMPLETE: u32 = 8;
/// struct kdump_sub_header: its size, and the offsets of its fields.
const SUB_HEADER: usize = 104;
const DUMP_LEVEL: usize = 8;
const VMCOREINFO_AT: usize = 32;
const NOTE_AT: usize = 48;
const MAX_PAGE_64: usize = 96;
/// struct page_desc: the place of the page in the file, its size there, how it is packed, and 8 unused bytes.
const DESCRIPTOR: usize = 24;

fn is_set(bits: &[u8], index: u64) -> bool {
    bits.get((index / 8) as usize).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}
