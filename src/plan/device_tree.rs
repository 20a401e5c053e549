//! The flattened device tree that the next kernel is given: the running one's, or
//! another, with what /chosen says of this boot made anew and all else copied.
//!
//! Devicetree Specification v0.4, "5. Flattened Devicetree (DTB) Format": a header,
//! the memory reservation block, the structure block and the strings block; numbers
//! are big-endian.

use super::NoPlan;
use crate::base::range::{Range, RangeSet};

/// "The dtb must [...] not exceed 2 megabytes in size" (booting.rst, 2.).
pub const LARGEST: usize = 2 << 20;

const MAGIC: u32 = 0xd00d_feed;
/// Version 17 is what is written; it is "backwards compatible with version 16".
const VERSION: u32 = 17;
const OLDEST: u32 = 16;
const HEADER_SIZE: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Properties of /chosen that are made anew.
const BOOTARGS: usize = 0;
const INITRD_START: usize = 1;
const INITRD_END: usize = 2;
const KASLR_SEED: usize = 3;
const RNG_SEED: usize = 4;
/// Their names, and with them those by which the EFI stub hands on its memory map
/// (drivers/firmware/efi/fdtparams.c).
const NAMES: [&[u8]; 11] = [
    b"bootargs",
    b"linux,initrd-start",
    b"linux,initrd-end",
    b"kaslr-seed",
    b"rng-seed",
    b"linux,uefi-system-table",
    b"linux,uefi-mmap-start",
    b"linux,uefi-mmap-size",
    b"linux,uefi-mmap-desc-size",
    b"linux,uefi-mmap-desc-ver",
    b"linux,uefi-secure-boot",
];
const FIRST_OF_EFI: usize = 5;

/// What was true of the running kernel's start alone (drivers/of/kexec.c): with what a
/// crash kernel is given, the next one would see no more memory than it; the others are
/// places of memory that is not kept.
const OF_THIS_START: [&[u8]; 5] = [
    b"linux,elfcorehdr",
    b"linux,usable-memory-range",
    b"linux,ima-kexec-buffer",
    b"linux,kho-fdt",
    b"linux,kho-scratch",
];

/// What is wrong with a device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It is none, or it is damaged.
    Damaged(&'static str),
    /// With the additions it is larger than a kernel takes, or than the buffer.
    TooLarge,
    /// It tells of no memory.
    NoMemory,
}

/// What the next kernel's /chosen says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'c> {
    /// The command line.
    pub bootargs: &'c [u8],
    /// Where the initrds lie, and where their last byte's successor.
    pub initrd: Option<(u64, u64)>,
    /// For the kernel's place and its random numbers: 8 and 32 bytes.
    pub seed: Option<&'c [u8; 40]>,
    /// The running kernel's tree, where another is edited: what it says of EFI is
    /// true of the machine, and the other cannot know it.
    pub running: Option<&'c [u8]>,
}

/// A tree whose header has been checked: its blocks lie inside it.
#[derive(Clone, Copy)]
struct Tree<'t> {
    reservations: &'t [u8],
    structure: &'t [u8],
    strings: &'t [u8],
    boot_cpu: u32,
}

/// The big-endian number at `offset`.
fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    crate::base::bytes::array_at(bytes, offset).map(u32::from_be_bytes)
}

impl<'t> Tree<'t> {
    fn new(bytes: &'t [u8]) -> Result<Tree<'t>, Defect> {
        let field = |index: usize| number(bytes, index.saturating_mul(4)).unwrap_or(0);
        let offset = |index: usize| usize::try_from(field(index)).unwrap_or(usize::MAX);
        if bytes.len() < HEADER_SIZE || field(0) != MAGIC {
            return Err(Defect::Damaged("it is no device tree"));
        }
        // fdt_header: magic, totalsize, off_dt_struct, off_dt_strings, off_mem_rsvmap,
        // version, last_comp_version, boot_cpuid_phys, size_dt_strings, size_dt_struct.
        if field(5) < VERSION || field(6) > VERSION {
            return Err(Defect::Damaged("its version is not 17"));
        }
        let whole = bytes.get(..offset(1)).ok_or(Defect::Damaged("it is cut short"))?;
        let block = |at: usize, size: usize| whole.get(at..)?.get(..size);
        let damaged = Defect::Damaged("a block lies outside of it");
        let structure = block(offset(2), offset(9)).ok_or(damaged)?;
        let strings = block(offset(3), offset(8)).ok_or(damaged)?;
        // "The list of reserved blocks shall be terminated with an entry where both
        // address and size are equal to 0."
        let reservations = whole.get(offset(4)..).ok_or(damaged)?;
        let last = reservations.chunks_exact(16).position(|entry| entry.iter().all(|&byte| byte == 0));
        let length = last.and_then(|last| last.checked_add(1)?.checked_mul(16)).ok_or(damaged)?;
        let reservations = reservations.get(..length).ok_or(damaged)?;
        Ok(Tree { reservations, structure, strings, boot_cpu: field(7) })
    }

    /// Calls `each` with every token of the structure block, in order.
    fn walk(&self, each: &mut dyn FnMut(Token<'t>) -> Result<(), Defect>) -> Result<(), Defect> {
        let damaged = Defect::Damaged("its structure block is damaged");
        let mut depth = 0usize;
        // "Properties [...] precede subnodes": what follows a node's end has no name here.
        let mut node: &[u8] = b"";
        let mut at = 0usize;
        // 5.4.2: one root, with all the rest in it.
        let mut has_root = false;
        loop {
            let rest = self.structure.get(at..).unwrap_or_default();
            let kind = number(rest, 0).ok_or(damaged)?;
            let body = rest.get(4..).unwrap_or_default();
            let (token, length) = match kind {
                BEGIN_NODE if depth > 0 || !has_root => {
                    has_root = true;
                    let end = body.iter().position(|&byte| byte == 0).ok_or(damaged)?;
                    let name = body.get(..end).unwrap_or_default();
                    depth = depth.saturating_add(1);
                    node = name;
                    (Token::Begin { depth, name }, end.saturating_add(1))
                }
                PROP if depth > 0 => {
                    let size = number(body, 0).and_then(|size| usize::try_from(size).ok()).ok_or(damaged)?;
                    let name_at = number(body, 4).ok_or(damaged)?;
                    let value = body.get(8..).and_then(|value| value.get(..size)).ok_or(damaged)?;
                    let name = usize::try_from(name_at).ok().and_then(|name_at| self.strings.get(name_at..));
                    // Without its NUL it would go on into what is put behind it.
                    let name = name.and_then(|name| name.get(..name.iter().position(|&byte| byte == 0)?));
                    let name = name.ok_or(damaged)?;
                    (Token::Property { depth, node, name, name_at, value }, size.saturating_add(8))
                }
                END_NODE => {
                    depth = depth.checked_sub(1).ok_or(damaged)?;
                    node = b"";
                    (Token::End { depth }, 0)
                }
                NOP => (Token::Nop, 0),
                END if depth == 0 && has_root => return Ok(()),
                _ => return Err(damaged),
            };
            each(token)?;
            // Every token begins at a multiple of four.
            let length = length.checked_next_multiple_of(4).and_then(|length| length.checked_add(4));
            at = length.and_then(|length| at.checked_add(length)).ok_or(damaged)?;
        }
    }
}

/// A token of the structure block. `depth` is 1 for the root's own.
enum Token<'t> {
    Begin {
        depth: usize,
        name: &'t [u8],
    },
    /// `node` is the name of the node that it is in.
    Property {
        depth: usize,
        node: &'t [u8],
        name: &'t [u8],
        name_at: u32,
        value: &'t [u8],
    },
    /// The depth that the node lay in.
    End {
        depth: usize,
    },
    Nop,
}

/// Bytes written one after the other to a buffer that may be too small.
struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Defect> {
        crate::base::bytes::put(self.buffer, self.at, bytes).ok_or(Defect::TooLarge)?;
        self.at = self.at.saturating_add(bytes.len());
        Ok(())
    }

    fn number(&mut self, number: u32) -> Result<(), Defect> {
        self.bytes(&number.to_be_bytes())
    }

    /// Bytes, and zeros up to a multiple of four.
    fn padded(&mut self, bytes: &[u8]) -> Result<(), Defect> {
        self.bytes(bytes)?;
        while !self.at.is_multiple_of(4) {
            self.bytes(&[0])?;
        }
        Ok(())
    }

    fn property(&mut self, name_at: u32, parts: [&[u8]; 2]) -> Result<(), Defect> {
        let [first, second] = parts;
        self.number(PROP)?;
        self.number(u32_of(first.len().saturating_add(second.len()))?)?;
        self.number(name_at)?;
        self.bytes(first)?;
        self.padded(second)
    }
}

fn u32_of(length: usize) -> Result<u32, Defect> {
    u32::try_from(length).map_err(|_| Defect::TooLarge)
}

/// Where a name lies in a strings block, with its NUL: whole, or as the end of another.
fn find_name(strings: &[u8], name: &[u8]) -> Option<usize> {
    let is_name = |window: &[u8]| window.split_last() == Some((&0, name));
    strings.windows(name.len().saturating_add(1)).position(is_name)
}

/// Where a name of [`NAMES`] lies in the new strings block: in the old one, or behind it
/// after the others that are not there. A chain of kexecs does not make it longer.
fn name_at(strings: &[u8], index: usize) -> Result<u32, Defect> {
    let Some(name) = NAMES.get(index) else { return Err(Defect::TooLarge) };
    if let Some(found) = find_name(strings, name) {
        return u32_of(found);
    }
    let missing = NAMES.iter().take(index).filter(|name| find_name(strings, name).is_none());
    u32_of(missing.fold(strings.len(), |at, name| at.saturating_add(name.len()).saturating_add(1)))
}

/// Writes `tree` with its /chosen changed as `chosen` says to the front of `buffer`;
/// answers its length.
pub fn edit(tree: &[u8], chosen: &Chosen, buffer: &mut [u8]) -> Result<usize, Defect> {
    let tree = Tree::new(tree)?;
    let largest = buffer.len().min(LARGEST);
    let mut out = Writer { buffer: buffer.get_mut(..largest).unwrap_or_default(), at: 0 };
    out.bytes(&[0; HEADER_SIZE])?;
    let reservations_at = out.at;
    out.bytes(tree.reservations)?;
    let structure_at = out.at;

    let mut done = false;
    tree.walk(&mut |token| match token {
        Token::Nop => Ok(()),
        Token::Begin { depth, name } => {
            out.number(BEGIN_NODE)?;
            out.bytes(name)?;
            out.padded(&[0])?;
            if depth == 2 && name == b"chosen" && !done {
                done = true;
                add_chosen(&mut out, &tree, chosen)?;
            }
            Ok(())
        }
        Token::Property { depth: 2, node: b"chosen", name, .. }
            if is_replaced(name) || is_efi(name) && chosen.running.is_some() =>
        {
            Ok(())
        }
        Token::Property { name_at, value, .. } => out.property(name_at, [value, b""]),
        Token::End { depth } => {
            if depth == 0 && !done {
                out.number(BEGIN_NODE)?;
                out.padded(b"chosen\0")?;
                add_chosen(&mut out, &tree, chosen)?;
                out.number(END_NODE)?;
            }
            out.number(END_NODE)
        }
    })?;
    out.number(END)?;
    let strings_at = out.at;
    out.bytes(tree.strings)?;
    for name in NAMES.iter().filter(|name| find_name(tree.strings, name).is_none()) {
        out.bytes(name)?;
        out.bytes(&[0])?;
    }
    let total = out.at;

    out.at = 0;
    let fields = [
        total,
        structure_at,
        strings_at,
        reservations_at,
        VERSION as usize,
        OLDEST as usize,
        tree.boot_cpu as usize,
        total.saturating_sub(strings_at),
        strings_at.saturating_sub(structure_at),
    ];
    out.number(MAGIC)?;
    fields.into_iter().try_for_each(|field| out.number(u32_of(field)?))?;
    Ok(total)
}

/// Whether a property of /chosen is left out: it was of the boot that is over.
fn is_replaced(name: &[u8]) -> bool {
    NAMES.iter().take(FIRST_OF_EFI).chain(&OF_THIS_START).any(|replaced| *replaced == name)
}

fn is_efi(name: &[u8]) -> bool {
    NAMES.iter().skip(FIRST_OF_EFI).any(|known| *known == name)
}

/// Is given a property's number in [`NAMES`] and its value.
type Taker<'e> = &'e mut dyn FnMut(usize, &[u8]) -> Result<(), Defect>;

/// Calls `each` with what a tree's /chosen says of EFI.
fn each_of_efi(tree: &Tree, each: Taker) -> Result<(), Defect> {
    tree.walk(&mut |token| match token {
        Token::Property { depth: 2, node: b"chosen", name, value, .. } if is_efi(name) => {
            let index = NAMES.iter().position(|known| *known == name);
            index.map_or(Ok(()), |index| each(index, value))
        }
        _ => Ok(()),
    })
}

/// Writes the new properties of /chosen.
fn add_chosen(out: &mut Writer, tree: &Tree, chosen: &Chosen) -> Result<(), Defect> {
    let at = |index| name_at(tree.strings, index);
    // A string's value has its NUL.
    out.property(at(BOOTARGS)?, [chosen.bootargs, b"\0"])?;
    if let Some((start, end)) = chosen.initrd {
        out.property(at(INITRD_START)?, [&start.to_be_bytes(), b""])?;
        out.property(at(INITRD_END)?, [&end.to_be_bytes(), b""])?;
    }
    if let Some((kaslr, rng)) = chosen.seed.and_then(|seed| seed.split_at_checked(8)) {
        out.property(at(KASLR_SEED)?, [kaslr, b""])?;
        out.property(at(RNG_SEED)?, [rng, b""])?;
    }
    match chosen.running {
        Some(running) => {
            each_of_efi(&Tree::new(running)?, &mut |index, value| out.property(at(index)?, [value, b""]))
        }
        None => Ok(()),
    }
}

/// Puts the memory that [`edit`]'s tree tells of into `memory`, less what it reserves;
/// false, and nothing, where the next kernel goes by EFI's memory map instead: that of
/// the `running` tree, where it is another.
///
/// Devicetree Specification v0.4, 3.4 "/memory node", 2.3.5 "#address-cells and
/// #size-cells", 5.3 "Memory Reservation Block".
pub fn memory(tree: &[u8], running: Option<&[u8]>, memory: &mut RangeSet) -> Result<bool, NoPlan> {
    let new = |bytes| Tree::new(bytes).map_err(NoPlan::DeviceTree);
    let mut by_efi = false;
    let mut note = |_, _: &[u8]| {
        by_efi = true;
        Ok(())
    };
    each_of_efi(&new(running.unwrap_or(tree))?, &mut note).map_err(NoPlan::DeviceTree)?;
    if by_efi {
        return Ok(false);
    }
    let tree = new(tree)?;
    let (mut address_cells, mut size_cells) = (2usize, 1usize);
    let mut full = None;
    tree.walk(&mut |token| {
        match token {
            Token::Property { depth: 1, name: b"#address-cells", value, .. } => {
                address_cells = number(value, 0).unwrap_or(2) as usize;
            }
            Token::Property { depth: 1, name: b"#size-cells", value, .. } => {
                size_cells = number(value, 0).unwrap_or(1) as usize;
            }
            Token::Property { depth: 2, node, name: b"reg", value, .. }
                if node == b"memory" || node.starts_with(b"memory@") =>
            {
                let entry = address_cells.saturating_add(size_cells).saturating_mul(4).max(4);
                for entry in value.chunks_exact(entry) {
                    let (address, size) =
                        entry.split_at_checked(address_cells.saturating_mul(4)).unwrap_or_default();
                    if let Some(range) = Range::sized(cells(address), cells(size)) {
                        full = memory.insert(range).err().or(full);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })
    .map_err(NoPlan::DeviceTree)?;
    if memory.is_empty() {
        return Err(NoPlan::DeviceTree(Defect::NoMemory));
    }
    for entry in tree.reservations.chunks_exact(16) {
        let (address, size) = entry.split_at_checked(8).unwrap_or_default();
        if let Some(range) = Range::sized(cells(address), cells(size)) {
            full = memory.remove(range).err().or(full);
        }
    }
    full.map_or(Ok(true), |full| Err(full.into()))
}

/// A number of several cells.
fn cells(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// How many bytes [`edit`] may need for a tree of `length` bytes and a command line.
pub fn room(length: usize, command_line: usize) -> usize {
    length.saturating_add(command_line).saturating_add(1024)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The tree of QEMU's arm64 machine with device tree firmware, without its padding.
    pub(crate) const VIRT: &[u8] = include_bytes!("captured/virt.dtb");

    type Properties = BTreeMap<String, Vec<u8>>;

    /// Every property of a tree by its path, read in another way than the code above does:
    /// by the offsets of the specification and a stack of names.
    pub(crate) fn read(tree: &[u8]) -> Properties {
        let number = |at: usize| u32::from_be_bytes(tree[at..at + 4].try_into().unwrap()) as usize;
        let text = |at: usize| {
            let end = at + tree[at..].iter().position(|&byte| byte == 0).unwrap();
            String::from_utf8(tree[at..end].to_vec()).unwrap()
        };
        assert_eq!(number(4), tree.len(), "totalsize");
        let (mut at, strings) = (number(8), number(12));
        let mut path = Vec::new();
        let mut properties = Properties::new();
        loop {
            let kind = number(at);
            at += 4;
            match kind {
                1 => {
                    path.push(text(at));
                    properties.insert(format!("{}/", path.join("/")), Vec::new());
                    at += path.last().unwrap().len() + 1;
                }
                2 => drop(path.pop().unwrap()),
                3 => {
                    let (length, name) = (number(at), text(strings + number(at + 4)));
                    let value = tree[at + 8..at + 8 + length].to_vec();
                    let twice = properties.insert(format!("{}/{name}", path.join("/")), value);
                    assert_eq!(twice, None, "{name} is there twice");
                    at += 8 + length;
                }
                4 => {}
                9 => break,
                other => panic!("token {other} at {at}"),
            }
            at = at.next_multiple_of(4);
        }
        assert!(path.is_empty());
        properties
    }

    fn edited(tree: &[u8], chosen: &Chosen) -> Result<Vec<u8>, Defect> {
        let mut buffer = vec![0xee; room(tree.len(), chosen.bootargs.len())];
        let length = edit(tree, chosen, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    fn chosen<'c>() -> Chosen<'c> {
        Chosen { bootargs: b"root=/dev/vda", initrd: Some((0x4800_0000, 0x4801_0001)), ..Chosen::default() }
    }

    #[test]
    fn only_what_is_of_this_boot_changes() {
        let before = read(VIRT);
        let seed = core::array::from_fn(|i| i as u8);
        let after = read(&edited(VIRT, &Chosen { seed: Some(&seed), ..chosen() }).unwrap());
        let others = |properties: &Properties| {
            let of_boot = |path: &String| {
                NAMES[..5].iter().any(|name| *path == format!("/chosen/{}", String::from_utf8_lossy(name)))
            };
            properties.clone().into_iter().filter(|(path, _)| !of_boot(path)).collect::<Vec<_>>()
        };
        assert!(others(&before).len() > 100);
        assert_eq!(others(&before), others(&after));
        assert_eq!(after["/chosen/bootargs"], b"root=/dev/vda\0");
        assert_eq!(after["/chosen/linux,initrd-start"], 0x4800_0000u64.to_be_bytes());
        assert_eq!(after["/chosen/linux,initrd-end"], 0x4801_0001u64.to_be_bytes());
        assert_eq!(after["/chosen/kaslr-seed"], seed[..8]);
        assert_eq!(after["/chosen/rng-seed"], seed[8..]);
    }

    #[test]
    fn a_chain_stays_as_long_as_it_is_and_old_marks_go() {
        let first = edited(VIRT, &Chosen { seed: Some(&[7; 40]), ..chosen() }).unwrap();
        let again = edited(&first, &Chosen { seed: Some(&[7; 40]), ..chosen() }).unwrap();
        assert_eq!(first.len(), again.len());
        assert_eq!(read(&first), read(&again));
        let bare = read(&edited(&first, &Chosen::default()).unwrap());
        for gone in ["linux,initrd-start", "linux,initrd-end", "kaslr-seed", "rng-seed"] {
            assert!(!bare.contains_key(&format!("/chosen/{gone}")), "{gone}");
        }
        assert_eq!(bare["/chosen/bootargs"], b"\0");
    }

    /// A name and what it holds.
    type Named<'n, T> = (&'n str, &'n [T]);

    /// A tree of a root with these nodes in it, by token.
    fn made(nodes: &[Named<Named<u8>>]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut structure = Vec::new();
        let push = |number: u32| number.to_be_bytes().to_vec();
        let padded = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        structure.extend([push(1), push(0)].concat());
        for (name, properties) in nodes {
            structure.extend([push(1), padded(format!("{name}\0").as_bytes())].concat());
            for (name, value) in *properties {
                let parts = [push(3), push(value.len() as u32), push(strings.len() as u32), padded(value)];
                structure.extend(parts.concat());
                strings.extend_from_slice(format!("{name}\0").as_bytes());
            }
            structure.extend(push(2));
        }
        structure.extend([push(2), push(9)].concat());
        let (at, length) = (40 + 16, structure.len());
        let total = at + length + strings.len();
        let fields = [0xd00d_feed, total, at, at + length, 40, 17, 16, 0, strings.len(), length];
        let header: Vec<u8> = fields.iter().flat_map(|&field| push(field as u32)).collect();
        [header, vec![0; 16], structure, strings].concat()
    }

    /// The tree of a machine that was started by EFI.
    pub(crate) fn efi_tree() -> Vec<u8> {
        made(&[("chosen", &[("linux,uefi-mmap-start", &[1; 8])])])
    }

    const MEMORY: Named<Named<u8>> = ("memory@0", &[("reg", &[0, 0, 0, 1])]);

    #[test]
    fn the_memory_that_a_tree_tells_of() {
        let found = |tree: &[u8]| {
            let mut set = RangeSet::new();
            let by_tree = memory(tree, None, &mut set).unwrap();
            (by_tree, set.iter().map(|range| (range.start(), range.end())).collect::<Vec<_>>())
        };
        assert_eq!(found(VIRT), (true, vec![(0x4000_0000, 0x7000_0000)]));
        // Two cells and one; the second entry has no size. One reservation.
        let reg = [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut tree = made(&[("memory@0", &[("reg", &reg)])]);
        assert_eq!(found(&tree), (true, vec![(0x1_0000_0000, 0x1_0001_0000)]));
        tree.splice(40..40, [0u64.to_be_bytes(), 0x1_0000_1000u64.to_be_bytes()].concat());
        for field in [1, 2, 3] {
            let at = field * 4;
            let value = u32::from_be_bytes(tree[at..at + 4].try_into().unwrap()) + 16;
            tree[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        assert_eq!(found(&tree), (true, vec![(0x1_0000_1000, 0x1_0001_0000)]));
        assert!(!found(&efi_tree()).0);
        // The running tree's EFI is handed on, the other's own is not.
        let mut set = RangeSet::new();
        assert_eq!(memory(&made(&[]), Some(&efi_tree()), &mut set), Ok(false));
        let refused = memory(&efi_tree(), Some(&made(&[])), &mut set);
        assert_eq!(refused, Err(NoPlan::DeviceTree(Defect::NoMemory)));
    }

    #[test]
    fn chosen_is_made_where_there_is_none() {
        let after = read(&edited(&made(&[MEMORY]), &chosen()).unwrap());
        assert_eq!(after["/chosen/bootargs"], b"root=/dev/vda\0");
        assert_eq!(after["/memory@0/reg"], [0, 0, 0, 1]);
    }

    #[test]
    fn what_a_crash_kernel_was_told_is_not_handed_on() {
        let tree = made(&[
            MEMORY,
            (
                "chosen",
                &[
                    ("linux,usable-memory-range", &[1; 16]),
                    ("linux,elfcorehdr", &[2; 16]),
                    ("stdout-path", b"x\0"),
                ],
            ),
        ]);
        let after = read(&edited(&tree, &chosen()).unwrap());
        assert!(
            !after.keys().any(|path| path.contains("usable-memory") || path.contains("elfcorehdr")),
            "{after:?}"
        );
        assert_eq!(after["/chosen/stdout-path"], b"x\0");
    }

    #[test]
    fn another_tree_gets_what_the_running_one_knows_of_efi() {
        let running =
            made(&[("chosen", &[("linux,uefi-mmap-start", &[1; 8]), ("linux,uefi-system-table", &[2; 8])])]);
        let other = made(&[("chosen", &[("linux,uefi-mmap-start", &[9; 8])])]);
        let after = read(&edited(&other, &Chosen { running: Some(&running), ..chosen() }).unwrap());
        assert_eq!(after["/chosen/linux,uefi-mmap-start"], [1; 8]);
        assert_eq!(after["/chosen/linux,uefi-system-table"], [2; 8]);
        // The running tree itself needs no help.
        assert_eq!(read(&edited(&running, &chosen()).unwrap())["/chosen/linux,uefi-mmap-start"], [1; 8]);
    }

    #[test]
    fn a_tree_without_memory_is_refused() {
        let told_of = |tree: &[u8]| memory(tree, None, &mut RangeSet::new());
        for nodes in
            [&[][..], &[("memory@0", &[("reg", &[0; 16][..])][..])], &[("cpus", &[("reg", &[1][..])][..])]]
        {
            assert_eq!(told_of(&made(nodes)), Err(NoPlan::DeviceTree(Defect::NoMemory)));
        }
    }

    #[test]
    fn damaged_trees_are_refused_and_none_is_a_panic() {
        assert_eq!(edited(b"hello", &chosen()), Err(Defect::Damaged("it is no device tree")));
        for length in 0..VIRT.len() {
            assert!(edited(&VIRT[..length], &chosen()).is_err(), "{length}");
        }
        let mut buffer = vec![0; VIRT.len()];
        assert_eq!(edit(VIRT, &chosen(), &mut buffer), Err(Defect::TooLarge));
        let small = made(&[MEMORY, ("chosen", &[("a", b"1")])]);
        for at in 0..small.len() {
            for byte in [0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xff] {
                let mut tree = small.clone();
                tree[at] = byte;
                // Whatever it answers: what it writes is a tree.
                if let Ok(after) = edited(&tree, &chosen()) {
                    assert_eq!(&after[..4], &[0xd0, 0x0d, 0xfe, 0xed], "{at}");
                }
            }
        }
    }
}
