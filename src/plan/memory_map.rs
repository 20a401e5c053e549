//! The machine's memory: as the firmware described it (/sys/firmware/memmap), and as the
//! running kernel uses it (/proc/iomem). This file reads their texts, not the files.

use crate::base::range::{MAX_RANGES, Range, RangeSet, TooMany};
use crate::base::table::Table;
use crate::base::{bytes, text};
use crate::plan::PAGE;

/// What a range of physical addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// System RAM.
    Ram,
    /// Not to be used.
    Reserved,
    /// ACPI tables: RAM after they have been read.
    Acpi,
    /// ACPI non-volatile storage.
    Nvs,
    /// RAM with errors.
    Unusable,
    /// Persistent memory, with ACPI's number.
    Persistent,
    /// Persistent memory, with the number that older firmware uses.
    PersistentLegacy,
    /// RAM that is set aside for a purpose (EFI_MEMORY_SP).
    SoftReserved,
}

/// Each kind, the name that memmap and iomem print for it (arch/x86/kernel/e820.c,
/// e820_type_to_string; older kernels print "reserved" in memmap), and its number in an e820
/// table (arch/x86/include/asm/e820/types.h).
const KINDS: [(Kind, &str, u32); 8] = [
    (Kind::Ram, "System RAM", 1),
    (Kind::Reserved, "Reserved", 2),
    (Kind::Acpi, "ACPI Tables", 3),
    (Kind::Nvs, "ACPI Non-volatile Storage", 4),
    (Kind::Unusable, "Unusable memory", 5),
    (Kind::Persistent, "Persistent Memory", 7),
    (Kind::PersistentLegacy, "Persistent Memory (legacy)", 12),
    (Kind::SoftReserved, "Soft Reserved", 0xefff_ffff),
];

impl Kind {
    /// The kind that the kernel prints as `name`, in whatever case.
    pub fn from_name(name: &[u8]) -> Option<Kind> {
        let same = |known: &str| known.as_bytes().eq_ignore_ascii_case(name.trim_ascii());
        KINDS.iter().find(|(_, known, _)| same(known)).map(|&(kind, ..)| kind)
    }

    /// The number of this kind in an e820 table.
    pub fn e820_type(self) -> u32 {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(2, |&(.., number)| number)
    }

    /// The kind with this number in an e820 table. One that is not known is reserved.
    pub fn from_e820_type(number: u32) -> Kind {
        KINDS.iter().find(|&&(.., known)| known == number).map_or(Kind::Reserved, |&(kind, ..)| kind)
    }

    /// The name that the kernel prints.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("Reserved", |&(_, name, _)| name)
    }
}

/// One range of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The physical addresses.
    pub range: Range,
    /// What they are.
    pub kind: Kind,
}

/// A memory map: ranges in the order of their start addresses, each with its kind. Ranges may
/// overlap. There are at most [`MAX_RANGES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryMap {
    entries: Table<Entry, MAX_RANGES>,
}

impl MemoryMap {
    /// An empty map.
    pub const fn new() -> MemoryMap {
        MemoryMap { entries: Table::new() }
    }

    /// The entries, lowest start address first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Inserts `entry` where its start address belongs; [`TooMany`] if the map is full.
    pub fn insert(&mut self, entry: Entry) -> Result<(), TooMany> {
        let before = |own: &&Entry| own.range.start() <= entry.range.start();
        // Nearly always at the end: the sources are sorted, or nearly so.
        let at = match self.entries.last() {
            Some(last) if before(&last) => self.entries.len(),
            _ => self.entries.iter().take_while(before).count(),
        };
        self.entries.insert(at, entry).map_err(|_| TooMany { capacity: MAX_RANGES })
    }

    /// Adds the map's RAM to `ram`, and removes everything else in the map from it: if two
    /// entries overlap, the one that is not RAM wins. [`TooMany`] if `ram` gets full.
    pub fn ram(&self, ram: &mut RangeSet) -> Result<(), TooMany> {
        for entry in self.entries.iter().filter(|entry| entry.kind == Kind::Ram) {
            ram.insert(entry.range)?;
        }
        for entry in self.entries.iter().filter(|entry| entry.kind != Kind::Ram) {
            ram.remove(entry.range)?;
        }
        Ok(())
    }

    /// Makes this map, the firmware's, the one that the next kernel is told.
    ///
    /// `boot` is the RAM that the boot loader told of, where that is known. Memory that was added
    /// later is in the firmware's map, too (mm/memory_hotplug.c: "create new memmap entry"), and its
    /// pages may not be there (drivers/hv/hv_balloon.c). The next kernel finds it in the way in
    /// which this one did.
    ///
    /// `running` is what this kernel uses: if it has RAM where the firmware's map has nothing, EFI's
    /// map told it (`add_efi_memmap`), and what it sets aside for a purpose counts.
    pub fn settle(&mut self, boot: Option<&RangeSet>, running: &MemoryMap) -> Result<(), TooMany> {
        let firmware = self.clone();
        if let Some(boot) = boot {
            self.entries.retain(|entry| entry.kind != Kind::Ram);
            for entry in firmware.entries().iter().filter(|entry| entry.kind == Kind::Ram) {
                for range in boot.iter().filter_map(|range| range.intersection(entry.range)) {
                    self.insert(Entry { range, ..*entry })?;
                }
            }
        }
        for entry in running.entries() {
            let mut new = RangeSet::new();
            new.insert(entry.range)?;
            if entry.kind == Kind::Ram {
                firmware.entries().iter().try_for_each(|known| new.remove(known.range))?;
            } else if entry.kind != Kind::SoftReserved {
                continue;
            }
            new.iter().try_for_each(|range| self.insert(Entry { range, ..*entry }))?;
        }
        Ok(())
    }

    /// Whether the map has RAM that `boot` has not.
    pub fn has_ram_outside(&self, boot: &RangeSet) -> bool {
        self.entries()
            .iter()
            .any(|entry| entry.kind == Kind::Ram && !boot.iter().any(|own| own.overlaps(entry.range)))
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// What /proc/iomem says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iomem {
    /// The ranges that have the name of a [`Kind`].
    pub map: MemoryMap,
    /// What the running kernel uses as RAM, without what it has set aside there.
    pub usable: RangeSet,
    /// Whether every address is zero, as a reader without CAP_SYS_ADMIN sees it (proc(5)).
    /// Also true for an empty text.
    pub hidden: bool,
}

impl Iomem {
    /// Nothing read yet.
    pub const fn new() -> Iomem {
        Iomem { map: MemoryMap::new(), usable: RangeSet::new(), hidden: true }
    }

    /// Reads the text of /proc/iomem into an empty self. It skips lines that it cannot read.
    ///
    /// RAM is what the kernel names "System RAM", without the ranges inside it that have
    /// another name than the kernel's own code and data. The most important one is "Crash
    /// kernel", which a kexec must not touch. Kernel code and data may be overwritten: code
    /// on the control page copies the segments there when the running kernel has ended.
    pub fn parse(&mut self, text: &[u8]) -> Result<(), TooMany> {
        for line in bytes::parts(text, b'\n') {
            let Some((range, name)) = parse_iomem_line(line) else { continue };
            if range.end() > 1 {
                self.hidden = false;
            }
            if let Some(kind) = Kind::from_name(name) {
                self.map.insert(Entry { range, kind })?;
            }
        }
        if self.hidden {
            self.map.clear();
            return Ok(());
        }
        self.map.ram(&mut self.usable)?;
        // A range that is nested in RAM is set aside there. One that is nested elsewhere, in
        // a device's memory, removes nothing.
        for line in bytes::parts(text, b'\n').filter(|line| line.starts_with(b" ")) {
            match parse_iomem_line(line) {
                Some((range, name)) if !leaves_ram_usable(name) => self.usable.remove(range)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Default for Iomem {
    fn default() -> Iomem {
        Iomem::new()
    }
}

/// Adds those ranges of RAM in /proc/iomem to `settled` in which anything is set aside. A
/// kernel that boots sets something aside in each range that it finds. A range that was added
/// later has nothing nested in it; the next kernel learns of memory in the way in which this
/// one did, and may not know of that range.
pub fn settled(text: &[u8], settled: &mut RangeSet) -> Result<(), TooMany> {
    let mut ram = None;
    for line in bytes::parts(text, b'\n') {
        let Some((range, name)) = parse_iomem_line(line) else { continue };
        if !line.starts_with(b" ") {
            ram = Some(range).filter(|_| name == b"System RAM");
        } else if let Some(ram) = ram.take() {
            settled.insert(ram)?;
        }
    }
    Ok(())
}

/// The running kernel's own memory, as /proc/iomem shows it: from its code up to the end of its bss,
/// or as much as `init_size` says, in bytes: what it allocates first (brk) follows its bss.
pub fn kernel_image(text: &[u8], init_size: u64) -> Option<Range> {
    let of = |wanted: &[u8]| {
        let mut lines = bytes::parts(text, b'\n').filter_map(parse_iomem_line);
        lines.find_map(|(range, name)| (name == wanted).then_some(range))
    };
    let start = of(b"Kernel code")?.start();
    Range::new(start, of(b"Kernel bss")?.end().max(start.saturating_add(init_size)))
}

/// Whether `address` lies in the memory of a PCI device, as /proc/iomem shows it (a name such as
/// 0000:00:02.0).
pub fn is_pci_memory(text: &[u8], address: u64) -> bool {
    bytes::parts(text, b'\n').filter_map(parse_iomem_line).any(|(range, name)| {
        let is_address = matches!(name, [_, _, _, _, b':', _, _, b':', _, _, b'.', _]);
        is_address && range.has(address)
    })
}

/// The pages in one entry of /proc/kpageflags whose memory must stay as it is, or is not there
/// (include/uapi/linux/kernel-page-flags.h, include/linux/kernel-page-flags.h): hwpoison, nopage,
/// offline and reserved.
const KEPT: u64 = 1 << 19 | 1 << 20 | 1 << 23 | 1 << 32;

/// Whether any page in `pages` has to be left alone: `flags` is the part of /proc/kpageflags for the
/// pages from `first` on. Pages in `own`, which is the running kernel's, are reserved and free all the
/// same.
pub fn has_kept_page(flags: &[u8], first: u64, pages: Range, own: Option<Range>) -> bool {
    flags.chunks_exact(8).zip((first..).step_by(PAGE as usize)).any(|(entry, address)| {
        let kept = bytes::u64_at(entry, 0).is_some_and(|flags| flags & KEPT != 0);
        kept && pages.has(address) && !own.is_some_and(|own| own.has(address))
    })
}

/// Whether a range with this name inside RAM may be overwritten: it is RAM, or the running
/// kernel's own, which is free when that has ended.
fn leaves_ram_usable(name: &[u8]) -> bool {
    [&b"System RAM"[..], b"Kernel code", b"Kernel rodata", b"Kernel data", b"Kernel bss"].contains(&name)
}

/// The range and the name in a line such as `  00100000-3ffdffff : System RAM`.
pub fn parse_iomem_line(line: &[u8]) -> Option<(Range, &[u8])> {
    let colon = line.windows(3).position(|window| window == b" : ")?;
    let (addresses, name) = line.split_at_checked(colon)?;
    let dash = addresses.iter().position(|&byte| byte == b'-')?;
    let (start, end) = addresses.split_at_checked(dash)?;
    let start = text::parse_hex(start)?;
    let end = text::parse_hex(end.strip_prefix(b"-")?)?;
    Some((Range::new(start, end.checked_add(1)?)?, name.strip_prefix(b" : ")?.trim_ascii()))
}

/// Reads the texts of one directory of /sys/firmware/memmap: its files `start`, `end` (the
/// last address) and `type`. `None` if they are not what the kernel writes.
///
/// A type that is not known becomes reserved: the next kernel must not use it as RAM.
pub fn parse_memmap_entry(start: &[u8], end: &[u8], kind: &[u8]) -> Option<Entry> {
    let end = text::parse_hex(end)?.checked_add(1)?;
    let range = Range::new(text::parse_hex(start)?, end)?;
    // A type that could not be read is not the same as one that is not known.
    if kind.is_empty() {
        return None;
    }
    Some(Entry { range, kind: Kind::from_name(kind).unwrap_or(Kind::Reserved) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A virtual machine with 1 GiB, a crash kernel, and `memmap=64K$0x8000000`.
    const IOMEM: &[u8] = b"\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000a0000-000bffff : PCI Bus 0000:00
000c0000-000c99ff : Video ROM
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-07ffffff : System RAM
  01000000-01e03bf7 : Kernel code
  02000000-02a93fff : Kernel rodata
  02c00000-02ef52ff : Kernel data
  03375000-037fffff : Kernel bss
08000000-0800ffff : Reserved
08010000-3ffdbfff : System RAM
  2f000000-36ffffff : Crash kernel
3ffdc000-3fffffff : Reserved
40000000-febfffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
    fd000000-fdffffff : bochs-drm
fffc0000-ffffffff : Reserved
";

    fn parse_iomem(text: &[u8]) -> Result<Iomem, TooMany> {
        let mut iomem = Iomem::new();
        iomem.parse(text).map(|()| iomem)
    }

    fn ram(map: &MemoryMap) -> RangeSet {
        let mut ram = RangeSet::new();
        map.ram(&mut ram).unwrap();
        ram
    }

    fn pairs(set: &RangeSet) -> Vec<(u64, u64)> {
        set.iter().map(|range| (range.start(), range.end())).collect()
    }

    #[test]
    fn iomem_usable_ram_leaves_out_reserved_and_crash_kernel() {
        let iomem = parse_iomem(IOMEM).unwrap();
        assert!(!iomem.hidden);
        assert_eq!(
            pairs(&iomem.usable),
            [
                (0x1000, 0x9_fc00),
                (0x10_0000, 0x800_0000),
                (0x801_0000, 0x2f00_0000),
                (0x3700_0000, 0x3ffd_c000),
            ]
        );
        assert_eq!(iomem.map.entries().len(), 9);
    }

    #[test]
    fn iomem_without_privilege_is_hidden_not_empty_ram() {
        let text = b"00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n";
        assert!(parse_iomem(text).unwrap().hidden);
        assert!(parse_iomem(b"").unwrap().hidden);
    }

    #[test]
    fn any_number_of_devices_takes_no_ram_away() {
        let mut text = IOMEM.to_vec();
        for device in 0..2000u64 {
            let start = 0xc000_0000 + device * 0x1000;
            text.extend_from_slice(
                format!("    {start:08x}-{:08x} : 0000:00:1f.0\n", start + 0xfff).as_bytes(),
            );
        }
        let iomem = parse_iomem(&text).unwrap();
        assert_eq!(iomem, parse_iomem(IOMEM).unwrap());
    }

    #[test]
    fn iomem_nonsense_is_passed_over() {
        let text = b"zz-10 : System RAM\n20-10 : System RAM\n : \n-\n0-ffffffffffffffff : System RAM\n100-1ff : System RAM";
        let iomem = parse_iomem(text).unwrap();
        assert_eq!(pairs(&iomem.usable), [(0x100, 0x200)]);
    }

    #[test]
    fn ram_that_was_added_later_is_not_settled() {
        let text = b"40000000-7fffffff : System RAM\n  40200000-41a9ffff : Kernel code\n\
            80000000-bfffffff : System RAM\nc0000000-c0000fff : device\n  c0000000-c00000ff : part\n\
            100000000-13fffffff : System RAM\n  13f000000-13fffffff : reserved\n";
        let mut found = RangeSet::new();
        settled(text, &mut found).unwrap();
        assert_eq!(pairs(&found), [(0x4000_0000, 0x8000_0000), (0x1_0000_0000, 0x1_4000_0000)]);
    }

    fn map(entries: &[(u64, u64, Kind)]) -> MemoryMap {
        let mut map = MemoryMap::new();
        for &(start, end, kind) in entries {
            map.insert(Entry { range: Range::new(start, end).unwrap(), kind }).unwrap();
        }
        map
    }

    #[test]
    fn memory_that_was_added_later_is_not_told() {
        // As with 256 MiB, and a pc-dimm of 128 MiB that was added at 4 GiB.
        let mut firmware = map(&[
            (0, 0x9_fc00, Kind::Ram),
            (0x9_fc00, 0xa_0000, Kind::Reserved),
            (0x10_0000, 0xffe_0000, Kind::Ram),
            (0x1_0000_0000, 0x1_0800_0000, Kind::Ram),
        ]);
        let running = map(&[
            (0x1000, 0x9_fc00, Kind::Ram),
            (0x10_0000, 0xffe_0000, Kind::Ram),
            (0x1_0000_0000, 0x1_0800_0000, Kind::Ram),
        ]);
        let mut boot = RangeSet::new();
        for (start, end) in [(0, 0x9_fc00), (0x10_0000, 0xffe_0000)] {
            boot.insert(Range::new(start, end).unwrap()).unwrap();
        }
        let whole = firmware.clone();
        assert!(whole.has_ram_outside(&boot));
        firmware.settle(Some(&boot), &running).unwrap();
        assert_eq!(firmware.entries(), &whole.entries()[..3]);
        assert!(!firmware.has_ram_outside(&boot));
        let mut unknown = whole.clone();
        unknown.settle(None, &running).unwrap();
        assert_eq!(unknown, whole);
    }

    #[test]
    fn what_efi_told_and_the_boot_loader_did_not_is_told() {
        let firmware = map(&[(0, 0x9_f000, Kind::Ram), (0x10_0000, 0x4000_0000, Kind::Ram)]);
        // add_efi_memmap: more RAM, and a part that is set aside (EFI_MEMORY_SP).
        let running = map(&[
            (0x1000, 0x9_f000, Kind::Ram),
            (0x10_0000, 0x2000_0000, Kind::Ram),
            (0x2000_0000, 0x4000_0000, Kind::SoftReserved),
            (0x1_0000_0000, 0x1_4000_0000, Kind::Ram),
        ]);
        let mut boot = RangeSet::new();
        firmware.ram(&mut boot).unwrap();
        let mut told = firmware.clone();
        told.settle(Some(&boot), &running).unwrap();
        let soft = running.entries()[2];
        let added = running.entries()[3];
        assert_eq!(told.entries(), [firmware.entries(), &[soft, added]].concat());
        // What is set aside is not RAM.
        assert_eq!(pairs(&ram(&told))[1], (0x10_0000, 0x2000_0000));
    }

    #[test]
    fn reserved_pages_outside_the_running_kernel_are_kept() {
        let own = kernel_image(IOMEM, 0);
        assert_eq!(own, Range::new(0x100_0000, 0x380_0000));
        assert_eq!(kernel_image(IOMEM, 0x300_0000), Range::new(0x100_0000, 0x400_0000));
        let flags = |bit: u32| [0u64.to_le_bytes(), (1u64 << bit).to_le_bytes()].concat();
        // the bit, the first page -> whether the second one is kept
        let table = [
            (32, 0x4000_0000, true),
            (23, 0x4000_0000, true),
            (20, 0x4000_0000, true),
            (19, 0x4000_0000, true),
            (10, 0x4000_0000, false),
            (32, 0x37f_e000, false),
            (32, 0x37f_f000, true),
            (32, 0xff_f000, false),
            (32, 0xff_e000, true),
        ];
        for (bit, first, wanted) in table {
            assert_eq!(has_kept_page(&flags(bit), first, Range::ALL, own), wanted, "{bit} {first:#x}");
        }
        assert!(has_kept_page(&flags(32), 0x200_0000, Range::ALL, None));
        let others = Range::new(0x200_0000, 0x200_1000).unwrap();
        assert!(!has_kept_page(&flags(32), 0x200_0000, others, None));
    }

    #[test]
    fn a_framebuffer_lies_in_a_devices_memory() {
        let text = b"40000000-febfffff : PCI Bus 0000:00\n  fd000000-fdffffff : 0000:00:02.0\n";
        let table = [(0xfd00_0000, true), (0xfdff_ffff, true), (0xfe00_0000, false), (0xc000_0000, false)];
        for (address, wanted) in table {
            assert_eq!(is_pci_memory(text, address), wanted, "{address:#x}");
        }
    }

    #[test]
    fn memmap_names_and_numbers() {
        let entry = parse_memmap_entry(b"0x100000\n", b"0x3ffdbfff\n", b"System RAM\n").unwrap();
        assert_eq!((entry.range.start(), entry.range.end(), entry.kind), (0x10_0000, 0x3ffd_c000, Kind::Ram));
        let table: &[(&[u8], u32)] = &[
            (b"reserved", 2),
            (b"Reserved", 2),
            (b"ACPI Tables", 3),
            (b"ACPI Non-volatile Storage", 4),
            (b"Unusable memory", 5),
            (b"Persistent Memory", 7),
            (b"Persistent Memory (legacy)", 12),
            (b"Soft Reserved", 0xefff_ffff),
            (b"something of tomorrow", 2),
        ];
        for (name, number) in table {
            let entry = parse_memmap_entry(b"0x0", b"0xfff", name).unwrap();
            assert_eq!(entry.kind.e820_type(), *number, "{}", String::from_utf8_lossy(name));
        }
        assert_eq!(parse_memmap_entry(b"0x1000", b"0xfff", b"reserved"), None);
        assert_eq!(parse_memmap_entry(b"0x0", b"0xfff", b""), None);
    }

    #[test]
    fn the_map_is_sorted_and_what_is_not_ram_wins() {
        let mut map = MemoryMap::new();
        for (start, end, kind) in
            [(0x10_0000, 0x20_0000, Kind::Ram), (0, 0x9_0000, Kind::Ram), (0x18_0000, 0x19_0000, Kind::Acpi)]
        {
            map.insert(Entry { range: Range::new(start, end).unwrap(), kind }).unwrap();
        }
        assert_eq!(map.entries()[0].range.start(), 0);
        assert_eq!(pairs(&ram(&map)), [(0, 0x9_0000), (0x10_0000, 0x18_0000), (0x19_0000, 0x20_0000)]);
    }
}
