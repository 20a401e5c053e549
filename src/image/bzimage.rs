//! The bzImage of the x86 boot protocol: Documentation/arch/x86/boot.rst,
//! "Details of Header Fields". Offsets are those of that text.

use crate::base::bytes::{self, u8_at, u16_at, u32_at, u64_at};

/// A sector, the unit of `setup_sects`.
const SECTOR: usize = 512;
/// A paragraph, the unit of `syssize`.
const PARAGRAPH: u64 = 16;

const SETUP_SECTS: usize = 0x1f1;
const SYSSIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
const JUMP: usize = 0x201;
const HEADER: usize = 0x202;
const VERSION: usize = 0x206;
const KERNEL_VERSION: usize = 0x20e;
const LOADFLAGS: usize = 0x211;
const INITRD_ADDR_MAX: usize = 0x22c;
const KERNEL_ALIGNMENT: usize = 0x230;
const RELOCATABLE_KERNEL: usize = 0x234;
const XLOADFLAGS: usize = 0x236;
const CMDLINE_SIZE: usize = 0x238;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const PREF_ADDRESS: usize = 0x258;
const INIT_SIZE: usize = 0x260;

/// Where the setup header begins, in the file and in boot_params alike.
pub const SETUP_HEADER: usize = SETUP_SECTS;
/// Where the next field of boot_params begins: no setup header is longer.
const SETUP_HEADER_END: usize = 0x290;

/// `loadflags` bit 0: the protected-mode code is loaded at 0x100000 or above.
const LOADED_HIGH: u8 = 1 << 0;
/// `xloadflags` bit 0: the kernel has the 64-bit entry point at 0x200.
const XLF_KERNEL_64: u16 = 1 << 0;
/// `xloadflags` bit 1: kernel, boot_params, command line and initrd may lie above 4 GiB.
const XLF_CAN_BE_LOADED_ABOVE_4G: u16 = 1 << 1;
/// `xloadflags` bit 4: the kernel takes over EFI runtime services from a kexec.
const XLF_EFI_KEXEC: u16 = 1 << 4;
/// `xloadflags` bit 5: the kernel can be entered with five-level paging on.
const XLF_5LEVEL: u16 = 1 << 5;

/// The oldest protocol that is loaded: since 2.06 the header says how long a command
/// line may be, and everything before it that matters here.
const OLDEST: u16 = 0x206;
/// Since this protocol the header has `pref_address` and `init_size`.
const WITH_INIT_SIZE: u16 = 0x20a;
/// Since this protocol the header has `xloadflags`.
const WITH_XLOADFLAGS: u16 = 0x20c;

/// What is wrong with a bzImage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file ends before its header says: bytes promised, bytes there.
    Truncated {
        /// What the header promises.
        promised: u64,
        /// What the file has.
        present: u64,
    },
    /// The boot protocol is older than 2.06: major and minor.
    TooOld(u8, u8),
    /// A zImage, to be loaded low.
    LoadedLow,
    /// A field of the header cannot be true.
    Header(&'static str),
}

/// A bzImage whose header has been checked against the file: every range that
/// the methods below hand out lies inside it.
#[derive(Clone, Copy, Debug)]
pub struct BzImage<'a> {
    bytes: &'a [u8],
    setup_header: &'a [u8],
    protected_mode: &'a [u8],
    xloadflags: u16,
    /// Boot protocol version, major << 8 | minor.
    pub protocol: u16,
    /// The unit the kernel wants to be aligned to, in bytes, a power of two.
    pub kernel_alignment: u64,
    /// The address the kernel prefers to run at.
    pub pref_address: u64,
    /// How much memory the kernel needs from its load address on, in bytes,
    /// before it can read the memory map.
    pub init_size: u64,
    /// Whether it may be loaded elsewhere than at `pref_address`.
    pub relocatable: bool,
    /// The longest command line it takes, in bytes, without the NUL.
    pub cmdline_size: usize,
    /// The highest address that the initrd may occupy.
    pub initrd_addr_max: u64,
}

/// Whether the file announces itself as a bzImage, whole or not.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes::array_at(bytes, HEADER) == Some(*b"HdrS") && u16_at(bytes, BOOT_FLAG) == Some(0xaa55)
}

impl<'a> BzImage<'a> {
    /// Reads and checks the header of a file that [`looks_like`] a bzImage.
    pub fn parse(bytes: &'a [u8]) -> Result<BzImage<'a>, Defect> {
        let present = bytes.len() as u64;
        // Every field lies in the first two sectors; 0 stands for none below.
        if bytes.len() < 2 * SECTOR {
            return Err(Defect::Truncated { promised: (2 * SECTOR) as u64, present });
        }
        let version = u16_at(bytes, VERSION).unwrap_or(0);
        if version < OLDEST {
            let [minor, major] = version.to_le_bytes();
            return Err(Defect::TooOld(major, minor));
        }
        let byte = |offset| u8_at(bytes, offset).unwrap_or(0);
        let number = |offset| u64::from(u32_at(bytes, offset).unwrap_or(0));
        if byte(LOADFLAGS) & LOADED_HIGH == 0 {
            return Err(Defect::LoadedLow);
        }
        let xloadflags = u16_at(bytes, XLOADFLAGS).filter(|_| version >= WITH_XLOADFLAGS).unwrap_or(0);

        // "The size of the setup code in 512-byte sectors. If this field is 0,
        // the real value is 4. The real-mode code consists of the boot sector
        // (always one 512-byte sector) plus the setup code."
        let setup_sects = match byte(SETUP_SECTS) {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let setup_size = setup_sects.saturating_add(1).saturating_mul(SECTOR);
        // "The size of the protected-mode code in units of 16-byte paragraphs."
        let syssize = number(SYSSIZE).saturating_mul(PARAGRAPH);
        if syssize == 0 {
            return Err(Defect::Header("syssize is 0"));
        }
        let promised = syssize.saturating_add(setup_size as u64);
        // What follows is no kernel: a signature, or padding.
        let code = usize::try_from(promised).ok().and_then(|end| bytes.get(setup_size..end));
        let protected_mode = code.ok_or(Defect::Truncated { promised, present })?;

        if number(PAYLOAD_OFFSET).saturating_add(number(PAYLOAD_LENGTH)) > syssize {
            return Err(Defect::Header("the payload reaches beyond syssize"));
        }
        let (mut pref_address, mut init_size) = (u64_at(bytes, PREF_ADDRESS).unwrap_or(0), number(INIT_SIZE));
        if version < WITH_INIT_SIZE {
            // Such a kernel prefers 1 MiB, and does not say how much memory it takes
            // to unpack itself: what gzip makes of it, with room to spare.
            (pref_address, init_size) = (1 << 20, syssize.saturating_mul(8));
        }
        if init_size < syssize {
            return Err(Defect::Header("init_size is less than syssize"));
        }
        let kernel_alignment = number(KERNEL_ALIGNMENT);
        if !kernel_alignment.is_power_of_two() {
            return Err(Defect::Header("kernel_alignment is no power of two"));
        }

        // "The end of setup header can be calculated as follows:
        // 0x0202 + byte value at offset 0x0201"
        let header_end = HEADER.saturating_add(usize::from(byte(JUMP)));
        let last = if version < WITH_INIT_SIZE { CMDLINE_SIZE } else { INIT_SIZE };
        let long_enough = header_end > last && header_end <= SETUP_HEADER_END;
        let setup_header = bytes.get(SETUP_HEADER..header_end).filter(|_| long_enough);
        let setup_header = setup_header.ok_or(Defect::Header("the setup header's length is out of range"))?;

        Ok(BzImage {
            bytes,
            setup_header,
            protected_mode,
            xloadflags,
            protocol: version,
            kernel_alignment: kernel_alignment.max(4096),
            pref_address,
            init_size,
            relocatable: byte(RELOCATABLE_KERNEL) != 0,
            cmdline_size: number(CMDLINE_SIZE) as usize,
            initrd_addr_max: number(INITRD_ADDR_MAX),
        })
    }

    /// The setup header, to be copied to [`SETUP_HEADER`] of boot_params.
    pub fn setup_header(&self) -> &'a [u8] {
        self.setup_header
    }

    /// The protected-mode code: what is loaded and entered.
    pub fn protected_mode(&self) -> &'a [u8] {
        self.protected_mode
    }

    /// Whether it is a 64-bit kernel, with the entry point at 0x200.
    pub fn is_64_bit(&self) -> bool {
        self.xloadflags & XLF_KERNEL_64 != 0
    }

    /// Whether kernel, boot_params, command line and initrd may lie above 4 GiB.
    pub fn above_4g(&self) -> bool {
        self.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G != 0
    }

    /// Whether the kernel takes over EFI runtime services from a kexec.
    pub fn efi_kexec(&self) -> bool {
        self.xloadflags & XLF_EFI_KEXEC != 0
    }

    /// Whether the kernel can be entered with five-level paging on.
    pub fn five_level(&self) -> bool {
        self.xloadflags & XLF_5LEVEL != 0
    }

    /// As [`BzImage::version`], out of a kernel that is not compressed and has no name for
    /// itself in its header.
    pub fn version_in_code(&self) -> Option<&'a str> {
        let unpacked = u32_at(self.bytes, PAYLOAD_LENGTH) == Some(0);
        if unpacked { super::version_in(self.protected_mode) } else { None }
    }

    /// The kernel's name for itself, such as `6.12.31-0-virt`: the first word of
    /// the version string, when that is there and printable.
    pub fn version(&self) -> Option<&'a str> {
        // "a pointer to a NUL-terminated human-readable kernel version number
        // string, less 0x200"
        let pointer = u16_at(self.bytes, KERNEL_VERSION).filter(|&pointer| pointer != 0)?;
        let text = self.bytes.get(usize::from(pointer).checked_add(0x200)?..)?;
        let word = text.split(|&byte| byte == 0 || byte == b' ').next()?;
        let printable = !word.is_empty() && word.len() < 128 && word.iter().all(u8::is_ascii_graphic);
        core::str::from_utf8(word).ok().filter(|_| printable)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A bzImage small enough to read, with the header of a real one.
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
    fn one_byte_short_is_truncated_and_a_signature_is_not_loaded() {
        let mut file = sample();
        file.pop();
        let promised = 3584;
        assert_eq!(BzImage::parse(&file).unwrap_err(), Defect::Truncated { promised, present: promised - 1 });
        let mut signed = sample();
        signed.extend_from_slice(&[7; 1500]);
        assert_eq!(BzImage::parse(&signed).unwrap().protected_mode().len(), 1024);
    }

    #[test]
    fn cut_anywhere_is_refused() {
        let file = sample();
        for length in 0..file.len() {
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
            (KERNEL_ALIGNMENT, &[3, 0, 0, 0], Defect::Header("kernel_alignment is no power of two")),
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
        assert!(!image.is_64_bit() && !image.above_4g());
        assert_eq!((image.pref_address, image.init_size), (1 << 20, image.protected_mode().len() as u64 * 8));
    }

    #[test]
    fn a_version_that_points_nowhere_is_no_version() {
        for pointer in [0u16, 0xffff, 0xdff] {
            let file = with(KERNEL_VERSION, &pointer.to_le_bytes());
            assert_eq!(BzImage::parse(&file).unwrap().version(), None, "{pointer:#x}");
        }
    }
}
