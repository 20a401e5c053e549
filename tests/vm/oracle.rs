//! The differential test: rc-kexec and Debian's kexec-tools load the same kernel, initrd
//! and command line by kexec_load in one machine, under a recorder that shows what the
//! kernel was given. Both are decoded and compared field by field; tests/oracle/README.md
//! has a row for each difference, and a difference without a row is a failure, as is a row
//! without a difference. The comparison goes to target/oracle.

use crate::cpio::Cpio;
use crate::guest;
use crate::machine::{Console, Kernel, Vm, part, parts};
use crate::sum::sum;
use std::collections::BTreeSet;

const TABLE: &str = include_str!("../oracle/README.md");

/// How a field of boot_params is compared.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// As a number, or as bytes.
    Plain,
    /// By what it points to: the low half of an address, the high half at this offset.
    Pointer(Option<usize>),
    /// The high half of a pointer: with the low half.
    High,
    /// The table of memory ranges: entry by entry.
    E820,
}
use Kind::{E820, High, Plain, Pointer};

/// All of struct boot_params (arch/x86/include/uapi/asm/bootparam.h), byte for byte, by
/// the names of zero-page.rst and boot.rst; the parts of screen_info and efi_info by those
/// of their structs.
const FIELDS: &[(&str, usize, usize, Kind)] = &[
    ("screen_info.orig_x", 0x000, 1, Plain),
    ("screen_info.orig_y", 0x001, 1, Plain),
    ("screen_info.ext_mem_k", 0x002, 2, Plain),
    ("screen_info.orig_video_page", 0x004, 2, Plain),
    ("screen_info.orig_video_mode", 0x006, 1, Plain),
    ("screen_info.orig_video_cols", 0x007, 1, Plain),
    ("screen_info.flags", 0x008, 1, Plain),
    ("screen_info.unused2", 0x009, 1, Plain),
    ("screen_info.orig_video_ega_bx", 0x00a, 2, Plain),
    ("screen_info.unused3", 0x00c, 2, Plain),
    ("screen_info.orig_video_lines", 0x00e, 1, Plain),
    ("screen_info.orig_video_isVGA", 0x00f, 1, Plain),
    ("screen_info.orig_video_points", 0x010, 2, Plain),
    ("screen_info.lfb_width", 0x012, 2, Plain),
    ("screen_info.lfb_height", 0x014, 2, Plain),
    ("screen_info.lfb_depth", 0x016, 2, Plain),
    ("screen_info.lfb_base", 0x018, 4, Plain),
    ("screen_info.lfb_size", 0x01c, 4, Plain),
    ("screen_info.cl_magic", 0x020, 2, Plain),
    ("screen_info.cl_offset", 0x022, 2, Plain),
    ("screen_info.lfb_linelength", 0x024, 2, Plain),
    ("screen_info.red_size", 0x026, 1, Plain),
    ("screen_info.red_pos", 0x027, 1, Plain),
    ("screen_info.green_size", 0x028, 1, Plain),
    ("screen_info.green_pos", 0x029, 1, Plain),
    ("screen_info.blue_size", 0x02a, 1, Plain),
    ("screen_info.blue_pos", 0x02b, 1, Plain),
    ("screen_info.rsvd_size", 0x02c, 1, Plain),
    ("screen_info.rsvd_pos", 0x02d, 1, Plain),
    ("screen_info.vesapm_seg", 0x02e, 2, Plain),
    ("screen_info.vesapm_off", 0x030, 2, Plain),
    ("screen_info.pages", 0x032, 2, Plain),
    ("screen_info.vesa_attributes", 0x034, 2, Plain),
    ("screen_info.capabilities", 0x036, 4, Plain),
    ("screen_info.ext_lfb_base", 0x03a, 4, Plain),
    ("screen_info._reserved", 0x03e, 2, Plain),
    ("apm_bios_info", 0x040, 0x14, Plain),
    ("_pad2", 0x054, 4, Plain),
    ("tboot_addr", 0x058, 8, Plain),
    ("ist_info", 0x060, 0x10, Plain),
    ("acpi_rsdp_addr", 0x070, 8, Plain),
    ("_pad3", 0x078, 8, Plain),
    ("hd0_info", 0x080, 0x10, Plain),
    ("hd1_info", 0x090, 0x10, Plain),
    ("sys_desc_table", 0x0a0, 0x10, Plain),
    ("olpc_ofw_header", 0x0b0, 0x10, Plain),
    ("ext_ramdisk_image", 0x0c0, 4, High),
    ("ext_ramdisk_size", 0x0c4, 4, Plain),
    ("ext_cmd_line_ptr", 0x0c8, 4, High),
    ("_pad4", 0x0cc, 0x70, Plain),
    ("cc_blob_address", 0x13c, 4, Plain),
    ("edid_info", 0x140, 0x80, Plain),
    ("efi_info.efi_loader_signature", 0x1c0, 4, Plain),
    ("efi_info.efi_systab", 0x1c4, 4, Plain),
    ("efi_info.efi_memdesc_size", 0x1c8, 4, Plain),
    ("efi_info.efi_memdesc_version", 0x1cc, 4, Plain),
    ("efi_info.efi_memmap", 0x1d0, 4, Pointer(Some(0x1dc))),
    ("efi_info.efi_memmap_size", 0x1d4, 4, Plain),
    ("efi_info.efi_systab_hi", 0x1d8, 4, Plain),
    ("efi_info.efi_memmap_hi", 0x1dc, 4, High),
    ("alt_mem_k", 0x1e0, 4, Plain),
    ("scratch", 0x1e4, 4, Plain),
    ("e820_entries", 0x1e8, 1, Plain),
    ("eddbuf_entries", 0x1e9, 1, Plain),
    ("edd_mbr_sig_buf_entries", 0x1ea, 1, Plain),
    ("kbd_status", 0x1eb, 1, Plain),
    ("secure_boot", 0x1ec, 1, Plain),
    ("_pad5", 0x1ed, 2, Plain),
    ("sentinel", 0x1ef, 1, Plain),
    ("_pad6", 0x1f0, 1, Plain),
    ("setup_sects", 0x1f1, 1, Plain),
    ("root_flags", 0x1f2, 2, Plain),
    ("syssize", 0x1f4, 4, Plain),
    ("ram_size", 0x1f8, 2, Plain),
    ("vid_mode", 0x1fa, 2, Plain),
    ("root_dev", 0x1fc, 2, Plain),
    ("boot_flag", 0x1fe, 2, Plain),
    ("jump", 0x200, 2, Plain),
    ("header", 0x202, 4, Plain),
    ("version", 0x206, 2, Plain),
    ("realmode_swtch", 0x208, 4, Plain),
    ("start_sys_seg", 0x20c, 2, Plain),
    ("kernel_version", 0x20e, 2, Plain),
    ("type_of_loader", 0x210, 1, Plain),
    ("loadflags", 0x211, 1, Plain),
    ("setup_move_size", 0x212, 2, Plain),
    ("code32_start", 0x214, 4, Pointer(None)),
    ("ramdisk_image", 0x218, 4, Pointer(Some(0x0c0))),
    ("ramdisk_size", 0x21c, 4, Plain),
    ("bootsect_kludge", 0x220, 4, Plain),
    ("heap_end_ptr", 0x224, 2, Plain),
    ("ext_loader_ver", 0x226, 1, Plain),
    ("ext_loader_type", 0x227, 1, Plain),
    ("cmd_line_ptr", 0x228, 4, Pointer(Some(0x0c8))),
    ("initrd_addr_max", 0x22c, 4, Plain),
    ("kernel_alignment", 0x230, 4, Plain),
    ("relocatable_kernel", 0x234, 1, Plain),
    ("min_alignment", 0x235, 1, Plain),
    ("xloadflags", 0x236, 2, Plain),
    ("cmdline_size", 0x238, 4, Plain),
    ("hardware_subarch", 0x23c, 4, Plain),
    ("hardware_subarch_data", 0x240, 8, Plain),
    ("payload_offset", 0x248, 4, Plain),
    ("payload_length", 0x24c, 4, Plain),
    ("setup_data", 0x250, 8, Pointer(Some(0x254))),
    ("pref_address", 0x258, 8, Plain),
    ("init_size", 0x260, 4, Plain),
    ("handover_offset", 0x264, 4, Plain),
    ("kernel_info_offset", 0x268, 4, Plain),
    ("_pad7", 0x26c, 0x24, Plain),
    ("edd_mbr_sig_buffer", 0x290, 0x40, Plain),
    ("e820_table", 0x2d0, 0xa00, E820),
    ("_pad8", 0xcd0, 0x30, Plain),
    ("eddbuf", 0xd00, 0x1ec, Plain),
    ("_pad9", 0xeec, 0x114, Plain),
];

/// struct boot_params.
const SIZE: usize = 0x1000;
/// struct boot_e820_entry: address, size, type.
const E820_ENTRY: usize = 20;
const SETUP_E820_EXT: u32 = 1;
const SETUP_EFI: u32 = 4;
const SETUP_RNG_SEED: u32 = 9;
/// xloadflags.
const XLF_CAN_BE_LOADED_ABOVE_4G: u64 = 1 << 1;
/// The fields of the setup header that boot.rst lets a boot loader write or modify.
const WRITTEN: [&str; 18] = [
    "root_flags",
    "vid_mode",
    "root_dev",
    "realmode_swtch",
    "type_of_loader",
    "loadflags",
    "setup_move_size",
    "code32_start",
    "ramdisk_image",
    "ramdisk_size",
    "heap_end_ptr",
    "ext_loader_ver",
    "ext_loader_type",
    "cmd_line_ptr",
    "kernel_alignment",
    "hardware_subarch",
    "hardware_subarch_data",
    "setup_data",
];

fn number(bytes: &[u8], offset: usize, size: usize) -> u64 {
    let field = &bytes[offset..offset + size];
    field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn field(name: &str) -> (usize, usize) {
    let found = FIELDS.iter().find(|field| field.0 == name).unwrap();
    (found.1, found.2)
}

/// A part of a loaded image.
struct Segment {
    /// Bytes that are copied, their sum, and all of them when they are not many.
    size: u64,
    sum: u64,
    bytes: Vec<u8>,
    /// Where to, and how much memory is taken there.
    at: u64,
    room: u64,
}

impl Segment {
    fn holds(&self, address: u64) -> bool {
        (self.at..self.at + self.room).contains(&address)
    }
}

/// What one program handed to kexec_load.
struct Load {
    entry: u64,
    flags: u64,
    segments: Vec<Segment>,
    /// What the kernel answered.
    result: Option<u64>,
}

impl Load {
    /// Reads what the recorder printed of the run by this name.
    fn parse(console: &Console, name: &str) -> Load {
        let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
        let mut loads: Vec<Load> = Vec::new();
        for line in console.marked(&format!("RECORD {name}")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["call", entry, _, flags] => {
                    let (entry, flags) = (hex(entry), hex(flags));
                    loads.push(Load { entry, flags, segments: Vec::new(), result: None });
                }
                ["segment", number, size, at, room, sum] => {
                    let segments = &mut loads.last_mut().unwrap().segments;
                    assert_eq!(hex(number), segments.len() as u64, "{}", console.shown());
                    let (size, at, room, sum) = (hex(size), hex(at), hex(room), hex(sum));
                    segments.push(Segment { size, sum, bytes: Vec::new(), at, room });
                }
                ["bytes", _, offset, text] => {
                    let segment = loads.last_mut().unwrap().segments.last_mut().unwrap();
                    segment.bytes.resize(segment.size as usize, 0);
                    for (index, pair) in text.as_bytes().chunks(2).enumerate() {
                        let byte = hex(std::str::from_utf8(pair).unwrap());
                        segment.bytes[hex(offset) as usize + index] = byte as u8;
                    }
                }
                ["result", result] => loads.last_mut().unwrap().result = Some(hex(result)),
                ["exit", status] => assert_eq!(status, "0", "{name}\n{}", console.shown()),
                _ => panic!("the recorder's line {line:?}\n{}", console.shown()),
            }
        }
        // A call without segments only asks whether the kernel has it.
        loads.retain(|load| !load.segments.is_empty());
        let results: Vec<_> = loads.iter().map(|load| load.result).collect();
        assert_eq!(results, [Some(0)], "{name}: the kernel's answers\n{}", console.shown());
        let load = loads.remove(0);
        // Nothing else wrote into the recorder's lines.
        for segment in load.segments.iter().filter(|segment| !segment.bytes.is_empty()) {
            assert_eq!(sum(&segment.bytes), segment.sum, "{name}\n{}", console.shown());
        }
        load
    }

    /// `size` bytes at a physical address; what lies behind those copied is zero.
    fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let segment = self.segments.iter().find(|segment| segment.holds(address))?;
        if segment.bytes.is_empty() {
            return None;
        }
        let offset = (address - segment.at) as usize;
        let mut bytes = segment.bytes.clone();
        bytes.resize(segment.room as usize, 0);
        bytes.get(offset..offset + size).map(<[u8]>::to_vec)
    }

    /// The same, of what an address in the boot parameters names.
    #[track_caller]
    fn named(&self, what: &str, address: u64, size: usize) -> Vec<u8> {
        self.read(address, size)
            .unwrap_or_else(|| panic!("no segment holds {what}, {size} bytes at {address:#x}"))
    }
}

/// One load, decoded: each thing by its name, in the same order for all.
struct Decoded {
    items: Vec<(String, String)>,
    /// What the texts ask of addresses, and whether it is kept.
    kept: Vec<(String, bool)>,
}

/// A load of a kernel with or without an initrd.
struct Decoder<'a> {
    load: &'a Load,
    file: &'a [u8],
    initrd: Option<&'a [u8]>,
    /// boot_params, and where they will be.
    page: Vec<u8>,
    at: u64,
    kernel: usize,
}

impl<'a> Decoder<'a> {
    fn new(load: &'a Load, file: &'a [u8], initrd: Option<&'a [u8]>) -> Decoder<'a> {
        let is_parameters =
            |segment: &&Segment| segment.bytes.len() >= SIZE && &segment.bytes[0x202..0x206] == b"HdrS";
        let parameters: Vec<_> = load.segments.iter().filter(is_parameters).collect();
        assert_eq!(parameters.len(), 1, "segments that begin with boot_params");
        // Here no other segment is as large as the kernel.
        let most = (0..load.segments.len()).max_by_key(|&index| load.segments[index].room).unwrap();
        let (page, at) = (parameters[0].bytes[..SIZE].to_vec(), parameters[0].at);
        Decoder { load, file, initrd, page, at, kernel: most }
    }

    fn value(&self, name: &str) -> u64 {
        let (offset, size) = field(name);
        number(&self.page, offset, size)
    }

    fn address(&self, offset: usize, high: Option<usize>) -> u64 {
        let high = high.map_or(0, |high| number(&self.page, high, 4));
        number(&self.page, offset, 4) | high << 32
    }

    fn kernel(&self) -> &Segment {
        &self.load.segments[self.kernel]
    }

    /// The protected-mode code: as long as syssize says, and all that the file has.
    fn code(&self) -> (&[u8], &[u8]) {
        let start = (usize::from(self.file[0x1f1]) + 1) * 512;
        let whole = &self.file[start..];
        (&whole[..number(self.file, 0x1f4, 4) as usize * 16], whole)
    }

    fn initrd_at(&self) -> u64 {
        self.address(0x218, Some(0x0c0))
    }

    fn initrd_size(&self) -> u64 {
        self.value("ramdisk_size") | self.value("ext_ramdisk_size") << 32
    }

    fn command_line_at(&self) -> u64 {
        self.address(0x228, Some(0x0c8))
    }

    /// What the segment that holds an address is for.
    fn role(&self, address: u64) -> &'static str {
        match self.load.segments.iter().find(|segment| segment.holds(address)) {
            None => "no segment",
            Some(segment) if segment.at == self.kernel().at => "the kernel",
            Some(segment) if segment.at == self.at => "the parameters",
            Some(segment) if segment.at == self.initrd_at() => "the initrd",
            Some(segment) if segment.holds(self.load.entry) => "a purgatory",
            Some(_) => "other data",
        }
    }

    /// What a pointer points to, whatever its address is.
    fn target(&self, name: &str, address: u64) -> String {
        match (name, self.role(address)) {
            _ if address == 0 => "0x0".into(),
            ("setup_data" | "efi_info.efi_memmap", "the parameters" | "other data") => "in a segment".into(),
            (_, "the kernel") => format!("the kernel + {:#x}", address - self.kernel().at),
            ("ramdisk_image", "the initrd") | ("cmd_line_ptr", "the parameters") => self.role(address).into(),
            _ => format!("{address:#x}"),
        }
    }

    /// The setup_data list: type and data.
    fn setup_data(&self) -> Vec<(u32, Vec<u8>)> {
        let mut nodes = Vec::new();
        let mut next = self.value("setup_data");
        while next != 0 {
            let head = self.load.named("setup_data", next, 16);
            let size = number(&head, 12, 4) as usize;
            let data = self.load.named("setup_data", next + 16, size);
            nodes.push((number(&head, 8, 4) as u32, data));
            next = number(&head, 0, 8);
            assert!(nodes.len() < 100, "a setup_data list without an end");
        }
        nodes
    }

    /// The table of boot_params, in its order: start, end, type.
    fn e820(&self) -> Vec<(u64, u64, u64)> {
        let table = &self.page[0x2d0..0xcd0];
        let entries = table.chunks(E820_ENTRY).take(self.value("e820_entries") as usize);
        entries.map(e820_entry).collect()
    }

    fn decode(&self) -> Decoded {
        let mut items: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: String| items.push((name.to_string(), value));
        let (needed, whole) = self.code();

        put("kexec_load flags", format!("{:#x}", self.load.flags));
        let mut roles: Vec<_> = self.load.segments.iter().map(|segment| self.role(segment.at)).collect();
        roles.sort_unstable();
        put("kexec_load segments", roles.join(", "));
        put("kexec_load entry", format!("in {}", self.role(self.load.entry)));
        // The registers at the kernel's entry: rc-kexec's trampoline has rsi and rip in
        // two words that follow each other, the peer's purgatory in struct entry64_regs.
        let (rsi, rip) = (self.at, self.kernel().at + 0x200);
        let entered = self.load.segments.iter().find(|segment| segment.holds(self.load.entry)).unwrap();
        let pairs = entered.bytes.windows(0x68).filter(|words| {
            number(words, 0, 8) == rsi && [8, 0x60].iter().any(|&at| number(words, at, 8) == rip)
        });
        let entered = pairs.count();
        put(
            "rsi, rip",
            match entered {
                1 => "boot_params, the kernel + 0x200".into(),
                _ => format!("{entered} times boot_params, the kernel + 0x200"),
            },
        );

        let code = match (self.kernel().size, self.kernel().sum) {
            (size, code) if size == needed.len() as u64 && code == sum(needed) => "syssize, of the file",
            (size, code) if size == whole.len() as u64 && code == sum(whole) => {
                "to the end of the file, of the file"
            }
            _ => "other bytes",
        };
        put("kernel bytes", code.into());
        put("kernel memory", format!("{:#x}", self.kernel().room));
        let initrd = self.load.segments.iter().find(|s| s.at == self.initrd_at() && s.at != 0);
        put(
            "initrd bytes",
            match (initrd, self.initrd) {
                (None, None) => "none".into(),
                (Some(segment), Some(file))
                    if self.initrd_size() == file.len() as u64 && segment.sum == sum(file) =>
                {
                    "of the file".into()
                }
                _ => format!("{:#x} at {:#x}", self.initrd_size(), self.initrd_at()),
            },
        );
        let line = self.load.read(self.command_line_at(), self.value("cmdline_size") as usize + 1);
        let line = line.or_else(|| {
            // Near the end of its segment.
            let segment = self.load.segments.iter().find(|s| s.holds(self.command_line_at()))?;
            self.load
                .read(self.command_line_at(), (segment.at + segment.room - self.command_line_at()) as usize)
        });
        let line = line.unwrap_or_default();
        let end = line.iter().position(|&byte| byte == 0);
        let line = end.map_or("without an end".into(), |end| String::from_utf8_lossy(&line[..end]));
        put("command line", line.clone().into());

        for &(name, offset, size, kind) in FIELDS {
            let value = match kind {
                Plain => plain(&self.page[offset..offset + size]),
                High => format!(
                    "with {}",
                    if name == "efi_info.efi_memmap_hi" { "efi_memmap" } else { "the low half" }
                ),
                Pointer(high) => self.target(name, self.address(offset, high)),
                E820 => ranges(&self.e820()),
            };
            put(name, value);
            if kind == E820 {
                let used = self.value("e820_entries") as usize * E820_ENTRY;
                put("e820_table, unused entries", plain(&self.page[offset + used..offset + size]));
            }
        }

        let nodes = self.setup_data();
        let node = |kind: u32| nodes.iter().find(|node| node.0 == kind).map(|node| &node.1[..]);
        let mut kinds: Vec<u32> = nodes.iter().map(|node| node.0).collect();
        kinds.sort_unstable();
        put("setup_data types", format!("{kinds:?}"));
        let extended: Vec<_> =
            node(SETUP_E820_EXT).unwrap_or_default().chunks(E820_ENTRY).map(e820_entry).collect();
        put("setup_data SETUP_E820_EXT", ranges(&extended));
        let seed = node(SETUP_RNG_SEED).map(|seed| (seed.len(), seed.iter().any(|&byte| byte != 0)));
        put(
            "setup_data SETUP_RNG_SEED",
            seed.map_or("none".into(), |(size, random)| {
                format!("{size} bytes, {}", if random { "not zero" } else { "zero" })
            }),
        );
        let efi = node(SETUP_EFI);
        put("setup_data SETUP_EFI, length", efi.map_or("none".into(), |efi| efi.len().to_string()));
        for (name, offset, size) in [
            ("fw_vendor", 0, 8),
            ("__unused", 8, 8),
            ("tables", 16, 8),
            ("smbios", 24, 8),
            ("reserved", 32, 64),
        ] {
            let value = efi.and_then(|efi| efi.get(offset..offset + size)).map_or("none".into(), plain);
            put(&format!("setup_data SETUP_EFI, {name}"), value);
        }
        let (map, size) = (self.address(0x1d0, Some(0x1dc)), self.value("efi_info.efi_memmap_size"));
        let stride = self.value("efi_info.efi_memdesc_size").max(40) as usize;
        let map =
            if map == 0 { Vec::new() } else { self.load.named("the EFI memory map", map, size as usize) };
        // Type, physical and virtual address, pages, attribute. The order is nobody's rule.
        let descriptor = |bytes: &[u8]| {
            [
                number(bytes, 0, 4),
                number(bytes, 8, 8),
                number(bytes, 16, 8),
                number(bytes, 24, 8),
                number(bytes, 32, 8),
            ]
        };
        let in_order: Vec<[u64; 5]> = map.chunks(stride).map(descriptor).collect();
        let mut sorted = in_order.clone();
        sorted.sort_by_key(|descriptor| descriptor[1]);
        let texts: Vec<String> = sorted
            .iter()
            .map(|[kind, at, seen, pages, attribute]| {
                format!("{kind} {at:#x} at {seen:#x} {pages:#x} {attribute:#x}")
            })
            .collect();
        put("EFI memory map", if texts.is_empty() { "none".into() } else { texts.join("; ") });
        put("EFI memory map, order", if sorted == in_order { "ascending" } else { "another" }.into());
        let rest = map.chunks(stride).flat_map(|bytes| bytes[4..8].iter().chain(&bytes[40..]));
        put(
            "EFI memory map, rest",
            if rest.into_iter().all(|&byte| byte == 0) { "zero" } else { "not zero" }.into(),
        );

        let mut kept = self.kept();
        // Two that are wrong in the same way would not differ.
        let item = |name: &str| &items.iter().find(|item| item.0 == name).unwrap().1;
        let nothing = self.initrd.is_none() && self.initrd_size() < 512;
        for (name, is_kept) in [
            ("the kernel is entered with boot_params", entered == 1),
            ("the kernel is the file's", item("kernel bytes").ends_with("of the file")),
            (
                "the initrd is the file's, or empty without one",
                item("initrd bytes") == "of the file" || nothing,
            ),
            ("the command line is the one asked for", line == LINE),
        ] {
            kept.push((format!("check: {name}"), is_kept));
        }
        for (name, kept) in &kept {
            items.push((name.clone(), if *kept { "kept" } else { "not kept" }.into()));
        }
        Decoded { items, kept }
    }

    /// What the texts ask of the addresses and of the header.
    fn kept(&self) -> Vec<(String, bool)> {
        let kernel = self.kernel();
        let high = self.value("xloadflags") & XLF_CAN_BE_LOADED_ABOVE_4G != 0;
        let limit = if high { u64::MAX } else { 1 << 32 };
        let highest = self.load.segments.iter().map(|segment| segment.at + segment.room).max().unwrap();
        let initrd_end = self.initrd_at() + self.initrd_size();
        let ram: Vec<_> = self.e820().into_iter().filter(|range| range.2 == 1).collect();
        let others: Vec<_> = self.e820().into_iter().filter(|range| range.2 != 1).collect();
        let segments = &self.load.segments;
        let apart = segments.iter().enumerate().all(|(index, one)| {
            segments[..index]
                .iter()
                .all(|other| one.at + one.room <= other.at || other.at + other.room <= one.at)
        });
        let in_ram = segments.iter().all(|segment| {
            let end = segment.at + segment.room;
            ram.iter().any(|range| range.0 <= segment.at && end <= range.1)
                && others.iter().all(|range| end <= range.0 || range.1 <= segment.at)
        });
        let written = |name: &str| WRITTEN.contains(&name);
        let read = FIELDS.iter().filter(|field| (0x1f1..0x26c).contains(&field.1) && !written(field.0));
        let mut read = read.map(|&(_, offset, size, _)| (offset, size));
        let checks = [
            (
                "kernel at a multiple of kernel_alignment",
                kernel.at.is_multiple_of(self.value("kernel_alignment")),
            ),
            ("kernel at pref_address or above", kernel.at >= self.value("pref_address")),
            ("kernel with init_size of memory", kernel.room >= self.value("init_size")),
            (
                "initrd below initrd_addr_max, or above 4 GiB allowed",
                high || initrd_end <= self.value("initrd_addr_max") + 1,
            ),
            ("all below 4 GiB, or above it allowed", highest <= limit),
            ("segments on whole pages", segments.iter().all(|s| s.at % 4096 == 0 && s.room % 4096 == 0)),
            ("segments apart from each other", apart),
            ("segments in the RAM of the table", in_ram),
            (
                "header's read fields as in the file",
                read.all(|(offset, size)| {
                    self.page[offset..offset + size] == self.file[offset..offset + size]
                }),
            ),
        ];
        checks.into_iter().map(|(name, kept)| (format!("check: {name}"), kept)).collect()
    }
}

fn e820_entry(entry: &[u8]) -> (u64, u64, u64) {
    let (start, size) = (number(entry, 0, 8), number(entry, 8, 8));
    (start, start + size, number(entry, 16, 4))
}

fn ranges(entries: &[(u64, u64, u64)]) -> String {
    let texts: Vec<String> =
        entries.iter().map(|(start, end, kind)| format!("{start:#x}-{end:#x} {kind}")).collect();
    if texts.is_empty() { "none".into() } else { texts.join("; ") }
}

/// A field as a number, longer ones as bytes.
fn plain(bytes: &[u8]) -> String {
    if bytes.iter().all(|&byte| byte == 0) {
        "0x0".into()
    } else if bytes.len() <= 8 {
        format!("{:#x}", number(bytes, 0, bytes.len()))
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A machine, and whether the kernel that is loaded there has an initrd.
#[derive(Clone, Copy)]
struct Case {
    kernel: Kernel,
    uefi: bool,
    memory: &'static str,
    initrd: bool,
}

impl Case {
    /// The table's words for it.
    fn words(self) -> [&'static str; 4] {
        [
            if self.kernel == Kernel::Debian { "debian" } else { "alpine" },
            if self.uefi { "uefi" } else { "bios" },
            self.memory,
            if self.initrd { "initrd" } else { "no-initrd" },
        ]
    }

    fn all() -> Vec<Case> {
        let mut all = Vec::new();
        for kernel in [Kernel::Debian, Kernel::Alpine] {
            for (uefi, memory) in [(false, "512M"), (false, "6G"), (true, "512M"), (true, "6G")] {
                all.extend([true, false].map(|initrd| Case { kernel, uefi, memory, initrd }));
            }
        }
        all
    }
}

/// A row of the table: a difference.
#[derive(Debug)]
struct Row {
    field: String,
    /// The words of the cases that show it, one list or another; none for all.
    cases: Vec<Vec<String>>,
    ours: String,
    peer: String,
    why: String,
}

impl Row {
    fn is_of(&self, case: Case) -> bool {
        self.cases.iter().any(|words| words.iter().all(|word| case.words().contains(&&word[..])))
    }

    /// Whether a cell means this value: one in backquotes is the value, another one is
    /// said in words.
    fn means(cell: &str, value: &str) -> bool {
        cell.strip_prefix('`').is_none_or(|exact| exact.trim_end_matches('`') == value)
    }

    /// The sentences in quotation marks, each with the file that is named before it.
    fn quotes(&self) -> Vec<(&str, &str)> {
        let parts: Vec<&str> = self.why.split('"').collect();
        let mut file = "";
        let mut quotes = Vec::new();
        for pair in parts.chunks(2) {
            let named = pair[0].split('`').skip(1).step_by(2).filter(|name| name.contains('/'));
            file = named.last().unwrap_or(file);
            quotes.extend(pair.get(1).map(|quote| (file, *quote)));
        }
        quotes
    }
}

fn table() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let line = line.replace("\\|", "\0"); // a bar in a cell
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
        assert_eq!(cells.len(), 5, "the cells of {line}");
        // "UEFI 6G" is both at once, "all" says nothing; memory is written as QEMU has it.
        let words = |list: &str| -> Vec<String> {
            let words = list.split_whitespace().filter(|word| *word != "all");
            words
                .map(|word| if word.ends_with(['M', 'G']) { word.into() } else { word.to_lowercase() })
                .collect()
        };
        Row {
            field: cells[0].trim_matches('`').into(),
            cases: cells[1].split(',').map(words).collect(),
            ours: cells[2].clone(),
            peer: cells[3].clone(),
            why: cells[4].clone(),
        }
    };
    lines.map(row).collect()
}

/// What both are given.
const LINE: &str = "console=ttyS0 panic=-1 root=/dev/vda1 ro";

/// An archive that is too large to be recorded whole.
fn initrd() -> Vec<u8> {
    let noise: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    Cpio::default().file("noise", 0o644, &noise).finish()
}

/// With the peer, and the libraries that it needs.
fn with_peer(mut vm: Vm) -> Vm {
    const LOADER: &str = "ld-linux-x86-64.so.2";
    let usr = parts().join("peer/usr");
    vm = vm.dir("peer").dir("lib").dir("lib64").file("peer/kexec", &part("peer/usr/sbin/kexec"));
    vm = vm.file(&format!("lib64/{LOADER}"), &part(&format!("peer/usr/lib64/{LOADER}")));
    for entry in std::fs::read_dir(usr.join("lib/x86_64-linux-gnu")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".so.") && name != LOADER {
            vm = vm.file(&format!("lib/{name}"), &std::fs::read(entry.path()).unwrap());
        }
    }
    vm
}

/// Both programs, with and without an initrd, in one machine.
fn machine(kernel: Kernel, uefi: bool, memory: &str) -> Console {
    // The peer finds sysfs by the table of mounts.
    let mut stage = String::from(
        "export LD_LIBRARY_PATH=/lib\nln -s /proc/mounts /etc/mtab\necho \"PEER $(/peer/kexec -v)\"\n",
    );
    for (initrd, option) in [("initrd", "--initrd=/extra.cpio"), ("no-initrd", "")] {
        for (program, name) in [("/sbin/kexec", "ours"), ("/peer/kexec", "peer")] {
            stage.push_str(&format!(
                "record {name}-{initrd} {program} -c -l /boot/vmlinuz {option} --append='{LINE}'\nkexec -u\n"
            ));
        }
    }
    stage.push_str(
        "hexdump -v -e '64/1 \"%02x\" \"\\n\"' /sys/kernel/boot_params/data | sed 's/^/RUNNING /'\n",
    );
    let mut vm = Vm::new(kernel).memory(memory).disk().stage(1, &stage);
    vm = with_peer(vm).file("sbin/record", &guest("vm-record")).file("extra.cpio", &initrd());
    let console = if uefi { vm.uefi().run() } else { vm.run() };
    // The one that the table is about.
    console.has("STAGE 1 ENDS").has("PEER kexec-tools 2.0.29");
    console
}

/// What the running kernel was given, as a third opinion.
fn running(console: &Console) -> Vec<u8> {
    let text: String = console.marked("RUNNING").concat();
    let bytes: Vec<u8> =
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert_eq!(bytes.len(), SIZE, "{}", console.shown());
    bytes
}

/// Compares, and writes the comparison to a file; returns the differences that are wrong.
fn compare(case: Case, console: &Console, rows: &[Row]) -> Vec<String> {
    let (file, initrd) = (case.kernel.image(), initrd());
    let initrd = case.initrd.then_some(&initrd[..]);
    let [.., with] = case.words();
    let [ours, peer] = ["ours", "peer"].map(|name| {
        let load = Load::parse(console, &format!("{name}-{with}"));
        Decoder::new(&load, &file, initrd).decode()
    });
    let before = running(console);
    let title = case.words().join("-");
    let mut wrong = Vec::new();
    let mut text = format!("{title}: rc-kexec, kexec-tools, and what the running kernel was given\n\n");
    for ((name, one), (peer_name, other)) in ours.items.iter().zip(&peer.items) {
        assert_eq!(name, peer_name);
        let differs = one != other;
        text.push_str(&format!("{} {name}\n    {one}\n", if differs { "!" } else { "=" }));
        if differs {
            text.push_str(&format!("    {other}\n"));
        }
        if let Some(&(_, offset, size, _)) = FIELDS.iter().find(|field| field.0 == name && field.3 == Plain) {
            text.push_str(&format!("    running: {}\n", plain(&before[offset..offset + size])));
            if (0x1f1..0x26c).contains(&offset) {
                text.push_str(&format!("    file: {}\n", plain(&file[offset..offset + size])));
            }
        }
        let of = |row: &&Row| row.field == *name && row.is_of(case);
        match rows.iter().find(of) {
            None if differs => {
                wrong.push(format!("{title}: {name}: {one} / {other}, and no row of the table"))
            }
            Some(_) if !differs => {
                wrong.push(format!("{title}: {name}: {one} for both, and a row of the table"))
            }
            Some(row) if !Row::means(&row.ours, one) || !Row::means(&row.peer, other) => {
                wrong.push(format!(
                    "{title}: {name}: {one} / {other}, and the row says {} / {}",
                    row.ours, row.peer
                ));
            }
            _ => {}
        }
    }
    for (name, _) in ours.kept.iter().filter(|check| !check.1) {
        wrong.push(format!("{title}: rc-kexec does not keep to it: {name}"));
    }
    write_down(&format!("{title}.txt"), &text);
    wrong
}

/// To target/oracle.
fn write_down(name: &str, text: &str) {
    let folder = parts().parent().unwrap().join("oracle");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

#[track_caller]
fn compare_in_machines(uefi: bool, memory: &'static str) {
    let rows = table();
    let mut wrong = Vec::new();
    for kernel in [Kernel::Debian, Kernel::Alpine] {
        let console = machine(kernel, uefi, memory);
        let [name, firmware, ..] = (Case { kernel, uefi, memory, initrd: true }).words();
        write_down(&format!("{name}-{firmware}-{memory}.console"), &console.text);
        let of = |case: &Case| case.kernel == kernel && case.uefi == uefi && case.memory == memory;
        for case in Case::all().into_iter().filter(of) {
            wrong.extend(compare(case, &console, &rows));
        }
    }
    assert!(
        wrong.is_empty(),
        "tests/oracle/README.md and the comparison (target/oracle):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn bios_with_512_mib() {
    compare_in_machines(false, "512M");
}

#[test]
fn bios_with_6_gib() {
    compare_in_machines(false, "6G");
}

#[test]
fn uefi_with_512_mib() {
    compare_in_machines(true, "512M");
}

#[test]
fn uefi_with_6_gib() {
    compare_in_machines(true, "6G");
}

/// With all white space alike, and without the stars at the beginning of a comment's lines.
fn words(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != "*").collect::<Vec<_>>().join(" ")
}

/// A text of the kernel's source.
fn source(name: &str) -> String {
    String::from_utf8(part(&format!("source/linux-source-6.12/{name}"))).unwrap()
}

#[test]
fn every_row_quotes_the_text_that_decides_it_and_is_of_some_case() {
    for row in table() {
        let quotes = row.quotes();
        assert!(!quotes.is_empty(), "no sentence in {row:?}");
        for (file, quote) in quotes {
            assert!(words(&source(file)).contains(&words(quote)), "not in {file}: {quote}");
        }
        assert!(Case::all().into_iter().any(|case| row.is_of(case)), "no such case: {row:?}");
    }
    let rows = table();
    let names: BTreeSet<_> = rows.iter().map(|row| (&row.field, &row.cases)).collect();
    assert_eq!(names.len(), rows.len(), "the same row twice");
}

#[test]
fn every_byte_of_boot_params_has_the_name_that_the_texts_give_it() {
    let mut next = 0;
    for &(name, offset, size, _) in FIELDS {
        assert_eq!(offset, next, "{name}");
        next = offset + size;
    }
    assert_eq!(next, SIZE);
    // "0F0/010 ALL name" in zero-page.rst, "01F1/1 ALL(1) name" in boot.rst; some fields are
    // structs, whose parts are compared.
    let mut found = 0;
    for text in ["Documentation/arch/x86/zero-page.rst", "Documentation/arch/x86/boot.rst"] {
        let zero_page = text.ends_with("zero-page.rst");
        for line in source(text).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [place, _, name, ..] = words[..] else { continue };
            let Some((offset, size)) =
                place.split_once('/').filter(|(offset, _)| offset.len() == 4 - usize::from(zero_page))
            else {
                continue;
            };
            let radix = if zero_page { 16 } else { 10 };
            let (Ok(offset), Ok(size)) =
                (usize::from_str_radix(offset, 16), usize::from_str_radix(size, radix))
            else {
                continue;
            };
            let parts =
                FIELDS.iter().filter(|field| field.0 == name || field.0.starts_with(&format!("{name}.")));
            let parts: Vec<_> = parts.collect();
            let end = parts.last().map(|field| field.1 + field.2);
            assert_eq!(
                (parts.first().map(|field| field.1), end),
                (Some(offset), Some(offset + size)),
                "{line}"
            );
            found += 1;
        }
    }
    assert!(found > 60, "{found} fields in the texts");
}

/// The program headers of an ELF core header: type, physical address, size.
fn program_headers(load: &Load) -> Vec<(u64, u64, u64)> {
    let header = load.segments.iter().find(|segment| segment.bytes.starts_with(b"\x7fELF"));
    let bytes = &header.unwrap_or_else(|| panic!("no segment is an ELF core header")).bytes;
    let count = number(bytes, 56, 2) as usize;
    let entries = bytes[64..].chunks(56).take(count);
    entries.map(|entry| (number(entry, 0, 4), number(entry, 24, 8), number(entry, 40, 8))).collect()
}

/// Both programs tell a crash kernel of the same notes and the same memory. The peer also maps the kernel's
/// text, which it reads from /proc/kcore.
#[test]
fn the_elf_core_header_of_a_crash_kernel() {
    for (uefi, memory, reserved) in
        [(false, "1G", "crashkernel=256M"), (true, "6G", "crashkernel=384M,high crashkernel=128M,low")]
    {
        let mut stage = String::from("export LD_LIBRARY_PATH=/lib\nln -s /proc/mounts /etc/mtab\n");
        for (program, name) in [("/sbin/kexec", "ours"), ("/peer/kexec", "peer")] {
            stage.push_str(&format!(
                "record {name} {program} -c -p /boot/vmlinuz --append='{LINE}'\nkexec -p -u\n"
            ));
        }
        stage.push_str("sed -n 's/^ *\\([0-9a-f]*-[0-9a-f]*\\) : \\(.*\\)$/IOMEM \\1 \\2/p' /proc/iomem\n");
        let vm = Vm::new(Kernel::Debian).memory(memory).processors(2).append(reserved).stage(1, &stage);
        let vm = with_peer(vm).file("sbin/record", &guest("vm-record"));
        let console = if uefi { vm.uefi().run() } else { vm.run() };
        let [ours, peer] = ["ours", "peer"].map(|name| program_headers(&Load::parse(&console, name)));
        let notes =
            |all: &[(u64, u64, u64)]| -> Vec<_> { all.iter().filter(|one| one.0 == 4).copied().collect() };
        assert_eq!(notes(&ours), notes(&peer), "{}", console.shown());
        assert_eq!(notes(&ours).len(), 3, "{}", console.shown());
        // The peer has the first MiB, which a kernel reserves early, and cuts RAM where the kernel was handed data.
        let code =
            console.marked("IOMEM").into_iter().find_map(|line| line.strip_suffix(" Kernel code")).unwrap();
        let code = u64::from_str_radix(code.split('-').next().unwrap(), 16).unwrap();
        let memory = |all: &[(u64, u64, u64)]| {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for &(_, start, size) in all.iter().filter(|one| one.0 == 1 && one.1 >= 1 << 20 && one.1 != code)
            {
                match ranges.last_mut() {
                    Some(last) if last.1 == start => last.1 = start + size,
                    _ => ranges.push((start, start + size)),
                }
            }
            ranges
        };
        assert_eq!(memory(&ours), memory(&peer), "{}", console.shown());
    }
}
