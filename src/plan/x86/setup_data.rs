//! The list of setup_data: what boot_params has no field or no room for.

use super::boot_params::{self, E820_ENTRY_SIZE, E820_MAX_ENTRIES_ZEROPAGE};
use super::{Parameters, pad};
use crate::base::bytes::{put, u64_at};
use crate::plan::memory_map::MemoryMap;

// Types of setup_data (arch/x86/include/uapi/asm/setup_data.h).
/// More entries of the memory map than boot_params has room for.
pub const SETUP_E820_EXT: u32 = 1;
pub const SETUP_EFI: u32 = 4;
const SETUP_RNG_SEED: u32 = 9;

/// The size of a node before its data: next, type, len.
const HEADER_SIZE: usize = 16;

/// Appends a node with `length` zero bytes of data, and puts it at the head of the list
/// (boot_params.hdr.setup_data). Answers the offset of its data. Links are offsets until
/// [`put_addresses`] turns them into addresses. `None` if the parameters get too large.
pub fn push(parameters: &mut Parameters, kind: u32, length: usize) -> Option<usize> {
    let node = pad(parameters, 16)?;
    let data = node.checked_add(HEADER_SIZE)?;
    parameters.resize(data.checked_add(length)?, 0).ok()?;
    // "the next is a 64-bit physical pointer to the next node of linked list, the next
    // field of the last node is 0"
    let head = u64_at(parameters, boot_params::SETUP_DATA)?;
    put(parameters, node, &head.to_le_bytes())?;
    put(parameters, node.checked_add(8)?, &kind.to_le_bytes())?;
    put(parameters, node.checked_add(12)?, &u32::try_from(length).ok()?.to_le_bytes())?;
    put(parameters, boot_params::SETUP_DATA, &(node as u64).to_le_bytes())?;
    Some(data)
}

/// Appends the entries of the memory map that boot_params has no room for, if any.
pub fn push_e820(parameters: &mut Parameters, map: &MemoryMap) -> Option<()> {
    let rest = map.entries().get(E820_MAX_ENTRIES_ZEROPAGE..).unwrap_or_default();
    if rest.is_empty() {
        return Some(());
    }
    let data = push(parameters, SETUP_E820_EXT, rest.len().checked_mul(E820_ENTRY_SIZE)?)?;
    boot_params::put_e820(parameters, data, rest)
}

/// Appends random bytes for the next kernel, if there are any.
pub fn push_seed(parameters: &mut Parameters, seed: Option<&[u8; 32]>) -> Option<()> {
    let Some(seed) = seed else { return Some(()) };
    let data = push(parameters, SETUP_RNG_SEED, seed.len())?;
    put(parameters, data, seed)
}

/// Turns the offsets of the list's nodes into addresses; the parameters will lie at `at`.
pub fn put_addresses(parameters: &mut Parameters, at: u64) -> Option<()> {
    let mut link = boot_params::SETUP_DATA;
    loop {
        let offset = u64_at(parameters, link)?;
        if offset == 0 {
            return Some(());
        }
        put(parameters, link, &at.checked_add(offset)?.to_le_bytes())?;
        link = usize::try_from(offset).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::boot_params as bp;
    use super::*;
    use crate::base::bytes::u32_at;
    use crate::image::bzimage::tests::sample;
    use crate::plan::memory_map::Kind;
    use crate::plan::x86::tests::Fixture;

    #[test]
    fn e820_beyond_128_goes_to_setup_data_in_order() {
        let mut fixture = Fixture::new();
        for i in 0..295 {
            fixture.add(0x10_0000_0000 + i * 0x2000, 0x10_0000_1000 + i * 0x2000, Kind::Reserved);
        }
        fixture.seed = Some([0x5e; 32]);
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert_eq!(laid.page[bp::E820_ENTRIES], 128);
        let nodes = laid.setup_data();
        assert_eq!(nodes.iter().map(|node| node.0).collect::<Vec<_>>(), [SETUP_RNG_SEED, SETUP_E820_EXT]);
        assert_eq!(nodes[0].1, [0x5e; 32]);
        let table = &laid.page[bp::E820_TABLE..bp::E820_TABLE + 128 * 20];
        let all: Vec<u8> = [table, nodes[1].1].concat();
        assert_eq!(all.len(), 300 * 20);
        for (bytes, entry) in all.chunks_exact(20).zip(fixture.map.entries()) {
            assert_eq!(u64_at(bytes, 0), Some(entry.range.start()));
            assert_eq!(u64_at(bytes, 8), Some(entry.range.size()));
            assert_eq!(u32_at(bytes, 16), Some(entry.kind.e820_type()));
        }
    }
}
