//! arm64: device tree and UEFI, one initrd and two, below and above 4 GiB, a chain,
//! and the forms that a kernel for it comes in.

use crate::cpio::Cpio;
use crate::forms::{compressor, through, uimage, unified, vmlinux_of_image, zboot};
use crate::machine::{Console, Kernel, Vm};
use crate::script::LoadAndJump;
use rc_kexec::image::decode::Compression;

/// The command line of second stages.
const SECOND: &str = "console=ttyAMA0 panic=-1 stage=2 mark=second";

/// Says a checksum of the device tree by this mark, without what differs from boot to boot.
fn tree(mark: &str) -> String {
    let files = "find . -type f | grep -v ^./chosen/ | sort";
    format!("echo {mark} $(cd /sys/firmware/devicetree/base && {files} | xargs md5sum | md5sum)\n")
}

fn load_and_jump() -> LoadAndJump {
    LoadAndJump::new().says(&tree("TREE1")).line(SECOND)
}

/// What the second kernel says of itself.
fn say() -> String {
    let bootargs = "echo BOOTARGS $(cat /sys/firmware/devicetree/base/chosen/bootargs)\n";
    format!("echo CMDLINE $(cat /proc/cmdline)\n{bootargs}{}", tree("TREE2"))
}

#[track_caller]
fn assert_second(console: &Console) {
    console.has("EXIT 0 of kexec-load").has("LOADED 1").has("STAGE 2 BEGINS").has("STAGE 2 ENDS");
    console.has("loaded with kexec_load;");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
    assert_eq!(console.only("BOOTARGS"), SECOND, "{}", console.shown());
    assert_eq!(console.only("TREE1"), console.only("TREE2"), "{}", console.shown());
}

fn jump_once(options: &str) -> Vm {
    Vm::new(Kernel::Arm64).stage(1, load_and_jump().options(options)).stage(2, say())
}

/// The same with a kernel in another form, as /boot/kernel.
fn jump_to(form: &[u8]) -> Vm {
    let first = load_and_jump().kernel("/boot/kernel").asking_type();
    Vm::new(Kernel::Arm64).memory("1024M").file("boot/kernel", form).stage(1, first).stage(2, say())
}

#[test]
fn an_image_by_device_tree() {
    assert_second(&jump_once("").run());
}

#[test]
fn an_image_by_uefi_whose_memory_map_and_services_stay() {
    // By UEFI the kernel goes by ACPI, and shows no device tree but the one it was given.
    let say = "echo FIRMWARE $(ls /sys/firmware/efi) $(sort /sys/firmware/efi/systab | md5sum)\n\
        echo TABLES $(ls /sys/firmware/acpi/tables | md5sum)\n\
        echo MEMORY $(grep MemTotal /proc/meminfo)\n";
    let first = load_and_jump().says(say).options("--debug");
    let second = format!(
        "echo CMDLINE $(cat /proc/cmdline)\n{say}dmesg | grep -i 'efi: *Runtime\\|Remapping and enabling EFI'\n"
    );
    let console = Vm::new(Kernel::Arm64).uefi().silence(240).stage(1, first).stage(2, second).run();
    console.has("EXIT 0 of kexec-load").has("LOADED 1").has("STAGE 2 ENDS");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
    for mark in ["FIRMWARE", "TABLES"] {
        let said = console.marked(mark);
        assert_eq!(said.len(), 2, "{mark}: {}", console.shown());
        assert_eq!(said[0], said[1], "{mark}: {}", console.shown());
    }
    assert!(console.marked("FIRMWARE")[0].contains("systab"), "{}", console.shown());
    console.has("Remapping and enabling EFI services");
}

#[test]
fn without_an_initrd_the_first_boots_is_not_taken_for_one() {
    let console = Vm::new(Kernel::Arm64)
        .uefi()
        .silence(240)
        .stage(
            1,
            "run kexec-load /boot/vmlinuz --command-line 'console=ttyAMA0 panic=-1 mark=second' --debug\nrun kexec -e\n",
        )
        .run();
    console.has("initrd: an empty initrd, 1 cpio, 124 bytes").has("EXIT 0 of kexec-load");
    console.has("Kernel command line: console=ttyAMA0 panic=-1 mark=second").has("Unable to mount root fs");
    console.has_not("rootfs image is not initramfs");
}

#[test]
fn memory_above_4_gib_and_several_processors() {
    let first = load_and_jump().before("echo TOTAL1 $(grep MemTotal /proc/meminfo)").options("--debug");
    let second = format!("{}echo TOTAL2 $(grep MemTotal /proc/meminfo) $(nproc)\n", say());
    let console = Vm::new(Kernel::Arm64).memory("5G").processors(2).stage(1, first).stage(2, second).run();
    assert_second(&console);
    // The initrd is at the top: this machine's RAM begins at 1 GiB.
    console.has("1 initrd 1   0x01");
    assert!(console.only("TOTAL2").ends_with(" 2"), "{}", console.shown());
}

#[test]
fn two_initrds() {
    let more = Cpio::default().file("second-initrd", 0o644, b"here\n").finish();
    let first = load_and_jump().initrds(&["/tmp/next.cpio", "/more.cpio"]).options("--debug");
    let second = format!("{}echo MORE $(cat /second-initrd)\n", say());
    let console = Vm::new(Kernel::Arm64).file("more.cpio", &more).stage(1, first).stage(2, second).run();
    assert_second(&console);
    assert_eq!(console.only("MORE"), "here", "{}", console.shown());
}

#[test]
fn five_in_a_chain_change_nothing() {
    let mut vm = Vm::new(Kernel::Arm64);
    let say = "echo CHAIN $(sed s/stage=.// /proc/cmdline) $(grep 'System RAM' /proc/iomem | md5sum)\n\
        echo TREE $(cd /sys/firmware && wc -c <fdt)\n";
    for stage in 1..=5 {
        let jump = format!(
            "pack\nrun kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line 'console=ttyAMA0 panic=-1 stage={}'\nrun kexec -e\n",
            stage + 1
        );
        vm = vm.stage(stage, format!("{say}{jump}"));
    }
    let console = vm.stage(6, say).run();
    console.has("STAGE 6 ENDS");
    let said = console.marked("CHAIN");
    assert_eq!(said.len(), 6, "{}", console.shown());
    let trees = console.marked("TREE");
    // QEMU's own tree is the first.
    for later in 2..6 {
        assert_eq!(said[1], said[later], "{}", console.shown());
        assert_eq!(trees[1], trees[later], "{}", console.shown());
    }
}

#[test]
fn an_image_gz() {
    let form = through(compressor(Compression::Gzip), &Kernel::Arm64.image());
    let console = jump_to(&form).run();
    assert_second(&console);
    console.has("/boot/kernel: gzip of an arm64 Image, Linux 6.12.").has("-cloud-arm64, for arm64, ");
}

#[test]
fn a_vmlinux() {
    let console = jump_to(&vmlinux_of_image(&Kernel::Arm64.image())).run();
    assert_second(&console);
    console.has("/boot/kernel: an ELF vmlinux, Linux 6.12.").has("-cloud-arm64, for arm64, ");
}

#[test]
fn a_uimage_as_mkimage_makes_it() {
    let console = jump_to(&uimage(&through(&["gzip", "-c"], &Kernel::Arm64.image()))).run();
    assert_second(&console);
    console
        .has("/boot/kernel: a uImage of gzip of an arm64 Image, Linux 6.12.")
        .has("-cloud-arm64, for arm64, ");
}

/// zboot by the name that its header gives the compression.
fn zboot_of(compression: Compression, name: &str) {
    let form = zboot(&Kernel::Arm64.image(), compression, name);
    let console = jump_to(&form).run();
    assert_second(&console);
    console.has(&format!("/boot/kernel: an EFI zboot image ({compression}) of an arm64 Image, Linux 6.12."));
}

#[test]
fn zboot_with_gzip() {
    zboot_of(Compression::Gzip, "gzip");
}

#[test]
fn zboot_with_zstd() {
    zboot_of(Compression::Zstd, "zstd22");
}

#[test]
fn zboot_with_xz() {
    zboot_of(Compression::Xz, "xzkern");
}

#[test]
fn zboot_with_lz4() {
    zboot_of(Compression::Lz4, "lz4");
}

#[test]
fn a_unified_image_of_a_zboot_image() {
    let zboot = zboot(&Kernel::Arm64.image(), Compression::Gzip, "gzip");
    let line = format!("{SECOND}\n");
    let initrd = Cpio::default()
        .dir("bin")
        .dir("dev")
        .char_device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, &Kernel::Arm64.busybox())
        .file("init", 0o755, b"#!/bin/busybox sh\n/bin/busybox mkdir /proc; /bin/busybox mount -t proc proc /proc\necho STAGE 2 BEGINS\necho CMDLINE $(/bin/busybox cat /proc/cmdline)\n/bin/busybox reboot -f\n")
        .finish();
    let form = unified(0xaa64, &[(".linux", &zboot), (".cmdline", line.as_bytes()), (".initrd", &initrd)]);
    let console = Vm::new(Kernel::Arm64)
        .memory("1024M")
        .file("boot/kernel", &form)
        .stage(1, "run kexec-load /boot/kernel\nrun kexec -e\n")
        .run();
    console.has("the unified image's own (.cmdline)").has("STAGE 2 BEGINS");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
}

#[test]
fn a_device_tree_of_the_users() {
    assert_second(&jump_once("--dtb /sys/firmware/fdt").run());
    let first = load_and_jump().before("cat /sys/firmware/fdt >/tmp/mine.dtb").options("--dtb /tmp/mine.dtb");
    assert_second(&Vm::new(Kernel::Arm64).stage(1, first).stage(2, say()).run());
    let console = Vm::new(Kernel::Arm64)
        .stage(
            1,
            "echo nonsense >/tmp/mine.dtb\nrun kexec-load /boot/vmlinuz --dtb /tmp/mine.dtb --append x\n\
             echo LOADED $(cat /sys/kernel/kexec_loaded)\n",
        )
        .run();
    console.has("EXIT 1 of kexec-load").has("its device tree is unusable: not a device tree").has("LOADED 0");
}

/// The tree of the same machine with 768 MiB stands for one from a file, whose memory is a placeholder.
#[test]
fn a_device_tree_that_tells_of_less_memory_is_told_of() {
    let small = include_bytes!("../../src/plan/captured/virt.dtb");
    let memory = "echo MEMORY $(sed -n 's/MemTotal: *//p' /proc/meminfo)\n";
    let first = load_and_jump().before(memory).options("--dtb /etc/small.dtb");
    let vm = Vm::new(Kernel::Arm64).memory("1024M").file("etc/small.dtb", small);
    let console = vm.stage(1, first).stage(2, format!("{memory}{}", say())).run();
    console
        .has("note: the device tree that is given tells of 768 MiB of memory, the running kernel's of 1 GiB")
        .has("STAGE 2 ENDS");
    let kib = |line: &&str| line.trim_end_matches(" kB").parse::<u64>().unwrap();
    let told: Vec<u64> = console.marked("MEMORY").iter().map(kib).collect();
    assert!(told[0] > 800 << 10 && told[1] < 768 << 10, "{told:?}\n{}", console.shown());
}

#[test]
fn kernels_of_other_machines_are_refused_with_both_names() {
    let console = Vm::new(Kernel::Arm64)
        .file("boot/other", &Kernel::Alpine.image())
        .stage(1, "run kexec-load /boot/other --append x\necho LOADED $(cat /sys/kernel/kexec_loaded)\n")
        .run();
    console
        .has("unable to load /boot/other: this is a bzImage for x86_64; this machine is arm64")
        .has("EXIT 1 of kexec-load")
        .has("LOADED 0");
}

#[test]
fn processors_that_are_stuck_are_named() {
    // Protected KVM keeps the processors' EL2 to itself, for which the kernel has the
    // same refusal as for processors that it cannot stop.
    let console = Vm::new(Kernel::Arm64)
        .board("virt,virtualization=on")
        .append("kvm-arm.mode=protected")
        .stage(1, "run kexec-load /boot/vmlinuz --append x\necho LOADED $(cat /sys/kernel/kexec_loaded)\n")
        .run();
    console.has("EXIT 1 of kexec-load").has("CPUs are stuck in the kernel").has("LOADED 0");
}
