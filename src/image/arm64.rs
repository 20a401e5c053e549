//! The arm64 Image (Documentation/arch/arm64/booting.rst, "4. Call the kernel image"). The
//! offsets are those of the 64-byte header in that section.

use super::machine::{Defect, range};
use super::pe;
use crate::base::bytes::{u32_at, u64_at};

const TEXT_OFFSET: usize = 8;
const IMAGE_SIZE: usize = 16;
const FLAGS: usize = 24;
const MAGIC: usize = 56;
const HEADER_SIZE: u64 = 64;

/// "u32 magic = 0x644d5241; Magic number, little endian, "ARM\x64""
const ARM64_MAGIC: u32 = 0x644d_5241;

/// The largest plausible `image_size`, in bytes. A larger one means a damaged header.
const LARGEST: u64 = 4 << 30;
/// The Image is placed `text_offset` bytes after a multiple of this, in bytes: "The Image must
/// be placed text_offset bytes from a 2MB aligned base address".
pub const BASE_ALIGNMENT: u64 = 2 << 20;

/// The longest command line, in bytes, without the NUL. COMMAND_LINE_SIZE is 2048
/// (arch/arm64/include/uapi/asm/setup.h), and the kernel cuts off the rest silently.
pub const COMMAND_LINE_SIZE: usize = 2047;

/// An Image whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Arm64Image<'a> {
    bytes: &'a [u8],
    /// The distance from a 2 MiB aligned base address to the Image, in bytes, below 2 MiB.
    pub text_offset: u64,
    /// The memory that the Image occupies from its start, in bytes, at most 4 GiB and not 0. It
    /// includes the bss, which the file does not contain.
    pub image_size: u64,
    /// Whether the base may lie anywhere in RAM. Otherwise it should be as low as possible.
    pub anywhere: bool,
    /// The kernel's page size in KiB, 4, 16 or 64. `None` when the header does not say.
    pub page_kib: Option<u32>,
}

/// Whether the file has the magic number of an arm64 Image. The file may still be cut short.
pub fn looks_like(bytes: &[u8]) -> bool {
    u32_at(bytes, MAGIC) == Some(ARM64_MAGIC)
}

impl<'a> Arm64Image<'a> {
    /// Reads and checks the header of a file that [`looks_like`] an Image.
    ///
    /// # Errors
    ///
    /// [`Defect::Truncated`] and [`Defect::Header`].
    pub fn parse(bytes: &'a [u8]) -> Result<Arm64Image<'a>, Defect> {
        let header = range(bytes, 0, HEADER_SIZE)?;
        let number = |offset| u64_at(header, offset).unwrap_or(0);
        let (text_offset, image_size, flags) = (number(TEXT_OFFSET), number(IMAGE_SIZE), number(FLAGS));
        // "Prior to v3.17 [...] image_size is zero". The memory that such a kernel needs is
        // "effectively unbound", which no plan can provide.
        if image_size == 0 {
            return Err(Defect::Header("image_size is 0, as in kernels before 3.17"));
        }
        if image_size > LARGEST || text_offset >= BASE_ALIGNMENT {
            return Err(Defect::Header("image_size or text_offset is out of range"));
        }
        // The file lacks the bss, so it is shorter than image_size. The PE header says where
        // the file must end. A kernel without CONFIG_EFI has no PE header.
        pe::check_length(bytes)?;
        // Leave out what follows the Image, such as a signature or padding.
        let length = usize::try_from(image_size).unwrap_or(usize::MAX);
        let bytes = bytes.get(..length).unwrap_or(bytes);
        // "Bit 1-2 Kernel Page size. 0 - Unspecified. 1 - 4K 2 - 16K 3 - 64K"
        let page_kib = match flags >> 1 & 3 {
            1 => Some(4),
            2 => Some(16),
            3 => Some(64),
            _ => None,
        };
        // "Bit 3 Kernel physical placement"
        let anywhere = flags & 1 << 3 != 0;
        Ok(Arm64Image { bytes, text_offset, image_size, anywhere, page_kib })
    }

    /// The bytes to load. The kernel is entered at the first one.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file of `length` bytes with the header of Debian's 6.12 cloud kernel.
    pub(crate) fn sample(length: usize) -> Vec<u8> {
        let mut file = vec![0u8; length];
        file[..8].copy_from_slice(&[0x4d, 0x5a, 0x40, 0xfa, 0x3b, 0x34, 0x62, 0x14]);
        file[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&0x1e7_0000u64.to_le_bytes());
        file[FLAGS] = 0x0a;
        file[MAGIC..MAGIC + 4].copy_from_slice(b"ARM\x64");
        file
    }

    #[test]
    fn a_header_is_read() {
        let file = sample(4096);
        assert!(looks_like(&file));
        let image = Arm64Image::parse(&file).unwrap();
        assert_eq!((image.text_offset, image.image_size, image.page_kib), (0, 0x1e7_0000, Some(4)));
        assert!(image.anywhere);
    }

    #[test]
    fn what_follows_the_image_is_left_out() {
        let mut file = sample(8192);
        file[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&4096u64.to_le_bytes());
        assert_eq!(Arm64Image::parse(&file).unwrap().bytes(), &file[..4096]);
    }

    #[test]
    fn an_image_that_is_cut_is_known_by_its_pe_header() {
        // As in Debian's kernel: the PE header at 64, then .text and .data.
        let mut file = sample(0x3000);
        let mut put = |offset: usize, field: &[u8]| file[offset..offset + field.len()].copy_from_slice(field);
        put(0, b"MZ");
        put(60, &64u32.to_le_bytes());
        put(64, b"PE\0\0\x64\xaa\x02\0");
        put(84, &160u16.to_le_bytes());
        for (section, at, size) in [(0usize, 0x1000u32, 0x1000u32), (1, 0x2000, 0x0f00)] {
            put(64 + 24 + 160 + section * 40 + 16, &size.to_le_bytes());
            put(64 + 24 + 160 + section * 40 + 20, &at.to_le_bytes());
        }
        assert!(Arm64Image::parse(&file[..0x2f00]).is_ok());
        let refusal = Arm64Image::parse(&file[..0x2eff]).unwrap_err();
        assert_eq!(refusal, Defect::Truncated { promised: 0x2f00, present: 0x2eff });
    }

    #[test]
    fn headers_that_cannot_be_true_are_refused() {
        let table: &[(usize, u64, &str)] = &[
            (IMAGE_SIZE, 0, "before 3.17"),
            (IMAGE_SIZE, u64::MAX, "out of range"),
            (TEXT_OFFSET, BASE_ALIGNMENT, "out of range"),
        ];
        for &(offset, value, word) in table {
            let mut file = sample(4096);
            file[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
            let Err(Defect::Header(what)) = Arm64Image::parse(&file) else { panic!("{word}") };
            assert!(what.contains(word), "{what}");
        }
        for length in 0..64 {
            let refusal = Arm64Image::parse(&sample(64)[..length]).unwrap_err();
            assert_eq!(refusal, Defect::Truncated { promised: 64, present: length as u64 });
        }
    }
}
