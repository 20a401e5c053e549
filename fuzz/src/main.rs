//! One program for all targets: the environment variable RC_KEXEC_FUZZ_TARGET names the one to
//! fuzz, as the arguments are libFuzzer's. Without the variable it lists them.

#![no_main]

use rc_kexec_fuzz::TARGETS;
use std::sync::OnceLock;

static TARGET: OnceLock<fn(&[u8]) -> bool> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: target(), |data: &[u8]| {
    target()(data);
});

/// Looked up once, before the first input.
fn target() -> fn(&[u8]) -> bool {
    *TARGET.get_or_init(|| {
        let Some(wanted) = std::env::var_os("RC_KEXEC_FUZZ_TARGET") else {
            TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            std::process::exit(0);
        };
        let found = TARGETS.iter().find(|(name, _)| wanted == *name);
        found.unwrap_or_else(|| panic!("{wanted:?} is none of the targets")).1
    })
}
