//! The formats of kernels and initrds. Everything here works on bytes in memory and touches
//! nothing of the system.

pub mod arm64;
pub mod bzimage;
pub mod decode;
pub mod elf;
pub mod initrd;
pub mod machine;
pub mod newc;
pub mod pe;
pub mod uimage;

use crate::base::bytes::{first_four, u32_at, u64_at};
use arm64::Arm64Image;
use bzimage::BzImage;
use decode::Compression;
use elf::Vmlinux;
use machine::{Defect, Machine};
use pe::{Unified, Zboot};

/// A kernel that can be placed in memory as it is.
#[derive(Clone, Copy, Debug)]
pub enum Image<'a> {
    /// The x86 boot protocol's bzImage (Documentation/arch/x86/boot.rst).
    BzImage(BzImage<'a>),
    /// The arm64 Image (Documentation/arch/arm64/booting.rst).
    Arm64(Arm64Image<'a>),
}

/// The content of a file: a kernel, or a wrapper that a kernel must be taken out of first.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A kernel.
    Kernel(Image<'a>),
    /// A unified kernel image.
    Unified(Unified<'a>),
    /// An EFI zboot image.
    Zboot(Zboot<'a>),
    /// The kernel in a uImage of U-Boot's, which may be compressed.
    UImage(&'a [u8]),
    /// A compressed file, which may hold anything.
    Compressed(Compression),
    /// An ELF file, which may be any program.
    Vmlinux(Vmlinux<'a>),
}

/// Why a file cannot be loaded as a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLoadable {
    /// The file has no bytes.
    Empty,
    /// A known format that kernels do not come in, with the format's name and its article.
    Known(&'static str),
    /// An unknown format, with the first four bytes. Missing bytes are zeros.
    Unknown([u8; 4]),
    /// A defective bzImage.
    BzImage(bzimage::Defect),
    /// A defective kernel of another format.
    Damaged(Defect),
    /// A compressed kernel that cannot be decoded.
    Packed(Compression, decode::Defect),
    /// The kernel unpacks to more than this many bytes, the memory that is available.
    TooLarge(u64),
    /// The kernel is wrapped in too many layers.
    Nested,
    /// A kernel for another machine: the format's name with its article, the kernel's machine,
    /// and this machine.
    OtherMachine(&'static str, Machine, Machine),
}

impl From<Defect> for NotLoadable {
    fn from(defect: Defect) -> NotLoadable {
        NotLoadable::Damaged(defect)
    }
}

impl<'a> Image<'a> {
    /// The machine that the kernel is for.
    pub fn machine(&self) -> Machine {
        match self {
            Image::BzImage(image) if image.needs_64_bit() => Machine::X86_64,
            Image::BzImage(_) => Machine::X86,
            Image::Arm64(_) => Machine::Arm64,
        }
    }

    /// The longest command line that the kernel accepts, in bytes, without the NUL.
    pub fn cmdline_size(&self) -> usize {
        match self {
            Image::BzImage(image) => image.cmdline_size,
            Image::Arm64(_) => arm64::COMMAND_LINE_SIZE,
        }
    }

    /// The memory that the kernel needs in one piece until it knows the memory map, in bytes.
    pub fn memory_size(&self) -> u64 {
        match self {
            Image::BzImage(image) => image.init_size,
            Image::Arm64(image) => image.image_size,
        }
    }

    /// The kernel's version, such as `6.12.31-0-virt`. When the header does not contain it,
    /// the whole kernel is searched for it.
    pub fn version(&self) -> Option<&'a str> {
        match self {
            Image::BzImage(image) => image.version().or_else(|| image.version_in_code()),
            Image::Arm64(image) => version_in(image.bytes()),
        }
    }
}

/// `word` as a version, if it is 1 to 127 printable ASCII characters.
fn version(word: &[u8]) -> Option<&str> {
    let printable = !word.is_empty() && word.len() < 128 && word.iter().all(u8::is_ascii_graphic);
    core::str::from_utf8(word).ok().filter(|_| printable)
}

/// The version in the banner of an uncompressed kernel, which it prints first
/// (init/version-timestamp.c, linux_banner). Searches all of `bytes`.
pub fn version_in(bytes: &[u8]) -> Option<&str> {
    const BANNER: &[u8] = b"Linux version ";
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..)?;
        let window = rest.get(..BANNER.len())?;
        // The window's last byte tells where a banner can begin next.
        let last = window.last()?;
        let step = match BANNER.iter().rev().position(|byte| byte == last) {
            None => BANNER.len(),
            Some(0) if window == BANNER => {
                let word = rest.get(BANNER.len()..)?.split(|&byte| byte == b' ').next()?;
                if let Some(version) = version(word).filter(|_| word.first().is_some_and(u8::is_ascii_digit))
                {
                    return Some(version);
                }
                1
            }
            Some(back) => back.max(1),
        };
        at = at.checked_add(step)?;
    }
}

/// An arm64 Image of so many bytes or more is a Linux; a smaller one may be something else in the same
/// format. Debian's Xen 4.20 has 1 MB, and a kernel of a tiny configuration 3 MB. A larger one is not
/// searched for its banner: that would read all of it once more.
const SMALL_FOR_LINUX: usize = 4 << 20;

/// Recognises a file from its content, never from its name, and checks its headers.
///
/// # Errors
///
/// [`NotLoadable`] when the file has no known format, or when its headers are defective or
/// promise more bytes than it has.
pub fn recognise(bytes: &[u8]) -> Result<Content<'_>, NotLoadable> {
    if bytes.is_empty() {
        return Err(NotLoadable::Empty);
    }
    if bzimage::looks_like(bytes) {
        let image = BzImage::parse(bytes).map_err(NotLoadable::BzImage)?;
        return Ok(Content::Kernel(Image::BzImage(image)));
    }
    if let Some(machine) = foreign(bytes) {
        return Err(Defect::Machine(machine).into());
    }
    if arm64::looks_like(bytes) {
        let image = Arm64Image::parse(bytes)?;
        if bytes.len() < SMALL_FOR_LINUX && version_in(bytes).is_none() {
            return Err(NotLoadable::Known("an arm64 Image without a Linux kernel, such as Xen or U-Boot"));
        }
        return Ok(Content::Kernel(Image::Arm64(image)));
    }
    if uimage::looks_like(bytes) {
        return Ok(Content::UImage(uimage::kernel(bytes)?));
    }
    if Zboot::looks_like(bytes) {
        return Ok(Content::Zboot(Zboot::parse(bytes)?));
    }
    if Unified::looks_like(bytes) {
        return Ok(Content::Unified(Unified::parse(bytes)?));
    }
    if Vmlinux::looks_like(bytes) {
        return Ok(Content::Vmlinux(Vmlinux::parse(bytes)?));
    }
    if let Some(compression) = Compression::of(bytes) {
        return Ok(Content::Compressed(compression));
    }
    Err(name_of(bytes).map_or(NotLoadable::Unknown(first_four(bytes)), NotLoadable::Known))
}

/// The machine of a kernel in a format of that machine's own.
fn foreign(bytes: &[u8]) -> Option<Machine> {
    // The offset of a magic number, the number, and the machine.
    const MAGICS: [(usize, &[u8], &str); 3] = [
        // Documentation/arch/riscv/boot-image-header.rst, magic2.
        (0x38, b"RSC\x05", "riscv64"),
        // arch/arm/boot/compressed/head.S, "Magic numbers to help the loader".
        (0x24, &[0x18, 0x28, 0x6f, 0x01], "32-bit Arm"),
        // arch/s390/boot/head.S, "magic string": behind the 64 KiB of the first part.
        (0x1_0008, b"S390EP", "s390x"),
    ];
    by_magic(bytes, &MAGICS).map(Machine::Foreign).or_else(|| {
        // arch/loongarch/kernel/head.S: LINUX_PE_MAGIC at 0x38 of a PE file. A zboot image has it, too.
        let is_pe_kernel = has(bytes, 0x38, &[0xcd, 0x23, 0x82, 0x81]) && bytes.starts_with(b"MZ");
        pe::machine(bytes).ok().filter(|machine| is_pe_kernel && matches!(machine, Machine::Foreign(_)))
    })
}

/// The name of a known format that kernels do not come in; behind a newline what to do.
fn name_of(bytes: &[u8]) -> Option<&'static str> {
    const FILE_SYSTEM: &str = "an image of a file system\n  mount it; the kernel is a file in it";
    const KNOWN: [(usize, &[u8], &str); 18] = [
        (0, b"MZ", "an EFI or Windows program without a Linux kernel"),
        (0, newc::MAGIC.as_bytes(), "a cpio archive, such as an initrd"),
        (0, newc::MAGIC_WITH_CHECKSUM.as_bytes(), "a cpio archive, such as an initrd"),
        (0, b"070707", "a cpio archive of the old kind (odc)\n  an initrd needs cpio -H newc"),
        (0, b"BZh", "a bzip2 file\n  unpack it: bunzip2"),
        (0, b"\x89LZO", "an lzo file\n  unpack it: lzop -d"),
        (0, b"\x04\x22\x4d\x18", "an lz4 frame\n  unpack it: lz4 -d; what the kernel unpacks, lz4 -l packs"),
        (0, b"PK\x03\x04", "a zip file\n  unpack it: unzip"),
        (
            0,
            b"\xd0\x0d\xfe\xed",
            "a device tree, or an image of U-Boot's (FIT)\n  take the kernel out of it: dumpimage",
        ),
        (0, b"ANDROID!", "an Android boot image\n  take the kernel out of it: unpack_bootimg"),
        (0, b"hsqs", FILE_SYSTEM),
        (0, b"QFI\xfb", "an image of a disk (qcow2)"),
        (0, b"#!", "a script"),
        (0x438, b"\x53\xef", FILE_SYSTEM),
        (0x8001, b"CD001", "an image of a CD (ISO)\n  mount it; the kernel is a file in it"),
        (0x101, b"ustar", "a tar archive\n  unpack it: tar -x"),
        (0x1fe, b"\x55\xaa", "an image of a disk"),
        (0, b"XFSB", FILE_SYSTEM),
    ];
    by_magic(bytes, &KNOWN).or_else(|| is_lzma(bytes).then_some("an lzma file\n  unpack it: unlzma"))
}

/// Whether a file begins with the header of an lzma file: the properties lc, lp and pb in one byte, the size
/// of the dictionary, and the size of the content, which may be unknown (XZ Utils,
/// doc/lzma-file-format.txt, "1.1. Header"; "there is no magic bytes", so the sizes have to be likely ones).
fn is_lzma(bytes: &[u8]) -> bool {
    let properties = bytes.first().is_some_and(|&properties| properties < 9 * 5 * 5);
    let dictionary = u32_at(bytes, 1).is_some_and(|size| size >= 4096 && size.is_power_of_two());
    let content = u64_at(bytes, 5).is_some_and(|size| size == u64::MAX || size < 1 << 38);
    properties && dictionary && content
}

/// The name in the first row whose magic number is at its place in `bytes`.
fn by_magic(bytes: &[u8], rows: &[(usize, &[u8], &'static str)]) -> Option<&'static str> {
    rows.iter().find(|(at, magic, _)| has(bytes, *at, magic)).map(|&(.., name)| name)
}

fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LZMA: NotLoadable = NotLoadable::Known("an lzma file\n  unpack it: unlzma");

    #[test]
    fn formats_are_told_by_content() {
        let bzimage = bzimage::tests::sample();
        assert!(matches!(recognise(&bzimage), Ok(Content::Kernel(Image::BzImage(_)))));
        // What begins as Xen's and U-Boot's Images do, and one with Linux's banner; a large one is not searched.
        let arm64 = arm64::tests::sample(4096);
        assert!(matches!(recognise(&arm64), Err(NotLoadable::Known(name)) if name.contains("such as Xen")));
        let linux = [&arm64, &b"Linux version 6.12.31 (x)"[..]].concat();
        assert!(matches!(recognise(&linux), Ok(Content::Kernel(Image::Arm64(_)))));
        assert!(matches!(
            recognise(&arm64::tests::sample(SMALL_FOR_LINUX)),
            Ok(Content::Kernel(Image::Arm64(_)))
        ));
        assert!(matches!(recognise(b"\x1f\x8b\x08"), Ok(Content::Compressed(Compression::Gzip))));
        let table: &[(&[u8], NotLoadable)] = &[
            (b"", NotLoadable::Empty),
            (b"070701", NotLoadable::Known("a cpio archive, such as an initrd")),
            (b"MZ", NotLoadable::Known("an EFI or Windows program without a Linux kernel")),
            (b"Hi", NotLoadable::Unknown(*b"Hi\0\0")),
            // lzma -1, and with other settings (xz --format=lzma --lzma1=preset=6,lc=4,pb=0): of unknown size.
            (&[0x5d, 0, 0, 0x10, 0, 255, 255, 255, 255, 255, 255, 255, 255], LZMA),
            (&[0x04, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255], LZMA),
            (
                &[0x04, 0, 0, 0x80, 1, 255, 255, 255, 255, 255, 255, 255, 255],
                NotLoadable::Unknown([4, 0, 0, 0x80]),
            ),
        ];
        for (bytes, wanted) in table {
            assert_eq!(recognise(bytes).unwrap_err(), *wanted);
        }
        assert!(matches!(recognise(b"MZ\0\0zimg"), Err(NotLoadable::Damaged(Defect::Truncated { .. }))));
    }

    #[test]
    fn kernels_of_other_machines_are_named() {
        let at = |offset: usize, magic: &[u8]| [vec![0; offset], magic.to_vec(), vec![0; 64]].concat();
        let mut loongarch = at(0x38, &[0xcd, 0x23, 0x82, 0x81]);
        loongarch[..2].copy_from_slice(b"MZ");
        loongarch[0x3c..0x40].copy_from_slice(&0x40u32.to_le_bytes());
        loongarch[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x62");
        let table = [
            (at(0x38, b"RSC\x05"), "riscv64"),
            (at(0x24, &0x016f_2818u32.to_le_bytes()), "32-bit Arm"),
            (at(0x1_0008, b"S390EP"), "s390x"),
            (loongarch, "loongarch64"),
        ];
        for (bytes, name) in table {
            let wanted = NotLoadable::Damaged(Defect::Machine(Machine::Foreign(name)));
            assert_eq!(recognise(&bytes).unwrap_err(), wanted, "{name}");
        }
    }

    #[test]
    fn wrappings_are_named_with_what_to_do() {
        let at = |offset: usize, magic: &[u8]| [vec![0; offset], magic.to_vec(), vec![0; 64]].concat();
        let table: [(Vec<u8>, &str); 8] = [
            (at(0, b"070707"), "cpio -H newc"),
            (at(0, b"\x04\x22\x4d\x18"), "lz4 -l"),
            (at(0, b"BZh9"), "bunzip2"),
            (at(0, b"\xd0\x0d\xfe\xed"), "FIT"),
            (at(0, b"ANDROID!"), "Android"),
            (at(0x438, b"\x53\xef"), "file system"),
            (at(0x8001, b"CD001"), "ISO"),
            (at(0, b"QFI\xfb"), "qcow2"),
        ];
        for (bytes, wanted) in table {
            let said = recognise(&bytes).unwrap_err().to_string();
            assert!(said.contains(wanted) && !said.contains("damaged"), "{said}");
        }
    }

    #[test]
    fn a_version_is_found_wherever_it_begins() {
        for before in 0..40 {
            let mut bytes = vec![b'n'; before];
            bytes.extend_from_slice(b"Linux version  %s Linux version 6.12.1-virt (root@x)");
            assert_eq!(version_in(&bytes), Some("6.12.1-virt"), "{before}");
        }
        assert_eq!(version_in(b"Linux version "), None);
        assert_eq!(version_in(b"LinuxLinux version x version"), None);
    }
}
