//! Reads a saved dump.

use super::{
    BITMAP_BLOCKS, BLOCK_SIZE, DESCRIPTOR, HEADER, INCOMPLETE, MAX_PAGE, MAX_PAGE_64, NOTE_AT, STATUS,
    SUB_HEADER, SUB_HEADER_BLOCKS, UTS_MACHINE, UTSNAME, VERSION, VMCOREINFO_AT, is_set,
};
use crate::base::bytes::{u32_at, u64_at};
use crate::dump::elf::LONGEST_NOTES;
use crate::dump::{Defect, Source, Vmcoreinfo};
use crate::image::machine::Machine;
use core::cell::RefCell;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// How much of a bitmap is counted, and read, at once, in bytes.
const CHUNK: usize = 4096;
/// log2 of the pages of such a chunk.
const CHUNK_SHIFT: u32 = 15;

/// The memory of a saved dump.
pub struct Memory {
    /// The size of a page, in bytes.
    page: u64,
    bitmap: u64,
    pages: u64,
    descriptors: u64,
    /// How many pages there are before each chunk of the bitmap.
    before: Vec<u64>,
    /// Whether the writer said that it was not done.
    pub is_incomplete: bool,
    last: RefCell<Last>,
}

/// The page that was read last. All of it is used again, as the program's allocator frees nothing.
#[derive(Default)]
struct Last {
    number: Option<u64>,
    bytes: Vec<u8>,
    packed: Vec<u8>,
    unpacker: Box<DecompressorOxide>,
}

/// Reads the headers of a saved dump: the notes of its processors come last.
pub fn open(source: &dyn Source) -> Result<(Machine, Memory, Vmcoreinfo, Vec<u8>), Defect> {
    let mut header = [0u8; HEADER];
    source.read(0, &mut header)?;
    let field = |at| u32_at(&header, at).map_or(0, u64::from);
    let page = field(BLOCK_SIZE);
    if !page.is_power_of_two() || !(4096..=65536).contains(&page) {
        return Err(Defect::Header("the size of a block"));
    }
    let name = header.get(UTSNAME.saturating_add(UTS_MACHINE)..).unwrap_or_default();
    let machine = match name {
        _ if name.starts_with(b"x86_64\0") => Machine::X86_64,
        _ if name.starts_with(b"aarch64\0") => Machine::Arm64,
        _ => return Err(Defect::Machine(0)),
    };
    let mut second = [0u8; SUB_HEADER];
    source.read(page, &mut second)?;
    let long = |at| u64_at(&second, at).unwrap_or(0);
    let text = |at: usize| {
        let size = long(at.saturating_add(8)).min(LONGEST_NOTES);
        let mut text = vec![0u8; usize::try_from(size).unwrap_or(0)];
        source.read(long(at), &mut text)?;
        Ok(text)
    };
    let info = text(VMCOREINFO_AT)?;
    if info.is_empty() {
        return Err(Defect::NoVmcoreinfo);
    }
    let notes = text(NOTE_AT)?;
    let pages = if field(VERSION) >= 6 { long(MAX_PAGE_64) } else { field(MAX_PAGE) };
    let length = field(BITMAP_BLOCKS).saturating_mul(page) / 2;
    if pages.div_ceil(8) > length {
        return Err(Defect::Header("the size of its bitmaps"));
    }
    let first_bitmap = field(SUB_HEADER_BLOCKS).saturating_add(1).saturating_mul(page);
    let bitmap = first_bitmap.saturating_add(length);
    let mut memory = Memory {
        page,
        bitmap,
        pages,
        descriptors: bitmap.saturating_add(length),
        before: Vec::new(),
        is_incomplete: field(STATUS) & u64::from(INCOMPLETE) != 0,
        last: RefCell::default(),
    };
    let (mut sum, mut at, mut bits) = (0u64, 0, [0u8; CHUNK]);
    while at < pages.div_ceil(8) {
        memory.before.push(sum);
        source.read(bitmap.saturating_add(at), &mut bits)?;
        sum = sum.saturating_add(bits.iter().map(|byte| u64::from(byte.count_ones())).sum());
        at = at.saturating_add(CHUNK as u64);
    }
    memory.before.push(sum);
    Ok((machine, memory, Vmcoreinfo::new(&info), notes))
}

impl Memory {
    /// The size of the memory that is there, in bytes.
    pub fn size(&self) -> u64 {
        self.before.last().map_or(0, |pages| pages.saturating_mul(self.page))
    }

    /// Reads what of `bytes` lies in one page; its length.
    pub fn read(&self, source: &dyn Source, address: u64, bytes: &mut [u8]) -> Result<usize, Defect> {
        let number = address >> self.page.trailing_zeros();
        let last = &mut *self.last.borrow_mut();
        if last.number != Some(number) {
            last.number = None;
            let (offset, size, flags) = self.descriptor(source, number)?.ok_or(Defect::Absent(address))?;
            let page = self.page as usize;
            last.bytes.resize(page, 0);
            last.packed.resize(size, 0);
            source.read(offset, &mut last.packed)?;
            match flags {
                0 if size == page => last.bytes.copy_from_slice(&last.packed),
                1 => {
                    // RFC 1950: the data ends with its Adler-32 sum.
                    const ZLIB: u32 = TINFL_FLAG_PARSE_ZLIB_HEADER
                        | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
                        | TINFL_FLAG_COMPUTE_ADLER32;
                    last.unpacker.init();
                    let (status, _, length) =
                        decompress(&mut last.unpacker, &last.packed, &mut last.bytes, 0, ZLIB);
                    if status != TINFLStatus::Done || length != page {
                        return Err(Defect::Header("a page's zlib data"));
                    }
                }
                _ => return Err(Defect::Packing),
            }
            last.number = Some(number);
        }
        let inside = (address & self.page.wrapping_sub(1)) as usize;
        let rest = last.bytes.get(inside..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(length)
    }

    /// The descriptor of a page: the place, the size and the packing. `None` when the page is not there.
    fn descriptor(&self, source: &dyn Source, number: u64) -> Result<Option<(u64, usize, u32)>, Defect> {
        if number >= self.pages {
            return Ok(None);
        }
        let chunk = number >> CHUNK_SHIFT;
        let mut bits = [0u8; CHUNK];
        source.read(self.bitmap.saturating_add(chunk.saturating_mul(CHUNK as u64)), &mut bits)?;
        let inside = number & (1u64 << CHUNK_SHIFT).wrapping_sub(1);
        if !is_set(&bits, inside) {
            return Ok(None);
        }
        let (whole, rest) = bits.split_at_checked((inside / 8) as usize).unwrap_or_default();
        let in_byte = rest.first().map_or(0, |byte| byte & (1u8 << (inside % 8)).wrapping_sub(1));
        let before = whole.iter().chain([&in_byte]).map(|byte| u64::from(byte.count_ones())).sum();
        let chunk = usize::try_from(chunk).unwrap_or(usize::MAX);
        let index = self.before.get(chunk).copied().unwrap_or(0).saturating_add(before);
        let mut entry = [0u8; DESCRIPTOR];
        let at = self.descriptors.saturating_add(index.saturating_mul(DESCRIPTOR as u64));
        source.read(at, &mut entry)?;
        let size = u32_at(&entry, 8).unwrap_or(0);
        let (offset, flags) = (u64_at(&entry, 0).unwrap_or(0), u32_at(&entry, 12).unwrap_or(0));
        // The place is 0 where the writer did not come to the page.
        if offset == 0 {
            return Ok(None);
        }
        if size == 0 || u64::from(size) > self.page {
            return Err(Defect::Header("the size of a page"));
        }
        Ok(Some((offset, size as usize, flags)))
    }
}
