//! The checksums of gzip and .xz files.

/// A reflected cyclic redundancy check of 32 or 64 bits.
pub struct Crc {
    /// The checks of all bytes, computed when the `Crc` is made.
    table: [u64; 256],
    /// All bits of the check set.
    ones: u64,
    value: u64,
}

impl Crc {
    /// CRC32 (RFC 1952, section 8; The .xz File Format, section 6).
    pub fn new_32() -> Crc {
        Crc::new(0xedb8_8320, u64::from(u32::MAX))
    }

    /// CRC64 (The .xz File Format, section 6).
    pub fn new_64() -> Crc {
        Crc::new(0xc96c_5795_d787_0f42, u64::MAX)
    }

    fn new(polynomial: u64, ones: u64) -> Crc {
        let mut table = [0u64; 256];
        for (entry, index) in table.iter_mut().zip(0u64..) {
            *entry = (0..8).fold(index, |crc, _| (crc >> 1) ^ (polynomial & 0u64.wrapping_sub(crc & 1)));
        }
        Crc { table, ones, value: ones }
    }

    /// Adds bytes to the check.
    pub fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let index = (self.value as u8) ^ byte;
            self.value = (self.value >> 8) ^ self.table.get(usize::from(index)).copied().unwrap_or(0);
        }
    }

    /// The check of the bytes added since the last `finish`.
    pub fn finish(&mut self) -> u64 {
        core::mem::replace(&mut self.value, self.ones) ^ self.ones
    }

    /// The check of `bytes`.
    pub fn of(&mut self, bytes: &[u8]) -> u64 {
        self.update(bytes);
        self.finish()
    }
}
