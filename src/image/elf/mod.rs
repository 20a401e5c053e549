//! A vmlinux: the kernel as the linker leaves it, an ELF file (System V ABI, "Object Files" and
//! "Program Loading"). It is converted into a format that can be loaded: an Image on arm64, a
//! bzImage on x86_64.

pub mod core_file;
mod flatten;

use super::arm64;
pub use super::machine::Defect;
use super::machine::{Machine, range};
use crate::base::bytes::{array_at, u32_at};
use goblin::elf64::header::{ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ET_CORE, ET_DYN, ET_EXEC, ET_REL, Header};
use goblin::elf64::program_header::{PT_INTERP, PT_LOAD, ProgramHeader};
use plain::Plain;

/// The most program headers that are read. Kernels have about five.
const MOST_HEADERS: usize = 32;
/// The most memory that a kernel may span, in bytes.
const LONGEST_SPAN: u64 = 1 << 30;
/// The alignment of x86_64 kernels, in bytes: a large page, PMD_SIZE.
const LARGE_PAGE: u64 = 2 << 20;

/// A PT_LOAD segment whose bytes lie in the file.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    /// The segment's bytes in the file.
    bytes: &'a [u8],
    physical: u64,
    virtual_: u64,
    /// The segment's size in memory, in bytes.
    memory: u64,
}

impl<'a> Segment<'a> {
    /// The segment of an entry of the program header table. `None` when the entry loads nothing.
    fn parse(file: &'a [u8], entry: &[u8]) -> Result<Option<Segment<'a>>, Defect> {
        let mut program = ProgramHeader::default();
        let _ = program.copy_from_bytes(entry);
        let ProgramHeader { p_offset: offset, p_vaddr: virtual_, p_paddr: physical, .. } = program;
        let ProgramHeader { p_filesz: size, p_memsz: memory, .. } = program;
        if program.p_type != PT_LOAD || memory == 0 {
            return Ok(None);
        }
        // "The file size may not be larger than the memory size."
        if size > memory || physical.checked_add(memory).is_none() || virtual_.checked_add(memory).is_none() {
            return Err(Defect::Header("an ELF segment's size is impossible"));
        }
        Ok(Some(Segment { bytes: range(file, offset, size)?, physical, virtual_, memory }))
    }

    /// The physical address after the segment.
    fn end(&self) -> u64 {
        self.physical.saturating_add(self.memory)
    }

    /// The physical address after the segment's bytes in the file.
    fn end_of_bytes(&self) -> u64 {
        self.physical.saturating_add(self.bytes.len() as u64)
    }

    /// The physical address of `entry`, if it lies in the segment's bytes when they are at
    /// `start`.
    fn physical_of(&self, entry: u64, start: u64) -> Option<u64> {
        let offset = entry.checked_sub(start)?;
        if offset < self.bytes.len() as u64 { self.physical.checked_add(offset) } else { None }
    }
}

/// The segments of a program header table that has been checked.
fn segments<'a>(file: &'a [u8], table: &'a [u8]) -> impl Iterator<Item = Segment<'a>> {
    let entries = table.chunks_exact(size_of::<ProgramHeader>());
    entries.filter_map(|entry| Segment::parse(file, entry).ok().flatten())
}

/// The physical addresses of a kernel's segments.
struct Extent<'a> {
    first: Segment<'a>,
    /// The end of the last segment.
    end: u64,
    /// The end of the last segment that has bytes in the file.
    end_of_bytes: u64,
    entry: Option<u64>,
}

impl<'a> Extent<'a> {
    /// Checks the segments of a program header table. `entry` is the ELF header's.
    fn of(file: &'a [u8], table: &[u8], entry: u64) -> Result<Extent<'a>, Defect> {
        let (mut first, mut end, mut end_of_bytes) = (None, 0u64, 0u64);
        let (mut at_physical, mut at_virtual) = (None, None);
        for header in table.chunks_exact(size_of::<ProgramHeader>()) {
            let Some(segment) = Segment::parse(file, header)? else { continue };
            // "Loadable segment entries in the program header table appear in ascending order,
            // sorted on the p_vaddr member." x86_64 kernels before 6.15 break this: their
            // per-CPU segment has p_vaddr 0. Their p_paddr ascends.
            if segment.physical < end {
                return Err(Defect::Header("the ELF segments do not ascend"));
            }
            first = first.or(Some(segment));
            end = segment.end();
            end_of_bytes = if segment.bytes.is_empty() { end_of_bytes } else { segment.end_of_bytes() };
            // The entry is a physical address on x86_64 (arch/x86/kernel/vmlinux.lds.S:
            // ENTRY(phys_startup_64)) and a virtual one on other machines.
            at_physical = at_physical.or(segment.physical_of(entry, segment.physical));
            at_virtual = at_virtual.or(segment.physical_of(entry, segment.virtual_));
        }
        let first = first.ok_or(Defect::Header("the ELF file has no segments"))?;
        Ok(Extent { first, end, end_of_bytes, entry: at_physical.or(at_virtual) })
    }
}

/// A vmlinux whose segments lie in the file, ascend without overlapping, and span at most
/// 1 GiB of memory. The entry is in one of them.
#[derive(Clone, Copy, Debug)]
pub struct Vmlinux<'a> {
    /// The machine that the kernel is for: x86_64 or arm64.
    pub machine: Machine,
    /// Whether the bzImage is to say that it can be entered with five-level paging on. The ELF
    /// file does not say so, so this is false until the caller sets it.
    pub five_level: bool,
    file: &'a [u8],
    /// The program header table.
    table: &'a [u8],
    /// The lowest physical address, on x86_64 rounded down to a large page. The next three
    /// fields are offsets from it, in bytes.
    base: u64,
    entry: u64,
    /// The end of the last segment in memory.
    span: u64,
    /// The end of the last segment that has bytes in the file.
    span_of_bytes: u64,
}

impl<'a> Vmlinux<'a> {
    /// Whether the file has the magic number of an ELF file. The file may still be cut short.
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(b"\x7fELF")
    }

    /// Reads and checks the headers of a file that [`Vmlinux::looks_like`] an ELF file.
    ///
    /// # Errors
    ///
    /// Any [`Defect`].
    pub fn parse(bytes: &'a [u8]) -> Result<Vmlinux<'a>, Defect> {
        let (header, machine) = elf_header(bytes)?;
        let table = program_headers(bytes, &header)?;
        if table.chunks_exact(size_of::<ProgramHeader>()).any(|entry| u32_at(entry, 0) == Some(PT_INTERP)) {
            return Err(Defect::NotKernel("an ordinary program"));
        }
        let extent = Extent::of(bytes, table, header.e_entry)?;
        let base = match machine {
            Machine::X86_64 => extent.first.physical & !LARGE_PAGE.wrapping_sub(1),
            _ => extent.first.physical,
        };
        let span = extent.end.saturating_sub(base);
        if span > LONGEST_SPAN {
            return Err(Defect::Header("the ELF segments span too much memory"));
        }
        let entry = extent.entry.and_then(|entry| entry.checked_sub(base));
        let entry = entry.ok_or(Defect::Header("the ELF entry is in no segment"))?;
        match machine {
            // The bzImage needs a large page below the kernel, for the jump to it.
            Machine::X86_64 if base < LARGE_PAGE => {
                return Err(Defect::Header("the ELF segments lie too low"));
            }
            // arch/x86/include/asm/page_64_types.h, __START_KERNEL_map: a kernel runs in the upper half
            // of the addresses, a program in the lower one.
            Machine::X86_64 if extent.first.virtual_ >> 63 == 0 => {
                return Err(Defect::NotKernel("a program, such as user-mode Linux"));
            }
            Machine::X86_64 => {}
            _ if !arm64::looks_like(extent.first.bytes) => {
                return Err(Defect::Header("the first ELF segment does not begin with an Image header"));
            }
            _ => {}
        }
        let span_of_bytes = extent.end_of_bytes.saturating_sub(base);
        Ok(Vmlinux { machine, five_level: false, file: bytes, table, base, entry, span, span_of_bytes })
    }
}

/// The header of a 64-bit program for x86_64 or arm64, and its machine.
fn elf_header(bytes: &[u8]) -> Result<(Header, Machine), Defect> {
    let mut header = Header::default();
    // This fails only with too few bytes.
    let _ = header.copy_from_bytes(range(bytes, 0, size_of::<Header>() as u64)?);
    // EI_CLASS and EI_DATA are the bytes 4 and 5 of e_ident. Both fields are where they are in a
    // 32-bit header.
    let [class, order] = array_at(&header.e_ident, 4).unwrap_or_default();
    let field = |field: u16| if order == ELFDATA2MSB { field.swap_bytes() } else { field };
    match field(header.e_type) {
        ET_EXEC | ET_DYN => {}
        ET_REL => return Err(Defect::NotKernel("an object file, such as a kernel module")),
        ET_CORE => return Err(Defect::NotKernel("a core dump")),
        _ => return Err(Defect::Header("the ELF file is not a program")),
    }
    let machine = Machine::from_elf(field(header.e_machine));
    match machine {
        Machine::X86 => Err(Defect::NotKernel("a 32-bit ELF file, which is not loaded\n  load the bzImage")),
        Machine::X86_64 | Machine::Arm64 if class == ELFCLASS64 && order == ELFDATA2LSB => {
            Ok((header, machine))
        }
        _ => Err(Defect::Machine(machine)),
    }
}

/// The program header table.
fn program_headers<'a>(bytes: &'a [u8], header: &Header) -> Result<&'a [u8], Defect> {
    let (count, size) = (header.e_phnum, size_of::<ProgramHeader>());
    if usize::from(header.e_phentsize) != size || usize::from(count) > MOST_HEADERS {
        return Err(Defect::Header("the ELF program headers are out of range"));
    }
    range(bytes, header.e_phoff, u64::from(count).saturating_mul(size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::put;
    use crate::image::bzimage::{self, BzImage};

    /// An ELF file with these PT_LOAD segments: bytes, p_vaddr, p_paddr, p_memsz.
    fn elf(machine: u16, entry: u64, segments: &[(&[u8], u64, u64, u64)]) -> Vec<u8> {
        let mut file = vec![0u8; 64 + 56 * segments.len()];
        for (offset, field) in [
            (0, &b"\x7fELF\x02\x01\x01"[..]),
            (16, &2u16.to_le_bytes()),
            (18, &machine.to_le_bytes()),
            (24, &entry.to_le_bytes()),
            (32, &64u64.to_le_bytes()),
            (54, &56u16.to_le_bytes()),
            (56, &(segments.len() as u16).to_le_bytes()),
        ] {
            put(&mut file, offset, field).unwrap();
        }
        for (index, (bytes, virtual_, physical, memory)) in segments.iter().enumerate() {
            let at = 64 + 56 * index;
            let numbers = [file.len() as u64, *virtual_, *physical, bytes.len() as u64, *memory];
            put(&mut file, at, &1u32.to_le_bytes()).unwrap();
            for (number, to) in numbers.iter().zip((at + 8..).step_by(8)) {
                put(&mut file, to, &number.to_le_bytes()).unwrap();
            }
            file.extend_from_slice(bytes);
        }
        file
    }

    fn flat(kernel: &Vmlinux) -> Vec<u8> {
        let mut written = Vec::new();
        assert!(kernel.flatten(&mut |piece| {
            written.extend_from_slice(piece);
            true
        }));
        assert_eq!(written.len() as u64, kernel.flat_size());
        written
    }

    const HIGH: u64 = 0xffff_ffff_8100_0000;

    /// An x86_64 kernel before 6.15, whose per-CPU segment has p_vaddr 0.
    fn x86_64() -> Vec<u8> {
        elf(
            62,
            0x100_0010,
            &[
                (&[0x90; 100], HIGH, 0x100_0000, 100),
                (&[7; 20], 0, 0x100_2000, 0x20),
                (&[9; 33], HIGH + 0x3000, 0x100_3000, 0x5_0001),
            ],
        )
    }

    #[test]
    fn what_is_an_elf_file_and_no_kernel_is_named() {
        let kernel = elf(62, 0x100_0000, &[(&[0; 64], 0xffff_ffff_8100_0000, 0x100_0000, 64)]);
        assert!(Vmlinux::parse(&kernel).is_ok());
        let with = |changes: &[(usize, &[u8])]| {
            let mut file = kernel.clone();
            changes.iter().for_each(|(at, field)| put(&mut file, *at, field).unwrap());
            Vmlinux::parse(&file).unwrap_err()
        };
        let not = |what| Defect::NotKernel(what);
        // e_type is at 16, e_machine at 18, EI_CLASS at 4, EI_DATA at 5; the program header at 64.
        assert_eq!(with(&[(16, &[1, 0])]), not("an object file, such as a kernel module"));
        assert_eq!(with(&[(16, &[4, 0])]), not("a core dump"));
        assert_eq!(with(&[(64, &[3, 0, 0, 0])]), not("an ordinary program"));
        assert_eq!(with(&[(80, &0x6000_0000u64.to_le_bytes())]), not("a program, such as user-mode Linux"));
        let wide = "a 32-bit ELF file, which is not loaded\n  load the bzImage";
        assert_eq!(with(&[(4, &[1]), (18, &[3, 0])]), not(wide));
        let big = with(&[(5, &[2]), (16, &[0, 2]), (18, &[0, 22])]);
        assert_eq!(big, Defect::Machine(Machine::Foreign("s390x")));
    }

    #[test]
    fn an_x86_64_kernel_becomes_a_bzimage() {
        let file = x86_64();
        assert!(Vmlinux::looks_like(&file));
        let mut kernel = Vmlinux::parse(&file).unwrap();
        let file = flat(&kernel);
        assert!(bzimage::looks_like(&file));
        let image = BzImage::parse(&file).unwrap();
        let code = image.protected_mode();
        let page = 0x20_0000usize;
        assert_eq!((image.pref_address, image.init_size), (0xe0_0000, page as u64 + 0x5_4000));
        assert_eq!((image.kernel_alignment, image.cmdline_size), (page as u64, 2047));
        assert!(image.above_4g() && image.relocatable && image.efi_kexec() && !image.five_level());
        assert_eq!(image.version(), None);
        assert_eq!(code.len(), (page + 0x3000 + 33).next_multiple_of(16));
        // From 0x205 to the entry, 0x10 into the first segment.
        assert_eq!(code[0x200], 0xe9);
        assert_eq!(0x205 + u32_at(code, 0x201).unwrap() as usize, page + 0x10);
        assert_eq!(code[page..page + 100], [0x90; 100]);
        assert_eq!(code[page + 0x2000..page + 0x2014], [7; 20]);
        assert_eq!(code[page + 0x3000..page + 0x3021], [9; 33]);
        let filled = code.iter().filter(|&&byte| byte != 0).count();
        assert_eq!(filled, 1 + 3 + 100 + 20 + 33, "the rest is zeros");
        kernel.five_level = true;
        assert!(BzImage::parse(&flat(&kernel)).unwrap().five_level());
    }

    #[test]
    fn the_entry_may_be_a_virtual_address() {
        let file = elf(62, HIGH + 4, &[(&[0x90; 16], HIGH, 0x110_0000, 16)]);
        let kernel = Vmlinux::parse(&file).unwrap();
        // 0x1100000 is not a multiple of a large page.
        assert_eq!((kernel.base, kernel.entry), (0x100_0000, 0x10_0004));
        let outside = elf(62, 5, &[(&[0x90; 16], HIGH, 0x100_0000, 16)]);
        assert_eq!(Vmlinux::parse(&outside).unwrap_err(), Defect::Header("the ELF entry is in no segment"));
    }

    #[test]
    fn an_arm64_kernel_becomes_an_image() {
        let base = 0xffff_8000_8000_0000;
        let mut head = [1u8; 64];
        head[56..60].copy_from_slice(b"ARM\x64");
        let file = elf(183, base, &[(&head, base, base, 64), (&[2; 10], base + 0x80, base + 0x80, 9000)]);
        let kernel = Vmlinux::parse(&file).unwrap();
        assert_eq!(kernel.machine, Machine::Arm64);
        let image = flat(&kernel);
        assert_eq!(image.len(), 0x8a);
        assert_eq!((&image[..64], &image[64..0x80], &image[0x80..]), (&head[..], &[0; 64][..], &[2; 10][..]));
        let none = elf(183, base, &[(&[0; 64], base, base, 64)]);
        assert!(matches!(Vmlinux::parse(&none), Err(Defect::Header(_))));
    }

    #[test]
    fn what_cannot_be_true_is_refused() {
        let overlap = elf(62, 0x100_0000, &[(&[1; 16], 0, 0x100_0000, 17), (&[1; 16], 0, 0x100_0010, 16)]);
        assert_eq!(Vmlinux::parse(&overlap).unwrap_err(), Defect::Header("the ELF segments do not ascend"));
        let small = elf(62, 0x100_0000, &[(&[1; 16], 0, 0x100_0000, 15)]);
        assert_eq!(
            Vmlinux::parse(&small).unwrap_err(),
            Defect::Header("an ELF segment's size is impossible")
        );
        let huge = elf(62, 0x100_0000, &[(&[1; 16], 0, 0x100_0000, 1 << 31)]);
        assert_eq!(
            Vmlinux::parse(&huge).unwrap_err(),
            Defect::Header("the ELF segments span too much memory")
        );
        let wraps = elf(62, 0x100_0000, &[(&[1; 16], 0, u64::MAX - 4, 16)]);
        assert_eq!(
            Vmlinux::parse(&wraps).unwrap_err(),
            Defect::Header("an ELF segment's size is impossible")
        );
        let low = elf(62, 0x10_0000, &[(&[1; 16], 0, 0x10_0000, 16)]);
        assert_eq!(Vmlinux::parse(&low).unwrap_err(), Defect::Header("the ELF segments lie too low"));
        assert_eq!(
            Vmlinux::parse(&elf(243, 0, &[])).unwrap_err(),
            Defect::Machine(Machine::Foreign("riscv64"))
        );
        assert!(matches!(Vmlinux::parse(&elf(62, 0, &[])), Err(Defect::Header(_))));
    }

    #[test]
    fn cut_anywhere_is_truncated() {
        let file = x86_64();
        for length in 4..file.len() {
            let refusal = Vmlinux::parse(&file[..length]).unwrap_err();
            assert!(matches!(refusal, Defect::Truncated { .. }), "{length}: {refusal:?}");
        }
    }

    #[test]
    fn a_sink_that_is_full_ends_it() {
        let file = x86_64();
        let kernel = Vmlinux::parse(&file).unwrap();
        for most in [0, 1024, 0x20_0000, 0x20_0464, 0x20_2800, 0x20_3430] {
            let mut left = most;
            let whole = kernel.flatten(&mut |piece| match usize::checked_sub(left, piece.len()) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            });
            assert_eq!(whole, most as u64 >= kernel.flat_size(), "{most}");
        }
    }

    #[test]
    fn no_byte_makes_it_panic() {
        let file = x86_64();
        for at in 0..64 + 3 * 56 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = file.clone();
                file[at] = value;
                if let Ok(kernel) = Vmlinux::parse(&file) {
                    let mut written = 0;
                    let whole = kernel.flatten(&mut |piece| {
                        written += piece.len() as u64;
                        true
                    });
                    assert!(whole && written == kernel.flat_size());
                }
            }
        }
    }
}
