//! XXH64 with a seed of 0 (xxHash fast digest algorithm, version 0.1.1, "XXH64 Algorithm
//! Description").

/// A hash that is being computed.
pub struct Hash {
    /// The accumulators.
    lanes: [u64; 4],
    /// The length of the stripes so far, in bytes.
    size: u64,
}

impl Hash {
    const STRIPE: usize = 32;
    const PRIMES: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];

    /// "Step 1. Initialize internal accumulators"
    pub fn new() -> Hash {
        let [one, two, ..] = Hash::PRIMES;
        Hash { lanes: [one.wrapping_add(two), two, 0, 0u64.wrapping_sub(one)], size: 0 }
    }

    /// "round"
    fn round(lane: u64, input: u64) -> u64 {
        let [one, two, ..] = Hash::PRIMES;
        lane.wrapping_add(input.wrapping_mul(two)).rotate_left(31).wrapping_mul(one)
    }

    /// "mergeAccumulator". Step 5 also uses it for eight bytes, with a rotation.
    #[inline(never)]
    fn merge(hash: u64, input: u64, turn: u32) -> u64 {
        let [one, _, _, four, _] = Hash::PRIMES;
        (hash ^ Hash::round(0, input)).rotate_left(turn).wrapping_mul(one).wrapping_add(four)
    }

    /// "Step 2. Process stripes". Returns the length of the whole stripes in `bytes`, which were
    /// processed.
    pub fn stripes(&mut self, bytes: &[u8]) -> usize {
        let stripes = bytes.chunks_exact(Hash::STRIPE);
        let size = bytes.len().saturating_sub(stripes.remainder().len());
        for stripe in stripes {
            for (lane, input) in self.lanes.iter_mut().zip(stripe.as_chunks().0) {
                *lane = Hash::round(*lane, u64::from_le_bytes(*input));
            }
        }
        self.size = self.size.wrapping_add(size as u64);
        size
    }

    /// The hash of all bytes. `tail` are those after the stripes.
    #[inline(never)]
    pub fn finish(&self, tail: &[u8]) -> u64 {
        let [one, two, three, _, five] = Hash::PRIMES;
        // "Step 3. Accumulator convergence"; without a stripe: "acc = seed + PRIME64_5".
        let mut hash = five;
        if self.size > 0 {
            let turned = self.lanes.iter().zip([1, 7, 12, 18]).map(|(lane, turn)| lane.rotate_left(turn));
            hash = turned.fold(0, u64::wrapping_add);
            for &lane in &self.lanes {
                hash = Hash::merge(hash, lane, 0);
            }
        }
        // "Step 4. Add input length"
        hash = hash.wrapping_add(self.size).wrapping_add(tail.len() as u64);
        // "Step 5. Consume remaining input"
        let (eights, tail) = tail.as_chunks();
        for input in eights {
            hash = Hash::merge(hash, u64::from_le_bytes(*input), 27);
        }
        let (fours, tail) = tail.as_chunks();
        for input in fours {
            hash ^= u64::from(u32::from_le_bytes(*input)).wrapping_mul(one);
            hash = hash.rotate_left(23).wrapping_mul(two).wrapping_add(three);
        }
        for &byte in tail {
            hash ^= u64::from(byte).wrapping_mul(five);
            hash = hash.rotate_left(11).wrapping_mul(one);
        }
        // "Step 6. Final mix (avalanche)"
        hash = (hash ^ (hash >> 33)).wrapping_mul(two);
        hash = (hash ^ (hash >> 29)).wrapping_mul(three);
        hash ^ (hash >> 32)
    }
}
