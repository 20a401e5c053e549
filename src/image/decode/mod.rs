//! Decoders for the compressions that kernels come in. The decoded bytes go to a sink in
//! pieces, and never more of them than the caller allows.
//!
//! Each stream is decoded to its end, and its checksum is checked where the format has one,
//! because a machine does not survive half a kernel.

pub(super) mod crc;
mod gzip;
mod lz4;
mod xz;
mod zstd;

use crate::base::bytes::u32_at;
use core::fmt;

/// The longest piece that the sink gets, in bytes. It is a power of two of at least 32 KiB, the
/// distance that DEFLATE refers back to (RFC 1951, section 2).
pub const PIECE: usize = 64 * 1024;

/// The largest .xz dictionary, in bytes, and the largest zstd window unless the caller allows
/// more output. `xz_wrap.sh` and `zstd -22` use this size for kernels.
const WINDOW: u64 = 128 * 1024 * 1024;

/// The most streams, .xz blocks and .xz probability models in a file. Each needs memory that the
/// program's allocator does not reuse. Kernels have one.
const MOST_PARTS: u32 = 2048;

/// A compression that kernels come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// The .xz File Format.
    Xz,
    /// RFC 8878.
    Zstd,
    /// LZ4 Frame Format Description, "Legacy frame", which `lz4 -l` writes.
    Lz4,
}

const MAGICS: [(Compression, &[u8]); 4] = [
    (Compression::Gzip, b"\x1f\x8b"),
    (Compression::Xz, b"\xfd7zXZ\0"),
    (Compression::Zstd, b"\x28\xb5\x2f\xfd"),
    (Compression::Lz4, b"\x02\x21\x4c\x18"),
];

impl Compression {
    /// The compression of a file, from its magic number.
    pub fn of(bytes: &[u8]) -> Option<Compression> {
        if is_skippable(bytes) {
            return Some(Compression::Zstd);
        }
        MAGICS.iter().find(|(_, magic)| bytes.starts_with(magic)).map(|&(compression, _)| compression)
    }

    /// The compression with this name in an EFI zboot header: COMP_TYPE in
    /// drivers/firmware/efi/libstub/Makefile.zboot. It is the name of a format or, in some
    /// kernels, of a rule in scripts/Makefile.lib.
    pub fn named(name: &[u8]) -> Option<Compression> {
        match name {
            b"gzip" => Some(Compression::Gzip),
            b"xzkern" | b"xz" => Some(Compression::Xz),
            b"zstd22" | b"zstd" => Some(Compression::Zstd),
            b"lz4" => Some(Compression::Lz4),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        })
    }
}

/// Why a stream was not decoded to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file ends before the stream does.
    Truncated,
    /// The stream breaks its format or does not match its checksum. The text says what is wrong.
    Damaged(&'static str),
    /// The stream decodes to more than the caller allows.
    TooLarge {
        /// The most that the caller allows, in bytes.
        limit: u64,
    },
    /// The sink returned false.
    Stopped,
}

/// Decodes `input` into `sink`, in pieces of at most [`PIECE`] bytes and at most `limit` bytes
/// in all. Returns the number of decoded bytes. A sink that returns false stops the decoder.
///
/// Like the tools, it joins streams that follow one another, with or without zeros between
/// them. It ignores anything else after a stream: zeros are padding, and the kernel's
/// `*_with_size` rules (scripts/Makefile.lib) append the decoded size.
///
/// The lz4 legacy frame has neither a checksum nor an end mark. A file that was cut between two
/// of its 8 MiB blocks looks whole.
///
/// # Errors
///
/// Any [`Defect`]. The sink may then have got a part of the bytes.
pub fn unpack(
    compression: Compression,
    input: &[u8],
    limit: u64,
    sink: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<u64, Defect> {
    streams(compression, input, Output { sink, limit, size: 0, parts: 0 }).map_err(|defect| *defect)
}

/// [`unpack`] with a boxed defect. The decoders return boxes because it needs less code to test
/// and pass a pointer.
fn streams(compression: Compression, input: &[u8], mut output: Output) -> Result<u64, Box<Defect>> {
    let mut rest = input;
    // A zboot header names the compression, which the payload may contradict.
    damaged_if(input.len() > 6 && Compression::of(input) != Some(compression), "wrong magic number")?;
    let mut room = [0u8; PIECE];
    let mut block = Vec::new();
    loop {
        output.part()?;
        match compression {
            _ if is_skippable(rest) => skip(&mut rest),
            Compression::Gzip => gzip::member(&mut rest, &mut room, &mut output),
            Compression::Xz => xz::stream(&mut rest, &mut room, &mut output),
            Compression::Zstd => zstd::frame(&mut rest, &mut output),
            Compression::Lz4 => lz4::frame(&mut rest, &mut block, &mut output),
        }?;
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = rest.get(zeros..).unwrap_or_default();
        if Compression::of(rest) != Some(compression) {
            return Ok(output.size);
        }
    }
}

/// Whether a skippable frame is next (RFC 8878, section 3.1.2). The lowest four bits of its
/// magic number can have any value. pzstd begins its files with such a frame.
fn is_skippable(bytes: &[u8]) -> bool {
    u32_at(bytes, 0).is_some_and(|magic| magic & !15 == 0x184d_2a50)
}

/// Skips a skippable frame: Magic_Number, Frame_Size, User_Data.
fn skip(rest: &mut &[u8]) -> Result<(), Box<Defect>> {
    take(rest, 4)?;
    let size = take_u32(rest)? as usize;
    take(rest, size).map(drop)
}

/// The sink with its limit.
struct Output<'a> {
    sink: &'a mut dyn FnMut(&[u8]) -> bool,
    /// The most bytes that the caller allows.
    limit: u64,
    /// The number of bytes so far.
    size: u64,
    /// The number of streams, blocks and models so far.
    parts: u32,
}

impl Output<'_> {
    /// Passes a piece to the sink, if the limit allows it.
    fn give(&mut self, piece: &[u8]) -> Result<(), Box<Defect>> {
        let size = self.size.saturating_add(piece.len() as u64);
        self.within(size)?;
        self.size = size;
        if (self.sink)(piece) { Ok(()) } else { Err(Box::new(Defect::Stopped)) }
    }

    /// Checks that the limit allows `size` bytes in all.
    fn within(&self, size: u64) -> Result<(), Box<Defect>> {
        if size > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Box<Defect> {
        Box::new(Defect::TooLarge { limit: self.limit })
    }

    /// Counts a stream, a block or a model.
    fn part(&mut self) -> Result<(), Box<Defect>> {
        self.parts = self.parts.saturating_add(1);
        damaged_if(self.parts > MOST_PARTS, "too many parts")
    }
}

/// The next `size` bytes. `rest` then begins after them.
fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], Box<Defect>> {
    let (taken, after) = rest.split_at_checked(size).ok_or_else(truncated)?;
    *rest = after;
    Ok(taken)
}

/// The next byte.
fn take_byte(rest: &mut &[u8]) -> Result<u8, Box<Defect>> {
    take(rest, 1)?.first().copied().ok_or_else(truncated)
}

/// The next 32-bit number, little-endian.
fn take_u32(rest: &mut &[u8]) -> Result<u32, Box<Defect>> {
    u32_at(take(rest, 4)?, 0).ok_or_else(truncated)
}

fn damaged_if(broken: bool, what: &'static str) -> Result<(), Box<Defect>> {
    if broken { Err(damaged(what)) } else { Ok(()) }
}

fn damaged(what: &'static str) -> Box<Defect> {
    Box::new(Defect::Damaged(what))
}

fn truncated() -> Box<Defect> {
    Box::new(Defect::Truncated)
}

#[cfg(test)]
mod tests;
