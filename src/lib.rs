//! Loads a Linux kernel and starts it without firmware and boot loader: read the files, recognise
//! the image, lay it out over memory, load it, start it.
//!
//! [`load`] is the way in, with an example; `examples/load.rs` is a small program. Each module
//! imports only the modules above it in this list, and `tests/policy.rs` holds that.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used))]

pub mod base;
pub mod cli;
pub mod doctor;
pub mod failure;
pub mod host;
pub mod image;
pub mod jump;
pub mod known;
pub mod load;
pub mod plan;
pub mod say;
pub mod settings;
pub mod shutdown;
pub mod status;
