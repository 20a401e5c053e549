//! The properties of /chosen: which are replaced, which are EFI's, and where their names are
//! in the strings block.

use super::Defect;
use super::reader::{Token, Tree};
use crate::plan::crash::CrashKernel;

/// What the next kernel's /chosen says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'c> {
    /// The command line, without a NUL.
    pub bootargs: &'c [u8],
    /// The physical addresses of the first byte of the initrds and of the first byte after
    /// them.
    pub initrd: Option<(u64, u64)>,
    /// Random bytes: 8 for the kernel's place, 32 for its random numbers.
    pub seed: Option<&'c [u8; 40]>,
    /// The running kernel's tree, if another one is edited. What it says of EFI is true of
    /// this machine, and the other tree cannot know it.
    pub running: Option<&'c [u8]>,
    /// What a crash kernel is told.
    pub crash: Option<&'c CrashKernel>,
}

// Indexes in NAMES of the properties that are replaced.
pub const BOOTARGS: usize = 0;
pub const INITRD_START: usize = 1;
pub const INITRD_END: usize = 2;
pub const KASLR_SEED: usize = 3;
pub const RNG_SEED: usize = 4;
pub const ELFCOREHDR: usize = 5;
pub const USABLE_MEMORY_RANGE: usize = 6;
/// The names of the properties that are replaced, and then of those with which the EFI stub
/// hands on its memory map (drivers/firmware/efi/fdtparams.c).
pub const NAMES: [&[u8]; 13] = [
    b"bootargs",
    b"linux,initrd-start",
    b"linux,initrd-end",
    b"kaslr-seed",
    b"rng-seed",
    b"linux,elfcorehdr",
    b"linux,usable-memory-range",
    b"linux,uefi-system-table",
    b"linux,uefi-mmap-start",
    b"linux,uefi-mmap-size",
    b"linux,uefi-mmap-desc-size",
    b"linux,uefi-mmap-desc-ver",
    b"linux,uefi-secure-boot",
];
const FIRST_OF_EFI: usize = 7;

/// What is true only of the running kernel's start (drivers/of/kexec.c): addresses of memory that is not
/// kept.
const OF_THIS_START: [&[u8]; 3] = [b"linux,ima-kexec-buffer", b"linux,kho-fdt", b"linux,kho-scratch"];

/// Whether a property belongs to the boot that is over, and is left out.
pub fn is_replaced(name: &[u8]) -> bool {
    NAMES.iter().take(FIRST_OF_EFI).chain(&OF_THIS_START).any(|replaced| *replaced == name)
}

/// The index in [`NAMES`] of a property of EFI.
pub fn efi_index(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|known| *known == name).filter(|&index| index >= FIRST_OF_EFI)
}

/// The properties of EFI in a tree's /chosen: the index in [`NAMES`] and the value of each.
pub fn of_efi<'t>(tree: &Tree<'t>) -> impl Iterator<Item = Result<(usize, &'t [u8]), Defect>> {
    tree.tokens().filter_map(|token| match token {
        Ok(Token::Property { depth: 2, node: b"chosen", name, value, .. }) => {
            efi_index(name).map(|index| Ok((index, value)))
        }
        Ok(_) => None,
        Err(defect) => Some(Err(defect)),
    })
}

/// The names that `tree`'s strings block lacks, from the first `count` of [`NAMES`].
pub fn missing(tree: &Tree, count: usize) -> impl Iterator<Item = &'static [u8]> {
    NAMES.into_iter().take(count).filter(|name| find_name(tree.strings, name).is_none())
}

/// The offset of a name of [`NAMES`] in the new strings block: in the old block, or among the
/// names that are appended because they are missing there. Names that are there are used
/// again, so that a chain of kexecs does not make the block longer and longer.
pub fn name_at(tree: &Tree, index: usize) -> Result<u32, Defect> {
    let Some(name) = NAMES.get(index) else { return Err(Defect::TooLarge) };
    let offset = find_name(tree.strings, name).unwrap_or_else(|| {
        let end = tree.strings.len();
        missing(tree, index).fold(end, |at, name| at.saturating_add(name.len()).saturating_add(1))
    });
    u32::try_from(offset).map_err(|_| Defect::TooLarge)
}

/// The offset of a name with its NUL in a strings block: whole, or as the end of another
/// name.
fn find_name(strings: &[u8], name: &[u8]) -> Option<usize> {
    let is_name = |window: &[u8]| window.split_last() == Some((&0, name));
    strings.windows(name.len().saturating_add(1)).position(is_name)
}
