//! U-Boot's image of the old kind, the uImage: a header before a kernel. The names and offsets of fields
//! are those of U-Boot's `struct legacy_img_hdr` (include/image.h). Numbers are big-endian.

use super::decode::crc::Crc;
use super::machine::{Defect, range};
use crate::base::bytes::{array_at, u8_at};

/// "IH_MAGIC"
const MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];
const HEADER_SIZE: u64 = 64;
/// The check of the header, computed while this field is 0.
const HCRC: usize = 4;
/// The length of what follows the header.
const SIZE: usize = 12;
/// The check of what follows the header.
const DCRC: usize = 24;
const OS: usize = 28;
const TYPE: usize = 30;

const OS_LINUX: u8 = 5;
const TYPE_KERNEL: u8 = 2;
/// A kernel that runs where it was loaded.
const TYPE_KERNEL_NOLOAD: u8 = 14;

/// Whether the file has the magic number of a uImage. The file may still be cut short.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The kernel in a file that [`looks_like`] a uImage: an image, which may be compressed. Both checks of the
/// file are right.
///
/// # Errors
///
/// [`Defect::Truncated`], [`Defect::Header`] for a wrong check, and [`Defect::NotKernel`] for a uImage that
/// holds something else.
pub fn kernel(bytes: &[u8]) -> Result<&[u8], Defect> {
    let header = range(bytes, 0, HEADER_SIZE)?;
    let number = |offset| u64::from(u32::from_be_bytes(array_at(header, offset).unwrap_or_default()));
    let mut crc = Crc::new_32();
    let (before, rest) = header.split_at_checked(HCRC).unwrap_or_default();
    crc.update(before);
    crc.update(&[0; 4]);
    if crc.of(rest.get(4..).unwrap_or_default()) != number(HCRC) {
        return Err(Defect::Header("the uImage's header does not have its checksum"));
    }
    let kernel = range(bytes, HEADER_SIZE, number(SIZE))?;
    if u8_at(header, OS) != Some(OS_LINUX)
        || !matches!(u8_at(header, TYPE), Some(TYPE_KERNEL | TYPE_KERNEL_NOLOAD))
    {
        return Err(Defect::NotKernel(
            "an image of U-Boot's (uImage) of something else than one Linux kernel\n  take the kernel out of it: dumpimage",
        ));
    }
    if crc.of(kernel) != number(DCRC) {
        return Err(Defect::Header("what the uImage holds does not have its checksum"));
    }
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What mkimage 2023.01 made of 20 bytes: `-A arm64 -O linux -T kernel -C gzip -a 0x80080000
    /// -e 0x80080000 -n Linux-6.12.31`.
    fn sample() -> Vec<u8> {
        let mut file = vec![
            0x27, 0x05, 0x19, 0x56, 0x52, 0x58, 0x52, 0xba, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x14,
            0x80, 0x08, 0x00, 0x00, 0x80, 0x08, 0x00, 0x00, 0x04, 0xf7, 0x14, 0x4d, 0x05, 0x16, 0x02, 0x01,
        ];
        file.extend_from_slice(b"Linux-6.12.31");
        file.resize(64, 0);
        file.extend_from_slice(b"a kernel, 20 bytes..");
        file
    }

    #[test]
    fn what_mkimage_makes_is_taken() {
        let file = sample();
        assert!(looks_like(&file));
        assert_eq!(kernel(&file), Ok(&b"a kernel, 20 bytes.."[..]));
        // A boot partition that is read whole has more behind it.
        assert_eq!(kernel(&[file, vec![0xff; 100]].concat()), Ok(&b"a kernel, 20 bytes.."[..]));
    }

    #[test]
    fn a_changed_byte_is_noticed_anywhere() {
        for at in 4..84 {
            let mut file = sample();
            file[at] ^= 0x10;
            assert!(matches!(kernel(&file), Err(Defect::Header(_))), "{at}: {:?}", kernel(&file));
        }
    }

    #[test]
    fn one_that_is_cut_anywhere_is_refused() {
        for length in 4..84 {
            let cut = &sample()[..length];
            assert!(matches!(kernel(cut), Err(Defect::Truncated { .. })), "{length}");
        }
    }

    #[test]
    fn what_holds_no_kernel_is_named() {
        // The same with -T ramdisk -C none -n initrd.
        let mut file = sample();
        file[4..8].copy_from_slice(&[0xc3, 0x5e, 0xfa, 0x60]);
        file[16..24].fill(0);
        file[30..32].copy_from_slice(&[3, 0]);
        file[32..64].fill(0);
        file[32..38].copy_from_slice(b"initrd");
        assert!(matches!(kernel(&file), Err(Defect::NotKernel(_))), "{:?}", kernel(&file));
    }
}
