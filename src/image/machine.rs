//! The machine that a kernel is for, and the defects that kernel files of several formats
//! share.

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
    /// A machine of Linux's whose kernels rc-kexec does not load, by its name.
    Foreign(&'static str),
    /// Another machine, with its number from the header.
    Other(u16),
}

impl Machine {
    /// The machine for the Machine field of a COFF header (PE Format, "Machine Types").
    pub fn from_coff(number: u16) -> Machine {
        match number {
            0x014c => Machine::X86,
            0x8664 => Machine::X86_64,
            0xaa64 => Machine::Arm64,
            0x5064 => Machine::Foreign("riscv64"),
            0x6264 => Machine::Foreign("loongarch64"),
            0x01c2 | 0x01c4 => Machine::Foreign("32-bit Arm"),
            other => Machine::Other(other),
        }
    }

    /// The machine for `e_machine` of an ELF header (System V ABI, "ELF Header").
    pub fn from_elf(number: u16) -> Machine {
        match number {
            3 => Machine::X86,
            62 => Machine::X86_64,
            183 => Machine::Arm64,
            243 => Machine::Foreign("riscv64"),
            258 => Machine::Foreign("loongarch64"),
            40 => Machine::Foreign("32-bit Arm"),
            22 => Machine::Foreign("s390x"),
            21 => Machine::Foreign("ppc64"),
            20 => Machine::Foreign("ppc"),
            8 => Machine::Foreign("mips"),
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
            Machine::Foreign(name) => to.write_str(name),
            Machine::Other(number) => write!(to, "another machine ({number:#06x})"),
        }
    }
}

/// What is wrong with a kernel file other than a bzImage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file is shorter than its headers say.
    Truncated {
        /// The least length that the headers promise, in bytes.
        promised: u64,
        /// The file's length, in bytes.
        present: u64,
    },
    /// A header's field is impossible or not supported. The text says which and how.
    Header(&'static str),
    /// The file is for a machine whose kernels are not loaded from this format.
    Machine(Machine),
    /// The file is no kernel: what it is, with its article; and behind a newline what to do.
    NotKernel(&'static str),
}

/// The `size` bytes at `offset` of a file, or [`Defect::Truncated`].
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
            [0x14c, 0x8664, 0xaa64, 0x6264, 0x0ebc].map(|n| Machine::from_coff(n).to_string()).into();
        assert_eq!(names, ["x86", "x86_64", "arm64", "loongarch64", "another machine (0x0ebc)"]);
        assert_eq!([3, 62, 183].map(Machine::from_elf), [Machine::X86, Machine::X86_64, Machine::Arm64]);
    }

    #[test]
    fn a_range_lies_in_the_file_or_says_what_is_missing() {
        assert_eq!(range(b"abc", 1, 2), Ok(&b"bc"[..]));
        assert_eq!(range(b"abc", 1, 3), Err(Defect::Truncated { promised: 4, present: 3 }));
        assert!(range(b"abc", u64::MAX, u64::MAX).is_err());
    }
}
