//! Reads a tree: checks its header, finds its blocks, and splits the structure block into
//! tokens.

use super::Defect;
use crate::base::bytes::array_at;
use crate::base::range::Range;

/// The first number of the header.
pub const MAGIC: u32 = 0xd00d_feed;
/// "The version is 17 if using the structure as defined in this document."
pub const VERSION: u32 = 17;
/// The size of the header, in bytes.
pub const HEADER_SIZE: usize = 40;

// 5.4.1 "Lexical structure": the tokens.
pub const BEGIN_NODE: u32 = 1;
pub const END_NODE: u32 = 2;
pub const PROP: u32 = 3;
const NOP: u32 = 4;
pub const END: u32 = 9;

/// A tree whose header has been checked: its blocks lie inside it.
#[derive(Clone, Copy)]
pub struct Tree<'t> {
    /// The memory reservation block, with its last entry, which is zeros.
    pub reservations: &'t [u8],
    structure: &'t [u8],
    /// The strings block.
    pub strings: &'t [u8],
    /// The header's boot_cpuid_phys.
    pub boot_cpu: u32,
}

impl<'t> Tree<'t> {
    /// Checks the header and finds the blocks.
    pub fn new(bytes: &'t [u8]) -> Result<Tree<'t>, Defect> {
        let field = |index: usize| number(bytes, index.saturating_mul(4)).unwrap_or(0);
        let offset = |index: usize| usize::try_from(field(index)).unwrap_or(usize::MAX);
        if bytes.len() < HEADER_SIZE || field(0) != MAGIC {
            return Err(Defect::Damaged("not a device tree"));
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
        // "The list of reserved blocks shall be terminated with an entry where both address
        // and size are equal to 0."
        let reservations = whole.get(offset(4)..).ok_or(damaged)?;
        let last = reservations.chunks_exact(16).position(|entry| entry.iter().all(|&byte| byte == 0));
        let length = last.and_then(|last| last.checked_add(1)?.checked_mul(16)).ok_or(damaged)?;
        let reservations = reservations.get(..length).ok_or(damaged)?;
        Ok(Tree { reservations, structure, strings, boot_cpu: field(7) })
    }

    /// The tokens of the structure block, in order. A caller has to stop at the first defect.
    pub fn tokens(&self) -> Tokens<'t> {
        Tokens { tree: *self, at: 0, depth: 0, node: b"", has_root: false }
    }
}

/// A token of the structure block, without FDT_NOP and FDT_END. The root's own `depth` is 1.
#[derive(Clone, Copy)]
pub enum Token<'t> {
    /// A node begins.
    Begin { depth: usize, name: &'t [u8] },
    /// A property of the node with the name `node`. `name_at` is the offset of the
    /// property's name in the strings block.
    Property { depth: usize, node: &'t [u8], name: &'t [u8], name_at: u32, value: &'t [u8] },
    /// A node ends; `depth` is the one outside of it.
    End { depth: usize },
}

/// The iterator of [`Tree::tokens`].
pub struct Tokens<'t> {
    tree: Tree<'t>,
    at: usize,
    depth: usize,
    node: &'t [u8],
    has_root: bool,
}

const DAMAGED: Defect = Defect::Damaged("its structure block is damaged");

impl<'t> Iterator for Tokens<'t> {
    type Item = Result<Token<'t>, Defect>;

    fn next(&mut self) -> Option<Result<Token<'t>, Defect>> {
        self.token().transpose()
    }
}

impl<'t> Tokens<'t> {
    /// The next token, or `None` at FDT_END.
    fn token(&mut self) -> Result<Option<Token<'t>>, Defect> {
        loop {
            let rest = self.tree.structure.get(self.at..).unwrap_or_default();
            let kind = number(rest, 0).ok_or(DAMAGED)?;
            let body = rest.get(4..).unwrap_or_default();
            // 5.4.2 "Tree structure": "The structure block as a whole consists of the root
            // node's representation (which contains the representations for all other
            // nodes), followed by an FDT_END token".
            let (token, length) = match kind {
                BEGIN_NODE if self.depth > 0 || !self.has_root => self.begin(body).ok_or(DAMAGED)?,
                PROP if self.depth > 0 => self.property(body).ok_or(DAMAGED)?,
                END_NODE => (self.end().ok_or(DAMAGED)?, 0),
                NOP => {
                    self.skip(0)?;
                    continue;
                }
                END if self.depth == 0 && self.has_root => return Ok(None),
                _ => return Err(DAMAGED),
            };
            self.skip(length)?;
            return Ok(Some(token));
        }
    }

    /// Skips a token with `length` bytes of extra data.
    fn skip(&mut self, length: usize) -> Result<(), Defect> {
        // "All tokens shall be aligned on a 32-bit boundary".
        let length = length.checked_next_multiple_of(4).and_then(|length| length.checked_add(4));
        self.at = length.and_then(|length| self.at.checked_add(length)).ok_or(DAMAGED)?;
        Ok(())
    }

    /// FDT_BEGIN_NODE, and the length of its extra data: "The name is stored as a
    /// null-terminated string".
    fn begin(&mut self, body: &'t [u8]) -> Option<(Token<'t>, usize)> {
        let name = up_to_nul(body)?;
        self.has_root = true;
        self.depth = self.depth.saturating_add(1);
        self.node = name;
        Some((Token::Begin { depth: self.depth, name }, name.len().saturating_add(1)))
    }

    /// FDT_PROP, and the length of its extra data: len, nameoff, and the value.
    fn property(&self, body: &'t [u8]) -> Option<(Token<'t>, usize)> {
        let size = usize::try_from(number(body, 0)?).ok()?;
        let name_at = number(body, 4)?;
        let value = body.get(8..)?.get(..size)?;
        // The name needs its NUL: without it, it would go on into what is appended.
        let name = up_to_nul(self.tree.strings.get(usize::try_from(name_at).ok()?..)?)?;
        let token = Token::Property { depth: self.depth, node: self.node, name, name_at, value };
        Some((token, size.saturating_add(8)))
    }

    /// FDT_END_NODE.
    fn end(&mut self) -> Option<Token<'t>> {
        self.depth = self.depth.checked_sub(1)?;
        // "all property definitions for a particular node precede any subnode definitions for
        // that node": a property that follows here anyway belongs to no node with a name.
        self.node = b"";
        Some(Token::End { depth: self.depth })
    }
}

/// How many bytes an address and a size have in the root's children: its #address-cells and #size-cells, in
/// cells of 32 bits, with the values that the specification assumes without them (2.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Of an address.
    pub address: usize,
    /// Of a size.
    pub size: usize,
}

impl Cells {
    /// What a tree's root says.
    pub fn of_root(tree: &Tree) -> Result<Cells, Defect> {
        let mut cells = Cells { address: 8, size: 4 };
        let bytes = |value, without: u32| (number(value, 0).unwrap_or(without) as usize).saturating_mul(4);
        for token in tree.tokens() {
            match token? {
                Token::Property { depth: 1, name: b"#address-cells", value, .. } => {
                    cells.address = bytes(value, 2);
                }
                Token::Property { depth: 1, name: b"#size-cells", value, .. } => cells.size = bytes(value, 1),
                // "properties always precede any subnodes" (5.4.2).
                Token::Begin { depth: 2, .. } => break,
                _ => {}
            }
        }
        Ok(cells)
    }

    /// A range as an address and a size; [`Defect::TooLarge`] if it needs more cells, or they have more than
    /// the kernel reads (include/linux/of.h, OF_MAX_ADDR_CELLS: 4).
    pub fn write(self, range: Range, into: &mut Vec<u8>) -> Result<(), Defect> {
        for (number, length) in [(range.start(), self.address), (range.size(), self.size)] {
            let bytes = number.to_be_bytes();
            let (zeros, used) =
                bytes.split_at_checked(bytes.len().saturating_sub(length)).unwrap_or_default();
            if zeros.iter().any(|&byte| byte != 0) || length > 16 {
                return Err(Defect::TooLarge);
            }
            into.resize(into.len().saturating_add(length.saturating_sub(used.len())), 0);
            into.extend_from_slice(used);
        }
        Ok(())
    }
}

/// The big-endian number at `offset`.
pub fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_be_bytes)
}

fn up_to_nul(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..bytes.iter().position(|&byte| byte == 0)?)
}
