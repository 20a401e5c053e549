//! A checksum that the recorder in a machine and the tests outside agree on.

/// FNV-1a, 64 bits.
pub fn sum(bytes: &[u8]) -> u64 {
    let mut state = START;
    add(&mut state, bytes);
    state
}

/// The checksum of nothing.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with these bytes.
pub fn add(state: &mut u64, bytes: &[u8]) {
    for &byte in bytes {
        *state = (*state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
}
