//! VMCOREINFO: the note in which a kernel describes itself for those who read its dump
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst).

use super::Defect;
use crate::base::bytes::parts;
use crate::base::text::{parse_decimal, parse_hex};

/// The text of the note: a line `NAME=VALUE` for each fact.
#[derive(Clone, Debug, Default)]
pub struct Vmcoreinfo(Vec<u8>);

impl Vmcoreinfo {
    /// From the text. It ends before the first NUL, with which the note is filled up.
    pub fn new(text: &[u8]) -> Vmcoreinfo {
        Vmcoreinfo(parts(text, 0).next().unwrap_or_default().to_vec())
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The value of a line, such as `OSRELEASE` or `SYMBOL(prb)`.
    pub fn value(&self, name: &'static str) -> Result<&[u8], Defect> {
        let value = |line| <[u8]>::strip_prefix(line, name.as_bytes())?.strip_prefix(b"=");
        parts(&self.0, b'\n').find_map(value).ok_or(Defect::Missing(name))
    }

    /// An address: VMCOREINFO_SYMBOL prints it with `%lx` (linux/vmcore_info.h).
    pub fn address(&self, name: &'static str) -> Result<u64, Defect> {
        parse_hex(self.value(name)?).ok_or(Defect::Missing(name))
    }

    /// A size, an offset, a length or a number. VMCOREINFO_NUMBER prints it with `%ld`; some architectures
    /// print theirs with `0x%lx`. A negative number is its two's complement.
    pub fn number(&self, name: &'static str) -> Result<u64, Defect> {
        let text = self.value(name)?;
        let number = match (text.strip_prefix(b"-"), text.starts_with(b"0x")) {
            (Some(text), _) => parse_decimal(text).map(u64::wrapping_neg),
            (None, true) => parse_hex(text),
            (None, false) => parse_decimal(text),
        };
        number.ok_or(Defect::Missing(name))
    }

    /// The sizes and offsets of structs, none of which is over 64 KiB.
    pub fn small_numbers<const N: usize>(&self, names: &[&'static str; N]) -> Result<[usize; N], Defect> {
        let mut numbers = [0; N];
        for (number, name) in numbers.iter_mut().zip(names) {
            let value = u16::try_from(self.number(name)?);
            *number = usize::from(value.map_err(|_| Defect::Missing(name))?);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_kernel_prints_them() {
        let text = b"OSRELEASE=6.12.1\nSYMBOL(prb)=ffffffff82a00000\nNUMBER(phys_base)=-29360128\n\
                     NUMBER(VA_BITS)=48\nNUMBER(PHYS_OFFSET)=0x40000000\nSIZE(page)=64\nNUMBER(x)=7z\n\0\0SIZE(y)=1\n";
        let info = Vmcoreinfo::new(text);
        assert_eq!(info.value("OSRELEASE"), Ok(&b"6.12.1"[..]));
        assert_eq!(info.address("SYMBOL(prb)"), Ok(0xffff_ffff_82a0_0000));
        assert_eq!(info.number("NUMBER(phys_base)"), Ok((-29_360_128i64).cast_unsigned()));
        assert_eq!(info.number("NUMBER(VA_BITS)"), Ok(48));
        assert_eq!(info.number("NUMBER(PHYS_OFFSET)"), Ok(0x4000_0000));
        assert_eq!(info.number("SIZE(page)"), Ok(64));
        for name in ["NUMBER(x)", "SIZE(y)", "SIZE(p", "prb)"] {
            assert_eq!(info.number(name), Err(Defect::Missing(name)));
        }
    }
}
