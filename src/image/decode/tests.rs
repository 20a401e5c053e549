use super::*;

// Samples from xz 5.4.1 (--x86 with --check=crc32, --arm64, --block-size=1000, --check=sha256),
// zstd 1.5.4 (from a file, from a pipe, with -19), gzip 1.12 and lz4 1.9.4 (-l). The gzip sample
// with every optional field was made by hand.
const X86_XZ: &str = "\
    fd377a585a0000016922de360201040021010000da33ad03e003cc00165d0073fffdf00c627992dd9b92b09cd66d90ac\
    1ddb0ffa00000000b72cc6b300012ecd0700000048a4a1723e300d8b020000000001595a";
const ARM64_XZ: &str = "\
    fd377a585a000004e6d6b44602010a0021010000aa52a739e004ab00315d0000048619c8dcdd95118e77580d02297230\
    853525a37d6f64c19802f0390dda09c41e9f9b8fa6fbdd55f67674424d36d7000000000027e0770735b96c7f00014dac\
    0900000072f04cb8b1c467fb020000000004595a";
const BLOCKS_XZ: &str = "\
    fd377a585a000004e6d6b44603c040e8072101000000000028f4e51ae003e700385d002a1a08a2032566f14b78c5a205\
    ff2ee6d9d2201aad34f8e21de84136fadc0669bb3ce410342709ebb366e3ed3798ed92add5274005c12c00006330603e\
    4795943903c040e8072101000000000028f4e51ae003e700385d00311c8a2347fb3a8787370bf9c36bf661113911244e\
    3e9a5b65618a390a54559390e679e886efbec73403b6fe5acc4f740ccab2c59cfb2d000034e58085285fee5a03c03cf4\
    0321010000000000a12e2e38e001f300345d00351d49deb304e90ea5e906147e3ace2c7dc04f554fae4e55bf81d5bbd1\
    f593bd8a7e3d0c6d0a49ae20fc80d638111d9e99dee0000093825107d6bbf985000358e80758e80754f403002dbe5d46\
    14173b30030000000004595a";
const SHA256_XZ: &str = "\
    fd377a585a00000ae1fb0ca10200210116000000742fe5a3e009c3003f5d002a1a08a2032566f14b78c5a205ff2ee6d9\
    d2201aad34f8e21de84136fadc0669bb3ce410342709ebb366e3ed3798ed92add5274508305e5d9a3c41be4c671c0000\
    c9986e079b1a31d4764c6582f0c235b539f10b5f4ed62a3f651a9c1d678755ba000173c413000000d81dda10b6e9df1c\
    02000000000a595a";
const TEXT_ZST: &str = "\
    28b52ffd64c408b50100d40254686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c\
    617a7920646f672e200100a50cf45519cf1909e2";
const PIPED_ZST: &str = "\
    28b52ffd0458b50100d40254686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c61\
    7a7920646f672e200100a50cf45519cf1909e2";
const LETTERS_ZST: &str = "\
    28b52ffd0468ad0900ca47000406e0e9bb01d4113b0041003a003bdd008e288d450e31620e02ac7d1c227f5e34cecf7f\
    447b1101de0efb3a3ec5d27fe495737cc7fa24e6575e1a39383e667c2725cfc1fb8bc41bf7279e70805f0b20fd1c2487\
    eaf4f8936b3a057eea20e9864ccc50621cd8fd84418a6a2c33037bc1244b6aa67f9891e52b7bb43f99e39378473c80f1\
    04f0f5c1c902cf04bdd8e7029bd8671880728afcdb630ce697f89ff027e678dbffc0fc3bf8993b113fa7bcd1f93e9fff\
    e3789ed16de9eb1c0a30b92d24b8d10f4f80d36119d2ef990da739b09ddb2538194ddb0eef9cfd52ac89c1fd40feba0d\
    9a58c9f1ec1f92ffe2e948df88077547cb2f927f337f3f922991855180132020337a8e120fdfc9541cd334f40b287d9c\
    95087e7fa26408be81640d55e2f98e5389467d12c2985207dbb88cfc2351993fbc88";
const TEXT_GZ: &str = "\
    1f8b0800000000000203edca470180301045412b5f016a628092d0d910084d3dc8e0f0ce33aef35a735f8faa929d8b82\
    5d1af21c37d9e193f68fa7f2b9d5585bc891c96432994c2693ff905f45af7730c4090000";
const FIELDS_GZ: &str = "\
    1f8b081e3930000002030600414202007879496d616765006120636f6d6d656e7400ab9aedca470180301045412b5f01\
    6a628092d0d910084d3dc8e0f0ce33aef35a735f8faa929d8b825d1af21c37d9e193f68fa7f2b9d5585bc891c9643299\
    4c2693ff905f45af7730c4090000";
const TEXT_LZ4: &str = "\
    02214c1841000000ff1e54686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a\
    7920646f672e202d00ffffffffffffffffff88506a756d7073";

fn text() -> Vec<u8> {
    b"The quick brown fox jumps over the lazy dog. ".iter().cycle().take(2500).copied().collect()
}

/// Calls of one function from many places. The BCJ filters turn them into equal bytes.
fn x86() -> Vec<u8> {
    let mut code = Vec::new();
    for i in 0..150 {
        code.resize(code.len() + i % 4, 0x90);
        let from = code.len() as u32 + 5;
        code.push(0xe8);
        code.extend_from_slice(&0x1000u32.wrapping_sub(from).to_le_bytes());
    }
    code
}

fn arm64() -> Vec<u8> {
    let mut code = Vec::new();
    for i in 0..100 {
        let mut instructions = vec![0xd503_201f_u32; i % 3];
        let from = (code.len() + 4 * instructions.len()) as u32;
        instructions.push(0x9400_0000 | (0x4000 - from) >> 2);
        instructions.push(0x9000_0005 | (i as u32 % 4) << 29);
        code.extend(instructions.iter().flat_map(|instruction| instruction.to_le_bytes()));
    }
    code
}

/// Letters of unequal frequency, with repetitions. zstd packs them as Huffman codes in four
/// streams, with FSE tables in the file.
fn letters() -> Vec<u8> {
    let (mut letters, mut random) = (Vec::new(), 1u32);
    while letters.len() < 1500 {
        random = random.wrapping_mul(1664525).wrapping_add(1013904223);
        letters.push(b"aaaaabcd"[(random >> 29) as usize]);
        if letters.len() % 100 == 0 {
            (0..20).for_each(|_| letters.push(letters[letters.len() - 57]));
        }
    }
    letters
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn samples() -> Vec<(Vec<u8>, Vec<u8>)> {
    let texts = [BLOCKS_XZ, SHA256_XZ, TEXT_ZST, PIPED_ZST, TEXT_GZ, FIELDS_GZ, TEXT_LZ4];
    let others = [(bytes(X86_XZ), x86()), (bytes(ARM64_XZ), arm64()), (bytes(LETTERS_ZST), letters())];
    texts.iter().map(|hex| (bytes(hex), text())).chain(others).collect()
}

fn decode(file: &[u8], limit: u64) -> Result<Vec<u8>, Defect> {
    let mut decoded = Vec::new();
    let size = unpack(Compression::of(file).unwrap(), file, limit, &mut |piece| {
        assert!(piece.len() <= PIECE);
        decoded.extend_from_slice(piece);
        true
    });
    assert!(decoded.len() as u64 <= limit);
    assert_eq!(size.unwrap_or(decoded.len() as u64), decoded.len() as u64);
    size.map(|_| decoded)
}

/// A legacy frame whose blocks decode to zeros, each to at least 25 bytes.
fn zeros_lz4(blocks: &[usize]) -> Vec<u8> {
    let mut file = b"\x02\x21\x4c\x18".to_vec();
    for size in blocks {
        // One literal, a match of distance 1, and the last five literals.
        let mut length = size - 1 - 4 - 5 - 15;
        let mut block = vec![0x1f, 0, 1, 0];
        while length >= 255 {
            block.push(255);
            length -= 255;
        }
        block.extend_from_slice(&[length as u8, 0x50, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&(block.len() as u32).to_le_bytes());
        file.extend_from_slice(&block);
    }
    file
}

#[test]
fn every_sample_is_decoded() {
    for (file, wanted) in samples() {
        let name = Compression::of(&file).unwrap();
        assert!(decode(&file, wanted.len() as u64).unwrap() == wanted, "{name}");
        // Padding, a size and a signature are not errors.
        for after in [&[0u8; 9][..], b"\xc4\x09\0\0", b"\0\0\0\0~signature~"] {
            let file = [&file, after].concat();
            assert!(decode(&file, 1 << 20).unwrap() == wanted, "{name}");
        }
        // Two streams, with and without padding between them.
        for between in [0, 4, 512] {
            let file = [&file, &vec![0; between][..], &file].concat();
            assert!(decode(&file, 1 << 20).unwrap() == wanted.repeat(2), "{name}");
        }
    }
}

#[test]
fn cut_anywhere_is_refused() {
    for (file, wanted) in samples() {
        let compression = Compression::of(&file).unwrap();
        for length in 0..file.len() {
            let size = unpack(compression, &file[..length], 1 << 20, &mut |_| true);
            assert_eq!(size, Err(Defect::Truncated), "{compression} {length} of {}", wanted.len());
        }
    }
}

#[test]
fn too_much_is_refused_and_a_sink_can_stop() {
    for (file, wanted) in samples() {
        for limit in [0, 1, 899, wanted.len() as u64 - 1] {
            assert_eq!(decode(&file, limit).map(|_| ()), Err(Defect::TooLarge { limit }));
        }
        let compression = Compression::of(&file).unwrap();
        assert_eq!(unpack(compression, &file, 1 << 20, &mut |_| false), Err(Defect::Stopped));
    }
}

#[test]
fn damage_is_seen_and_never_a_panic() {
    let mut random = 1u32;
    for (file, wanted) in samples() {
        let compression = Compression::of(&file).unwrap();
        // lz4 has no checksum, and SHA-256 is not checked.
        let checked = compression != Compression::Lz4 && file != bytes(SHA256_XZ);
        for at in 0..file.len() {
            random = random.wrapping_mul(1664525).wrapping_add(1013904223);
            for flip in [1, 0x80, (random >> 24) as u8 | 1] {
                let mut file = file.clone();
                file[at] ^= flip;
                let mut decoded = Vec::new();
                let size = unpack(compression, &file, 1 << 16, &mut |piece| {
                    decoded.extend_from_slice(piece);
                    true
                });
                if size.is_ok() && checked {
                    assert!(decoded == wanted, "{compression} {at} ^ {flip:#x}");
                }
            }
        }
    }
}

#[test]
fn noise_behind_a_magic_number_is_never_a_panic() {
    let mut random = 7u64;
    for (_, magic) in MAGICS {
        for _ in 0..300 {
            let noise = (0..600).map(|_| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (random >> 56) as u8
            });
            let file: Vec<u8> = magic.iter().copied().chain(noise).collect();
            let _ = decode(&file, 1 << 16);
        }
    }
}

#[test]
fn skippable_frames_are_skipped_wherever_they_are() {
    let skippable = bytes("5a2a4d180400000061626364");
    let file = [&skippable[..], &bytes(TEXT_ZST), &skippable, &bytes(TEXT_ZST)].concat();
    assert_eq!(Compression::of(&file), Some(Compression::Zstd));
    assert_eq!(decode(&file, 1 << 20), Ok([text(), text()].concat()));
    for length in 7..skippable.len() {
        assert_eq!(decode(&skippable[..length], 1 << 20), Err(Defect::Truncated), "{length}");
    }
}

#[test]
fn what_is_named_has_to_be_there() {
    let answer = unpack(Compression::Xz, &bytes(TEXT_ZST), 1 << 20, &mut |_| true);
    assert_eq!(answer, Err(Defect::Damaged("wrong magic number")));
}

#[test]
fn models_made_anew_in_every_chunk_are_bounded() {
    let chunk = bytes("e00000000524000000000000");
    let start = bytes("fd377a585a000000ff12d9410200210116000000742fe5a3");
    let file = [start, chunk.repeat(3000), vec![0]].concat();
    assert_eq!(decode(&file, 1 << 20), Err(Defect::Damaged("too many parts")));
}

#[test]
fn lz4_ends_with_a_short_block_or_with_the_file() {
    const BLOCK: usize = 8 << 20;
    let file = zeros_lz4(&[BLOCK, 100]);
    let total = BLOCK as u64 + 100;
    let size = |file: &[u8], limit| {
        unpack(Compression::Lz4, file, limit, &mut |piece| piece.iter().all(|&b| b == 0))
    };
    assert_eq!(size(&file, total), Ok(total));
    assert_eq!(size(&file, total - 1), Err(Defect::TooLarge { limit: total - 1 }));
    let first = zeros_lz4(&[BLOCK]).len();
    for length in [4, 5, 8, 9, first - 1, first + 1, first + 4, file.len() - 1] {
        assert_eq!(size(&file[..length], total), Err(Defect::Truncated), "{length}");
    }
    // A cut between blocks cannot be seen.
    assert_eq!(size(&file[..first], total), Ok(BLOCK as u64));
    // The kernel appends the size.
    let whole = [&file[..first], &(BLOCK as u32).to_le_bytes()[..]].concat();
    assert_eq!(size(&whole, total), Ok(BLOCK as u64));
    let padded = [&file[..first], &[0; 12]].concat();
    assert_eq!(size(&padded, total), Ok(BLOCK as u64));
}

#[test]
fn compressions_have_magics_and_names() {
    assert_eq!(Compression::of(b"\x1f\x8b\x08"), Some(Compression::Gzip));
    assert_eq!(Compression::of(b"\x1f"), None);
    for (name, wanted) in
        [("gzip", "gzip"), ("xzkern", "xz"), ("zstd22", "zstd"), ("zstd", "zstd"), ("lz4", "lz4")]
    {
        assert_eq!(Compression::named(name.as_bytes()).unwrap().to_string(), wanted);
    }
    assert_eq!(Compression::named(b"lzma"), None);
}
