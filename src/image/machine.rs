//! Which machine is a file for? And what may be wrong with a file that holds a
//! kernel: both are the same for [`super::pe`] and [`super::elf`].

use core::fmt;

/// The machine that a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Arm64,
    /// Another, by its number in the header.
    Other(u16),
}

impl Machine {
    /// By the Machine field of a COFF header (PE Format, "Machine Types").
    pub fn from_coff(number: u16) -> Machine {
        match number {
            0x014c => Machine::X86,
            0x8664 => Machine::X86_64,
            0xaa64 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }

    /// By `e_machine` of an ELF header (System V ABI, "ELF Header").
    pub fn from_elf(number: u16) -> Machine {
        match number {
            3 => Machine::X86,
            62 => Machine::X86_64,
            183 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::X86 => to.write_str("x86"),
            Machine::X86_64 => to.write_str("x86_64"),
            Machine::Arm64 => to.write_str("arm64"),
            Machine::Other(number) => write!(to, "another machine ({number:#06x})"),
        }
    }
}

/// What is wrong with a file that holds a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file ends before its headers say: bytes promised, bytes there.
    Truncated {
        /// What the headers promise.
        promised: u64,
        /// What the file has.
        present: u64,
    },
    /// A field of a header cannot be true, or is not supported.
    Header(&'static str),
    /// A kernel for a machine that this program does not start.
    Machine(Machine),
}

/// The `size` bytes at `offset`, or how much the file falls short of them.
pub fn range(bytes: &[u8], offset: u64, size: u64) -> Result<&[u8], Defect> {
    let promised = offset.saturating_add(size);
    let found = match (usize::try_from(offset), usize::try_from(promised)) {
        (Ok(start), Ok(end)) => bytes.get(start..end),
        _ => None,
    };
    found.ok_or(Defect::Truncated { promised, present: bytes.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_names() {
        let names: Vec<String> =
            [0x14c, 0x8664, 0xaa64, 0x6264].map(|n| Machine::from_coff(n).to_string()).into();
        assert_eq!(names, ["x86", "x86_64", "arm64", "another machine (0x6264)"]);
        assert_eq!([3, 62, 183].map(Machine::from_elf), [Machine::X86, Machine::X86_64, Machine::Arm64]);
    }

    #[test]
    fn a_range_lies_in_the_file_or_says_what_is_missing() {
        assert_eq!(range(b"abc", 1, 2), Ok(&b"bc"[..]));
        assert_eq!(range(b"abc", 1, 3), Err(Defect::Truncated { promised: 4, present: 3 }));
        assert!(range(b"abc", u64::MAX, u64::MAX).is_err());
    }
}
