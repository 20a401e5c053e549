//! What is this file? Bytes in, a description out: nothing is allocated and
//! nothing on the system is touched.

pub mod arm64;
pub mod bzimage;
pub mod elf;
pub mod initrd;
pub mod machine;
pub mod pe;
pub mod unpack;
mod zstd;

use crate::bytes::first_four;
use bzimage::{BzImage, Defect};
use goblin::elf::header;

/// A kernel that this program can start.
#[derive(Clone, Copy, Debug)]
pub enum Image<'a> {
    /// The x86 boot protocol's bzImage (Documentation/arch/x86/boot.rst).
    BzImage(BzImage<'a>),
}

/// Why a file is no kernel that can be loaded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLoadable {
    /// There is nothing in it.
    Empty,
    /// A format with a name, but none that is loaded yet.
    Known(&'static str),
    /// No format that this program knows; its first bytes.
    Unknown([u8; 4]),
    /// A bzImage with something wrong in it.
    BzImage(Defect),
}

/// Recognises a kernel by its content, never by its name.
pub fn recognise(bytes: &[u8]) -> Result<Image<'_>, NotLoadable> {
    if bytes.is_empty() {
        return Err(NotLoadable::Empty);
    }
    if bzimage::looks_like(bytes) {
        return BzImage::parse(bytes).map(Image::BzImage).map_err(NotLoadable::BzImage);
    }
    Err(name_of(bytes).map_or(NotLoadable::Unknown(first_four(bytes)), NotLoadable::Known))
}

/// The name of a format that is recognised but not loaded.
fn name_of(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(header::ELFMAG) {
        return Some(name_of_elf(bytes));
    }
    // Documentation/arch/arm64/booting.rst: the magic number is at offset 56.
    if bytes.get(56..60) == Some(b"ARM\x64") {
        return Some("an arm64 Image");
    }
    // drivers/firmware/efi/libstub/zboot-header.S: "zimg" follows "MZ".
    if bytes.starts_with(b"MZ") && bytes.get(4..8) == Some(b"zimg") {
        return Some("an EFI zboot image");
    }
    const KNOWN: [(&[u8], &str); 9] = [
        (b"MZ", "an EFI program without a Linux setup header (a unified kernel image?)"),
        (b"070701", "a cpio archive, as an initrd is"),
        (b"070702", "a cpio archive, as an initrd is"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"BZh", "a bzip2 file"),
        (b"\x02\x21\x4c\x18", "an lz4 file"),
        (b"#!", "a script"),
    ];
    KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, name)| name)
}

/// The name of an ELF file, by the machine in its header.
fn name_of_elf(bytes: &[u8]) -> &'static str {
    // e_machine is at offset 18 in both classes (System V ABI, ELF header).
    match crate::bytes::u16_at(bytes, 18) {
        Some(header::EM_X86_64) => "an ELF file for x86_64 (a vmlinux?)",
        Some(header::EM_AARCH64) => "an ELF file for arm64 (a vmlinux?)",
        Some(header::EM_386) => "an ELF file for x86 (a vmlinux?)",
        _ => "an ELF file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        let mut arm64 = [0u8; 64];
        arm64[56..60].copy_from_slice(b"ARM\x64");
        let mut elf = [0u8; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = 183;
        let table: &[(&[u8], NotLoadable)] = &[
            (b"", NotLoadable::Empty),
            (b"\x1f\x8b\x08", NotLoadable::Known("a gzip file")),
            (b"MZ\0\0zimg", NotLoadable::Known("an EFI zboot image")),
            (b"070701", NotLoadable::Known("a cpio archive, as an initrd is")),
            (&arm64, NotLoadable::Known("an arm64 Image")),
            (&elf, NotLoadable::Known("an ELF file for arm64 (a vmlinux?)")),
            (b"Hi", NotLoadable::Unknown(*b"Hi\0\0")),
        ];
        for (bytes, wanted) in table {
            assert_eq!(recognise(bytes).unwrap_err(), *wanted);
        }
    }
}
