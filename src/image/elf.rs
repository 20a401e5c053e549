//! A vmlinux: the kernel as the linker leaves it, an ELF file (System V ABI, "Object
//! Files" and "Program Loading"), made into the format that the rest of the program
//! loads: an Image on arm64, a bzImage on x86_64.

pub use super::machine::Defect;
use super::machine::{Machine, range};
use crate::base::bytes::{array_at, put};
use goblin::elf64::header::{ELFCLASS64, ELFDATA2LSB, ET_DYN, ET_EXEC, Header};
use goblin::elf64::program_header::{PT_LOAD, ProgramHeader};
use plain::Plain;

/// How many program headers are read; kernels have about five.
const MOST_HEADERS: usize = 32;
/// The most memory that a kernel may span, in bytes.
const LONGEST_SPAN: u64 = 1 << 30;
/// The unit that x86_64 kernels are placed by, in bytes: a large page, PMD_SIZE.
const LARGE_PAGE: u64 = 2 << 20;
/// The boot sector and one sector of setup code, in bytes.
const SETUP: usize = 1024;
/// Where the protected-mode code has its 64-bit entry point, in bytes.
const ENTRY_64: usize = 0x200;
/// The unit of `syssize`, in bytes.
const PARAGRAPH: u64 = 16;

/// A PT_LOAD segment: what is in the file, and where it goes.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    bytes: &'a [u8],
    physical: u64,
    virtual_: u64,
    memory: u64,
}

impl<'a> Segment<'a> {
    /// What an entry of the program header table says; `None` when it loads nothing.
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
            return Err(Defect::Header("an ELF segment's size cannot be true"));
        }
        Ok(Some(Segment { bytes: range(file, offset, size)?, physical, virtual_, memory }))
    }

    /// The address after it in memory.
    fn end(&self) -> u64 {
        self.physical.saturating_add(self.memory)
    }

    /// The address after what the file has of it.
    fn end_of_bytes(&self) -> u64 {
        self.physical.saturating_add(self.bytes.len() as u64)
    }
}

/// A vmlinux whose segments have been checked: they lie in the file, ascend without
/// overlapping, and span at most 1 GiB; the entry is in one of them.
#[derive(Clone, Copy, Debug)]
pub struct Vmlinux<'a> {
    /// The machine it is for: x86_64 or arm64.
    pub machine: Machine,
    /// Whether the bzImage is to say that it can be entered with five-level paging on.
    /// The file does not say whether the kernel was built with X86_5LEVEL, so this is
    /// false unless the caller knows better.
    pub five_level: bool,
    /// The file, and its program header table.
    file: &'a [u8],
    table: &'a [u8],
    /// The address that offsets count from: the lowest, on x86_64 that of its large page.
    base: u64,
    /// The entry's offset from there.
    entry: u64,
    /// Where the last segment ends in memory, and in the file, as offsets from there.
    span: u64,
    span_of_bytes: u64,
}

impl<'a> Vmlinux<'a> {
    /// Whether the file announces itself as an ELF file, whole or not.
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(b"\x7fELF")
    }

    /// Reads and checks the headers of a file that [`Vmlinux::looks_like`] one.
    pub fn parse(bytes: &'a [u8]) -> Result<Vmlinux<'a>, Defect> {
        let mut header = Header::default();
        // Only bytes that are too few are refused here.
        let _ = header.copy_from_bytes(range(bytes, 0, size_of::<Header>() as u64)?);
        let machine = Machine::from_elf(header.e_machine);
        // e_ident: EI_CLASS is at 4, EI_DATA at 5.
        let wide = array_at(&header.e_ident, 4) == Some([ELFCLASS64, ELFDATA2LSB]);
        if !wide || !matches!(machine, Machine::X86_64 | Machine::Arm64) {
            return Err(Defect::Machine(machine));
        }
        if !matches!(header.e_type, ET_EXEC | ET_DYN) {
            return Err(Defect::Header("the ELF file is no program"));
        }
        let (count, size) = (header.e_phnum, size_of::<ProgramHeader>());
        if usize::from(header.e_phentsize) != size || usize::from(count) > MOST_HEADERS {
            return Err(Defect::Header("the ELF program headers are out of range"));
        }
        let table = range(bytes, header.e_phoff, u64::from(count).saturating_mul(size as u64))?;

        let (mut first, mut end, mut end_of_bytes) = (None, 0u64, 0u64);
        let (mut at_physical, mut at_virtual) = (None, None);
        for entry in table.chunks_exact(size) {
            let Some(segment) = Segment::parse(bytes, entry)? else { continue };
            // "Loadable segment entries in the program header table appear in ascending
            // order, sorted on the p_vaddr member." That of the per-CPU data of x86_64 is
            // 0 before Linux 6.15, but its p_paddr ascends.
            if segment.physical < end {
                return Err(Defect::Header("the ELF segments do not ascend"));
            }
            first = first.or(Some(segment));
            end = segment.end();
            end_of_bytes = if segment.bytes.is_empty() { end_of_bytes } else { segment.end_of_bytes() };
            // arch/x86/kernel/vmlinux.lds.S: ENTRY(phys_startup_64), a physical address.
            // Elsewhere it is a virtual one.
            let within = |start| {
                let offset = header.e_entry.checked_sub(start)?;
                if offset < segment.bytes.len() as u64 { segment.physical.checked_add(offset) } else { None }
            };
            at_physical = at_physical.or(within(segment.physical));
            at_virtual = at_virtual.or(within(segment.virtual_));
        }
        let first = first.ok_or(Defect::Header("the ELF file has no segments"))?;

        let base = match machine {
            Machine::X86_64 => first.physical & !LARGE_PAGE.wrapping_sub(1),
            _ => first.physical,
        };
        let span = end.saturating_sub(base);
        if span > LONGEST_SPAN {
            return Err(Defect::Header("the ELF segments span too much memory"));
        }
        let entry = at_physical.or(at_virtual).and_then(|entry: u64| entry.checked_sub(base));
        let entry = entry.ok_or(Defect::Header("the ELF entry is in no segment"))?;
        match machine {
            // The large page before it is for the code that jumps there.
            Machine::X86_64 if base < LARGE_PAGE => {
                return Err(Defect::Header("the ELF segments lie too low"));
            }
            Machine::X86_64 => {}
            // Documentation/arch/arm64/booting.rst: the magic number at offset 56.
            _ if array_at(first.bytes, 56) != Some(*b"ARM\x64") => {
                return Err(Defect::Header("no Image header is at the first ELF segment's start"));
            }
            _ => {}
        }
        let span_of_bytes = end_of_bytes.saturating_sub(base);
        Ok(Vmlinux { machine, five_level: false, file: bytes, table, base, entry, span, span_of_bytes })
    }

    /// How many bytes [`Vmlinux::flatten`] writes.
    pub fn flat_size(&self) -> u64 {
        match self.machine {
            Machine::X86_64 => (SETUP as u64).saturating_add(self.protected_mode_size()),
            _ => self.span_of_bytes,
        }
    }

    /// Writes the kernel as an Image (arm64) or as a bzImage (x86_64), in order; false as
    /// soon as the sink says so.
    ///
    /// The Image is what `objcopy -O binary` makes: the segments at their distances, with
    /// zeros between them. What follows the last one's bytes, the bss, is counted in its
    /// header's `image_size`.
    ///
    /// The bzImage does not decompress anything: it enters the kernel, which lies one
    /// large page behind it. arch/x86/kernel/head64.c, `__startup_64`: it runs at any
    /// physical address that is a multiple of a large page.
    pub fn flatten(&self, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut at = self.base;
        if self.machine == Machine::X86_64 {
            let lead = LARGE_PAGE.saturating_sub(ENTRY_64 as u64).saturating_sub(JUMP as u64);
            let whole = sink(&self.setup())
                && zeros(ENTRY_64 as u64, sink)
                && sink(&self.jump())
                && zeros(lead, sink);
            if !whole {
                return false;
            }
        }
        for segment in segments(self.file, self.table).filter(|segment| !segment.bytes.is_empty()) {
            if !zeros(segment.physical.saturating_sub(at), sink) || !sink(segment.bytes) {
                return false;
            }
            at = segment.end_of_bytes();
        }
        let written = match self.machine {
            Machine::X86_64 => LARGE_PAGE.saturating_add(self.span_of_bytes),
            _ => return true,
        };
        zeros(self.protected_mode_size().saturating_sub(written), sink)
    }

    /// The bzImage's protected-mode code, in bytes: a large page and the segments.
    fn protected_mode_size(&self) -> u64 {
        LARGE_PAGE.saturating_add(self.span_of_bytes).next_multiple_of(PARAGRAPH)
    }

    /// The bzImage's first two sectors (Documentation/arch/x86/boot.rst, "Details of
    /// Header Fields").
    fn setup(&self) -> [u8; SETUP] {
        /// XLF_KERNEL_64: "the kernel has the legacy 64-bit entry point at 0x200";
        /// XLF_CAN_BE_LOADED_ABOVE_4G: "kernel/boot_params/cmdline/ramdisk can be above
        /// 4G"; XLF_EFI_KEXEC: "the kernel supports kexec EFI boot with EFI runtime
        /// support."
        const XLOADFLAGS: u16 = 1 << 0 | 1 << 1 | 1 << 4;
        /// XLF_5LEVEL and XLF_5LEVEL_ENABLED (arch/x86/include/uapi/asm/bootparam.h).
        const FIVE_LEVEL: u16 = 1 << 5 | 1 << 6;

        let mut setup = [0u8; SETUP];
        let xloadflags = if self.five_level { XLOADFLAGS | FIVE_LEVEL } else { XLOADFLAGS };
        let paragraphs = (self.protected_mode_size() / PARAGRAPH) as u32;
        let pref_address = self.base.saturating_sub(LARGE_PAGE);
        let init_size = LARGE_PAGE.saturating_add(self.span).next_multiple_of(4096) as u32;
        let fields: [(usize, &[u8]); 11] = [
            (0x1f1, &[1, 1, 0]), // setup_sects; root_flags: the root is mounted read-only
            (0x1f4, &paragraphs.to_le_bytes()),
            // boot_flag; jump: "0x0202 + byte value at offset 0x0201" is the header's end:
            // after kernel_info_offset, which is 0; header; version, 2.15.
            (0x1fe, b"\x55\xaa\xeb\x6aHdrS\x0f\x02"),
            (0x211, &[1]),                               // loadflags: LOADED_HIGH
            (0x22c, &0x7fff_ffffu32.to_le_bytes()),      // initrd_addr_max
            (0x230, &(LARGE_PAGE as u32).to_le_bytes()), // kernel_alignment
            (0x234, &[1, 21]),                           // relocatable_kernel; min_alignment, a power of two
            (0x236, &xloadflags.to_le_bytes()),
            (0x238, &2047u32.to_le_bytes()), // cmdline_size: COMMAND_LINE_SIZE less the NUL
            (0x258, &pref_address.to_le_bytes()),
            (0x260, &init_size.to_le_bytes()),
        ];
        for (offset, field) in fields {
            // All of them lie in the two sectors.
            let _ = put(&mut setup, offset, field);
        }
        setup
    }

    /// `jmp rel32`, from the 64-bit entry point to the kernel's: position-independent,
    /// and every register as the boot loader has left it, rsi with boot_params above all.
    fn jump(&self) -> [u8; JUMP] {
        let after = (ENTRY_64 as u64).saturating_add(JUMP as u64);
        let distance = LARGE_PAGE.saturating_add(self.entry).saturating_sub(after);
        let [a, b, c, d] = (distance as u32).to_le_bytes();
        [0xe9, a, b, c, d]
    }
}

/// The segments of a table that has been checked.
fn segments<'a>(file: &'a [u8], table: &'a [u8]) -> impl Iterator<Item = Segment<'a>> {
    let entries = table.chunks_exact(size_of::<ProgramHeader>());
    entries.filter_map(|entry| Segment::parse(file, entry).ok().flatten())
}

/// The length of a `jmp rel32`, in bytes.
const JUMP: usize = 5;

/// Hands on `size` zeros, in pieces.
fn zeros(size: u64, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let some = [0u8; 4096];
    let mut left = size;
    while left > 0 {
        let piece = some.get(..usize::try_from(left).unwrap_or(some.len())).unwrap_or(&some);
        if !sink(piece) {
            return false;
        }
        left = left.saturating_sub(piece.len() as u64);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::u32_at;
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

    /// As x86_64 kernels before 6.15 are: the per-CPU segment's p_vaddr is 0.
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
        // 0x1100000 is no multiple of a large page.
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
            Defect::Header("an ELF segment's size cannot be true")
        );
        let huge = elf(62, 0x100_0000, &[(&[1; 16], 0, 0x100_0000, 1 << 31)]);
        assert_eq!(
            Vmlinux::parse(&huge).unwrap_err(),
            Defect::Header("the ELF segments span too much memory")
        );
        let wraps = elf(62, 0x100_0000, &[(&[1; 16], 0, u64::MAX - 4, 16)]);
        assert_eq!(
            Vmlinux::parse(&wraps).unwrap_err(),
            Defect::Header("an ELF segment's size cannot be true")
        );
        let low = elf(62, 0x10_0000, &[(&[1; 16], 0, 0x10_0000, 16)]);
        assert_eq!(Vmlinux::parse(&low).unwrap_err(), Defect::Header("the ELF segments lie too low"));
        assert_eq!(Vmlinux::parse(&elf(243, 0, &[])).unwrap_err(), Defect::Machine(Machine::Other(243)));
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
