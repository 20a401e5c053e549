//! The flattened device tree for the next kernel: the running kernel's, or the user's. What
//! /chosen says of this boot is replaced; all else is copied.
//!
//! Devicetree Specification v0.4, "5. Flattened Devicetree (DTB) Format": a header, the
//! memory reservation block, the structure block and the strings block. Numbers are
//! big-endian.

mod chosen;
mod edit;
mod memory;
mod reader;
mod reservations;

pub use chosen::Chosen;
pub use edit::{edit, room};
pub use memory::{memory, shortfall};

/// What is wrong with a device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It is damaged, or not a device tree.
    Damaged(&'static str),
    /// When edited it is larger than 2 MiB or than the buffer.
    TooLarge,
    /// It describes no memory.
    NoMemory,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::chosen::NAMES;
    use super::*;
    use crate::base::range::RangeSet;
    use crate::plan::NoPlan;
    use crate::plan::crash::CrashKernel;
    use std::collections::BTreeMap;

    /// The tree of QEMU's arm64 machine with device tree firmware, without its padding.
    pub(crate) const VIRT: &[u8] = include_bytes!("../captured/virt.dtb");

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
    const IS_MEMORY: (&str, &[u8]) = ("device_type", b"memory\0");

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
        let mut tree = made(&[("memory@0", &[("reg", &reg), IS_MEMORY])]);
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
    fn a_placeholder_for_the_memory_is_told_from_all_of_it() {
        let small = [0, 0, 0, 0, 0x40, 0, 0, 0, 0x10, 0, 0, 0];
        let placeholder = made(&[("memory@40000000", &[("reg", &small), IS_MEMORY])]);
        assert_eq!(shortfall(&placeholder, VIRT), Some((0x1000_0000, 0x3000_0000)));
        assert_eq!(shortfall(VIRT, &placeholder), None);
        assert_eq!(shortfall(VIRT, VIRT), None);
        assert_eq!(shortfall(&placeholder, &efi_tree()), None);
    }

    #[test]
    fn memory_is_what_the_kernel_takes_for_it() {
        let reg = [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x10, 0, 0];
        let less = [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x08, 0, 0];
        let off: (&str, &[u8]) = ("status", b"disabled\0");
        let on: (&str, &[u8]) = ("status", b"okay\0");
        let whole = Some(0x8010_0000);
        // the node's name, its properties -> where its memory ends
        let table: &[(Named<Named<u8>>, Option<u64>)] = &[
            (("memory@80000000", &[IS_MEMORY, ("reg", &reg)]), whole),
            (("bank", &[("reg", &reg), IS_MEMORY, on]), whole),
            (("memory@80000000", &[("reg", &reg)]), None),
            (("memory@80000000", &[("reg", &reg), IS_MEMORY, off]), None),
            (("memory", &[("reg", &reg), ("linux,usable-memory", &less), IS_MEMORY]), Some(0x8008_0000)),
        ];
        for (node, wanted) in table {
            let mut set = RangeSet::new();
            let answer = memory(&made(&[*node]), None, &mut set);
            let end = set.iter().map(|range| range.end()).next();
            assert_eq!((answer.is_ok(), end), (wanted.is_some(), *wanted), "{node:x?}");
        }
    }

    #[test]
    fn what_a_tree_sets_aside_is_not_memory() {
        let part = [0, 0, 0, 0, 0x80, 0x04, 0, 0, 0, 0x04, 0, 0];
        let reg = [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x10, 0, 0];
        let nested = |name: &str, more: &[(&str, &[u8])]| {
            let inner = [&[("reg", &part[..])], more].concat();
            let tree = made(&[("memory@0", &[("reg", &reg), IS_MEMORY]), (name, &inner)]);
            // The node's properties belong to a node inside of it.
            let text = format!("{name}\0");
            let at = tree.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
            let at = (at + text.len()).next_multiple_of(4);
            let (before, rest) = tree.split_at(at);
            let inside = [&1u32.to_be_bytes()[..], b"x\0\0\0"].concat();
            let end = rest.windows(8).position(|window| window == [0, 0, 0, 2, 0, 0, 0, 2]).unwrap();
            let mut tree = [before, &inside, &rest[..end], &2u32.to_be_bytes(), &rest[end..]].concat();
            for (field, more) in [(4, 12), (12, 12), (36, 12)] {
                let old = u32::from_be_bytes(tree[field..field + 4].try_into().unwrap());
                tree[field..field + 4].copy_from_slice(&(old + more).to_be_bytes());
            }
            let mut set = RangeSet::new();
            assert_eq!(memory(&tree, None, &mut set), Ok(true), "{name}");
            set.iter().map(|range| (range.start(), range.end())).collect::<Vec<_>>()
        };
        let whole = vec![(0x8000_0000, 0x8010_0000)];
        let pieces = vec![(0x8000_0000, 0x8004_0000), (0x8008_0000, 0x8010_0000)];
        assert_eq!(nested("reserved-memory", &[]), pieces);
        assert_eq!(nested("reserved-memory", &[("status", b"disabled\0")]), whole);
        assert_eq!(nested("soc", &[]), whole);
    }

    #[test]
    fn chosen_is_made_where_there_is_none() {
        let after = read(&edited(&made(&[MEMORY]), &chosen()).unwrap());
        assert_eq!(after["/chosen/bootargs"], b"root=/dev/vda\0");
        assert_eq!(after["/memory@0/reg"], [0, 0, 0, 1]);
    }

    #[test]
    fn a_crash_kernel_is_told_its_memory_and_the_core_header() {
        let range = |start, end| crate::base::range::Range::new(start, end).unwrap();
        let crash = CrashKernel {
            main: range(0x1_6000_0000, 0x1_7000_0000),
            low: None,
            map: crate::plan::memory_map::MemoryMap::new(),
            header: vec![1; 100],
            header_at: range(0x1_6fff_0000, 0x1_7000_0000),
            #[cfg(feature = "vmcore")]
            is_followed: false,
        };
        let written = |tree: &[u8], crash| edited(tree, &Chosen { crash: Some(crash), ..chosen() });
        let tree = written(VIRT, &crash).unwrap();
        let after = read(&tree);
        let numbers =
            |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        assert_eq!(after["/chosen/linux,elfcorehdr"], numbers(&[0x1_6fff_0000, 0x1_0000]));
        assert_eq!(after["/chosen/linux,usable-memory-range"], numbers(&[0x1_6000_0000, 0x1000_0000]));
        let two = CrashKernel { low: Some(range(0x5000_0000, 0x5800_0000)), ..crash.clone() };
        let low = numbers(&[0x1_6000_0000, 0x1000_0000, 0x5000_0000, 0x800_0000]);
        assert_eq!(read(&written(VIRT, &two).unwrap())["/chosen/linux,usable-memory-range"], low);
        // A kexec from a crash kernel, and any other, leaves both out.
        let next = edited(&tree, &chosen()).unwrap();
        assert!(!read(&next).keys().any(|name| name.contains("elfcorehdr") || name.contains("usable")));
        // A size of one cell, as a root without #size-cells has it.
        let tree = written(&made(&[MEMORY]), &crash).unwrap();
        let wanted = [&0x1_6fff_0000u64.to_be_bytes()[..], &0x1_0000u32.to_be_bytes()].concat();
        assert_eq!(read(&tree)["/chosen/linux,elfcorehdr"], wanted);
        let large = CrashKernel { main: range(0x1_0000_0000, 0x3_0000_0000), ..crash.clone() };
        assert_eq!(written(&made(&[MEMORY]), &large), Err(Defect::TooLarge));
    }

    /// [`VIRT`], started with an initrd there, with these reservations: addresses and sizes.
    fn reserving(entries: &[(u64, u64)], initrd: (u64, u64)) -> Vec<u8> {
        let mut tree = edited(VIRT, &Chosen { initrd: Some(initrd), ..chosen() }).unwrap();
        let number = |tree: &[u8], at: usize| u32::from_be_bytes(tree[at..at + 4].try_into().unwrap());
        let at = number(&tree, 16) as usize;
        let block: Vec<u8> =
            entries.iter().flat_map(|&(start, size)| [start, size]).flat_map(u64::to_be_bytes).collect();
        let total = tree.len() as u32;
        tree.splice(at..at, block.iter().copied());
        for field in [4, 8, 12] {
            let old = number(&tree, field);
            tree[field..field + 4].copy_from_slice(&(old + block.len() as u32).to_be_bytes());
        }
        assert_eq!(number(&tree, 4), total + block.len() as u32);
        tree
    }

    #[test]
    fn what_was_reserved_for_the_boot_that_is_over_is_free_again() {
        let initrd = (0x4800_0800, 0x4a00_1234);
        let (start, size) = (initrd.0, initrd.1 - initrd.0);
        let pages = |page: u64| {
            let first = start & !(page - 1);
            (first, initrd.1.next_multiple_of(page) - first)
        };
        let firmware = (0x4000_0000, 0x8_0000);
        // an entry -> whether the next kernel is told of it
        let table = [
            ((start, size), false),
            (pages(4096), false),
            (pages(16384), false),
            (pages(65536), false),
            ((start, size - 1), true),
            ((start - 8, size), true),
            ((0x4fff_0000, 0x1_0000), true),
        ];
        for (entry, wanted) in table {
            let tree = reserving(&[firmware, entry], initrd);
            let after = edited(&tree, &chosen()).unwrap();
            let kept: Vec<u8> =
                [firmware.0, firmware.1, entry.0, entry.1].into_iter().flat_map(u64::to_be_bytes).collect();
            let kept = &kept[..if wanted { 32 } else { 16 }];
            assert_eq!(&after[40..40 + kept.len() + 16], [kept, &[0; 16]].concat(), "{entry:x?}");
            let mut known = RangeSet::new();
            assert_eq!(memory(&tree, None, &mut known), Ok(true));
            let is_free = known.contains(crate::base::range::Range::sized(entry.0, 8).unwrap());
            assert_eq!(is_free, !wanted, "{entry:x?}");
        }
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
        assert_eq!(edited(b"hello", &chosen()), Err(Defect::Damaged("not a device tree")));
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
