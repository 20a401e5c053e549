//! rc-kexec: read the files, recognise the image, lay it out over memory, load
//! it, start it. Folder order is data order.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used))]

pub mod bytes;
pub mod cli;
pub mod command_line;
pub mod doctor;
pub mod exec;
pub mod failure;
pub mod find;
pub mod going_down;
pub mod image;
pub mod kernel_file;
pub mod layout;
pub mod load;
pub mod overlay;
pub mod running_kernel;
pub mod settings;
pub mod status;
