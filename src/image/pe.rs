//! Kernels inside EFI programs: the EFI zboot image, which unpacks itself, and the unified
//! kernel image, which has the kernel, initrd and command line in sections. Both are PE/COFF
//! files (PE Format, learn.microsoft.com/windows/win32/debug).

use super::decode::Compression;
pub use super::machine::Defect;
use super::machine::{Machine, range};
use crate::base::bytes::{array_at, parts, u16_at, u32_at};

const NO_PE_HEADER: Defect = Defect::Header("the PE header is missing");

/// The offset of the COFF header, which follows the PE signature.
fn coff(bytes: &[u8]) -> Option<usize> {
    // "At location 0x3c, the stub has the file offset to the PE signature."
    let signature = usize::try_from(u32_at(bytes, 0x3c)?).ok()?;
    let found = bytes.starts_with(b"MZ") && array_at(bytes, signature) == Some(*b"PE\0\0");
    signature.checked_add(4).filter(|_| found)
}

/// The machine in the first field of the COFF header.
pub fn machine(bytes: &[u8]) -> Result<Machine, Defect> {
    let number = coff(bytes).and_then(|coff| u16_at(bytes, coff));
    number.map(Machine::from_coff).ok_or(NO_PE_HEADER)
}

/// An EFI zboot image (drivers/firmware/efi/libstub/zboot-header.S) whose payload lies inside
/// the file.
#[derive(Clone, Copy, Debug)]
pub struct Zboot<'a> {
    /// The machine that the kernel is for.
    pub machine: Machine,
    /// The compression of the payload.
    pub compression: Compression,
    /// The compressed kernel, on arm64 an Image.
    pub payload: &'a [u8],
    /// The size of the decoded payload as the file states it, in bytes. It may be wrong: some
    /// kernels between 6.1 and 6.4 that did not use gzip had sizes of the PE header there.
    pub size: Option<u64>,
}

impl<'a> Zboot<'a> {
    /// Whether the file has the magic number of an EFI zboot image. The file may still be cut
    /// short.
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(b"MZ") && array_at(bytes, 4) == Some(*b"zimg")
    }

    /// Reads and checks the header of a file that [`Zboot::looks_like`] a zboot image.
    ///
    /// # Errors
    ///
    /// [`Defect::Truncated`] and [`Defect::Header`].
    pub fn parse(bytes: &'a [u8]) -> Result<Zboot<'a>, Defect> {
        // The fields up to the offset of the PE header.
        let header = range(bytes, 0, 0x40)?;
        let number = |offset| u64::from(u32_at(header, offset).unwrap_or(0));
        // "payload offset", "payload size", "reserved" (two numbers), "compression type"
        let (offset, length) = (number(8), number(12));
        let name = before_nul(header.get(24..0x38).unwrap_or_default());
        let compression =
            Compression::named(name).ok_or(Defect::Header("the payload's compression is not supported"))?;
        let payload = range(bytes, offset, length)?;
        if payload.is_empty() {
            return Err(Defect::Header("the payload is empty"));
        }
        // Makefile.zboot: "in GZIP, the appended le32 carrying the uncompressed size is part of
        // the format, but in other cases, we just append it at the end for convenience, causing
        // the original tools to complain when checking image integrity. So disregard it when
        // calculating the payload size in the zimage header."
        let end = offset.saturating_add(length);
        let size = match compression {
            Compression::Gzip => range(bytes, end.saturating_sub(4), 4)?,
            _ => range(bytes, end, 4)?,
        };
        Ok(Zboot { machine: machine(bytes)?, compression, payload, size: u32_at(size, 0).map(u64::from) })
    }
}

/// A unified kernel image (UAPI.5) whose sections below lie inside the file.
#[derive(Clone, Copy, Debug)]
pub struct Unified<'a> {
    /// The machine that the kernel is for.
    pub machine: Machine,
    /// `.linux`: the kernel, in any format, not empty.
    pub linux: &'a [u8],
    /// `.initrd`: the initrd, unchecked.
    pub initrd: Option<&'a [u8]>,
    /// `.cmdline`: the command line up to the first NUL, without white space around it. It may
    /// contain control characters: see [`command_line_byte`].
    pub cmdline: Option<&'a [u8]>,
    /// `.ucode`: an initrd with microcode, unchecked, "to be handed to the kernel before any
    /// other initrd".
    pub ucode: Option<&'a [u8]>,
    /// `.dtb`: a device tree, unchecked. The last one counts if there are several.
    pub dtb: Option<&'a [u8]>,
    /// `.uname`: the "kernel release information (i.e. `uname -r` output)".
    pub uname: Option<&'a str>,
}

impl<'a> Unified<'a> {
    /// Whether the file is an EFI program with a `.linux` section. The file may still be cut
    /// short.
    pub fn looks_like(bytes: &[u8]) -> bool {
        let mut found = false;
        let _ = each_section(bytes, &mut |header| {
            found |= header.starts_with(b".linux\0\0");
            Ok(())
        });
        found
    }

    /// Reads the sections of a file that [`Unified::looks_like`] a unified image.
    ///
    /// If the image has several profiles, the first one counts (UAPI.5, "Multi-Profile UKIs"):
    /// "If a multi-profile UKI is invoked without specification of a profile selector on its
    /// command line, profile `@0` is automatically selected as default."
    ///
    /// # Errors
    ///
    /// [`Defect::Truncated`] and [`Defect::Header`].
    pub fn parse(bytes: &'a [u8]) -> Result<Unified<'a>, Defect> {
        // linux, initrd, cmdline, ucode, dtb, uname
        let [mut linux, mut initrd, mut cmdline, mut ucode, mut dtb, mut uname] = [None; 6];
        let mut profiles = 0u32;
        each_section(bytes, &mut |header| {
            let name = header.first_chunk::<8>().unwrap_or(&[0; 8]);
            // "sections associated with specific profiles comprehensively override those of the
            // same name in the base profile", which lie before the first .profile.
            if name == b".profile" {
                profiles = profiles.saturating_add(1);
            }
            let slot = match name {
                _ if profiles > 1 => return Ok(()),
                b".linux\0\0" => &mut linux,
                b".initrd\0" => &mut initrd,
                b".cmdline" => &mut cmdline,
                b".ucode\0\0" => &mut ucode,
                b".dtb\0\0\0\0" => &mut dtb,
                b".uname\0\0" => &mut uname,
                _ => return Ok(()),
            };
            *slot = Some(section(bytes, header)?);
            Ok(())
        })?;
        let linux = linux.filter(|linux| !linux.is_empty());
        Ok(Unified {
            machine: machine(bytes)?,
            linux: linux.ok_or(Defect::Header("the .linux section is empty"))?,
            initrd,
            cmdline: cmdline.map(text),
            ucode,
            dtb,
            uname: uname
                .map(text)
                .filter(|name| name.iter().all(u8::is_ascii_graphic))
                .and_then(|name| core::str::from_utf8(name).ok()),
        })
    }
}

/// A byte of `.cmdline` as systemd-stub passes it to the kernel: a control character, such as
/// the end of a line, becomes a space.
pub fn command_line_byte(byte: u8) -> u8 {
    byte.max(b' ')
}

/// The bytes before the first NUL, or all of them.
fn before_nul(bytes: &[u8]) -> &[u8] {
    parts(bytes, 0).next().unwrap_or_default()
}

/// The text in a section, without spaces and control characters around it.
fn text(section: &[u8]) -> &[u8] {
    let mut text = before_nul(section);
    while let Some((&(0..=b' '), rest)) = text.split_first() {
        text = rest;
    }
    while let Some((&(0..=b' '), rest)) = text.split_last() {
        text = rest;
    }
    text
}

/// Calls `with` for the header of each section, in order, until it fails. The first eight
/// bytes of a header are the section's name.
fn each_section(bytes: &[u8], with: &mut dyn FnMut(&[u8]) -> Result<(), Defect>) -> Result<(), Defect> {
    /// PE Format, "Section Table (Section Headers)": "Each section header (section table
    /// entry) has the following format, for a total of 40 bytes per entry."
    const ENTRY: u64 = 40;

    let coff = coff(bytes).ok_or(NO_PE_HEADER)?;
    let header = range(bytes, coff as u64, 20)?;
    let sections = u16_at(header, 2).unwrap_or(0);
    // "This table immediately follows the optional header, if any."
    let optional = u64::from(u16_at(header, 16).unwrap_or(0));
    let table = (coff as u64).saturating_add(20).saturating_add(optional);
    for index in 0..u64::from(sections) {
        with(range(bytes, table.saturating_add(index.saturating_mul(ENTRY)), ENTRY)?)?;
    }
    Ok(())
}

/// Checks that a PE file contains all bytes of its sections. A file without a PE header passes.
///
/// # Errors
///
/// [`Defect::Truncated`].
pub fn check_length(bytes: &[u8]) -> Result<(), Defect> {
    if coff(bytes).is_none() {
        return Ok(());
    }
    each_section(bytes, &mut |header| {
        let number = |offset| u64::from(u32_at(header, offset).unwrap_or(0));
        // PointerToRawData and SizeOfRawData: the section's bytes in the file.
        range(bytes, number(20), number(16)).map(drop)
    })
}

/// The content of the section with this header.
fn section<'a>(bytes: &'a [u8], header: &[u8]) -> Result<&'a [u8], Defect> {
    let number = |offset| u64::from(u32_at(header, offset).unwrap_or(0));
    // VirtualSize: "If this value is greater than SizeOfRawData, the section is zero-padded."
    // SizeOfRawData may be the greater one, because it is a multiple of FileAlignment. objcopy
    // may leave VirtualSize 0.
    let (virtual_size, raw_size, pointer) = (number(8), number(16), number(20));
    let size = if virtual_size == 0 { raw_size } else { virtual_size.min(raw_size) };
    range(bytes, pointer, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::put;

    /// An EFI zboot image for arm64.
    fn zboot(name: &[u8], payload: &[u8], after: &[u8]) -> Vec<u8> {
        let mut file = vec![0u8; 0x60];
        for (offset, field) in [
            (0, &b"MZ\0\0zimg"[..]),
            (8, &0x60u32.to_le_bytes()),
            (12, &(payload.len() as u32).to_le_bytes()),
            (24, name),
            (0x3c, &0x40u32.to_le_bytes()),
            (0x40, b"PE\0\0\x64\xaa"),
        ] {
            put(&mut file, offset, field).unwrap();
        }
        file.extend_from_slice(payload);
        file.extend_from_slice(after);
        file
    }

    #[test]
    fn a_zboot_image_names_its_payload() {
        let file = zboot(b"zstd22", b"payload", &7000u32.to_le_bytes());
        assert!(Zboot::looks_like(&file));
        let image = Zboot::parse(&file).unwrap();
        assert_eq!((image.machine, image.compression), (Machine::Arm64, Compression::Zstd));
        assert_eq!((image.payload, image.size), (&b"payload"[..], Some(7000)));
        // The payload of gzip ends with the size.
        let file = zboot(b"gzip", b"payload\x01\x02\0\0", b"");
        let image = Zboot::parse(&file).unwrap();
        assert_eq!((image.compression, image.size), (Compression::Gzip, Some(0x201)));
        let refusal = Zboot::parse(&zboot(b"lzma", b"payload", b"1234")).unwrap_err();
        assert_eq!(refusal, Defect::Header("the payload's compression is not supported"));
        assert!(Zboot::parse(&zboot(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"payload", b"1234")).is_err());
    }

    #[test]
    fn a_zboot_image_cut_anywhere_is_truncated() {
        let file = zboot(b"lz4", b"payload", &7000u32.to_le_bytes());
        for length in 8..file.len() {
            assert!(matches!(Zboot::parse(&file[..length]), Err(Defect::Truncated { promised, present })
                if present == length as u64 && promised > present));
        }
    }

    /// An EFI program for x86_64 with these sections: name, content, VirtualSize.
    fn program(sections: &[(&[u8], &[u8], u32)]) -> Vec<u8> {
        const ALIGNMENT: usize = 64;
        let mut file = vec![0u8; 0x58 + 16 + 40 * sections.len()];
        for (offset, field) in [
            (0, &b"MZ"[..]),
            (0x3c, &0x40u32.to_le_bytes()),
            (0x40, b"PE\0\0\x64\x86"),
            (0x46, &(sections.len() as u16).to_le_bytes()),
            (0x54, &16u16.to_le_bytes()),
        ] {
            put(&mut file, offset, field).unwrap();
        }
        for (index, (name, contents, virtual_size)) in sections.iter().enumerate() {
            let at = 0x58 + 16 + 40 * index;
            file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
            let raw = contents.len().next_multiple_of(ALIGNMENT) as u32;
            let start = file.len() as u32;
            file.extend_from_slice(contents);
            put(&mut file, at, name).unwrap();
            put(&mut file, at + 8, &virtual_size.to_le_bytes()).unwrap();
            put(&mut file, at + 16, &raw.to_le_bytes()).unwrap();
            put(&mut file, at + 20, &start.to_le_bytes()).unwrap();
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file
    }

    #[test]
    fn a_unified_image_hands_out_its_sections() {
        let file = program(&[
            (b".text", b"code", 4),
            (b".cmdline", b" root=/dev/vda1\nquiet \n\0", 24),
            (b".uname", b"6.12.31-0-virt\0", 15),
            (b".initrd", b"070701", 6),
            (b".ucode", b"ucode", 5),
            (b".linux", b"kernel", 6),
        ]);
        assert!(Unified::looks_like(&file) && !Zboot::looks_like(&file));
        let image = Unified::parse(&file).unwrap();
        assert_eq!(image.machine, Machine::X86_64);
        assert_eq!(image.linux, b"kernel");
        assert_eq!(image.initrd, Some(&b"070701"[..]));
        assert_eq!(image.ucode, Some(&b"ucode"[..]));
        assert_eq!(image.cmdline, Some(&b"root=/dev/vda1\nquiet"[..]));
        assert_eq!((image.dtb, image.uname), (None, Some("6.12.31-0-virt")));
        let line: Vec<u8> = image.cmdline.unwrap().iter().map(|&byte| command_line_byte(byte)).collect();
        assert_eq!(line, b"root=/dev/vda1 quiet");
    }

    #[test]
    fn the_smaller_size_counts_unless_it_is_0() {
        let whole = program(&[(b".linux", b"kernel", 0)]);
        assert_eq!(Unified::parse(&whole).unwrap().linux.len(), 64);
        let padded = program(&[(b".linux", b"kernel", 9000)]);
        assert_eq!(Unified::parse(&padded).unwrap().linux.len(), 64);
        let none = program(&[(b".linux", b"", 6)]);
        assert_eq!(Unified::parse(&none).unwrap_err(), Defect::Header("the .linux section is empty"));
    }

    #[test]
    fn the_first_profile_counts() {
        let file = program(&[
            (b".linux", b"kernel", 6),
            (b".cmdline", b"all", 3),
            (b".dtb", b"tree", 4),
            (b".profile", b"ID=main", 7),
            (b".cmdline", b"first", 5),
            (b".profile", b"ID=other", 8),
            (b".cmdline", b"second", 6),
            (b".linux", b"other", 5),
        ]);
        let image = Unified::parse(&file).unwrap();
        assert_eq!((image.linux, image.cmdline), (&b"kernel"[..], Some(&b"first"[..])));
        assert_eq!(image.dtb, Some(&b"tree"[..]));
    }

    #[test]
    fn a_unified_image_cut_anywhere_is_truncated() {
        let file = program(&[(b".linux", b"kernel", 0), (b".initrd", b"070701", 0)]);
        for length in 0..file.len() {
            let part = &file[..length];
            if Unified::looks_like(part) {
                let refusal = Unified::parse(part).unwrap_err();
                assert!(matches!(refusal, Defect::Truncated { .. }), "{length}: {refusal:?}");
            }
        }
        assert!(!Unified::looks_like(&program(&[(b".text", b"code", 4)])));
    }

    #[test]
    fn no_byte_makes_it_panic() {
        let files =
            [program(&[(b".linux", b"kernel", 0), (b".cmdline", b"a", 0)]), zboot(b"gzip", b"1234", b"")];
        for file in files {
            for at in 0..file.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut file = file.clone();
                    file[at] = value;
                    let _ = Unified::looks_like(&file);
                    let _ = Unified::parse(&file);
                    let _ = Zboot::parse(&file);
                }
            }
        }
    }
}
