//! Several initrds: the second kernel unpacks them all.

use crate::cpio::Cpio;
use crate::machine::{Kernel, Vm};
use crate::script::LoadAndJump;
use crate::{SAY, assert_second};

/// An initrd with one file that says where it came from.
pub fn marked_archive(number: u32) -> Vec<u8> {
    Cpio::default().file(&format!("from-{number}"), 0o644, format!("INITRD {number}\n").as_bytes()).finish()
}

/// Archives beside the root file system's, the early microcode archive first.
fn several_initrds(kernel: Kernel, call: &str, count: u32) {
    let microcode = Cpio::default()
        .dir("kernel")
        .dir("kernel/x86")
        .dir("kernel/x86/microcode")
        .file("kernel/x86/microcode/AuthenticAMD.bin", 0o644, &[0xa5; 3001])
        .finish();
    let mut vm = Vm::new(kernel).file("extra0", &microcode);
    let mut initrds = vec!["/extra0".to_string(), "/tmp/next.cpio".to_string()];
    for number in 2..count {
        vm = vm.file(&format!("extra{number}"), &marked_archive(number));
        initrds.push(format!("/extra{number}"));
    }
    // One of them compressed: a run of archives may mix.
    let first = LoadAndJump::by(call)
        .packed("[ -e /extra2 ] && gzip -c /extra2 >/tmp/2 && cat /tmp/2 >/extra2")
        .initrds(&initrds.iter().map(String::as_str).collect::<Vec<_>>());
    let second = format!(
        "{SAY}cat /from-* 2>/dev/null\necho MICROCODE $(wc -c </kernel/x86/microcode/AuthenticAMD.bin)\n"
    );
    let console = vm.stage(1, first).stage(2, second).run();
    assert_second(&console);
    assert_eq!(console.only("MICROCODE"), "3001", "{}", console.shown());
    let wanted: Vec<String> = (2..count).map(|number| number.to_string()).collect();
    let mut found = console.marked("INITRD");
    // The shell sorts names as text.
    found.sort_by_key(|number| number.parse::<u32>().unwrap());
    assert_eq!(found, wanted, "{}", console.shown());
}

#[test]
fn two_initrds_by_the_load_call() {
    several_initrds(Kernel::Alpine, "load", 2);
}

#[test]
fn five_initrds_by_the_load_call() {
    several_initrds(Kernel::Alpine, "load", 5);
}

#[test]
fn two_initrds_by_the_file_call() {
    several_initrds(Kernel::Debian, "file", 2);
}

#[test]
fn five_initrds_by_the_file_call() {
    several_initrds(Kernel::Debian, "file", 5);
}

/// kexec_load has segments for 14; kexec_file_load gets one file with all of them.
#[test]
fn sixteen_initrds_by_the_file_call() {
    several_initrds(Kernel::Debian, "file", 16);
}
