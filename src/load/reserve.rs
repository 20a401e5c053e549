//! How much memory has to be reserved for a crash kernel.

use super::initrds::Initrd;
use super::kernel::Kernel;
use crate::failure::{Failure, NotDone, Reservation};
use crate::host::refusal;
use crate::image::initrd;

/// What a crash kernel needs beside its files, in bytes: what it allocates while it boots and saves a dump.
/// tests/vm/kdump.rs lets one run with exactly what [`needs`] gives.
const AT_WORK: u64 = 64 << 20;

/// The memory that these files need as a crash kernel, in bytes: a multiple of 32 MiB. While the kernel
/// unpacks an initrd, both are there.
pub fn needs(kernel: &Kernel, initrds: &[Initrd]) -> u64 {
    let sizes = initrds.iter().map(|initrd| {
        let bytes = initrd.bytes();
        (bytes.len() as u64).saturating_add(initrd::unpacked_size(bytes))
    });
    let sum = sizes.fold(AT_WORK.saturating_add(kernel.image.memory_size()), u64::saturating_add);
    sum.checked_next_multiple_of(32 << 20).unwrap_or(u64::MAX)
}

/// The failure with what has to be reserved, if it is that nothing is.
pub fn with_need(why: Box<Failure>, kernel: &Kernel, initrds: &[Initrd]) -> Box<Failure> {
    match *why {
        Failure::NotDone(NotDone::NoCrashMemory) => {
            let boot_loaders = refusal::known().boot_loaders;
            let needs = needs(kernel, initrds);
            Box::new(Failure::NoReservation(Box::new(Reservation { needs, boot_loaders })))
        }
        _ => why,
    }
}
