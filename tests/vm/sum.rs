//! A checksum that the recorder in a machine and the tests outside agree on.

/// FNV-1a, 64 bits.
pub fn sum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
