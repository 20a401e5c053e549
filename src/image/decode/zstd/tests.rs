use crate::image::decode::{Compression, unpack};
use ruzstd::decoding::FrameDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// Decodes a frame, or returns `None`.
fn decode(frame: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let size = unpack(Compression::Zstd, frame, 1 << 22, &mut |piece| {
        decoded.extend_from_slice(piece);
        true
    });
    size.ok().map(|_| decoded)
}

fn decode_by_ruzstd(frame: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(1 << 18);
    FrameDecoder::new().decode_all_to_vec(frame, &mut decoded).ok().map(|()| decoded)
}

/// Bytes that an encoder packs in every way: words, runs, noise, few and many values.
fn plain(size: usize) -> Vec<u8> {
    let (mut bytes, mut random) = (Vec::new(), 3u32);
    while bytes.len() < size {
        random = random.wrapping_mul(1664525).wrapping_add(1013904223);
        let (kind, number) = (random >> 29, (random >> 8) as usize);
        match kind {
            0 if bytes.len() > 9000 => {
                let from = bytes.len() - 1 - number % 9000;
                (from..from + 3 + number % 77).for_each(|at| bytes.push(bytes[at]));
            }
            1 => bytes.extend_from_slice(b" kexec_file_load "),
            2 => bytes.resize(bytes.len() + number % 50, number as u8),
            3 | 4 => bytes.push(number as u8),
            _ => bytes.push(b"etaoin s"[number % 8]),
        }
    }
    bytes.truncate(size);
    bytes
}

#[test]
fn blocks_of_every_size_are_decoded() {
    for size in [0, 1, 7, 8, 9, 300, 5000, 131_071, 131_072, 131_073, 700_000] {
        for plain in [plain(size), vec![7; size]] {
            for level in [CompressionLevel::Uncompressed, CompressionLevel::Fastest] {
                let frame = compress_to_vec(&plain[..], level);
                assert!(decode(&frame).as_ref() == Some(&plain), "{size}");
            }
        }
    }
}

/// A damaged frame without a checksum may still be a valid frame. The format then defines its
/// content, so another decoder must read the same.
#[test]
fn what_is_accepted_is_what_another_decoder_reads() {
    let (mut random, mut accepted) = (9u64, 0);
    for size in [500, 3000, 20_000] {
        let mut whole = compress_to_vec(&plain(size)[..], CompressionLevel::Fastest);
        // Content_Checksum_Flag
        assert_eq!(whole[4] & 4, 4);
        whole[4] &= !4;
        whole.truncate(whole.len() - 4);
        for round in 0..800 {
            let mut frame = whole.clone();
            for _ in 0..round % 3 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = 5 + (random >> 33) as usize % (frame.len() - 5);
                frame[at] ^= 1 << (random >> 30 & 7);
            }
            if let Some(decoded) = decode(&frame) {
                assert!(Some(decoded) == decode_by_ruzstd(&frame), "{size} {round}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 3 * 800 / 3, "{accepted}");
}
