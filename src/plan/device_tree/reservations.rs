//! The memory reservation block, without what was reserved for the boot that is over.

use super::Defect;
use super::reader::{Token, Tree};
use crate::base::bytes::array_at;

/// The sizes that a page of an arm64 kernel may have, in bytes.
const PAGES: [u64; 3] = [4 << 10, 16 << 10, 64 << 10];

/// The entries that the next kernel needs, and the zeros at the end.
///
/// An entry for the old initrd would keep its memory for good, and one more with each kexec_file_load:
/// that call adds an entry for the initrd that it loads (drivers/of/kexec.c), and drops the one for the
/// running kernel's initrd, whether it has the exact size or that of whole pages. So does this. The
/// kernel drops the entry of its own tree, too, by its address; nothing tells a program that, and by
/// its size alone an entry of the firmware's could be taken for it. It stays, and does not grow.
pub fn kept<'t>(tree: &Tree<'t>) -> Result<impl Iterator<Item = &'t [u8]>, Defect> {
    let initrd = old_initrd(tree)?;
    Ok(tree.reservations.chunks_exact(16).filter(move |entry| {
        let number = |at| array_at(entry, at).map_or(0, u64::from_be_bytes);
        let (start, size) = (number(0), number(8));
        let is_initrd = initrd.is_some_and(|initrd| is_for(start, size, initrd));
        size == 0 || !is_initrd
    }))
}

/// Whether an entry reserves exactly the bytes from the first address up to the second one, or their
/// pages.
fn is_for(start: u64, size: u64, (first, end): (u64, u64)) -> bool {
    let up_to = start.checked_add(size);
    let is_rounded = |page: u64| {
        let mask = page.saturating_sub(1);
        start == first & !mask && up_to == end.checked_add(mask).map(|end| end & !mask)
    };
    start == first && up_to == Some(end) || PAGES.into_iter().any(is_rounded)
}

/// Where the initrd of the boot that is over was.
fn old_initrd(tree: &Tree) -> Result<Option<(u64, u64)>, Defect> {
    let (mut start, mut end) = (None, None);
    for token in tree.tokens() {
        let Token::Property { depth: 2, node: b"chosen", name, value, .. } = token? else { continue };
        match name {
            b"linux,initrd-start" => start = address(value),
            b"linux,initrd-end" => end = address(value),
            _ => {}
        }
    }
    Ok(start.zip(end))
}

/// An address of one cell or of two (drivers/of/fdt.c, early_init_dt_check_for_initrd).
fn address(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => array_at(value, 0).map(|cell| u32::from_be_bytes(cell).into()),
        8 => array_at(value, 0).map(u64::from_be_bytes),
        _ => None,
    }
}
