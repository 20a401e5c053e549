//! A crash kernel: the memory that is reserved for it, and the ELF core header, which tells it where the
//! crashed kernel's memory and notes are (Documentation/admin-guide/kdump/kdump.rst).

use super::memory_map::{Entry, Iomem, Kind, MemoryMap, parse_iomem_line};
use super::{NoPlan, PAGE, arm64};
use crate::base::bytes::parts;
use crate::base::range::{Range, RangeSet, TooMany, align_up};
use crate::image::elf::core_file::{self, Part};
use crate::image::machine::Machine;

/// What is reserved for a crash kernel, and what it is told of the crashed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashKernel {
    /// The memory for its segments: kexec_load accepts no other (kernel/kexec_core.c,
    /// sanity_check_segment_list).
    pub main: Range,
    /// The memory below 4 GiB that it may use beside that, for devices (`crashkernel=X,high`).
    pub low: Option<Range>,
    /// The memory map that it is told on x86.
    pub map: MemoryMap,
    /// The ELF core header.
    pub header: Vec<u8>,
    /// Where it goes: whole pages at the end of `main`, which the crash kernel must leave alone.
    pub header_at: Range,
    /// Whether the running kernel writes it again when processors or memory come and go.
    #[cfg(feature = "vmcore")]
    pub is_followed: bool,
}

/// The first MiB, which an x86 kernel reserves early and a crash kernel uses to start its processors.
const LOW: u64 = 1 << 20;

impl CrashKernel {
    /// From the text of /proc/iomem and the places of the ELF notes: those of each processor, and last
    /// VMCOREINFO. `None` when nothing is reserved. `machine` is the running kernel's. `room` is how many bytes
    /// the running kernel wants for the core header, if it follows processors and memory that come and go
    /// (Documentation/ABI/testing/sysfs-kernel-kexec-kdump, crash_elfcorehdr_size).
    pub fn new(
        iomem: &[u8],
        notes: &[Range],
        machine: Machine,
        room: Option<u64>,
    ) -> Result<Option<CrashKernel>, NoPlan> {
        let lines = parts(iomem, b'\n').filter_map(parse_iomem_line);
        // Without CAP_SYS_ADMIN all addresses are 0.
        let mut reserved = lines.filter(|(range, name)| *name == b"Crash kernel" && range.end() > 1);
        let (low, main) = match (reserved.next(), reserved.next()) {
            (None, _) => return Ok(None),
            (Some((only, _)), None) => (None, only),
            (Some((low, _)), Some((main, _))) => (Some(low), main),
        };
        let mut known = Iomem::new();
        known.parse(iomem)?;
        let mut ram = RangeSet::new();
        // Only lines that are not nested: what the kernel reserved early, such as struct pages and page tables, is
        // nested in RAM on arm64, and a dump is nothing without it (arch/arm64/kernel/machine_kexec_file.c,
        // prepare_elf_headers: all of memblock.memory).
        let whole = parts(iomem, b'\n').filter(|line| !line.starts_with(b" "));
        for (range, name) in whole.filter_map(parse_iomem_line) {
            if name == b"System RAM" {
                ram.insert(range)?;
            }
        }
        for range in low.into_iter().chain([main]) {
            ram.remove(range)?;
        }
        // arch/x86/kernel/crash.c, elf_header_exclude_ranges: "Exclude the low 1M because it is always
        // reserved".
        if machine != Machine::Arm64 {
            ram.remove(Range::new(0, LOW).unwrap_or_default())?;
        }
        let header = core_header(machine, notes, &ram).ok_or(NoPlan::Broken("too many program headers"))?;
        let unit = if machine == Machine::Arm64 { arm64::UNIT } else { PAGE };
        let size = room.unwrap_or(0).max(header.len() as u64);
        let size = align_up(size, unit).ok_or(NoPlan::Broken("the ELF core header's size"))?;
        let end = main.end() & !unit.wrapping_sub(1);
        let header_at = end.checked_sub(size).and_then(|start| Range::new(start, end));
        let header_at = header_at.filter(|place| main.contains(*place));
        let header_at = header_at.ok_or(NoPlan::Broken("the ELF core header is larger than its memory"))?;
        let mut kernel = CrashKernel {
            main,
            low,
            map: MemoryMap::new(),
            header,
            header_at,
            #[cfg(feature = "vmcore")]
            is_followed: room.is_some(),
        };
        kernel.fill_map(&known.map)?;
        Ok(Some(kernel))
    }

    /// Whether the running kernel writes the ELF core header again. The small build has no room for that.
    pub fn is_followed(&self) -> bool {
        #[cfg(feature = "vmcore")]
        return self.is_followed;
        #[cfg(not(feature = "vmcore"))]
        false
    }

    /// Makes the map from the running kernel's (arch/x86/kernel/crash.c, crash_setup_memmap_entries): as RAM
    /// the first MiB and what is reserved for it; and ACPI's and reserved memory as it is. The ELF core
    /// header is in reserved memory, too.
    fn fill_map(&mut self, running: &MemoryMap) -> Result<(), TooMany> {
        let below = Range::new(0, LOW).unwrap_or_default();
        for entry in running.entries() {
            match entry.kind {
                Kind::Ram => {
                    let low = entry.range.intersection(below);
                    low.map_or(Ok(()), |range| self.map.insert(Entry { range, ..*entry }))?;
                }
                Kind::Acpi | Kind::Nvs | Kind::Reserved => self.map.insert(*entry)?,
                _ => {}
            }
        }
        let mut own = RangeSet::new();
        own.insert(self.main)?;
        own.remove(self.header_at)?;
        for range in self.low.into_iter().chain(own.iter()) {
            self.map.insert(Entry { range, kind: Kind::Ram })?;
        }
        self.map.insert(Entry { range: self.header_at, kind: Kind::Reserved })
    }
}

/// Two sums of the bytes as little-endian words of 32 bits, behind the last one zeros: of the words, and of
/// that sum after each word. They change with every change of one word, and whenever two different words
/// change places: the second sum is then another by their distance times their difference, which is below
/// 2^64.
pub fn sums(bytes: &[u8]) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for word in bytes.chunks(4) {
        let mut whole = [0u8; 4];
        whole.iter_mut().zip(word).for_each(|(byte, given)| *byte = *given);
        let [first, second] = &mut sums;
        *first = first.wrapping_add(u32::from_le_bytes(whole).into());
        *second = second.wrapping_add(*first);
    }
    sums
}

/// The ELF core header (kernel/crash_core.c, crash_prepare_elf64_headers): a program header for each note
/// and for each range of RAM. `None` if they are more than the ELF header can count.
///
/// The virtual addresses of RAM are 0, and the kernel's text has no header of its own: where they are, the
/// crash kernel finds out from VMCOREINFO; a running kernel tells it in /proc/kcore alone.
fn core_header(machine: Machine, notes: &[Range], ram: &RangeSet) -> Option<Vec<u8>> {
    let part =
        |kind, range: Range| Part { kind, offset: range.start(), address: range.start(), size: range.size() };
    let count = notes.len().checked_add(ram.iter().count())?;
    let notes = notes.iter().map(|&range| part(core_file::NOTES, range));
    core_file::headers(machine, count, notes.chain(ram.iter().map(|range| part(core_file::MEMORY, range))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::{array_at, u32_at, u64_at};

    const IOMEM: &[u8] = b"\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000f0000-000fffff : Reserved
00100000-3ffdbfff : System RAM
  01000000-01e03bf7 : Kernel code
  02000000-05ffffff : Crash kernel
3ffdc000-3ffdffff : ACPI Tables
100000000-17fffffff : System RAM
  16f000000-17effffff : Crash kernel
fffc0000-ffffffff : Reserved
";
    const NOTES: [(u64, u64); 2] = [(0x3f00_1234, 0x1ac), (0x3e00_0000, 0x1024)];

    fn range(start: u64, end: u64) -> Range {
        Range::new(start, end).unwrap()
    }

    fn kernel(iomem: &[u8], machine: Machine) -> CrashKernel {
        let notes = NOTES.map(|(start, size)| Range::sized(start, size).unwrap());
        CrashKernel::new(iomem, &notes, machine, None).unwrap().unwrap()
    }

    /// The program headers: p_type, p_offset, p_filesz. The other fields follow from these.
    fn program_headers(header: &[u8]) -> Vec<(u32, u64, u64)> {
        assert_eq!(array_at(header, 0), Some(*b"\x7fELF\x02\x01\x01\0"));
        let count = usize::from(u16::from_le_bytes(array_at(header, 56).unwrap()));
        assert_eq!(header.len(), 64 + 56 * count);
        let one = |number: usize| {
            let at = 64 + 56 * number;
            let field = |offset| u64_at(header, at + offset).unwrap();
            assert_eq!((field(8), field(32), field(16)), (field(24), field(40), 0));
            (u32_at(header, at).unwrap(), field(8), field(32))
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_core_header_has_the_notes_and_all_ram_but_what_is_reserved() {
        let found = kernel(IOMEM, Machine::X86_64);
        assert_eq!(
            (found.low, found.main),
            (Some(range(0x200_0000, 0x600_0000)), range(0x1_6f00_0000, 0x1_7f00_0000))
        );
        assert_eq!(
            program_headers(&found.header),
            [
                (4, 0x3f00_1234, 0x1ac),
                (4, 0x3e00_0000, 0x1024),
                (1, 0x10_0000, 0x1f0_0000),
                (1, 0x600_0000, 0x3ffd_c000 - 0x600_0000),
                (1, 0x1_0000_0000, 0x6f00_0000),
                (1, 0x1_7f00_0000, 0x100_0000),
            ]
        );
        assert_eq!((found.header.get(16), found.header.get(18)), (Some(&4), Some(&62)));
        assert_eq!(found.header_at, range(0x1_7eff_f000, 0x1_7f00_0000));
        // On arm64 the first MiB is memory like any other.
        let found = kernel(IOMEM, Machine::Arm64);
        assert_eq!(program_headers(&found.header)[2], (1, 0x1000, 0x9_ec00));
        assert_eq!(found.header.get(18), Some(&183));
        assert_eq!(found.header_at, range(0x1_7eff_0000, 0x1_7f00_0000));
    }

    /// As on arm64: without the struct pages and page tables in what is reserved, nothing
    /// in a dump can be found.
    #[test]
    fn what_is_reserved_inside_ram_is_in_the_dump() {
        let iomem = b"40000000-7fffffff : System RAM\n  40210000-41d1ffff : Kernel code\n  41d20000-421effff : reserved\n  \
                      6ac00000-7abfffff : Crash kernel\n  7c000000-7fdfffff : reserved\n  7fe40000-7fffffff : reserved\n\
                      80000000-80ffffff : reserved\n";
        let found = kernel(iomem, Machine::Arm64);
        let memory = [(1, 0x4000_0000, 0x2ac0_0000), (1, 0x7ac0_0000, 0x540_0000)];
        assert_eq!(program_headers(&found.header)[2..], memory);
    }

    #[test]
    fn the_map_of_a_crash_kernel_has_its_own_memory_and_what_acpi_needs() {
        let found = kernel(IOMEM, Machine::X86_64);
        let entries: Vec<(u64, u64, Kind)> = found
            .map
            .entries()
            .iter()
            .map(|entry| (entry.range.start(), entry.range.end(), entry.kind))
            .collect();
        assert_eq!(
            entries,
            [
                (0, 0x1000, Kind::Reserved),
                (0x1000, 0x9_fc00, Kind::Ram),
                (0x9_fc00, 0xa_0000, Kind::Reserved),
                (0xf_0000, 0x10_0000, Kind::Reserved),
                (0x200_0000, 0x600_0000, Kind::Ram),
                (0x3ffd_c000, 0x3ffe_0000, Kind::Acpi),
                (0xfffc_0000, 0x1_0000_0000, Kind::Reserved),
                (0x1_6f00_0000, 0x1_7eff_f000, Kind::Ram),
                (0x1_7eff_f000, 0x1_7f00_0000, Kind::Reserved),
            ]
        );
    }

    #[test]
    fn sums_change_with_each_byte_and_each_exchange() {
        let bytes: Vec<u8> = (0..67u32).map(|i| ((i * i * 31) >> 3) as u8).collect();
        let right = sums(&bytes);
        assert_eq!(sums(&[&bytes[..], &[0]].concat()), right, "zeros up to a word");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert_ne!(sums(&changed), right, "{at} {bit}");
            }
        }
        for one in (0..64).step_by(4) {
            for other in (one + 4..64).step_by(4) {
                let mut changed = bytes.clone();
                (0..4).for_each(|byte| changed.swap(one + byte, other + byte));
                assert!(changed == bytes || sums(&changed) != right, "{one} {other}");
            }
        }
        // Words that differ in their highest bit alone, a power of two apart.
        let mut far = vec![0u8; 4 << 16];
        far[3] = 0x80;
        let before = sums(&far);
        (far[3], far[(4 << 15) + 3]) = (0, 0x80);
        assert_ne!(sums(&far), before);
    }

    #[test]
    fn without_a_reservation_there_is_none() {
        let hidden = b"00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n";
        for iomem in [&b"00100000-3ffdbfff : System RAM\n"[..], hidden, b""] {
            assert_eq!(CrashKernel::new(iomem, &[], Machine::X86_64, None), Ok(None));
        }
        // One too small for its header is no crash of the program.
        let tiny = b"00100000-3ffdbfff : System RAM\n  00200000-002001ff : Crash kernel\n";
        assert!(matches!(CrashKernel::new(tiny, &[], Machine::X86_64, None), Err(NoPlan::Broken(_))));
    }
}
