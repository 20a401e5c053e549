//! What is wrong with a kernel, an initrd, or the memory that they need.

use crate::base::text::Size;
use crate::image::decode::Defect as Packed;
use crate::image::machine::{Defect as Damage, Machine};
use crate::image::{NotLoadable, bzimage, initrd};
use crate::plan::device_tree::Defect;
use crate::plan::{NoPlan, Purpose};
use std::fmt::{self, Display, Formatter, Write};

/// What to do about a file that is not whole.
const AGAIN: &str = "\n  install or copy it again";

impl Display for NotLoadable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NotLoadable::Empty => f.write_str("the file is empty"),
            NotLoadable::Known(name) | NotLoadable::Damaged(Damage::NotKernel(name)) => {
                let (name, what_to_do) = name.split_at(name.find('\n').unwrap_or(name.len()));
                write!(f, "it is {name}, not a kernel{what_to_do}")
            }
            NotLoadable::Unknown(first) => {
                write!(f, "not a kernel format that rc-kexec knows (first bytes: {})", Bytes(first))
            }
            NotLoadable::BzImage(bzimage::Defect::Truncated { promised, present })
            | NotLoadable::Damaged(Damage::Truncated { promised, present }) => write!(
                f,
                "the file is cut short: its header promises at least {promised} bytes, and it has {present}{AGAIN}"
            ),
            NotLoadable::BzImage(bzimage::Defect::TooOld(major, minor)) => {
                write!(f, "its boot protocol is {major}.{minor:02}, and rc-kexec needs at least 2.06")
            }
            NotLoadable::BzImage(bzimage::Defect::LoadedLow) => {
                f.write_str("it is a zImage; rc-kexec needs a bzImage")
            }
            NotLoadable::BzImage(bzimage::Defect::Header(what))
            | NotLoadable::Damaged(Damage::Header(what)) => write!(f, "its header is damaged: {what}"),
            NotLoadable::Damaged(Damage::Machine(machine)) => write!(f, "it is for {machine}"),
            NotLoadable::Packed(compression, Packed::TooLarge { limit }) => write!(
                f,
                "its {compression} data unpack to more than {}, all the memory that is available for them",
                Size(*limit)
            ),
            NotLoadable::TooLarge(limit) => {
                write!(f, "it unpacks to more than {}, all the memory that is available for it", Size(*limit))
            }
            NotLoadable::Packed(compression, Packed::Damaged(what)) => {
                write!(f, "its {compression} data are damaged ({what}){AGAIN}")
            }
            NotLoadable::Packed(compression, _) => {
                write!(f, "the file is cut short: its {compression} data end too soon{AGAIN}")
            }
            NotLoadable::Nested => f.write_str("it holds a kernel inside a kernel inside a kernel"),
            NotLoadable::OtherMachine(format, theirs, here) => {
                // An Image has its machine in its name.
                match theirs {
                    Machine::Arm64 if format.contains("arm64") => write!(f, "this is {format}"),
                    _ => write!(f, "this is {format} for {theirs}"),
                }?;
                write!(f, "; this machine is {here}")
            }
        }
    }
}

impl Display for initrd::Defect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // The file need not be empty: it may hold only zeros, or only a bootconfig.
            initrd::Defect::Empty => f.write_str("it contains no archive"),
            initrd::Defect::NoArchive { offset, first } => write!(
                f,
                "at byte {offset} there is no archive that the kernel can unpack (first bytes: {})\n  it unpacks cpio, gzip, bzip2, lzma, xz, lzo, lz4 and zstd",
                Bytes(first)
            ),
            initrd::Defect::Packing(what, again) => {
                write!(f, "it has {what}\n  pack it again: {again}")
            }
            initrd::Defect::Checksum { offset } => {
                write!(f, "the file at byte {offset} does not have its checksum\n  make or copy it again")
            }
            initrd::Defect::Bootconfig => f.write_str(
                "it ends with a bootconfig, at which the kernel would stop, and another initrd follows\n  name it last",
            ),
            initrd::Defect::NoTrailer => f.write_str(
                "its last cpio archive has no trailer: it was made so, or was cut between two files\n  make or copy it again; if it is whole: kexec --no-checks -l KERNEL --initrd FILE",
            ),
            initrd::Defect::Truncated { promised, present } => write!(
                f,
                "the file is cut short: its cpio archive needs at least {promised} bytes, and it has {present}\n  make or copy it again"
            ),
        }
    }
}

impl Display for NoPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NoPlan::TooManySegments => f.write_str("it needs more than 16 segments"),
            NoPlan::TooManyRanges(capacity) => write!(f, "the memory map has more than {capacity} ranges"),
            NoPlan::OverHalfOfRam { needed, allowed } => write!(
                f,
                "it needs {} of memory with its initrds, and the kernel allows only half of RAM, {}\n  use a smaller initrd",
                Size(*needed),
                Size(*allowed)
            ),
            NoPlan::NoRoom { purpose, size, bounds } => {
                let what = match purpose {
                    Purpose::Initrd(_) => "initrds",
                    Purpose::Kernel => "kernel",
                    Purpose::Parameters => "parameters",
                    Purpose::CoreHeader => "ELF core header",
                };
                write!(f, "there is no free range of {} for the {what} in {bounds}", Size(*size))
            }
            NoPlan::CommandLineTooLong { length, limit } => {
                write!(f, "the command line is {length} bytes long, and this kernel accepts only {limit}")
            }
            NoPlan::NoMemory => f.write_str("the memory map shows no usable RAM"),
            NoPlan::FiveLevelPaging => f.write_str(
                "five-level paging is on, and this kernel cannot start with it (XLF_5LEVEL is not set)\n  boot the running kernel with no5lvl",
            ),
            NoPlan::ParametersTooLarge(room) => {
                write!(f, "its parameters and command line need more than {room} bytes")
            }
            NoPlan::OtherMachine => f.write_str("it is for another machine"),
            NoPlan::DeviceTree(Defect::Damaged(what)) => write!(f, "its device tree is unusable: {what}"),
            NoPlan::DeviceTree(Defect::TooLarge) => f.write_str("its device tree is larger than 2 MiB"),
            NoPlan::DeviceTree(Defect::NoMemory) => f.write_str(
                "its device tree describes no memory, which the firmware adds when it starts the machine\n  use the running kernel's: --dtb /sys/firmware/fdt",
            ),
            NoPlan::Broken(what) => write!(f, "the memory layout is wrong, a bug of rc-kexec: {what}"),
        }
    }
}

/// Bytes of a file that may not be text.
struct Bytes<'b>(&'b [u8]);

impl Display for Bytes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
