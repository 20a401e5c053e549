//! The forms that kernels come in, made from plain ones as the kernel's own build and
//! ukify make them.

use crate::machine::{folder, part};
use rc_kexec::image::decode::{Compression, unpack};
use std::process::Command;

/// `bytes` through a program that compresses a file to its standard output.
pub fn through(command: &[&str], bytes: &[u8]) -> Vec<u8> {
    let dir = folder();
    let path = dir.join("plain");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(command[0]).args(&command[1..]).arg(&path).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}\n  run: sh tests/vm/setup.sh"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    let _ = std::fs::remove_dir_all(&dir);
    output.stdout
}

/// How each compression is made: quicker than the kernel's build does it, with
/// dictionaries as large and the same filters.
pub fn compressor(compression: Compression) -> &'static [&'static str] {
    match compression {
        Compression::Gzip => &["gzip", "-c", "-1"],
        Compression::Xz => &["xz", "-c", "--check=crc32", "--arm64", "--lzma2=preset=0,dict=128MiB"],
        Compression::Zstd => &["zstd", "-q", "-c", "-3", "--long=27"],
        Compression::Lz4 => &["lz4", "-q", "-c", "-l", "-1"],
    }
}

/// A uImage of an arm64 kernel that gzip packed, by U-Boot's own program.
pub fn uimage(packed: &[u8]) -> Vec<u8> {
    let script = "mkimage -A arm64 -O linux -T kernel -C gzip -a 0x40080000 -e 0x40080000 -n Linux \
                  -d \"$1\" \"$1.out\" >&2 && cat \"$1.out\"";
    through(&["sh", "-c", script, "mkimage"], packed)
}

/// A file under construction: fields are put where their offsets say.
struct Layout(Vec<u8>);

impl Layout {
    fn put(&mut self, offset: usize, field: &[u8]) {
        let end = offset + field.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[offset..end].copy_from_slice(field);
    }

    fn u32(&mut self, offset: usize, number: usize) {
        self.put(offset, &u32::try_from(number).unwrap().to_le_bytes());
    }

    /// A COFF header with a PE32+ optional header of 160 bytes, and its section table:
    /// where the table begins.
    fn pe(&mut self, at: usize, machine: u16, sections: u16) -> usize {
        self.u32(0x3c, at);
        self.put(at, b"PE\0\0");
        self.put(at + 4, &machine.to_le_bytes());
        self.put(at + 6, &sections.to_le_bytes());
        self.put(at + 20, &160u16.to_le_bytes());
        self.put(at + 24, &0x20bu16.to_le_bytes());
        at + 24 + 160
    }
}

/// An EFI zboot image of an arm64 Image (drivers/firmware/efi/libstub/zboot-header.S),
/// the Image padded to its image_size first, as Makefile.zboot does.
pub fn zboot(image: &[u8], compression: Compression, name: &str) -> Vec<u8> {
    let size = u64::from_le_bytes(image[16..24].try_into().unwrap());
    let mut padded = image.to_vec();
    padded.resize(usize::try_from(size).unwrap(), 0);
    let payload = through(compressor(compression), &padded);
    let mut file = Layout(b"MZ\0\0zimg".to_vec());
    let begin = 0x1000;
    file.u32(8, begin);
    file.u32(12, payload.len());
    file.put(24, name.as_bytes());
    file.put(0x38, &0x8182_23cd_u32.to_le_bytes());
    file.pe(0x40, 0xaa64, 0);
    file.put(begin, &payload);
    if compression != Compression::Gzip {
        file.u32(begin + payload.len(), padded.len());
    }
    // What unpacks it when the firmware starts it.
    let end = file.0.len();
    file.put(end.next_multiple_of(512) + 4096, &[0]);
    file.0
}

/// A unified kernel image: a PE file with these sections.
pub fn unified(machine: u16, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Layout(b"MZ".to_vec());
    let table = file.pe(0x80, machine, u16::try_from(sections.len()).unwrap());
    let mut at = 0x1000;
    for (index, (name, bytes)) in sections.iter().enumerate() {
        let header = table + index * 40;
        file.put(header, name.as_bytes());
        file.u32(header + 8, bytes.len());
        file.u32(header + 12, at);
        file.u32(header + 16, bytes.len().next_multiple_of(512));
        file.u32(header + 20, at);
        file.put(at, bytes);
        at = (at + bytes.len()).next_multiple_of(512);
        file.0.resize(at, 0);
    }
    file.0
}

/// A vmlinux around an arm64 Image: an ELF file with two segments at the kernel's virtual
/// addresses, the second with the memory that is zero at first.
pub fn vmlinux_of_image(image: &[u8]) -> Vec<u8> {
    let size = u64::from_le_bytes(image[16..24].try_into().unwrap());
    let (base, split, begin) = (0xffff_8000_8000_0000u64, 0x10_0000u64, 0x1_0000u64);
    let mut file = Layout(b"\x7fELF\x02\x01\x01".to_vec());
    let mut put = |offset: usize, field: &[u8]| file.put(offset, field);
    // e_type, e_machine, e_version, e_entry, e_phoff, e_ehsize, e_phentsize, e_phnum.
    put(16, &2u16.to_le_bytes());
    put(18, &183u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(24, &base.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &2u16.to_le_bytes());
    let length = image.len() as u64;
    for (index, (start, end, memory_end)) in
        [(0, split, split), (split, length, size)].into_iter().enumerate()
    {
        let at = 64 + index * 56;
        // PT_LOAD; p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
        put(at, &1u32.to_le_bytes());
        let fields = [begin + start, base + start, base + start, end - start, memory_end - start, begin];
        for (number, field) in fields.into_iter().enumerate() {
            put(at + 8 + number * 8, &field.to_le_bytes());
        }
    }
    put(usize::try_from(begin).unwrap(), image);
    file.0
}

/// The vmlinux in a bzImage, as scripts/extract-vmlinux finds it: by the header's
/// payload_offset and payload_length.
pub fn vmlinux(bzimage: &str) -> Vec<u8> {
    let file = part(bzimage);
    let number = |offset: usize| u32::from_le_bytes(file[offset..offset + 4].try_into().unwrap()) as usize;
    let begin = (usize::from(file[0x1f1]) + 1) * 512 + number(0x248);
    let payload = &file[begin..begin + number(0x24c)];
    let compression = Compression::of(payload).unwrap();
    let mut vmlinux = Vec::new();
    let decoded = unpack(compression, payload, 1 << 30, &mut |piece| {
        vmlinux.extend_from_slice(piece);
        true
    });
    decoded.unwrap();
    vmlinux
}
