//! What the firmware left behind is what the second kernel finds: EFI with its runtime
//! services, and the fields of boot_params that only the firmware can fill.

use crate::layout::segments;
use crate::machine::{Console, Kernel, Vm};
use crate::script::{LoadAndJump, large_initrd};
use crate::{SAY, assert_second};

/// What EFI leaves behind, and that its runtime services answer.
const SAY_EFI: &str = r#"
echo CMDLINE $(cat /proc/cmdline)
memmap THEN
ls -d /sys/firmware/efi && echo "EFI ranges $(ls /sys/firmware/efi/runtime-map | wc -l)"
echo "SYSTAB $(sort /sys/firmware/efi/systab | tr '\n' ' ')"
mount -t efivarfs efivarfs /mnt && echo "EFI variables $(ls /mnt | wc -l)"
"#;

const FIRST_EFI: &str = r#"
echo "EFI1 ranges $(ls /sys/firmware/efi/runtime-map | wc -l)"
echo "SYSTAB1 $(sort /sys/firmware/efi/systab | tr '\n' ' ')"
mount -t efivarfs efivarfs /mnt && echo "EFI1 variables $(ls /mnt | wc -l)"
umount /mnt
"#;

#[track_caller]
fn assert_efi_kept(console: &Console, variables: bool) {
    assert_second(console);
    let efi = console.marked("EFI");
    assert!(efi[0].starts_with("ranges ") && efi[0] != "ranges 0", "{}", console.shown());
    assert_eq!(efi, console.marked("EFI1"), "{}", console.shown());
    assert_eq!(console.only("SYSTAB"), console.only("SYSTAB1"), "{}", console.shown());
    assert_eq!(efi.len(), 1 + usize::from(variables), "{}", console.shown());
    console.has_not("without EFI");
}

#[test]
fn uefi_load_call_on_a_kernel_like_alpines_keeps_runtime_services() {
    let first = LoadAndJump::by("load").before(FIRST_EFI);
    let console = Vm::new(Kernel::Alpine).uefi().stage(1, first).stage(2, SAY_EFI).run();
    assert_efi_kept(&console, true);
}

#[test]
fn uefi_load_call_on_debians_kernel_keeps_runtime_services() {
    let first = LoadAndJump::by("load").before(FIRST_EFI);
    let console = Vm::new(Kernel::Debian).uefi().stage(1, first).stage(2, SAY_EFI).run();
    // efivarfs is a module there.
    assert_efi_kept(&console, false);
}

#[test]
fn uefi_file_call_on_debians_kernel_keeps_runtime_services() {
    let first = LoadAndJump::by("file").before(FIRST_EFI);
    let console = Vm::new(Kernel::Debian).uefi().stage(1, first).stage(2, SAY_EFI).run();
    assert_efi_kept(&console, false);
}

/// The running kernel keeps EFI's memory attributes table, which lies in RAM, for the next one
/// (drivers/firmware/efi/memattr.c). Only the flags of its pages say so.
#[test]
fn with_512_mib_no_segment_lies_over_a_table_of_efis() {
    // From the highest RAM down, an initrd of this size would reach over the table.
    let first = LoadAndJump::by("load")
        .options("-d")
        .packed(&large_initrd(48_000_000))
        .initrds(&["/tmp/next.cpio", "/tmp/large.cpio"])
        .before("dmesg | sed -n 's/.*MEMATTR=\\(0x[0-9a-f]*\\).*/MEMATTR1 \\1/p'");
    let second = format!(
        "{SAY}dmesg | grep -i memattr | grep -v MEMATTR= | sed 's/^/COMPLAINT /'\n\
                          dmesg | sed -n 's/.*MEMATTR=\\(0x[0-9a-f]*\\).*/MEMATTR2 \\1/p'\n"
    );
    for kernel in [Kernel::Alpine, Kernel::Debian] {
        let vm = Vm::new(kernel).uefi().memory("512M").stage(1, first.clone()).stage(2, second.clone());
        let console = vm.run();
        assert_second(&console);
        let table = u64::from_str_radix(&console.only("MEMATTR1")[2..], 16).unwrap();
        for place in segments(&console, 4) {
            assert!(!(place.0..=place.1).contains(&table), "{table:#x} {place:x?}\n{}", console.shown());
        }
        assert_eq!(console.marked("COMPLAINT"), [""; 0], "{}", console.shown());
        assert_eq!(console.only("MEMATTR1"), console.only("MEMATTR2"), "{}", console.shown());
    }
}

#[test]
fn uefi_with_a_part_missing_starts_without_runtime_services_and_says_so() {
    let first = LoadAndJump::by("load").before("mount -t tmpfs none /sys/firmware/efi/runtime-map");
    let second =
        format!("{SAY}ls /sys/firmware/efi || echo NO EFI\ndmesg | grep -c ACPI | sed 's/^/ACPI /'\n");
    let console = Vm::new(Kernel::Alpine).uefi().stage(1, first).stage(2, second).run();
    assert_second(&console);
    console.has(
        "note: the next kernel will have no EFI runtime services: /sys/firmware/efi/runtime-map is not there",
    );
    console.has("NO EFI");
    // Without EFI the ACPI tables are found by boot_params.acpi_rsdp_addr alone.
    assert_ne!(console.only("ACPI"), "0", "{}", console.shown());
}

#[test]
fn noefi_starts_without_runtime_services() {
    let first = LoadAndJump::new().loader("kexec --noefi -l");
    let second =
        format!("{SAY}ls /sys/firmware/efi || echo NO EFI\ndmesg | grep -c ACPI | sed 's/^/ACPI /'\n");
    let console = Vm::new(Kernel::Debian).uefi().stage(1, first).stage(2, second).run();
    console
        .has("EXIT 0 of kexec\n")
        .has("STAGE 2 ENDS")
        .has("note: the next kernel will have no EFI runtime services: --noefi asks for that")
        .has("NO EFI");
    assert_ne!(console.only("ACPI"), "0", "{}", console.shown());
}

#[test]
fn boot_params_carry_what_the_firmware_said() {
    // screen_info and EDID, EDD and its signatures, RSDP, secure boot, and the kinds
    // of setup_data: 9 is a random seed, 4 is EFI.
    let say = r#"
field() { echo "$1-$2 $(dd if=/sys/kernel/boot_params/data bs=1 skip=$(($3)) count=$(($4)) 2>/dev/null | md5sum)"; }
fields() {
    field $1 screen 0x06 0x38; field $1 edid 0x140 0x80; field $1 edd 0xd00 0x1ec; field $1 edd-count 0x1e9 1
    field $1 signatures 0x290 0x40; field $1 signature-count 0x1ea 1; field $1 secure-boot 0x1ec 1
}
byte() { echo "BYTES-$1 $(hexdump -v -e '1/1 "%02x"' -s $(($2)) -n $3 /sys/kernel/boot_params/data)"; }
echo "SCREEN $(hexdump -v -e '1/1 "%02x"' -n 64 /sys/kernel/boot_params/data)"
"#;
    let kinds = "echo \"KINDS $(cat /sys/kernel/boot_params/setup_data/*/type | sort | tr '\\n' ' ')\"\n\
                 echo \"LOADER $(cat /proc/sys/kernel/bootloader_type)\"\n";
    for uefi in [false, true] {
        let bytes = "byte edd-count 0x1e9 1\nbyte signature-count 0x1ea 1\nbyte signature 0x290 4\nbyte first-rsdp 0x70 8\n";
        let first = LoadAndJump::by("load").says(&format!("{say}fields FIRST\n{bytes}"));
        let second = format!("{say}fields THEN\nbyte rsdp 0x70 8\n{kinds}");
        let mut vm = Vm::new(Kernel::Alpine).disk().stage(1, first).stage(2, second);
        if uefi {
            vm = vm.uefi();
        }
        let console = vm.run();
        console.has("STAGE 2 ENDS");
        // Fields of zeros would be equal without being copied.
        assert_ne!(console.only("BYTES-rsdp"), "0000000000000000", "{}", console.shown());
        if !uefi {
            // Under UEFI the first kernel had it from EFI's tables alone.
            assert_eq!(console.only("BYTES-rsdp"), console.only("BYTES-first-rsdp"), "{}", console.shown());
            assert_eq!(console.only("BYTES-edd-count"), "01", "{}", console.shown());
            assert_eq!(console.only("BYTES-signature-count"), "01", "{}", console.shown());
            assert_eq!(console.only("BYTES-signature"), "72636b78", "{}", console.shown());
        }
        for field in ["screen", "edid", "edd", "edd-count", "signatures", "signature-count", "secure-boot"] {
            let (first, then) =
                (console.only(&format!("FIRST-{field}")), console.only(&format!("THEN-{field}")));
            assert_eq!(first, then, "{field}, uefi: {uefi}\n{}", console.shown());
        }
        // A screen of zeros would be equal, too.
        assert!(console.marked("SCREEN")[0].trim_matches('0').len() > 4, "{}", console.shown());
        assert_eq!(console.only("KINDS").trim(), if uefi { "0x4 0x9" } else { "0x9" }, "{}", console.shown());
        assert_eq!(console.only("LOADER"), "208", "{}", console.shown());
    }
}

/// Where the kernel has moved the memory of the display, boot_params still name the firmware's place, and
/// the next kernel would draw into nothing or into another device (drivers/video/screen_info_pci.c).
#[test]
fn a_framebuffer_that_was_moved_is_not_handed_on() {
    let say = "echo \"LFB $(hexdump -v -e '1/4 \"%08x\"' -s 0x18 -n 4 /sys/kernel/boot_params/data)\"\n\
               echo \"BAR $(sed -n 's/^ *\\([0-9a-f]*\\)-[0-9a-f]* : 0000:00:01.0$/\\1/p' /proc/iomem | head -n 1)\"\n\
               dmesg | sed -n 's/.*efifb: \\(framebuffer at [0-9a-fx]*\\).*/EFIFB \\1/p'\n";
    let moved = "pci=resource_alignment=28@00:01.0";
    for (options, lfb) in [("", "c0000000"), (moved, "00000000")] {
        let first = LoadAndJump::by("load").before(say);
        let console = Vm::new(Kernel::Debian).uefi().append(options).stage(1, first).stage(2, say).run();
        console.has("STAGE 2 ENDS");
        assert_eq!(console.marked("LFB"), ["c0000000", lfb], "{options}\\n{}", console.shown());
        assert_eq!(console.marked("BAR")[0] == "c0000000", options.is_empty(), "{}", console.shown());
        let drawn = console.marked("EFIFB");
        assert_eq!(drawn.len(), if options.is_empty() { 2 } else { 0 }, "{options}\\n{}", console.shown());
    }
}
