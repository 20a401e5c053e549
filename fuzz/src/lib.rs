//! What is fuzzed: each parser, each decoder, and the whole way from bytes to a plan.
//!
//! A target takes any bytes and asserts what holds for all of them. tests/fuzzed.rs runs
//! every target over the seeds and over what once made one fail, with the stable
//! compiler; main.rs hands them to libFuzzer.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use rc_kexec::base::bytes::parts;
use rc_kexec::base::cmdline;
use rc_kexec::base::range::{Range, RangeSet};
use rc_kexec::base::table::Table;
use rc_kexec::cli;
use rc_kexec::dump::pages::Keep;
use rc_kexec::dump::save::Sink;
use rc_kexec::dump::{self, Dump, Errno, Source};
use rc_kexec::failure::Failure;
use rc_kexec::image::arm64::Arm64Image;
use rc_kexec::image::bzimage::BzImage;
use rc_kexec::image::decode::{Compression, Defect, unpack};
use rc_kexec::image::elf::Vmlinux;
use rc_kexec::image::machine::Machine;
use rc_kexec::image::pe::{self, Unified, Zboot};
use rc_kexec::image::{Content, initrd, newc, recognise};
use rc_kexec::known::{boot_options, init};
use rc_kexec::plan::crash::CrashKernel;
use rc_kexec::plan::device_tree::{self, Chosen};
use rc_kexec::plan::memory_map::{self, Iomem, MemoryMap, parse_memmap_entry};
use rc_kexec::plan::placer::{END, MAX_INITRDS};
use rc_kexec::plan::x86::{self, Efi, EfiRange};
use rc_kexec::plan::{MAX_SEGMENTS, PAGE, Plan, Purpose, Segment, arm64};
use rc_kexec::say::{self, draw};
use rc_kexec::settings;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A target's name and what it does: it answers whether the bytes got to its end.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: &[Target] = &[
    ("bzimage", bzimage),
    ("vmlinux", vmlinux),
    ("arm64_image", arm64_image),
    ("pe", portable_executable),
    ("kernel_file", kernel_file),
    ("gzip", gzip),
    ("xz", xz),
    ("zstd", zstd),
    ("lz4", lz4),
    ("initrd", initrd_file),
    ("device_tree", device_tree),
    ("dump", dump_file),
    ("iomem", iomem),
    ("memmap", memmap),
    ("words", words),
    ("command_line", kernel_command_line),
    ("texts", texts),
    ("plan_x86", plan_x86),
    ("plan_arm64", plan_arm64),
];

/// What a decoder may write in a run, in bytes.
const DECODED: u64 = 1 << 20;

/// Whether `part` lies inside `whole`, in memory.
fn inside(whole: &[u8], part: &[u8]) -> bool {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    part.is_empty() || whole.start <= part.start && part.end <= whole.end
}

pub fn bzimage(data: &[u8]) -> bool {
    let Ok(image) = BzImage::parse(data) else { return false };
    assert!(BzImage::parse(data).is_ok(), "not twice the same");
    assert!(inside(data, image.setup_header()) && inside(data, image.protected_mode()));
    assert!(image.kernel_alignment.is_power_of_two(), "{:#x}", image.kernel_alignment);
    let _ = (image.version(), image.version_in_code(), image.is_64_bit(), image.five_level());
    true
}

pub fn vmlinux(data: &[u8]) -> bool {
    let Ok(image) = Vmlinux::parse(data) else { return false };
    let promised = image.flat_size();
    assert!(promised < 3 << 30, "{promised}");
    let mut written = 0u64;
    let whole = image.flatten(&mut |piece| {
        written += piece.len() as u64;
        written < DECODED
    });
    assert!(written <= promised && (!whole || written == promised), "{written} of {promised}");
    true
}

pub fn arm64_image(data: &[u8]) -> bool {
    let Ok(image) = Arm64Image::parse(data) else { return false };
    assert!(inside(data, image.bytes()));
    true
}

pub fn portable_executable(data: &[u8]) -> bool {
    let mut found = pe::check_length(data).is_ok();
    if let Ok(zboot) = Zboot::parse(data) {
        assert!(inside(data, zboot.payload));
        found = true;
    }
    if let Ok(unified) = Unified::parse(data) {
        assert!(inside(data, unified.linux));
        found = true;
        for part in [unified.initrd, unified.ucode, unified.cmdline, unified.dtb].into_iter().flatten() {
            assert!(inside(data, part));
        }
    }
    found
}

/// As load/kernel.rs goes through a file, but in a few MiB.
pub fn kernel_file(data: &[u8]) -> bool {
    let mut bytes = data.to_vec();
    for _ in 0..3 {
        let unpacked = match recognise(&bytes) {
            Ok(Content::Unified(unified)) => unified.linux.to_vec(),
            Ok(Content::Zboot(zboot)) => decoded(zboot.compression, zboot.payload),
            Ok(Content::UImage(kernel)) => kernel.to_vec(),
            Ok(Content::Compressed(compression)) => decoded(compression, &bytes),
            Ok(Content::Vmlinux(vmlinux)) if vmlinux.flat_size() <= 4 << 20 => {
                let mut flat = Vec::new();
                vmlinux.flatten(&mut |piece| {
                    flat.extend_from_slice(piece);
                    true
                });
                // What this program makes is what it reads.
                assert!(matches!(recognise(&flat), Ok(Content::Kernel(_)) | Err(_)));
                flat
            }
            Ok(Content::Vmlinux(_)) | Err(_) => return false,
            Ok(Content::Kernel(image)) => {
                let _ = (image.machine(), image.cmdline_size(), image.version());
                return true;
            }
        };
        bytes = unpacked;
    }
    false
}

fn decoded(compression: Compression, input: &[u8]) -> Vec<u8> {
    decode(compression, input).0
}

fn whole(compression: Compression, input: &[u8]) -> bool {
    decode(compression, input).1
}

/// What is decoded, and whether it was to the end.
fn decode(compression: Compression, input: &[u8]) -> (Vec<u8>, bool) {
    let mut output = Vec::new();
    let answer = unpack(compression, input, DECODED, &mut |piece| {
        output.extend_from_slice(piece);
        true
    });
    assert!(output.len() as u64 <= DECODED, "{} bytes", output.len());
    match answer {
        Ok(size) => assert_eq!(size, output.len() as u64),
        Err(Defect::Stopped) => panic!("nobody stopped it"),
        Err(_) => {}
    }
    (output, answer.is_ok())
}

pub fn gzip(data: &[u8]) -> bool {
    whole(Compression::Gzip, data)
}

pub fn xz(data: &[u8]) -> bool {
    whole(Compression::Xz, data)
}

pub fn zstd(data: &[u8]) -> bool {
    whole(Compression::Zstd, data)
}

pub fn lz4(data: &[u8]) -> bool {
    whole(Compression::Lz4, data)
}

/// An initrd is checked; and with the bytes as a name, one is made.
pub fn initrd_file(data: &[u8]) -> bool {
    let checked = initrd::check(data).is_ok();
    let (archives, bootconfig) = initrd::without_bootconfig(data);
    assert_eq!(archives.len() + bootconfig.len(), data.len());
    let Some(name) = newc::name(data) else { return checked };
    assert!(!name.is_empty() && !name.starts_with(b"/") && !name.ends_with(b"/"));
    let mut made = Vec::new();
    let mut archive = newc::Archive::default();
    let mut put = |at: usize, piece: &[u8]| {
        made.resize(made.len().max(at + piece.len()), 0);
        made[at..at + piece.len()].copy_from_slice(piece);
    };
    let at = archive.file(name, 0o644, 3, &mut put);
    put(at, b"abc");
    archive.end(&mut put);
    let length = archive.length;
    made.resize(length, 0);
    assert_eq!(initrd::check(&made), Ok(initrd::Initrd { plain: 1, compressed: None }));
    true
}

pub fn device_tree(data: &[u8]) -> bool {
    let mut known = RangeSet::new();
    if device_tree::memory(data, None, &mut known).is_ok() {
        assert_sorted(&known);
    }
    let chosen = Chosen {
        bootargs: b"console=ttyAMA0",
        initrd: Some((1 << 30, 2 << 30)),
        seed: Some(&[7; 40]),
        running: None,
        crash: None,
    };
    let mut once = vec![0; device_tree::room(data.len(), chosen.bootargs.len())];
    let Ok(length) = device_tree::edit(data, &chosen, &mut once) else { return false };
    // What was written is a tree, and editing it again changes nothing more.
    let mut twice = vec![0; device_tree::room(length, chosen.bootargs.len())];
    let again = device_tree::edit(&once[..length], &chosen, &mut twice);
    assert_eq!(again.map(|length| &twice[..length]), Ok(&once[..length]));
    let main = Range::new(1 << 30, 1 << 31).unwrap();
    let header_at = Range::new((1 << 31) - (64 << 10), 1 << 31).unwrap();
    let crash = CrashKernel {
        main,
        low: Some(main),
        map: MemoryMap::new(),
        header: vec![0; 64],
        header_at,
        is_followed: false,
    };
    let chosen = Chosen { crash: Some(&crash), ..chosen };
    let _ = device_tree::edit(data, &chosen, &mut once);
    true
}

#[track_caller]
fn assert_sorted(set: &RangeSet) {
    let ranges: Vec<Range> = set.iter().collect();
    for pair in ranges.windows(2) {
        assert!(pair[0].end() < pair[1].start(), "{ranges:?}");
    }
}

/// A dump in memory.
struct Bytes<'d>(&'d [u8]);

impl Source for Bytes<'_> {
    fn read_some(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A log that is as long as a log can be.
struct Lines(usize);

impl std::fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        assert!(text.bytes().all(|byte| byte == b'\n' || byte == b'\t' || byte >= b' '), "{text:?}");
        self.0 += text.len();
        Ok(())
    }
}

/// A saved dump, or what is none.
pub fn dump_file(data: &[u8]) -> bool {
    let source = Bytes(data);
    let Ok(dump) = Dump::open(&source) else { return false };
    assert!(inside(data, data) && dump.info.text().len() <= data.len());
    let mut said = String::new();
    let _ = say::dump::describe(&mut said, &dump);
    if dump.size() <= 1 << 20 {
        for save in [dump::kdump::save, dump::elf_core::save] {
            let sink = Written(Default::default());
            let result = save(&dump, Keep::default(), &sink, &mut |_, _| {});
            assert!(
                result.is_ok()
                    || dump.ranges().is_err()
                    || dump.info.number("PAGESIZE").is_err()
                    || sink.0.borrow().is_empty()
            );
        }
    }
    dump::log::write(&dump, &mut Lines(0)).is_ok()
}

/// What is written, but for what lies far away.
struct Written(std::cell::RefCell<Vec<u8>>);

impl Sink for Written {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (mut file, at) = (self.0.borrow_mut(), usize::try_from(offset).unwrap());
        if at < 8 << 20 {
            let end = file.len().max(at + bytes.len());
            file.resize(end, 0);
            file[at..][..bytes.len()].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.fill(0);
        let file = self.0.borrow();
        let rest = usize::try_from(offset).ok().and_then(|at| file.get(at..)).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(())
    }
}

pub fn iomem(data: &[u8]) -> bool {
    let mut iomem = Box::new(Iomem::new());
    if iomem.parse(data).is_ok() {
        assert_sorted(&iomem.usable);
        let entries = iomem.map.entries();
        assert!(entries.windows(2).all(|pair| pair[0].range.start() <= pair[1].range.start()));
        for range in iomem.usable.iter() {
            let is_ram = |entry: &memory_map::Entry| {
                entry.kind == memory_map::Kind::Ram && entry.range.overlaps(range)
            };
            assert!(entries.iter().any(is_ram), "{range}");
        }
    }
    let notes = [Range::new(0x1000, 0x2000).unwrap(); 3];
    for machine in [Machine::X86_64, Machine::Arm64] {
        let Ok(Some(crash)) =
            CrashKernel::new(data, &notes, machine, (data.len() % 2 == 1).then_some(data.len() as u64 * 100))
        else {
            continue;
        };
        assert!(crash.main.contains(crash.header_at));
        assert!(crash.header.len() as u64 <= crash.header_at.size());
        let count = usize::from(u16::from_le_bytes([crash.header[56], crash.header[57]]));
        assert!(count >= notes.len() && crash.header.len() == 64 + 56 * count);
        let mut ram = RangeSet::new();
        if crash.map.ram(&mut ram).is_ok() {
            assert!(ram.iter().all(|range| !range.overlaps(crash.header_at)));
        }
    }
    let mut settled = RangeSet::new();
    if memory_map::settled(data, &mut settled).is_ok() {
        assert_sorted(&settled);
    }
    true
}

/// A map of lines with a start, an end and a type.
pub fn memmap(data: &[u8]) -> bool {
    let mut map = Box::new(MemoryMap::new());
    for line in parts(data, b'\n') {
        let mut fields = parts(line, b' ');
        let mut field = || fields.next().unwrap_or_default();
        let (start, end) = (field(), field());
        if let Some(entry) = parse_memmap_entry(start, end, field())
            && map.insert(entry).is_err()
        {
            return false;
        }
    }
    let mut ram = RangeSet::new();
    if map.ram(&mut ram).is_ok() {
        assert_sorted(&ram);
        for entry in map.entries().iter().filter(|entry| entry.kind != memory_map::Kind::Ram) {
            assert!(ram.iter().all(|range| !range.overlaps(entry.range)), "{entry:?}");
        }
    }
    true
}

/// The words of a command line, with newlines between.
pub fn words(data: &[u8]) -> bool {
    let argv: Vec<OsString> = parts(data, b'\n').map(|word| OsStr::from_bytes(word).to_os_string()).collect();
    let (applet, command) = cli::parse(&argv);
    assert!(!applet.is_empty());
    if let Err(failure) = command {
        let text = failure.to_string();
        assert!(text.starts_with("un") || matches!(*failure, Failure::Usage { .. }), "{text}");
        // One message cannot pass for several.
        assert!(!text.bytes().any(|byte| byte < b' ' && byte != b'\n'), "{text:?}");
    }
    true
}

pub fn kernel_command_line(data: &[u8]) -> bool {
    assert!(cmdline::words(data).all(|word| !word.is_empty() && inside(data, word)));
    let once = cmdline::without_marks(data);
    assert_eq!(cmdline::without_marks(&once), once);
    let _ = cmdline::has_word(data, b"quiet");
    if let Ok(options) = boot_options::parse(data) {
        // Whatever the words, the next kernel is not asked for another kexec.
        let next = boot_options::parse(&options.line).unwrap();
        assert!(!next.asked);
        assert_eq!(next.line, options.line);
    }
    true
}

/// The small texts of /etc and tracefs.
pub fn texts(data: &[u8]) -> bool {
    let _ = settings::parse(data);
    let _ = init::read_trace(data);
    let _ = init::sysvinit_tells(data);
    let half = data.len() / 2;
    let (program, inittab) = data.split_at(half);
    let _ = init::reboot_action(program, inittab);
    let _ = init::recognise_init(OsStr::new("init"), program, inittab);
    true
}

/// Numbers that are taken from the front of the bytes.
struct Numbers<'d> {
    rest: &'d [u8],
}

impl<'d> Numbers<'d> {
    fn take(&mut self, length: usize) -> &'d [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn number(&mut self, length: usize) -> u64 {
        self.take(length).iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    fn flag(&mut self) -> bool {
        self.number(1) & 1 == 1
    }

    /// An address or a size: small and large ones alike, mostly of whole pages.
    fn address(&mut self) -> u64 {
        let (shift, value) = (self.number(1) % 52, self.number(3));
        let address = value << shift;
        if shift & 1 == 0 { address & !(PAGE - 1) } else { address }
    }

    /// More of them than are taken, at times.
    fn initrds(&mut self) -> Vec<&'static [u8]> {
        (0..self.number(1) % 18).map(|_| &INITRD[..self.number(2) as usize * 16 + 1]).collect()
    }

    fn bounds(&mut self) -> Range {
        let bounded = self.flag().then(|| Range::new(self.address(), self.address())).flatten();
        bounded.unwrap_or(Range::ALL)
    }

    fn map(&mut self) -> Box<MemoryMap> {
        let mut map = Box::new(MemoryMap::new());
        for _ in 0..self.number(1) % 24 {
            let kinds = [memory_map::Kind::Ram, memory_map::Kind::Reserved, memory_map::Kind::Acpi];
            let kind = kinds[(self.number(1) % 4).min(2) as usize];
            let kind = if self.flag() { memory_map::Kind::Ram } else { kind };
            if let Some(range) = Range::sized(self.address(), self.address()) {
                let _ = map.insert(memory_map::Entry { range, kind });
            }
        }
        map
    }
}

/// Initrds are cut from this: the kernel's own rules for them are the initrd target's.
static INITRD: [u8; 16 << 16] = [1; 16 << 16];

/// A kernel file of the length that its header says, or nearly: the header is the input's.
fn with_body(header: &[u8], length: u64) -> Vec<u8> {
    let mut file = header.to_vec();
    file.resize(header.len().max(length.min(1 << 16) as usize), 0x90);
    file
}

/// What kexec_load would be given: held against the promises of `Plan`, written anew.
#[track_caller]
fn assert_plan(plan: &Plan, usable: &RangeSet, total_pages: u64, bounds: Range) {
    let segments: Vec<Segment> = plan.segments().collect();
    assert!((1..=MAX_SEGMENTS).contains(&segments.len()));
    let mut sum = 0u64;
    for (index, segment) in segments.iter().enumerate() {
        let place = segment.place;
        assert_eq!((place.start() % PAGE, place.end() % PAGE), (0, 0), "{segment:?}");
        assert!(segment.bytes.len() as u64 <= place.size(), "{segment:?}");
        assert!(usable.iter().any(|range| range.contains(place)), "{segment:?}");
        assert!(bounds.contains(place), "{segment:?}");
        assert!(segments[..index].iter().all(|other| !other.place.overlaps(place)), "{segment:?}");
        sum += place.size();
    }
    assert!(sum <= total_pages / 2 * PAGE, "{sum}");
    let holds =
        |segment: &&Segment| segment.place.start() <= plan.entry() && plan.entry() < segment.place.end();
    let entered: Vec<Purpose> = segments.iter().filter(holds).map(|segment| segment.purpose).collect();
    assert_eq!(entered, [Purpose::Parameters]);
    assert_eq!(plan.memory_size(), sum);
}

pub fn plan_x86(data: &[u8]) -> bool {
    let mut numbers = Numbers { rest: data };
    let map = numbers.map();
    let mut usable = RangeSet::new();
    if map.ram(&mut usable).is_err() {
        return false;
    }
    let total_pages = numbers.address() / PAGE;
    let line = numbers.take(numbers.rest.first().map_or(0, |&length| usize::from(length) * 16)).to_vec();
    let initrds = numbers.initrds();
    let mut efi = Efi {
        is_64_bit: numbers.flag(),
        fw_vendor: numbers.flag().then(|| numbers.address()),
        config_table: numbers.flag().then(|| numbers.address()),
        smbios: numbers.flag().then(|| numbers.address()),
        acpi_rsdp: numbers.flag().then(|| numbers.address()),
        runtime_map: Table::new(),
    };
    for _ in 0..numbers.number(1) % 8 {
        let range = EfiRange {
            kind: numbers.number(1) as u32,
            phys_addr: numbers.address(),
            virt_addr: numbers.address(),
            num_pages: numbers.number(2),
            attribute: numbers.number(4),
        };
        let _ = efi.runtime_map.push(range);
    }
    let bounds = numbers.bounds();
    let (has_efi, live, five, protected) = (numbers.flag(), numbers.flag(), numbers.flag(), numbers.flag());
    let boot_params = numbers.flag().then(|| with_body(numbers.take(4096), 4096));
    let seed = numbers.flag().then_some([9; 32]);
    let file = with_body(numbers.rest, 64 << 10);
    let Ok(kernel) = BzImage::parse(&file) else { return false };
    let inputs = x86::Inputs {
        firmware_map: &map,
        usable: &usable,
        total_pages,
        boot_params: boot_params.as_deref(),
        efi: has_efi.then_some(&efi),
        efi_is_wanted: true,
        framebuffer_live: live,
        rng_seed: seed.as_ref(),
        five_level_paging: five,
        bounds,
        protected_mode: protected,
    };
    let Ok((plan, _)) = x86::plan(&kernel, &initrds, &line, None, &inputs) else { return false };
    assert!(initrds.len() <= MAX_INITRDS);
    assert_plan(&plan, &usable, total_pages, bounds);
    // boot_params begin the parameters: the pointers in them lead to what was laid out.
    let parameters = plan.segments().find(|segment| segment.purpose == Purpose::Parameters).unwrap();
    let field = |at: usize| u64::from(u32::from_le_bytes(parameters.bytes[at..at + 4].try_into().unwrap()));
    let (low, high) = (field(0x228), field(0x0c8));
    let offset = ((high << 32 | low) - parameters.place.start()) as usize;
    assert_eq!(&parameters.bytes[offset..offset + line.len()], &line[..]);
    assert_eq!(parameters.bytes[offset + line.len()], 0);
    let sizes = field(0x21c) | field(0x0c4) << 32;
    let last = initrds.last().map_or(0, |last| last.len() as u64);
    let paged: u64 =
        initrds.iter().rev().skip(1).map(|initrd| (initrd.len() as u64 + END).next_multiple_of(PAGE)).sum();
    assert_eq!(sizes, paged + last);
    let mut drawn = String::new();
    draw::draw(&mut drawn, &plan, &map, &usable).unwrap();
    true
}

pub fn plan_arm64(data: &[u8]) -> bool {
    let mut numbers = Numbers { rest: data };
    let map = numbers.map();
    let (mut usable, mut settled) = (RangeSet::new(), RangeSet::new());
    if map.ram(&mut usable).is_err() || numbers.map().ram(&mut settled).is_err() {
        return false;
    }
    if numbers.flag() {
        settled = usable.clone();
    }
    let total_pages = numbers.address() / PAGE;
    let line = numbers.take(numbers.rest.first().map_or(0, |&length| usize::from(length) * 8)).to_vec();
    let initrds = numbers.initrds();
    let bounds = numbers.bounds();
    let seed = numbers.flag().then_some([9; 40]);
    let file = with_body(numbers.take(64), 4096);
    let Ok(kernel) = Arm64Image::parse(&file) else { return false };
    // The captured tree, or a damaged one.
    let mut tree = include_bytes!("../../src/plan/captured/virt.dtb").to_vec();
    for _ in 0..numbers.number(1) % 4 {
        let at = numbers.number(2) as usize % tree.len();
        tree[at] = numbers.number(1) as u8;
    }
    let inputs = arm64::Inputs {
        usable: &usable,
        settled: &settled,
        total_pages,
        tree: &tree,
        running: None,
        seed: seed.as_ref(),
        bounds,
    };
    let Ok(plan) = arm64::plan(&kernel, &initrds, &line, None, &inputs) else { return false };
    assert_plan(&plan, &usable, total_pages, bounds);
    assert!(plan.segments().all(|segment| segment.place.end() <= 1 << 48));
    let mut drawn = String::new();
    draw::draw(&mut drawn, &plan, &map, &usable).unwrap();
    true
}
