//! Writes a tree with another /chosen.

use super::Defect;
use super::chosen::{self, Chosen};
use super::reader::Cells;
use super::reader::{BEGIN_NODE, END, END_NODE, HEADER_SIZE, MAGIC, PROP, Token, Tree, VERSION};
use super::reservations;
use crate::base::bytes::put;

/// "The device tree blob (dtb) [...] must not exceed 2 megabytes in size" (booting.rst, "2.
/// Setup the device tree").
const LARGEST: usize = 2 << 20;

/// "version 17 is backwards compatible with version 16, but not earlier versions".
const LAST_COMPATIBLE: u32 = 16;

/// How many bytes [`edit`] may need for a tree of `length` bytes and a command line.
pub fn room(length: usize, command_line: usize) -> usize {
    length.saturating_add(command_line).saturating_add(1024)
}

/// Writes `tree` to the front of `buffer`, with its /chosen as `chosen` says and all else
/// copied. Answers the length in bytes.
pub fn edit(tree: &[u8], chosen: &Chosen, buffer: &mut [u8]) -> Result<usize, Defect> {
    let tree = Tree::new(tree)?;
    let largest = buffer.len().min(LARGEST);
    let mut out = Writer { buffer: buffer.get_mut(..largest).unwrap_or_default(), at: 0 };
    out.bytes(&[0; HEADER_SIZE])?;
    let reserved = out.at;
    for entry in reservations::kept(&tree)? {
        out.bytes(entry)?;
    }
    let structure = out.at;
    write_structure(&mut out, &tree, chosen)?;
    let strings = out.at;
    out.bytes(tree.strings)?;
    for name in chosen::missing(&tree, chosen::NAMES.len()) {
        out.bytes(name)?;
        out.bytes(&[0])?;
    }
    let total = out.at;

    // fdt_header, from totalsize on: see Tree::new.
    let fields = [
        total,
        structure,
        strings,
        reserved,
        VERSION as usize,
        LAST_COMPATIBLE as usize,
        tree.boot_cpu as usize,
        total.saturating_sub(strings),
        strings.saturating_sub(structure),
    ];
    out.at = 0;
    out.number(MAGIC)?;
    fields.into_iter().try_for_each(|field| out.length(field))?;
    Ok(total)
}

/// Writes the structure block. A tree without /chosen gets one behind its other nodes.
fn write_structure(out: &mut Writer, tree: &Tree, chosen: &Chosen) -> Result<(), Defect> {
    let mut done = false;
    for token in tree.tokens() {
        match token? {
            Token::Begin { depth, name } => {
                out.begin(name)?;
                if depth == 2 && name == b"chosen" && !done {
                    done = true;
                    write_chosen(out, tree, chosen)?;
                }
            }
            Token::Property { depth: 2, node: b"chosen", name, .. }
                if chosen::is_replaced(name)
                    || chosen.running.is_some() && chosen::efi_index(name).is_some() => {}
            Token::Property { name_at, value, .. } => out.property(name_at, [value, b""])?,
            Token::End { depth } => {
                if depth == 0 && !done {
                    out.begin(b"chosen")?;
                    write_chosen(out, tree, chosen)?;
                    out.number(END_NODE)?;
                }
                out.number(END_NODE)?;
            }
        }
    }
    out.number(END)
}

/// Writes the new properties of /chosen.
fn write_chosen(out: &mut Writer, tree: &Tree, chosen: &Chosen) -> Result<(), Defect> {
    let at = |index| chosen::name_at(tree, index);
    // A string's value ends with a NUL.
    out.property(at(chosen::BOOTARGS)?, [chosen.bootargs, b"\0"])?;
    if let Some((start, end)) = chosen.initrd {
        out.property(at(chosen::INITRD_START)?, [&start.to_be_bytes(), b""])?;
        out.property(at(chosen::INITRD_END)?, [&end.to_be_bytes(), b""])?;
    }
    if let Some((kaslr, rng)) = chosen.seed.and_then(|seed| seed.split_at_checked(8)) {
        out.property(at(chosen::KASLR_SEED)?, [kaslr, b""])?;
        out.property(at(chosen::RNG_SEED)?, [rng, b""])?;
    }
    if let Some(crash) = chosen.crash {
        // drivers/of/kexec.c, of_kexec_alloc_and_setup_fdt; Documentation/devicetree/bindings/chosen.txt
        let cells = Cells::of_root(tree)?;
        let (mut header, mut usable) = (Vec::new(), Vec::new());
        cells.write(crash.header_at, &mut header)?;
        out.property(at(chosen::ELFCOREHDR)?, [&header, b""])?;
        for range in [crash.main].into_iter().chain(crash.low) {
            cells.write(range, &mut usable)?;
        }
        out.property(at(chosen::USABLE_MEMORY_RANGE)?, [&usable, b""])?;
    }
    let Some(running) = chosen.running else { return Ok(()) };
    for property in chosen::of_efi(&Tree::new(running)?) {
        let (index, value) = property?;
        out.property(at(index)?, [value, b""])?;
    }
    Ok(())
}

/// Writes to a buffer that may be too small.
struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Defect> {
        put(self.buffer, self.at, bytes).ok_or(Defect::TooLarge)?;
        self.at = self.at.saturating_add(bytes.len());
        Ok(())
    }

    fn number(&mut self, number: u32) -> Result<(), Defect> {
        self.bytes(&number.to_be_bytes())
    }

    fn length(&mut self, length: usize) -> Result<(), Defect> {
        self.number(u32::try_from(length).map_err(|_| Defect::TooLarge)?)
    }

    /// Writes `bytes`, and zeros up to a multiple of four.
    fn padded(&mut self, bytes: &[u8]) -> Result<(), Defect> {
        self.bytes(bytes)?;
        while !self.at.is_multiple_of(4) {
            self.bytes(&[0])?;
        }
        Ok(())
    }

    fn begin(&mut self, name: &[u8]) -> Result<(), Defect> {
        self.number(BEGIN_NODE)?;
        self.bytes(name)?;
        self.padded(&[0])
    }

    /// Writes a property whose value is the two parts together.
    fn property(&mut self, name_at: u32, parts: [&[u8]; 2]) -> Result<(), Defect> {
        let [first, second] = parts;
        self.number(PROP)?;
        self.length(first.len().saturating_add(second.len()))?;
        self.number(name_at)?;
        self.bytes(first)?;
        self.padded(second)
    }
}
