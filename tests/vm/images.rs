//! The other forms that a kernel for x86_64 comes in: vmlinux, compressed files and unified
//! images.

use crate::cpio::Cpio;
use crate::machine::{Kernel, Vm};
use crate::script::LoadAndJump;
use crate::{SAY, SECOND, assert_second, forms};

/// A kernel in another form, as /boot/kernel.
fn jump_to(kernel: Kernel, form: &[u8], first: LoadAndJump) -> Vm {
    let first = first.kernel("/boot/kernel").asking_type();
    Vm::new(kernel).memory("1024M").file("boot/kernel", form).stage(1, first).stage(2, SAY)
}

/// Debian's and the Alpine-like kernel's vmlinux, out of their bzImages.
#[test]
fn vmlinux_by_both_calls() {
    let form = forms::vmlinux("debian/vmlinuz");
    for call in ["load", "file"] {
        let console = jump_to(Kernel::Debian, &form, LoadAndJump::by(call)).run();
        assert_second(&console);
        console.has("/boot/kernel: an ELF vmlinux, Linux 6.12.").has("-cloud-amd64, for x86_64, ");
        console.has(if call == "load" { "loaded with kexec_load;" } else { "loaded with kexec_file_load;" });
    }
    let form = forms::vmlinux("alpine/vmlinuz");
    assert_second(&jump_to(Kernel::Alpine, &form, LoadAndJump::by("auto")).run());
}

#[test]
fn a_compressed_vmlinux_and_a_compressed_bzimage() {
    let form = forms::through(&["xz", "-c", "-0"], &forms::vmlinux("alpine/vmlinuz"));
    let console = jump_to(Kernel::Alpine, &form, LoadAndJump::by("auto")).run();
    assert_second(&console);
    console.has("/boot/kernel: xz of an ELF vmlinux, Linux 6.12.");
    let form = forms::through(&["zstd", "-q", "-c", "-1"], &Kernel::Debian.image());
    let console = jump_to(Kernel::Debian, &form, LoadAndJump::by("file")).run();
    assert_second(&console);
    console.has("/boot/kernel: zstd of a bzImage, Linux 6.12.").has("loaded with kexec_file_load;");
}

/// A root file system that says what it was started with.
fn small_root() -> Vec<u8> {
    let init = "#!/bin/busybox sh\n\
        /bin/busybox mkdir /proc /sys\n/bin/busybox mount -t proc proc /proc\n\
        echo STAGE 2 BEGINS\necho CMDLINE $(/bin/busybox cat /proc/cmdline)\n\
        echo MICROCODE $(/bin/busybox cat /kernel/x86/microcode/note)\n/bin/busybox reboot -f\n";
    ["bin", "dev"]
        .iter()
        .fold(Cpio::default(), |cpio, name| cpio.dir(name))
        .char_device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, &Kernel::Debian.busybox())
        .file("init", 0o755, init.as_bytes())
        .finish()
}

#[test]
fn unified_images_by_both_calls() {
    let microcode = ["kernel", "kernel/x86", "kernel/x86/microcode"]
        .iter()
        .fold(Cpio::default(), |cpio, name| cpio.dir(name))
        .file("kernel/x86/microcode/note", 0o644, b"first\n")
        .finish();
    let root = forms::through(&["gzip", "-c", "-1"], &small_root());
    let embedded = format!("{SECOND} embedded");
    let form = forms::unified(
        0x8664,
        &[
            (".osrel", b"ID=test\n"),
            (".cmdline", format!("{embedded}\n").as_bytes()),
            (".ucode", &microcode),
            (".initrd", &root),
            (".uname", b"6.12.0-of-the-section"),
            (".linux", &Kernel::Debian.image()),
        ],
    );
    for call in ["load", "file"] {
        // Its own command line and initrds, when nothing else is asked for.
        let console = jump_to(Kernel::Debian, &form, LoadAndJump::by(call).bare()).run();
        console.has(
            "/boot/kernel: a unified kernel image of a bzImage, Linux 6.12.0-of-the-section, for x86_64",
        );
        console
            .has("note: the command line is the unified image's own (.cmdline)")
            .has("EXIT 0 of kexec-load");
        assert_eq!(console.only("CMDLINE"), embedded, "{}", console.shown());
        assert_eq!(console.only("MICROCODE"), "first", "{}", console.shown());
        // The user's win.
        let console = jump_to(Kernel::Debian, &form, LoadAndJump::by(call)).run();
        assert_second(&console);
        console.has("your command line replaces the unified image's own (.cmdline)");
        // One of them.
        let mine = LoadAndJump::by(call).bare().line("console=ttyS0 panic=-1 mine");
        let console = jump_to(Kernel::Debian, &form, mine).run();
        assert_eq!(console.only("CMDLINE"), "console=ttyS0 panic=-1 mine", "{}", console.shown());
        assert_eq!(console.only("MICROCODE"), "first", "{}", console.shown());
    }
}

#[test]
fn none_is_no_initrd_of_a_unified_image_either() {
    let form = forms::unified(0x8664, &[(".initrd", &small_root()), (".linux", &Kernel::Debian.image())]);
    let dry_run = || LoadAndJump::by("load").bare().options("--append x --dry-run");
    let console = jump_to(Kernel::Debian, &form, dry_run()).run();
    console.has("initrd: /boot/kernel .initrd, 1 cpio, ");
    let console = jump_to(Kernel::Debian, &form, dry_run().initrds(&["none"])).run();
    console.has("kernel: /boot/kernel, a unified kernel image of ").has_not("initrd: /boot/kernel");
}

#[test]
fn what_decodes_to_more_than_there_is_room_for_loads_nothing() {
    let form = forms::through(&["gzip", "-c", "-9"], &vec![0u8; 600 << 20]);
    let console = Vm::new(Kernel::Alpine)
        .file("boot/bomb", &form)
        .stage(
            1,
            "run kexec-load /boot/vmlinuz --append x\nrun kexec-load /boot/bomb --append x\n\
             echo LOADED $(cat /sys/kernel/kexec_loaded)\necho LEFT $(df -k /tmp | wc -l)\n",
        )
        .run();
    console
        .has("unable to load /boot/bomb: its gzip data unpack to more than ")
        .has("EXIT 1 of kexec-load")
        .has("LOADED 1");
}
