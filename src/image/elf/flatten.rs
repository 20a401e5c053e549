//! The conversion of a vmlinux into a format that can be loaded.

use super::{LARGE_PAGE, Vmlinux, segments};
use crate::base::bytes::put;
use crate::image::bzimage;
use crate::image::machine::Machine;

/// The length of the setup code of the bzImage, in bytes: the boot sector and one more sector.
const SETUP: usize = 2 * bzimage::SECTOR;
/// The offset of the 64-bit entry point in protected-mode code, in bytes.
const ENTRY_64: usize = 0x200;
/// The length of a `jmp rel32`, in bytes.
const JUMP: usize = 5;

impl Vmlinux<'_> {
    /// The number of bytes that [`Vmlinux::flatten`] writes.
    pub fn flat_size(&self) -> u64 {
        match self.machine {
            Machine::X86_64 => (SETUP as u64).saturating_add(self.protected_mode_size()),
            _ => self.span_of_bytes,
        }
    }

    /// Writes the kernel as an Image (arm64) or as a bzImage (x86_64) to `sink`, from the first
    /// byte to the last. Stops and returns false when the sink returns false.
    ///
    /// The Image is the same as that of `objcopy -O binary`: the segments at their distances,
    /// with zeros between them. The `image_size` of its header includes the bss, which follows
    /// the last segment's bytes.
    ///
    /// The bzImage has nothing to decompress. Its entry point jumps to the kernel, which lies
    /// one large page further on. The kernel runs at any physical address that is a multiple of
    /// a large page (arch/x86/kernel/head64.c, `__startup_64`).
    pub fn flatten(&self, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self.machine {
            Machine::X86_64 => self.write_lead(sink) && self.write_segments(sink) && self.write_end(sink),
            _ => self.write_segments(sink),
        }
    }

    /// Writes the bzImage up to the kernel.
    fn write_lead(&self, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let rest = LARGE_PAGE.saturating_sub(ENTRY_64 as u64).saturating_sub(JUMP as u64);
        sink(&self.setup()) && zeros(ENTRY_64 as u64, sink) && sink(&self.jump()) && zeros(rest, sink)
    }

    /// Writes the segments at their distances.
    fn write_segments(&self, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut at = self.base;
        for segment in segments(self.file, self.table).filter(|segment| !segment.bytes.is_empty()) {
            if !zeros(segment.physical.saturating_sub(at), sink) || !sink(segment.bytes) {
                return false;
            }
            at = segment.end_of_bytes();
        }
        true
    }

    /// Pads the bzImage to a whole paragraph.
    fn write_end(&self, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let written = LARGE_PAGE.saturating_add(self.span_of_bytes);
        zeros(self.protected_mode_size().saturating_sub(written), sink)
    }

    /// The length of the bzImage's protected-mode code, in bytes: a large page and the segments.
    fn protected_mode_size(&self) -> u64 {
        LARGE_PAGE.saturating_add(self.span_of_bytes).next_multiple_of(bzimage::PARAGRAPH)
    }

    /// The bzImage's first two sectors (Documentation/arch/x86/boot.rst, "Details of Header
    /// Fields").
    fn setup(&self) -> [u8; SETUP] {
        use bzimage::{XLF_5LEVEL, XLF_CAN_BE_LOADED_ABOVE_4G, XLF_EFI_KEXEC, XLF_KERNEL_64};
        /// The kernel was built with five-level paging (arch/x86/include/uapi/asm/bootparam.h).
        const XLF_5LEVEL_ENABLED: u16 = 1 << 6;

        let five_level = if self.five_level { XLF_5LEVEL | XLF_5LEVEL_ENABLED } else { 0 };
        let xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_EFI_KEXEC | five_level;
        let paragraphs = (self.protected_mode_size() / bzimage::PARAGRAPH) as u32;
        let pref_address = self.base.saturating_sub(LARGE_PAGE);
        let init_size = LARGE_PAGE.saturating_add(self.span).next_multiple_of(4096) as u32;
        let fields: [(usize, &[u8]); 16] = [
            (bzimage::SETUP_SECTS, &[1]),
            // "If set, the root is mounted readonly"
            (bzimage::ROOT_FLAGS, &[1]),
            (bzimage::SYSSIZE, &paragraphs.to_le_bytes()),
            (bzimage::BOOT_FLAG, b"\x55\xaa"),
            // "0xEB followed by a signed offset relative to byte 0x202". "This can be used to
            // determine the size of the header", which ends after kernel_info_offset, 0.
            (bzimage::JUMP_INSTRUCTION, b"\xeb\x6a"),
            (bzimage::HEADER, b"HdrS"),
            (bzimage::VERSION, &0x20fu16.to_le_bytes()),
            (bzimage::LOADFLAGS, &[bzimage::LOADED_HIGH]),
            (bzimage::INITRD_ADDR_MAX, &0x7fff_ffffu32.to_le_bytes()),
            (bzimage::KERNEL_ALIGNMENT, &(LARGE_PAGE as u32).to_le_bytes()),
            (bzimage::RELOCATABLE_KERNEL, &[1]),
            // "Minimum alignment, as a power of two"
            (bzimage::MIN_ALIGNMENT, &[21]),
            (bzimage::XLOADFLAGS, &xloadflags.to_le_bytes()),
            // COMMAND_LINE_SIZE without the NUL (arch/x86/include/asm/setup.h).
            (bzimage::CMDLINE_SIZE, &2047u32.to_le_bytes()),
            (bzimage::PREF_ADDRESS, &pref_address.to_le_bytes()),
            (bzimage::INIT_SIZE, &init_size.to_le_bytes()),
        ];
        let mut setup = [0u8; SETUP];
        for (offset, field) in fields {
            // Every field lies in the two sectors.
            let _ = put(&mut setup, offset, field);
        }
        setup
    }

    /// A `jmp rel32` from the bzImage's 64-bit entry point to the kernel's. It runs at any
    /// address and keeps all registers, among them rsi, which points to boot_params.
    fn jump(&self) -> [u8; JUMP] {
        let after = (ENTRY_64 as u64).saturating_add(JUMP as u64);
        let distance = LARGE_PAGE.saturating_add(self.entry).saturating_sub(after);
        let [a, b, c, d] = (distance as u32).to_le_bytes();
        [0xe9, a, b, c, d]
    }
}

/// Writes `size` zeros in pieces.
fn zeros(size: u64, sink: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let page = [0u8; 4096];
    let mut left = size;
    while left > 0 {
        let piece = page.get(..usize::try_from(left).unwrap_or(page.len())).unwrap_or(&page);
        if !sink(piece) {
            return false;
        }
        left = left.saturating_sub(piece.len() as u64);
    }
    true
}
