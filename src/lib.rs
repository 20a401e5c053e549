//! rc-kexec: read the files, recognise the image, lay it out over memory, load
//! it, start it.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used))]

pub mod base;
pub mod cli;
pub mod doctor;
pub mod exec;
pub mod failure;
pub mod find;
pub mod going_down;
pub mod host;
pub mod image;
pub mod kernel_file;
pub mod load;
pub mod overlay;
pub mod plan;
pub mod settings;
pub mod status;
