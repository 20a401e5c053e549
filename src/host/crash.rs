//! What the running kernel says for the crash kernel that is to be loaded.

use super::files::{names, read_settled, read_whole, value};
use super::sys::process;
use crate::base::bytes::parts;
use crate::base::range::Range;
use crate::base::text::{parse_decimal, parse_hex};
use crate::failure::{Failure, NotDone, Result};
use crate::plan::crash::CrashKernel;
use nix::errno::Errno;

/// The memory that is reserved for a crash kernel, and what it has to know of this one.
///
/// Fails with [`NotDone::NoCrashMemory`] when nothing is reserved, and when a file of /proc or /sys cannot
/// be read.
pub fn kernel() -> Result<CrashKernel> {
    let iomem = read_settled("/proc/iomem")?;
    let notes = notes()?;
    let found = CrashKernel::new(&iomem, &notes, process::machine(), header_room());
    match found.map_err(|why| Failure::NoPlan { path: "a crash kernel".into(), why })? {
        Some(kernel) => Ok(kernel),
        // The size is there for everybody; the addresses are root's (proc(5)).
        None if reserved() > 0 => Err(Failure::AddressesHidden.into()),
        None => Err(NotDone::NoCrashMemory.into()),
    }
}

/// The bytes that the kernel wants for the ELF core header, if it writes that again when processors or memory
/// come and go, and takes our word that it may (linux/kexec.h, KEXEC_CRASH_HOTPLUG_SUPPORT, since 6.10; for
/// x86 alone).
#[cfg(all(feature = "vmcore", target_arch = "x86_64"))]
fn header_room() -> Option<u64> {
    let room =
        value(format_args!("/sys/kernel/crash_elfcorehdr_size")).and_then(|text| parse_decimal(&text))?;
    (super::kernel::version()? >= (6, 10)).then_some(room)
}

/// The small build has no room for this.
#[cfg(not(all(feature = "vmcore", target_arch = "x86_64")))]
fn header_room() -> Option<u64> {
    None
}

/// How much memory is reserved for a crash kernel, in bytes (Documentation/ABI/testing/sysfs-kernel-kexec-kdump).
pub fn reserved() -> u64 {
    value(format_args!("/sys/kernel/kexec_crash_size")).and_then(|text| parse_decimal(&text)).unwrap_or(0)
}

/// The places of the ELF notes that a crashing kernel writes: one for each possible processor, and
/// VMCOREINFO (Documentation/ABI/testing/sysfs-devices-system-cpu, crash_notes; kernel/ksysfs.c,
/// vmcoreinfo_show).
fn notes() -> Result<Vec<Range>> {
    let folder = "/sys/devices/system/cpu";
    let mut notes = Vec::new();
    // In the order of their numbers, by which crash(8) and others tell whose registers they are. The folder
    // has more names than processors, so none is missed where numbers are left out.
    for number in 0..names(folder).len() {
        let field = |field: &str| value(format_args!("{folder}/cpu{number}/{field}"));
        let address = field("crash_notes").and_then(|text| parse_hex(&text));
        let size = field("crash_notes_size").and_then(|text| parse_decimal(&text));
        notes.extend(address.zip(size).and_then(|(address, size)| Range::sized(address, size)));
    }
    let path = "/sys/kernel/vmcoreinfo";
    let text = read_whole(path)?;
    let mut words = parts(text.trim_ascii(), b' ');
    let address = words.next().and_then(parse_hex);
    let size = words.next().and_then(parse_hex);
    let vmcoreinfo = address.zip(size).and_then(|(address, size)| Range::sized(address, size));
    let missing = Failure::SystemFile { path, errno: Errno::ENODATA };
    if notes.is_empty() {
        return Err(Failure::SystemFile {
            path: "/sys/devices/system/cpu/cpu0/crash_notes",
            errno: Errno::ENODATA,
        }
        .into());
    }
    notes.push(vmcoreinfo.ok_or(missing)?);
    Ok(notes)
}
