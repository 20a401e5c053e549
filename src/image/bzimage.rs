//! The bzImage of the x86 boot protocol (Documentation/arch/x86/boot.rst, "Details of Header
//! Fields"). The names and offsets of fields are those of that section.

use crate::base::bytes::{self, u8_at, u16_at, u32_at, u64_at};

/// The unit of `setup_sects`, in bytes: "512-byte sectors".
pub(super) const SECTOR: usize = 512;
/// The unit of `syssize`, in bytes: "16-byte paragraphs".
pub(super) const PARAGRAPH: u64 = 16;

pub(super) const SETUP_SECTS: usize = 0x1f1;
pub(super) const ROOT_FLAGS: usize = 0x1f2;
pub(super) const SYSSIZE: usize = 0x1f4;
pub(super) const BOOT_FLAG: usize = 0x1fe;
pub(super) const JUMP_INSTRUCTION: usize = 0x200;
/// The second byte of the jump instruction.
const JUMP: usize = 0x201;
pub(super) const HEADER: usize = 0x202;
pub(super) const VERSION: usize = 0x206;
const KERNEL_VERSION: usize = 0x20e;
pub(super) const LOADFLAGS: usize = 0x211;
pub(super) const INITRD_ADDR_MAX: usize = 0x22c;
pub(super) const KERNEL_ALIGNMENT: usize = 0x230;
pub(super) const RELOCATABLE_KERNEL: usize = 0x234;
pub(super) const MIN_ALIGNMENT: usize = 0x235;
pub(super) const XLOADFLAGS: usize = 0x236;
pub(super) const CMDLINE_SIZE: usize = 0x238;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
pub(super) const PREF_ADDRESS: usize = 0x258;
pub(super) const INIT_SIZE: usize = 0x260;

/// The offset of the setup header, both in the file and in boot_params.
pub const SETUP_HEADER: usize = SETUP_SECTS;
/// The offset of the next field of boot_params. No setup header reaches beyond it.
const SETUP_HEADER_END: usize = 0x290;

/// `loadflags` bit 0: "If 1, the protected-mode code is loaded at 0x100000."
pub(super) const LOADED_HIGH: u8 = 1 << 0;
/// `xloadflags` bit 0: "If 1, this kernel has the legacy 64-bit entry point at 0x200."
pub(super) const XLF_KERNEL_64: u16 = 1 << 0;
/// `xloadflags` bit 1: "If 1, kernel/boot_params/cmdline/ramdisk can be above 4G."
pub(super) const XLF_CAN_BE_LOADED_ABOVE_4G: u16 = 1 << 1;
/// `xloadflags` bit 4: "If 1, the kernel supports kexec EFI boot with EFI runtime support."
pub(super) const XLF_EFI_KEXEC: u16 = 1 << 4;
/// `xloadflags` bit 5 (arch/x86/include/uapi/asm/bootparam.h): the kernel can be entered with
/// five-level paging on.
pub(super) const XLF_5LEVEL: u16 = 1 << 5;

/// The oldest protocol that is supported. Since 2.06 the header has every field that a load
/// needs, apart from those below.
const OLDEST: u16 = 0x206;
/// The first protocol whose header has `pref_address` and `init_size`.
const WITH_INIT_SIZE: u16 = 0x20a;
/// The first protocol whose header has `payload_offset` and `payload_length`: before it they are code.
const WITH_PAYLOAD: u16 = 0x208;
/// The first protocol whose header has `xloadflags`.
const WITH_XLOADFLAGS: u16 = 0x20c;

/// What is wrong with a bzImage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file is shorter than its header says.
    Truncated {
        /// The least length that the header promises, in bytes.
        promised: u64,
        /// The file's length, in bytes.
        present: u64,
    },
    /// The boot protocol, major and minor, is older than 2.06.
    TooOld(u8, u8),
    /// The file is a zImage, which is loaded below 1 MiB.
    LoadedLow,
    /// A field of the header is impossible. The text says which and how.
    Header(&'static str),
}

/// A bzImage whose header has been checked against the file: the setup header and the
/// protected-mode code lie inside it.
#[derive(Clone, Copy, Debug)]
pub struct BzImage<'a> {
    bytes: &'a [u8],
    setup_header: &'a [u8],
    protected_mode: &'a [u8],
    xloadflags: u16,
    /// The version of the boot protocol, "in (major << 8)+minor format", at least 2.06.
    pub protocol: u16,
    /// The alignment that the kernel requires, in bytes, a power of two of at least 4096.
    pub kernel_alignment: u64,
    /// The address that the kernel prefers to run at.
    pub pref_address: u64,
    /// The "amount of linear contiguous memory starting at the kernel runtime start address
    /// that the kernel needs before it is capable of examining its memory map", in bytes.
    pub init_size: u64,
    /// Whether the kernel can run at addresses other than `pref_address`.
    pub relocatable: bool,
    /// The longest command line that the kernel accepts, in bytes, without the NUL.
    pub cmdline_size: usize,
    /// The highest address that the initrd may occupy.
    pub initrd_addr_max: u64,
}

/// Whether the file has the magic numbers of a bzImage. The file may still be cut short.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes::array_at(bytes, HEADER) == Some(*b"HdrS") && u16_at(bytes, BOOT_FLAG) == Some(0xaa55)
}

impl<'a> BzImage<'a> {
    /// Reads and checks the header of a file that [`looks_like`] a bzImage.
    ///
    /// # Errors
    ///
    /// Any [`Defect`].
    pub fn parse(bytes: &'a [u8]) -> Result<BzImage<'a>, Defect> {
        // All fields that are read here lie in the first two sectors.
        if bytes.len() < 2 * SECTOR {
            return Err(Defect::Truncated { promised: (2 * SECTOR) as u64, present: bytes.len() as u64 });
        }
        let protocol = u16_at(bytes, VERSION).unwrap_or(0);
        if protocol < OLDEST {
            let [minor, major] = protocol.to_le_bytes();
            return Err(Defect::TooOld(major, minor));
        }
        if byte(bytes, LOADFLAGS) & LOADED_HIGH == 0 {
            return Err(Defect::LoadedLow);
        }
        let protected_mode = protected_mode(bytes, protocol)?;
        let (pref_address, init_size) = memory(bytes, protocol)?;
        let kernel_alignment = number(bytes, KERNEL_ALIGNMENT);
        if !kernel_alignment.is_power_of_two() {
            return Err(Defect::Header("kernel_alignment is not a power of two"));
        }
        Ok(BzImage {
            bytes,
            setup_header: setup_header(bytes, protocol)?,
            protected_mode,
            xloadflags: u16_at(bytes, XLOADFLAGS).filter(|_| protocol >= WITH_XLOADFLAGS).unwrap_or(0),
            protocol,
            kernel_alignment: kernel_alignment.max(4096),
            pref_address,
            init_size,
            relocatable: byte(bytes, RELOCATABLE_KERNEL) != 0,
            cmdline_size: number(bytes, CMDLINE_SIZE) as usize,
            initrd_addr_max: number(bytes, INITRD_ADDR_MAX),
        })
    }

    /// The setup header, to be copied to [`SETUP_HEADER`] of boot_params.
    pub fn setup_header(&self) -> &'a [u8] {
        self.setup_header
    }

    /// The protected-mode code, which is the part to load.
    pub fn protected_mode(&self) -> &'a [u8] {
        self.protected_mode
    }

    /// Whether the kernel has the 64-bit entry point, 0x200 bytes after the start of its
    /// protected-mode code.
    pub fn is_64_bit(&self) -> bool {
        self.xloadflags & XLF_KERNEL_64 != 0
    }

    /// Whether the kernel runs on 64-bit processors alone. Before protocol 2.12 nothing in the header says
    /// so. Such a kernel has a 64-bit code segment to go to (arch/x86/boot/compressed/head_64.S, gdt).
    pub fn needs_64_bit(&self) -> bool {
        const KERNEL_CS: [u8; 8] = 0x00af_9a00_0000_ffff_u64.to_le_bytes();
        let is_old = self.protocol < WITH_XLOADFLAGS;
        self.is_64_bit() || is_old && self.protected_mode.windows(8).any(|entry| entry == KERNEL_CS)
    }

    /// Whether kernel, boot_params, command line and initrd may lie above 4 GiB.
    pub fn above_4g(&self) -> bool {
        self.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G != 0
    }

    /// Whether the kernel can use the EFI runtime services after a kexec.
    pub fn efi_kexec(&self) -> bool {
        self.xloadflags & XLF_EFI_KEXEC != 0
    }

    /// Whether the kernel can be entered with five-level paging on.
    pub fn five_level(&self) -> bool {
        self.xloadflags & XLF_5LEVEL != 0
    }

    /// The kernel's version, such as `6.12.31-0-virt`, from the header.
    pub fn version(&self) -> Option<&'a str> {
        // "If set to a nonzero value, contains a pointer to a NUL-terminated human-readable
        // kernel version number string, less 0x200."
        let pointer = u16_at(self.bytes, KERNEL_VERSION).filter(|&pointer| pointer != 0)?;
        let text = self.bytes.get(usize::from(pointer).checked_add(0x200)?..)?;
        super::version(text.split(|&byte| byte == 0 || byte == b' ').next()?)
    }

    /// The kernel's version from its banner. `None` for a compressed kernel, whose header has
    /// the version.
    pub fn version_in_code(&self) -> Option<&'a str> {
        let has_field = self.protocol >= WITH_PAYLOAD;
        let unpacked = has_field && u32_at(self.bytes, PAYLOAD_LENGTH) == Some(0);
        if unpacked { super::version_in(self.protected_mode) } else { None }
    }
}

/// The byte at `offset`, which lies in the first two sectors.
fn byte(bytes: &[u8], offset: usize) -> u8 {
    u8_at(bytes, offset).unwrap_or(0)
}

/// The 32-bit number at `offset`, which lies in the first two sectors.
fn number(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset).unwrap_or(0))
}

/// The size of the protected-mode code, in bytes.
fn code_size(bytes: &[u8]) -> u64 {
    // "The size of the protected-mode code in units of 16-byte paragraphs."
    number(bytes, SYSSIZE).saturating_mul(PARAGRAPH)
}

/// The protected-mode code, which lies after the setup code.
fn protected_mode(bytes: &[u8], protocol: u16) -> Result<&[u8], Defect> {
    // "The size of the setup code in 512-byte sectors. If this field is 0, the real value is 4.
    // The real-mode code consists of the boot sector (always one 512-byte sector) plus the
    // setup code."
    let setup_sects = match byte(bytes, SETUP_SECTS) {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = setup_sects.saturating_add(1).saturating_mul(SECTOR);
    let size = code_size(bytes);
    if size == 0 {
        return Err(Defect::Header("syssize is 0"));
    }
    let promised = size.saturating_add(start as u64);
    // Leave out what follows the code, such as a signature or padding. The size is rounded up to whole
    // paragraphs (arch/x86/boot/tools/build.c, sys_size), and a file may end where its code does.
    let present = bytes.len() as u64;
    let end = if promised.saturating_sub(present) < PARAGRAPH { promised.min(present) } else { promised };
    let code = usize::try_from(end).ok().and_then(|end| bytes.get(start..end));
    let code = code.ok_or(Defect::Truncated { promised, present })?;
    if protocol < WITH_PAYLOAD {
        return Ok(code);
    }
    if number(bytes, PAYLOAD_OFFSET).saturating_add(number(bytes, PAYLOAD_LENGTH)) > size {
        return Err(Defect::Header("the payload reaches beyond syssize"));
    }
    Ok(code)
}

/// `pref_address` and `init_size`.
fn memory(bytes: &[u8], protocol: u16) -> Result<(u64, u64), Defect> {
    let size = code_size(bytes);
    if protocol < WITH_INIT_SIZE {
        // Such a kernel runs at 1 MiB. Its header does not say how much memory it needs to
        // unpack itself. Eight times its size is more than gzip makes of a kernel.
        return Ok((1 << 20, size.saturating_mul(8)));
    }
    let init_size = number(bytes, INIT_SIZE);
    if init_size < size {
        return Err(Defect::Header("init_size is less than syssize"));
    }
    Ok((u64_at(bytes, PREF_ADDRESS).unwrap_or(0), init_size))
}

/// The setup header, which is as long as its protocol needs and boot_params allow.
fn setup_header(bytes: &[u8], protocol: u16) -> Result<&[u8], Defect> {
    // "The end of setup header can be calculated as follows:
    // 0x0202 + byte value at offset 0x0201"
    let end = HEADER.saturating_add(usize::from(byte(bytes, JUMP)));
    let last = if protocol < WITH_INIT_SIZE { CMDLINE_SIZE } else { INIT_SIZE };
    let in_range = end > last && end <= SETUP_HEADER_END;
    let header = bytes.get(SETUP_HEADER..end).filter(|_| in_range);
    header.ok_or(Defect::Header("the setup header's length is out of range"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small bzImage with the header of a real one.
    pub(crate) fn sample() -> Vec<u8> {
        let mut file = vec![0u8; 5 * SECTOR + 64 * 16];
        let fields: &[(usize, &[u8])] = &[
            (SETUP_SECTS, &[4]),
            (SYSSIZE, &64u32.to_le_bytes()),
            (BOOT_FLAG, &0xaa55u16.to_le_bytes()),
            (0x200, &[0xeb, 0x6a]),
            (HEADER, b"HdrS"),
            (VERSION, &0x20fu16.to_le_bytes()),
            (KERNEL_VERSION, &0x300u16.to_le_bytes()),
            (LOADFLAGS, &[0x01]),
            (INITRD_ADDR_MAX, &0x7fff_ffffu32.to_le_bytes()),
            (KERNEL_ALIGNMENT, &0x20_0000u32.to_le_bytes()),
            (RELOCATABLE_KERNEL, &[1]),
            (XLOADFLAGS, &0x7fu16.to_le_bytes()),
            (CMDLINE_SIZE, &2047u32.to_le_bytes()),
            (PREF_ADDRESS, &0x100_0000u64.to_le_bytes()),
            (INIT_SIZE, &0x200_0000u32.to_le_bytes()),
            (0x500, b"6.12.31-0-virt (build@host) #1\0"),
        ];
        for (offset, field) in fields {
            bytes::put(&mut file, *offset, field).unwrap();
        }
        file[5 * SECTOR..].fill(0x90);
        file
    }

    fn with(offset: usize, field: &[u8]) -> Vec<u8> {
        let mut file = sample();
        bytes::put(&mut file, offset, field).unwrap();
        file
    }

    #[test]
    fn a_whole_image_is_taken() {
        let file = sample();
        assert!(looks_like(&file));
        let image = BzImage::parse(&file).unwrap();
        assert_eq!(image.protocol, 0x20f);
        assert_eq!(image.protected_mode().len(), 1024);
        assert_eq!(image.setup_header().len(), 0x26c - 0x1f1);
        assert_eq!(image.version(), Some("6.12.31-0-virt"));
        assert_eq!((image.init_size, image.pref_address), (0x200_0000, 0x100_0000));
        assert!(image.above_4g() && image.efi_kexec() && image.five_level() && image.relocatable);
    }

    #[test]
    fn a_paragraph_short_is_truncated_and_a_signature_is_not_loaded() {
        // The size is rounded up to 16 bytes, so 15 may be missing.
        let promised = 3584u64;
        let short = |by: usize| sample()[..promised as usize - by].to_vec();
        assert_eq!(BzImage::parse(&short(15)).unwrap().protected_mode().len(), 1024 - 15);
        assert_eq!(
            BzImage::parse(&short(16)).unwrap_err(),
            Defect::Truncated { promised, present: promised - 16 }
        );
        let mut signed = sample();
        signed.extend_from_slice(&[7; 1500]);
        assert_eq!(BzImage::parse(&signed).unwrap().protected_mode().len(), 1024);
    }

    #[test]
    fn cut_anywhere_is_refused() {
        let file = sample();
        for length in 0..=file.len() - 16 {
            let part = &file[..length];
            if looks_like(part) {
                assert!(matches!(BzImage::parse(part), Err(Defect::Truncated { .. })), "{length}");
            }
        }
    }

    #[test]
    fn headers_that_cannot_be_true() {
        let table: &[(usize, &[u8], Defect)] = &[
            (VERSION, &[0x05, 0x02], Defect::TooOld(2, 5)),
            (LOADFLAGS, &[0], Defect::LoadedLow),
            (SYSSIZE, &[0; 4], Defect::Header("syssize is 0")),
            (SYSSIZE, &[0xff; 4], Defect::Truncated { promised: 0xffff_ffff * 16 + 2560, present: 3584 }),
            (PAYLOAD_LENGTH, &[0xff; 4], Defect::Header("the payload reaches beyond syssize")),
            (INIT_SIZE, &[0; 4], Defect::Header("init_size is less than syssize")),
            (KERNEL_ALIGNMENT, &[3, 0, 0, 0], Defect::Header("kernel_alignment is not a power of two")),
            (JUMP, &[0xff], Defect::Header("the setup header's length is out of range")),
            (JUMP, &[0x10], Defect::Header("the setup header's length is out of range")),
        ];
        for (offset, field, defect) in table {
            assert_eq!(BzImage::parse(&with(*offset, field)).unwrap_err(), *defect, "{offset:#x}");
        }
    }

    #[test]
    fn protocols_without_init_size_and_xloadflags_are_32_bit_ones() {
        let mut file = with(VERSION, &0x0207u16.to_le_bytes());
        bytes::put(&mut file, INIT_SIZE, &[0xff; 4]).unwrap();
        let image = BzImage::parse(&file).unwrap();
        assert!(!image.is_64_bit() && !image.needs_64_bit() && !image.above_4g());
        assert_eq!((image.pref_address, image.init_size), (1 << 20, image.protected_mode().len() as u64 * 8));
    }

    #[test]
    fn a_64_bit_kernel_from_before_xloadflags_has_a_64_bit_code_segment() {
        let mut file = with(VERSION, &0x020bu16.to_le_bytes());
        file[3000..3008].copy_from_slice(&[0xff, 0xff, 0, 0, 0, 0x9a, 0xaf, 0]);
        let image = BzImage::parse(&file).unwrap();
        // It is entered as ever: its 64-bit entry is not promised.
        assert!(image.needs_64_bit() && !image.is_64_bit());
        assert_eq!(crate::image::Image::BzImage(image).machine(), crate::image::machine::Machine::X86_64);
    }

    #[test]
    fn fields_that_the_protocol_does_not_have_are_code() {
        let mut file = with(PAYLOAD_LENGTH, &[0xff; 4]);
        bytes::put(&mut file, VERSION, &0x0207u16.to_le_bytes()).unwrap();
        let image = BzImage::parse(&file).unwrap();
        assert_eq!(image.protected_mode().len(), 1024);
        bytes::put(&mut file, PAYLOAD_LENGTH, &[0; 4]).unwrap();
        file[5 * SECTOR..5 * SECTOR + 24].copy_from_slice(b"Linux version 2.6.20 (x)");
        assert_eq!(BzImage::parse(&file).unwrap().version_in_code(), None);
    }

    #[test]
    fn a_version_that_points_nowhere_is_no_version() {
        for pointer in [0u16, 0xffff, 0xdff] {
            let file = with(KERNEL_VERSION, &pointer.to_le_bytes());
            assert_eq!(BzImage::parse(&file).unwrap().version(), None, "{pointer:#x}");
        }
    }
}
