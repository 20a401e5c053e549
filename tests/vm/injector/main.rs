//! The injector (x86_64.rs), for the machines that it is for.

#![allow(
    missing_docs,
    dead_code,
    non_upper_case_globals,
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

#[path = "../sum.rs"]
mod sum;
#[cfg(target_arch = "x86_64")]
mod x86_64;

fn main() {
    #[cfg(target_arch = "x86_64")]
    x86_64::main();
}
