//! What only a kernel can say: machines that load and start a second kernel. The proof is
//! what the second one prints.
//!
//! The tests are in files by subject, from added.rs to systemd.rs. machine.rs starts a machine
//! and reads its console, script.rs is what most machines do first, and here is what the files
//! share about the second kernel.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod added;
mod arm64;
mod command;
mod cpio;
mod crash;
mod faults;
mod firmware;
mod forms;
mod hooks;
mod i386;
mod images;
mod initrds;
mod jump;
mod kdump;
mod layout;
mod locked;
mod machine;
mod makedumpfile;
mod openrc;
mod oracle;
mod progress;
mod rc_depend;
mod script;
mod seeds;
mod selftests;
mod services;
mod soak;
mod sum;
mod systemd;
mod table;
mod uml;

use machine::{Console, Kernel, Vm};
use script::LoadAndJump;

/// The command line of second stages.
const SECOND: &str = "console=ttyS0 panic=-1 stage=2 mark=second";

/// What the second kernel says of itself.
const SAY: &str = "echo CMDLINE $(cat /proc/cmdline)\nmemmap THEN\n";

/// A program of the tests that runs inside machines. The Makefile builds it.
fn guest(name: &str) -> Vec<u8> {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}\n  run: make guests", path.display()))
}

/// The second kernel came up, with its command line and the first one's memory map.
#[track_caller]
fn assert_second(console: &Console) {
    console.has("EXIT 0 of kexec-load").has("LOADED 1").has("STAGE 2 BEGINS").has("STAGE 2 ENDS");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
    let first = console.marked("FIRST");
    assert!(first.len() > 3, "no memory map of the first kernel\n{}", console.shown());
    assert_eq!(first, console.marked("THEN"), "{}", console.shown());
}

/// A machine whose kernel starts itself.
fn jump_once(kernel: Kernel, call: &str) -> Vm {
    Vm::new(kernel).stage(1, LoadAndJump::by(call)).stage(2, SAY)
}
