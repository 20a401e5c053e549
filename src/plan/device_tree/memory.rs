//! Which memory a tree describes.

use super::Defect;
use super::chosen::of_efi;
use super::reader::{Token, Tree, number};
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
    add_memory_nodes(&tree, memory)?;
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

/// Whether a tree hands on EFI's memory map. The whole tree is checked for it.
fn has_efi_map(tree: &[u8]) -> Result<bool, Defect> {
    let mut found = false;
    for property in of_efi(&Tree::new(tree)?) {
        property?;
        found = true;
    }
    Ok(found)
}

/// Adds what `reg` of each /memory node says.
fn add_memory_nodes(tree: &Tree, memory: &mut RangeSet) -> Result<(), NoPlan> {
    // The root's #address-cells and #size-cells: how many 32-bit cells an address and a size
    // have, with the values that the specification assumes without them.
    let (mut address_cells, mut size_cells) = (2usize, 1usize);
    for token in tree.tokens() {
        match token? {
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
                    if let Some(range) = range(entry, address_cells.saturating_mul(4)) {
                        memory.insert(range)?;
                    }
                }
            }
            _ => {}
        }
    }
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
