//! Little-endian fields of files, at offsets that come from the files themselves, and slices
//! cut into parts.
//!
//! The functions that read or write a field return `None` when it does not lie inside the
//! slice. The callers turn that into an error that names the field.

/// The `N` bytes at `offset`.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The byte at `offset`.
pub fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// The little-endian 16-bit number at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// The little-endian 32-bit number at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The little-endian 64-bit number at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Writes `field` at `offset`. Writes nothing and returns `None` when it does not fit.
#[inline(never)]
pub fn put(bytes: &mut [u8], offset: usize, field: &[u8]) -> Option<()> {
    let end = offset.checked_add(field.len())?;
    bytes.get_mut(offset..end)?.copy_from_slice(field);
    Some(())
}

/// The parts of `bytes` between separators, the same as those of `split`. All callers share
/// this iterator, because the compiler makes a copy of `split` for each closure.
pub fn parts(bytes: &[u8], separator: u8) -> Parts<'_> {
    Parts { rest: Some(bytes), separator }
}

/// The iterator of [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'b> {
    rest: Option<&'b [u8]>,
    separator: u8,
}

impl<'b> Iterator for Parts<'b> {
    type Item = &'b [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'b [u8]> {
        let rest = self.rest.take()?;
        let Some(at) = rest.iter().position(|&byte| byte == self.separator) else { return Some(rest) };
        let (part, rest) = rest.split_at_checked(at)?;
        self.rest = rest.get(1..);
        Some(part)
    }
}

/// The first four bytes, for a message. Missing bytes are zeros.
pub fn first_four(bytes: &[u8]) -> [u8; 4] {
    let mut first = [0u8; 4];
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    first
}

/// Sets all bytes to zero. The compiler cannot leave it out.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    core::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_split() {
        for text in [&b""[..], b",", b"a", b"a,b", b",a,,b,"] {
            assert!(parts(text, b',').eq(text.split(|&byte| byte == b',')), "{text:?}");
        }
    }

    #[test]
    fn fields_outside_the_slice_are_none() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(u32_at(&bytes, 1), Some(0x0504_0302));
        assert_eq!(u32_at(&bytes, 2), None);
        assert_eq!(u16_at(&bytes, usize::MAX), None);
        let mut target = [0u8; 4];
        assert_eq!(put(&mut target, 2, &[9, 9, 9]), None);
        assert_eq!(target, [0; 4]);
        assert_eq!(put(&mut target, usize::MAX, &[9]), None);
    }
}
