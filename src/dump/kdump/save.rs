//! Writes a dump in this format.

use super::{
    BITMAP_BLOCKS, BLOCK_SIZE, DESCRIPTOR, DUMP_LEVEL, HEADER, INCOMPLETE, MAGIC, MAX_PAGE, MAX_PAGE_64,
    NOTE_AT, PROCESSORS, STATUS, SUB_HEADER, SUB_HEADER_BLOCKS, UTS_MACHINE, UTSNAME, UTSNAME_SIZE, VERSION,
    VMCOREINFO_AT, ZLIB, is_set,
};
use crate::base::bytes::put;
use crate::dump::Dump;
use crate::dump::pages::{BLOCK, Keep};
use crate::dump::save::{PageRanges, SaveError, Saved, Sink, choose, read_pages};
use crate::image::machine::Machine;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};
use nix::errno::Errno;

/// How many descriptors and how many bytes of pages are written together.
const DESCRIPTORS: usize = 4096;
const PAGES: usize = 1 << 20;

/// Where the parts of the file are, in bytes.
struct Places {
    page: u64,
    first_bitmap: u64,
    second_bitmap: u64,
    descriptors: u64,
}

/// Saves a dump. `progress` is told, now and then, how many of how many pages are done. The file says that it is
/// incomplete until all is written.
pub fn save(
    dump: &Dump,
    keep: Keep,
    to: &dyn Sink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Saved, SaveError> {
    let ranges = PageRanges::of(dump)?;
    let (mut header, places) = headers(dump, keep, ranges.page, ranges.end());
    to.write(0, &header)?;
    let mut saved = Saved::default();
    choose(dump, keep, &ranges, &mut saved, &mut |at, kept| {
        let base = byte_of(at);
        let mut bits = [[0u8; BLOCK / 8]; 2];
        let [exists, is_there] = &mut bits;
        // A block may belong to two ranges.
        to.read(places.first_bitmap.saturating_add(base), exists)?;
        to.read(places.second_bitmap.saturating_add(base), is_there)?;
        for (number, kept) in (at..).zip(kept) {
            set(exists, in_block(number));
            if *kept {
                set(is_there, in_block(number));
            }
        }
        to.write(places.first_bitmap.saturating_add(base), exists)?;
        to.write(places.second_bitmap.saturating_add(base), is_there)
    })?;
    // The bitmaps end with the last page, and are read as a whole.
    to.write(places.descriptors, &[0])?;
    let mut writer = Writer::new(to, &places, saved.kept);
    writer.pages(dump, &ranges, &places, &mut saved, progress)?;
    saved.size = writer.flush()?;
    let _ = put(&mut header, STATUS, &ZLIB.to_le_bytes());
    to.write(0, header.get(..HEADER).unwrap_or_default())?;
    Ok(saved)
}

/// The place of a page in its block.
fn in_block(page: u64) -> u64 {
    page & (BLOCK as u64).wrapping_sub(1)
}

/// The byte of a bitmap at which the block of a page begins.
fn byte_of(page: u64) -> u64 {
    page.wrapping_sub(in_block(page)) / 8
}

fn set(bits: &mut [u8], index: u64) {
    if let Some(byte) = bits.get_mut((index / 8) as usize) {
        *byte |= 1 << (index % 8);
    }
}

/// Both headers, VMCOREINFO and the notes, filled up to whole pages.
fn headers(dump: &Dump, keep: Keep, page: u64, last: u64) -> (Vec<u8>, Places) {
    let info = dump.info.text();
    let block = page as usize;
    let info_at = block.saturating_add(SUB_HEADER);
    let note_at = info_at.saturating_add(info.len()).next_multiple_of(8);
    let size = note_at.saturating_add(dump.notes.len()).next_multiple_of(block);
    let mut bytes = vec![0u8; size];
    let bitmap_blocks = last.div_ceil(8).div_ceil(page);
    let u32_of = |value: u64| (u32::try_from(value).unwrap_or(u32::MAX)).to_le_bytes();
    let mut name = [0u8; UTSNAME_SIZE];
    let at = dump
        .info
        .address("SYMBOL(init_uts_ns)")
        .and_then(|address| Ok(address.wrapping_add(dump.info.number("OFFSET(uts_namespace.name)")?)));
    if at.and_then(|address| dump.read(address, &mut name)).is_err() {
        // The machine is what readers must know.
        let machine: &[u8] = if dump.machine == Machine::Arm64 { b"aarch64" } else { b"x86_64" };
        let _ = put(&mut name, UTS_MACHINE, machine);
    }
    // DUMP_EXCLUDE_ZERO is 1: such pages are there, and take no room. DUMP_EXCLUDE_CACHE and _CACHE_PRI are 2 and 4,
    // DUMP_EXCLUDE_USER_DATA is 8, DUMP_EXCLUDE_FREE is 16.
    let level = [(keep.cache, 6u32), (keep.user, 8), (keep.free, 16)];
    let level = level.iter().fold(0, |sum, &(kept, bit)| if kept { sum } else { sum | bit });
    let base = dump.info.number("NUMBER(phys_base)").unwrap_or(0);
    let fields: [(usize, &[u8]); 18] = [
        (0, &MAGIC),
        (VERSION, &6u32.to_le_bytes()),
        (UTSNAME, &name),
        (STATUS, &(ZLIB | INCOMPLETE).to_le_bytes()),
        (BLOCK_SIZE, &u32_of(page)),
        (SUB_HEADER_BLOCKS, &u32_of((size as u64 >> page.trailing_zeros()).saturating_sub(1))),
        (BITMAP_BLOCKS, &u32_of(bitmap_blocks.saturating_mul(2))),
        (MAX_PAGE, &u32_of(last)),
        (PROCESSORS, &u32_of(u64::from(dump.processors()))),
        (block, &base.to_le_bytes()),
        (block.saturating_add(DUMP_LEVEL), &level.to_le_bytes()),
        (block.saturating_add(VMCOREINFO_AT), &(info_at as u64).to_le_bytes()),
        (block.saturating_add(VMCOREINFO_AT).saturating_add(8), &(info.len() as u64).to_le_bytes()),
        (block.saturating_add(NOTE_AT), &(note_at as u64).to_le_bytes()),
        (block.saturating_add(NOTE_AT).saturating_add(8), &(dump.notes.len() as u64).to_le_bytes()),
        (block.saturating_add(MAX_PAGE_64), &last.to_le_bytes()),
        (info_at, info),
        (note_at, &dump.notes),
    ];
    for (offset, field) in fields {
        let _ = put(&mut bytes, offset, field);
    }
    let first_bitmap = size as u64;
    let length = bitmap_blocks.saturating_mul(page);
    let second_bitmap = first_bitmap.saturating_add(length);
    (bytes, Places { page, first_bitmap, second_bitmap, descriptors: second_bitmap.saturating_add(length) })
}

/// Writes pages and their descriptors, many at once.
struct Writer<'t> {
    to: &'t dyn Sink,
    descriptors: Vec<u8>,
    descriptors_at: u64,
    data: Vec<u8>,
    data_at: u64,
    /// The place of the one page of zeros, once there is one.
    zeros: Option<u64>,
    packer: Box<CompressorOxide>,
    packed: Vec<u8>,
}

impl<'t> Writer<'t> {
    fn new(to: &'t dyn Sink, places: &Places, kept: u64) -> Writer<'t> {
        let data_at = places.descriptors.saturating_add(kept.saturating_mul(DESCRIPTOR as u64));
        Writer {
            to,
            descriptors: Vec::with_capacity(DESCRIPTORS.saturating_mul(DESCRIPTOR)),
            descriptors_at: places.descriptors,
            data: Vec::with_capacity(PAGES.saturating_add(1 << 16)),
            data_at,
            zeros: None,
            // Level 1, and a zlib header: 15 bits of window.
            packer: Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(1, 15, 0))),
            packed: vec![0; places.page as usize],
        }
    }

    /// Writes each page whose bit is set in the second bitmap.
    fn pages(
        &mut self,
        dump: &Dump,
        ranges: &PageRanges,
        places: &Places,
        saved: &mut Saved,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), SaveError> {
        let page = places.page as usize;
        let mut bytes = vec![0u8; BLOCK.saturating_mul(page)];
        let mut done = 0u64;
        ranges.each_block(&mut |mut at, next| {
            let mut bits = [0u8; BLOCK / 8];
            self.to.read(places.second_bitmap.saturating_add(byte_of(at)), &mut bits)?;
            while at < next {
                if !is_set(&bits, in_block(at)) {
                    at = at.saturating_add(1);
                    continue;
                }
                // What lies together is read together.
                let run = (at..next).take_while(|&at| is_set(&bits, in_block(at))).count();
                let run_bytes = bytes.get_mut(..run.saturating_mul(page)).unwrap_or_default();
                saved.unreadable = saved.unreadable.saturating_add(read_pages(dump, at, page, run_bytes));
                for content in run_bytes.chunks_exact(page) {
                    self.page(content)?;
                }
                at = at.saturating_add(run as u64);
                done = done.saturating_add(run as u64);
            }
            progress(done, saved.kept);
            Ok(())
        })
    }

    /// Writes a page.
    fn page(&mut self, content: &[u8]) -> Result<(), Errno> {
        // Eight at once: most of a dump's bytes pass here.
        let (words, rest) = content.as_chunks::<8>();
        let is_zero =
            words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|&byte| byte == 0);
        let next = self.data_at.saturating_add(self.data.len() as u64);
        let (offset, size, packed) = match (is_zero, self.zeros) {
            (true, Some(place)) => (place, content.len(), false),
            (true, None) => {
                self.zeros = Some(next);
                self.data.extend_from_slice(content);
                (next, content.len(), false)
            }
            (false, _) => {
                self.packer.reset();
                let (status, _, size) =
                    compress(&mut self.packer, content, &mut self.packed, TDEFLFlush::Finish);
                let packed = self.packed.get(..size).unwrap_or_default();
                let is_smaller = status == TDEFLStatus::Done && size < content.len();
                let bytes = if is_smaller { packed } else { content };
                self.data.extend_from_slice(bytes);
                (next, bytes.len(), is_smaller)
            }
        };
        self.descriptors.extend_from_slice(&offset.to_le_bytes());
        self.descriptors.extend_from_slice(&(size as u32).to_le_bytes());
        self.descriptors.extend_from_slice(&u32::from(packed).to_le_bytes());
        self.descriptors.extend_from_slice(&[0; 8]);
        if self.data.len() >= PAGES || self.descriptors.len() >= DESCRIPTORS.saturating_mul(DESCRIPTOR) {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is pending; the size of the file. The pages go first, so that no descriptor names a page that
    /// is not there.
    fn flush(&mut self) -> Result<u64, Errno> {
        self.to.write(self.data_at, &self.data)?;
        self.to.write(self.descriptors_at, &self.descriptors)?;
        self.data_at = self.data_at.saturating_add(self.data.len() as u64);
        self.descriptors_at = self.descriptors_at.saturating_add(self.descriptors.len() as u64);
        self.data.clear();
        self.descriptors.clear();
        Ok(self.data_at)
    }
}
