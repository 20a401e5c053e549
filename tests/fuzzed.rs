//! Runs the fuzz targets over their seeds, and over every input that once made one fail. This
//! needs only the stable compiler. `make fuzz` searches for new inputs.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::path::{Path, PathBuf};

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(&dir) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_target_gets_to_its_end_with_a_seed() {
    for (name, target) in fuzz::TARGETS {
        let seeds = files("seeds", name);
        let ended = seeds.iter().filter(|seed| target(&std::fs::read(seed).unwrap())).count();
        assert!(ended > 0, "{name}: none of {} seeds gets to its end; make seeds", seeds.len());
    }
}

#[test]
fn what_once_failed_does_not() {
    for (name, target) in fuzz::TARGETS {
        for file in files("failed", name) {
            target(&std::fs::read(&file).unwrap());
        }
    }
}

/// Runs each target over its seeds with one byte changed, and cut short, at up to 512 places of
/// each seed.
#[test]
fn seeds_with_one_byte_changed_or_cut_short() {
    for (name, target) in fuzz::TARGETS {
        for seed in files("seeds", name) {
            let bytes = std::fs::read(&seed).unwrap();
            let step = bytes.len().div_ceil(512);
            for at in (0..bytes.len()).step_by(step) {
                let mut changed = bytes.clone();
                for value in [0, 0xff, bytes.get(at).copied().unwrap_or(0) ^ 0x80] {
                    if let Some(byte) = changed.get_mut(at) {
                        *byte = value;
                    }
                    target(&changed);
                }
                target(bytes.get(..at).unwrap_or_default());
            }
        }
    }
}
