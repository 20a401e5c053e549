//! Which memory a tree describes.

use super::Defect;
use super::chosen::of_efi;
use super::reader::{Cells, Token, Tree};
use super::reservations;
use crate::base::range::{Range, RangeSet};
use crate::plan::NoPlan;

/// Adds the memory that the edited `tree` describes to `memory`, and removes what it
/// reserves. If the next kernel goes by EFI's memory map instead, the answer is false, and
/// `memory` stays as it is. What EFI says comes from the `running` kernel's tree, if that is
/// another.
///
/// Devicetree Specification v0.4, 3.4 "/memory node", 2.3.5 "#address-cells and
/// #size-cells", 5.3 "Memory Reservation Block".
pub fn memory(tree: &[u8], running: Option<&[u8]>, memory: &mut RangeSet) -> Result<bool, NoPlan> {
    if has_efi_map(running.unwrap_or(tree))? {
        return Ok(false);
    }
    let tree = Tree::new(tree)?;
    scan_nodes(&tree, memory)?;
    if memory.is_empty() {
        return Err(Defect::NoMemory.into());
    }
    for entry in reservations::kept(&tree)? {
        if let Some(range) = range(entry, 8) {
            memory.remove(range)?;
        }
    }
    Ok(true)
}

/// How much memory `given` tells the next kernel of, and how much `running` told this one, in bytes, where
/// it is less: the memory of a tree in a file may be a placeholder that a boot loader fills in. `None`
/// where it is not less, or where EFI's memory map counts.
pub fn shortfall(given: &[u8], running: &[u8]) -> Option<(u64, u64)> {
    let size = |tree| -> Result<u64, NoPlan> {
        let mut memory = RangeSet::new();
        scan_nodes(&Tree::new(tree)?, &mut memory)?;
        Ok(memory.iter().map(Range::size).fold(0, u64::saturating_add))
    };
    let (given, told) = (size(given).ok()?, size(running).ok()?);
    (given < told && !has_efi_map(running).ok()?).then_some((given, told))
}

/// Whether a tree hands on EFI's memory map. The whole tree is checked for it.
fn has_efi_map(tree: &[u8]) -> Result<bool, Defect> {
    let mut found = false;
    for property in of_efi(&Tree::new(tree)?) {
        property?;
        found = true;
    }
    Ok(found)
}

/// What is known of a node under the root or under /reserved-memory, until it ends.
#[derive(Default)]
struct Node<'t> {
    reg: Option<&'t [u8]>,
    usable: Option<&'t [u8]>,
    is_memory: bool,
    is_off: bool,
}

impl<'t> Node<'t> {
    fn take(&mut self, name: &[u8], value: &'t [u8]) {
        match name {
            b"reg" => self.reg = Some(value),
            b"linux,usable-memory" => self.usable = Some(value),
            b"device_type" => self.is_memory = value == b"memory\0",
            // drivers/of/fdt.c, of_fdt_device_is_available.
            b"status" => self.is_off = !matches!(value, b"ok\0" | b"okay\0"),
            _ => {}
        }
    }
}

/// Adds the ranges in a property.
fn add(cells: Cells, told: Option<&[u8]>, into: &mut RangeSet) -> Result<(), NoPlan> {
    let entry = cells.address.saturating_add(cells.size).max(4);
    for entry in told.unwrap_or_default().chunks_exact(entry) {
        if let Some(range) = range(entry, cells.address) {
            into.insert(range)?;
        }
    }
    Ok(())
}

/// Adds what each memory node says, and removes what each node of /reserved-memory reserves: by the
/// kernel's rules (drivers/of/fdt.c, early_init_dt_scan_memory; drivers/of/of_reserved_mem.c).
fn scan_nodes(tree: &Tree, memory: &mut RangeSet) -> Result<(), NoPlan> {
    // The nodes of /reserved-memory have as many, or the kernel does not read them.
    let cells = Cells::of_root(tree)?;
    let (mut node, mut reserved) = (Node::default(), RangeSet::new());
    let mut in_reserved = false;
    for token in tree.tokens() {
        match token? {
            Token::Begin { depth: 2, name } => {
                (node, in_reserved) = (Node::default(), name == b"reserved-memory");
            }
            Token::Begin { depth: 3, .. } if in_reserved => node = Node::default(),
            Token::Property { depth: 2, name, value, .. } => node.take(name, value),
            Token::Property { depth: 3, name, value, .. } if in_reserved => node.take(name, value),
            Token::End { depth: 1 } => {
                let ended = core::mem::take(&mut node);
                if ended.is_memory && !ended.is_off {
                    add(cells, ended.usable.or(ended.reg), memory)?;
                }
            }
            Token::End { depth: 2 } if in_reserved => {
                let ended = core::mem::take(&mut node);
                if !ended.is_off {
                    add(cells, ended.reg, &mut reserved)?;
                }
            }
            _ => {}
        }
    }
    reserved.iter().try_for_each(|range| memory.remove(range))?;
    Ok(())
}

/// The range that an address of so many bytes and the size behind it describe, if any.
fn range(entry: &[u8], address: usize) -> Option<Range> {
    let (address, size) = entry.split_at_checked(address).unwrap_or_default();
    Range::sized(cells(address), cells(size))
}

/// The number that several cells make; of a longer one the last 64 bits.
fn cells(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}
