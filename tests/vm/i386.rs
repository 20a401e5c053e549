//! 32-bit x86: from a 32-bit kernel, and into one from a 64-bit kernel.

use crate::machine::{Console, Kernel, Vm};

/// The command line of second stages.
const SECOND: &str = "console=ttyS0 panic=-1 stage=2 mark=second";

const SAY: &str = "echo CMDLINE $(cat /proc/cmdline)\necho MACHINE $(uname -m)\nmemmap THEN\n";

/// Loads KERNEL with this root file system as its initrd by `call`, and jumps.
fn load_and_jump(kernel: &str, call: &str) -> String {
    format!(
        "memmap FIRST\npack\n\
         run kexec-load {kernel} --type\n\
         run kexec-load {kernel} --initrd /tmp/next.cpio --syscall {call} --command-line '{SECOND}'\n\
         echo LOADED $(cat /sys/kernel/kexec_loaded)\n\
         run kexec -e\n"
    )
}

#[track_caller]
fn assert_second(console: &Console, machine: &str) {
    console.has("EXIT 0 of kexec-load").has("LOADED 1").has("STAGE 2 BEGINS").has("STAGE 2 ENDS");
    console.has("loaded with kexec_load;");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
    assert_eq!(console.only("MACHINE"), machine, "{}", console.shown());
    let first = console.marked("FIRST");
    assert!(first.len() > 3, "no memory map of the first kernel\n{}", console.shown());
    assert_eq!(first, console.marked("THEN"), "{}", console.shown());
}

#[test]
fn from_a_32_bit_kernel_to_itself() {
    let console = Vm::new(Kernel::I386).stage(1, &load_and_jump("/boot/vmlinuz", "auto")).stage(2, SAY).run();
    assert_second(&console, "i686");
    console.has("a bzImage, Linux 6.1.").has("for x86, boot protocol 2.15");
}

#[test]
fn from_a_64_bit_kernel_to_a_32_bit_one() {
    // The root file system of the second is the first's: its programs are 64-bit, so
    // what is packed is a BusyBox that runs there.
    let first = load_and_jump("/boot/kernel32", "auto")
        .replace("pack\n", "cp /busybox32 /bin/busybox.new && mv /bin/busybox.new /bin/busybox\npack\n");
    for kernel in [Kernel::Debian, Kernel::Alpine] {
        let console = Vm::new(kernel)
            .file("boot/kernel32", &Kernel::I386.image())
            .file("busybox32", &Kernel::I386.busybox())
            .stage(1, &first)
            .stage(2, SAY)
            .run();
        assert_second(&console, "i686");
    }
}

#[test]
fn from_a_32_bit_kernel_to_a_64_bit_one_where_the_processor_can() {
    let vm = |first: &str| {
        Vm::new(Kernel::I386).file("boot/kernel64", &Kernel::Debian.image()).stage(1, first).stage(2, SAY)
    };
    let first = load_and_jump("/boot/kernel64", "auto");
    assert_second(&vm(&first).long_mode().run(), "x86_64");
    let console = vm(&first).run();
    console
        .has("unable to load /boot/kernel64: this is a bzImage for x86_64; this machine is x86")
        .has("LOADED 0");
}
