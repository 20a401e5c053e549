//! Loads a Linux kernel and starts it, without the firmware and without a boot loader.
//!
//! The library is for boot menus and installers that start a kernel themselves: it reads the
//! files, recognises the image, lays it out over the machine's memory, and loads it with
//! kexec_load(2) or kexec_file_load(2). It runs on Linux, on x86_64, 32-bit x86 and arm64.
//!
//! Begin with [`load`], which has an example; `examples/load.rs` is a whole program. [`jump`]
//! starts the loaded kernel. [`image`] and [`plan`] touch no machine: use them to look into a
//! kernel file, or to lay one out over memory that you describe.
//!
//! Every failure is a [`failure::Failure`]: a plain value, and a [`std::error::Error`].
//!
//! Each module imports only modules above it in this list; `tests/policy.rs` checks that.
//!
//! | module | what is in it |
//! |---|---|
//! | [`base`] | bytes, text, ranges, the words of a command line |
//! | [`image`] | the formats of kernels and initrds, and the decoders |
//! | [`dump`] | dumps of crashed kernels |
//! | [`plan`] | layouts over memory, and what each architecture hands to a kernel |
//! | [`known`] | facts about a machine, and conclusions from them |
//! | [`failure`] | every way to fail |
//! | [`host`] | the running machine: files, /proc, /sys, system calls |
//! | [`load`] | loads a kernel |
//! | [`jump`] | starts the loaded kernel |
//! | [`status`] | is a kernel loaded? |
//! | [`shutdown`] | is this shutdown a reboot? |
//! | [`settings`] | the settings of the OpenRC services |
//! | [`doctor`] | what keeps this machine from a kexec |
//! | [`say`] | the words for all of these, and for every failure |
//! | [`cli`] | the program's command line |
//!
//! The last two belong to the program `rc-kexec`, and change with it.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used))]

pub mod base;
pub mod cli;
pub mod doctor;
#[cfg(feature = "vmcore")]
pub mod dump;
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
