//! A small dump, made here, with what a real one has: page tables, a log that wraps, and records of each state.

use super::pages::Keep;
use super::save::{SaveError, Saved, Sink};
use super::*;
use std::cell::{Cell, RefCell};

/// The facts that a kernel has in its note, as Linux 6.12 for x86_64 prints them.
const INFO: &str = "OSRELEASE=6.12.0\nPAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(init_top_pgt)=ffffffff80001000\n\
    NUMBER(pgtable_l5_enabled)=0\nSYMBOL(prb)=ffffffff80003ff8\nOFFSET(atomic_long_t.counter)=0\n\
    OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=48\n\
    OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\n\
    OFFSET(prb_desc_ring.head_id)=24\nOFFSET(prb_desc_ring.tail_id)=32\nOFFSET(prb_data_ring.size_bits)=0\n\
    OFFSET(prb_data_ring.data)=8\nSIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\n\
    OFFSET(prb_desc.text_blk_lpos)=8\nOFFSET(prb_data_blk_lpos.begin)=0\nOFFSET(prb_data_blk_lpos.next)=8\n\
    SIZE(printk_info)=24\nOFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)=16\n";
/// What is needed to leave pages out, too.
const PAGES: &str = "SYMBOL(vmemmap)=ffffffff80007800\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.compound_head)=8\n\
    OFFSET(page.mapping)=24\nOFFSET(page.private)=40\nOFFSET(page._mapcount)=48\nOFFSET(page._refcount)=52\n\
    NUMBER(PG_lru)=5\nNUMBER(PG_swapbacked)=17\nNUMBER(PG_hwpoison)=21\nNUMBER(PG_head_mask)=64\n\
    NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n\
    NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\nLENGTH(zone.free_area)=11\n";
/// Where the crashed kernel's memory begins in the file.
const MEMORY: usize = 4096;

/// A file in memory, and how often it was read.
struct Bytes(Vec<u8>, Cell<u32>);

impl Source for Bytes {
    fn read_some(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.1.set(self.1.get() + 1);
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        // In pieces, as a file may be read.
        let length = rest.len().min(bytes.len()).min(100);
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn put(file: &mut [u8], at: usize, words: &[u64]) {
    for (index, word) in words.iter().enumerate() {
        file[at + index * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
}

/// The dump: 64 KiB of memory from the physical address 0 on.
fn dump(info: &str) -> Bytes {
    let info = &format!("{info}{PAGES}");
    let mut file = vec![0u8; MEMORY + 0x10000];
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0");
    put(&mut file, 32, &[64]);
    file[54] = 56;
    file[56] = 2;
    // PT_NOTE and PT_LOAD: type and flags, offset, virtual and physical address, size in the file and in memory.
    put(&mut file, 64, &[4, 256, 0, 0, 3840, 3840, 0]);
    put(&mut file, 120, &[1, MEMORY as u64, 0, 0, 0x10000, 0x10000, 0]);
    // A processor's note, and VMCOREINFO.
    file[256..284].copy_from_slice(b"\x05\0\0\0\x06\0\0\0\x01\0\0\0CORE\0\0\0\0abcdef\0\0");
    file[284..307].copy_from_slice(b"\x0b\0\0\0\xff\x03\0\0\0\0\0\0VMCOREINFO\0");
    file[288..290].copy_from_slice(&(info.len() as u16).to_le_bytes());
    file[308..308 + info.len()].copy_from_slice(info.as_bytes());
    let memory = &mut file[MEMORY..];
    // Page tables: level 4, level 3, and a large page of 2 MiB at the physical address 0.
    put(memory, 0x1000 + 511 * 8, &[0x2003]);
    put(memory, 0x2000 + 510 * 8, &[0x3003]);
    put(memory, 0x3000, &[0x83]);
    let at = |physical: u64| 0xffff_ffff_8000_0000 + physical;
    // The pointer prb, and struct printk_ringbuffer: 8 records, of which 5 to 10 are there.
    put(memory, 0x3ff8, &[at(0x4000)]);
    put(memory, 0x4000, &[3, at(0x5000), at(0x6000), 10, 5]);
    put(memory, 0x4030, &[0xffff_ffff_0000_0007, at(0x7000)]);
    let empty = 3;
    // The number and its state, the place of the text.
    let records = [
        (5, 2, 168, 200, "first\x1b[2J\n  it goes on"),
        (6, 0, 200, 224, "not committed"),
        (7, 1, 224, 248, "committed\u{ff}"),
        (8, 2, empty, empty, ""),
        // It does not fit before the end of the ring, which has 128 bytes.
        (9, 2, 248, 256 + 32, "Kernel panic: it wrapped"),
        // Of the round before, in the place of the tenth.
        (2, 2, empty, empty, ""),
    ];
    for (number, state, begin, next, text) in records {
        let index = number as usize % 8;
        put(memory, 0x5000 + index * 24, &[state << 62 | number, begin, next]);
        let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
        put(memory, 0x6000 + index * 24, &[0, number * 1_000_000_007, bytes.len() as u64]);
        if begin != empty {
            let start = if begin / 128 == next / 128 { begin % 128 } else { 0 } as usize;
            put(memory, 0x7000 + start, &[number]);
            memory[0x7008 + start..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    // The struct pages: flags, compound_head, mapping, private, _mapcount and _refcount.
    let array = at(0x7800);
    let (none, one, lru) = (0xffff_ffff, 1 << 32 | 0xffff_ffff, 1 << 5);
    let pages = [
        // 8 and 9 are free. 10 belongs to a file, 11 to a program; 12 and 13 are a folio of a file.
        [0, 0, 0, 1, 0xf000_0000],
        [0, 0, 0, 0, none],
        [lru, 0, 0x5000, 0, one],
        [1 << 17, 0, 0x5001, 0, one],
        [lru | 64, 0, 0x5000, 0, one],
        [0, array + 12 * 64 + 1, 0, 0, none],
        // A slab, and memory that the hypervisor took.
        [lru, 0, 0x5000, 0, 1 << 32 | 0xf500_0000],
        [0, 0, 0, 0, 1 << 32 | 0xf100_0000],
    ];
    for (number, [flags, head, mapping, private, counts]) in (8..).zip(pages) {
        put(memory, 0x7800 + number * 64, &[flags, head, 0, mapping, 0, private, counts]);
        memory[number << 12..][..4096].fill(number as u8);
    }
    Bytes(file, Cell::new(0))
}

fn log(file: &Bytes) -> (String, Result<(), Defect>) {
    let mut text = String::new();
    let result = Dump::open(file).and_then(|dump| log::write(&dump, &mut text));
    (text, result)
}

#[test]
fn the_log_is_read_in_its_order_by_each_kind_of_record() {
    let wanted = "[    5.000000] first\\x1b[2J\n[    5.000000]   it goes on\n[    7.000000] committed\\xff\n\
                  [    8.000000] \n[    9.000000] Kernel panic: it wrapped\n";
    assert_eq!(log(&dump(INFO)), (wanted.to_string(), Ok(())));
    let file = dump(INFO);
    let dump = Dump::open(&file).unwrap();
    assert_eq!((dump.machine, dump.size(), dump.processors()), (Machine::X86_64, 0x10000, 1));
    assert_eq!(dump.read_physical(0xffff, &mut [0; 2]), Err(Defect::Absent(0x10000)));
    assert_eq!(dump.word(0xffff_8000_0000_0000), Err(Defect::Unmapped(0xffff_8000_0000_0000)));
}

#[test]
fn each_fact_that_is_missing_is_named() {
    for line in INFO.lines().skip(1) {
        let name = line.split('=').next().unwrap();
        let (text, result) = log(&dump(&INFO.replace(line, "X=1")));
        let is_optional = name == "NUMBER(pgtable_l5_enabled)";
        let named = matches!(result, Err(Defect::Missing(missing)) if missing == name);
        assert!(named != is_optional && text.is_empty() != is_optional, "{name}: {result:?}");
    }
}

#[test]
fn a_dump_that_is_cut_or_damaged_anywhere_is_refused_or_read() {
    let whole = dump(INFO);
    let mut refused = 0;
    for length in (0..MEMORY).chain((MEMORY..whole.0.len()).step_by(7)) {
        let file = Bytes(whole.0[..length].to_vec(), Cell::new(0));
        let (text, result) = log(&file);
        // The records' texts are the last that is read, and the rest of the memory is empty.
        assert!(result.is_err() || text.lines().count() == 5, "{length}: {text}");
        refused += u32::from(result.is_err());
        assert!(file.1.get() < 4000, "{length}");
    }
    assert!(refused > 0x1800, "{refused}");
    for at in (0..MEMORY).chain([0x1ff8, 0x2ff0, 0x3000, 0x3ff8].map(|at| MEMORY + at)) {
        for bits in [1, 0x80, 0xff] {
            let mut file = Bytes(whole.0.clone(), Cell::new(0));
            file.0[at] ^= bits;
            let _ = log(&file);
        }
    }
    for at in (0x4000..0x4048).chain(0x5000..0x50c0).chain(0x6000..0x60c0) {
        let mut file = Bytes(whole.0.clone(), Cell::new(0));
        file.0[MEMORY + at] ^= 0x81;
        let _ = log(&file);
        assert!(file.1.get() < 40_000, "{at:#x}: {}", file.1.get());
    }
}

/// A file in memory that is full after so many writes.
struct Disk(RefCell<Vec<u8>>, Cell<u32>);

impl Sink for Disk {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.1.set(self.1.get().checked_sub(1).ok_or(Errno::ENOSPC)?);
        let (mut file, at) = (self.0.borrow_mut(), offset as usize);
        let length = file.len().max(at + bytes.len());
        file.resize(length, 0);
        file[at..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.fill(0);
        let file = self.0.borrow();
        let rest = file.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(())
    }
}

fn saved(file: &Bytes, keep: Keep, writes: u32) -> (Bytes, Result<Saved, SaveError>) {
    saved_by(kdump::save, file, keep, writes)
}

/// A writer of dumps.
type Save = fn(&Dump, Keep, &dyn Sink, &mut dyn FnMut(u64, u64)) -> Result<Saved, SaveError>;

fn saved_by(save: Save, file: &Bytes, keep: Keep, writes: u32) -> (Bytes, Result<Saved, SaveError>) {
    let dump = Dump::open(file).unwrap();
    let disk = Disk(RefCell::default(), Cell::new(writes));
    let result = save(&dump, keep, &disk, &mut |_, _| {});
    (Bytes(disk.0.into_inner(), Cell::new(0)), result)
}

#[test]
fn what_is_saved_has_the_pages_that_are_kept() {
    let whole = dump(INFO);
    let all = Keep { cache: true, user: true, free: true };
    let table = [
        (Keep::default(), vec![14]),
        (Keep { free: true, ..Keep::default() }, vec![8, 9, 14]),
        (Keep { cache: true, ..Keep::default() }, vec![10, 12, 13, 14]),
        (Keep { user: true, ..Keep::default() }, vec![11, 14]),
        (all, vec![8, 9, 10, 11, 12, 13, 14]),
    ];
    for (keep, pages) in table {
        let (file, result) = saved(&whole, keep, u32::MAX);
        let kept = 8 + pages.len() as u64;
        let size = file.0.len() as u64;
        assert_eq!(result, Ok(Saved { all: 16, kept, size, unreadable: 0, unfiltered: None }), "{keep:?}");
        assert_eq!(log(&file), log(&whole));
        let dump = Dump::open(&file).unwrap();
        assert!(!dump.is_incomplete() && dump.size() == kept << 12 && dump.processors() == 1);
        for number in 0..16 {
            let mut page = [0; 4096];
            let read = dump.read_physical(number << 12, &mut page);
            if number < 8 || pages.contains(&number) {
                assert_eq!(read, Ok(()), "{keep:?} {number}");
                assert!(page == whole.0[MEMORY + (number as usize) * 4096..][..4096], "{keep:?} {number}");
            } else {
                assert_eq!(read, Err(Defect::Absent(number << 12)), "{keep:?}");
            }
        }
        assert_eq!(dump.ranges(), Err(Defect::Saved));
    }
}

/// What lies between pages that are kept is saved, too, where it is little. A file that is cut short says so, and can
/// be read as far as it goes.
#[test]
fn what_is_saved_as_an_elf_core_file_is_as_it_was() {
    let whole = dump(INFO);
    let (file, result) = saved_by(elf_core::save, &whole, Keep::default(), u32::MAX);
    let size = file.0.len() as u64;
    assert_eq!(result, Ok(Saved { all: 16, kept: 15, size, unreadable: 0, unfiltered: None }));
    assert_eq!(log(&file), log(&whole));
    let saved = Dump::open(&file).unwrap();
    assert!(!saved.is_incomplete() && saved.size() == 15 << 12 && saved.processors() == 1);
    assert_eq!(saved.notes, Dump::open(&whole).unwrap().notes);
    for number in 0..15 {
        let mut page = [0; 4096];
        assert_eq!(saved.read_physical(number << 12, &mut page), Ok(()), "{number}");
        assert!(page == whole.0[MEMORY + (number as usize) * 4096..][..4096], "{number}");
    }
    assert_eq!(saved.read_physical(15 << 12, &mut [0]), Err(Defect::Absent(15 << 12)));
    // A second time, with nothing left out.
    let (again, result) =
        saved_by(elf_core::save, &file, Keep { cache: true, user: true, free: true }, u32::MAX);
    assert!(result.is_ok() && again.0 == file.0);
    let cut = Bytes(file.0[..file.0.len() - 5000].to_vec(), Cell::new(0));
    let cut = Dump::open(&cut).unwrap();
    assert!(cut.is_incomplete() && cut.read_physical(0, &mut [0]).is_ok());
    for writes in 0..3 {
        let (_, result) = saved_by(elf_core::save, &whole, Keep::default(), writes);
        assert_eq!(result.is_ok(), writes == 2, "{writes}");
    }
}

#[test]
fn a_packed_page_that_was_changed_is_refused() {
    let packed = saved(&dump(INFO), Keep::default(), u32::MAX).0;
    let page = |file: &Bytes, number: u64| {
        let mut page = [0; 4096];
        let dump = Dump::open(file).unwrap();
        dump.read_physical(number << 12, &mut page).map(|()| page)
    };
    let mut refused = 0;
    for at in packed.0.len() - 500..packed.0.len() {
        let mut changed = Bytes(packed.0.clone(), Cell::new(0));
        changed.0[at] ^= 0x10;
        for number in (0..8).chain([14]) {
            match (page(&changed, number), page(&packed, number)) {
                (Ok(now), Ok(before)) => assert!(now == before || before == [0; 4096], "{at} {number}"),
                (now, _) => refused += u32::from(now.is_err()),
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn without_a_fact_about_pages_none_is_left_out() {
    for line in PAGES.lines() {
        let name = line.split('=').next().unwrap();
        let mut file = dump(INFO);
        let at = file.0.windows(line.len()).position(|part| part == line.as_bytes()).unwrap();
        file.0[at] = b'X';
        let (_, result) = saved(&file, Keep::default(), u32::MAX);
        let result = result.unwrap();
        let is_optional = ["hwpoison", "HUGETLB", "OFFLINE"].iter().any(|word| name.contains(word));
        assert_eq!(result.unfiltered, (!is_optional).then_some(name), "{name}");
        assert!(result.kept == 16 || is_optional, "{name}: {result:?}");
    }
}

#[test]
fn a_disk_that_is_full_leaves_a_dump_that_says_so() {
    let whole = dump(INFO);
    let mut writes = 0;
    loop {
        let (file, result) = saved(&whole, Keep::default(), writes);
        if result.is_ok() {
            break;
        }
        assert_eq!(result, Err(SaveError::Sink(Errno::ENOSPC)));
        if let Ok(dump) = Dump::open(&file) {
            assert!(dump.is_incomplete(), "{writes}");
        }
        writes += 1;
    }
    assert!(writes > 5, "{writes}");
}

/// The fuzzer begins with this dump. RC_KEXEC_SEEDS=1 writes it again.
#[test]
fn the_seed_of_the_fuzzer_is_this_dump() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/dump");
    let whole = dump(INFO);
    let packed = saved(&whole, Keep::default(), u32::MAX).0;
    for (name, file) in [("elf", whole), ("kdump", packed)] {
        let path = format!("{folder}/{name}");
        if std::env::var_os("RC_KEXEC_SEEDS").is_some() {
            std::fs::write(&path, &file.0).unwrap();
        }
        assert!(std::fs::read(path).unwrap() == file.0, "run: RC_KEXEC_SEEDS=1 cargo test --lib dump::");
    }
}
