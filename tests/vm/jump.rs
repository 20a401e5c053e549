//! Machines in which one kernel starts another: by each call, in a chain, by the names and
//! options that load and jump at once.

use crate::machine::{Kernel, Vm};
use crate::script::{LoadAndJump, replaced};
use crate::{SAY, SECOND, assert_second, jump_once};

#[test]
fn load_call_on_a_kernel_like_alpines() {
    let console = jump_once(Kernel::Alpine, "load").run();
    assert_second(&console);
    console.has("loaded with kexec_load;");
}

#[test]
fn load_call_on_debians_kernel() {
    assert_second(&jump_once(Kernel::Debian, "load").run());
}

#[test]
fn file_call_on_debians_kernel() {
    assert_second(&jump_once(Kernel::Debian, "file").run());
}

#[test]
fn auto_takes_the_call_that_is_there() {
    let console = jump_once(Kernel::Debian, "auto").run();
    assert_second(&console);
    console.has("loaded with kexec_file_load;");
    let console = jump_once(Kernel::Alpine, "auto").run();
    assert_second(&console);
    console.has("loaded with kexec_load;");
}

#[test]
fn a_call_that_is_not_there_is_not_made_up_for_when_asked_for_by_name() {
    let console = Vm::new(Kernel::Alpine)
        .stage(
            1,
            "run kexec -s -l /boot/vmlinuz --reuse-cmdline\necho LOADED $(cat /sys/kernel/kexec_loaded)\n",
        )
        .run();
    console
        .has("EXIT 1 of kexec")
        .has("with kexec_file_load: this kernel does not have the call")
        .has("LOADED 0");
}

#[test]
fn each_kernel_starts_the_other() {
    for (first, second) in [(Kernel::Alpine, Kernel::Debian), (Kernel::Debian, Kernel::Alpine)] {
        let release = "echo RELEASE $(uname -r)\n";
        let stage = LoadAndJump::by("load").kernel("/other").before(release);
        let vm = Vm::new(first).file("other", &second.image());
        let console = vm.stage(1, stage).stage(2, format!("{release}{SAY}")).run();
        assert_second(&console);
        let releases = console.marked("RELEASE");
        let alpine: Vec<bool> = releases.iter().map(|release| release.ends_with("-0-virt")).collect();
        assert_eq!(alpine, [first == Kernel::Alpine, second == Kernel::Alpine], "{}", console.shown());
    }
}

#[test]
fn with_two_processors() {
    let second = format!("{SAY}echo PROCESSORS $(grep -c ^processor /proc/cpuinfo)\n");
    let console =
        Vm::new(Kernel::Debian).processors(2).stage(1, LoadAndJump::by("load")).stage(2, second).run();
    assert_second(&console);
    assert_eq!(console.only("PROCESSORS"), "2", "{}", console.shown());
}

#[test]
fn ten_kexecs_in_a_chain_change_nothing() {
    // nokaslr: where the kernel puts itself by chance, MemTotal differs by a page or two.
    for (kernel, uefi) in [(Kernel::Alpine, false), (Kernel::Alpine, true)] {
        let stage = r#"
n=$(cat /count)
echo "CMDLINE $(cat /proc/cmdline)"
echo "MEMORY $(grep MemTotal /proc/meminfo)"
echo "MAP $(memmap x | md5sum)"
echo "EFI $(ls /sys/firmware/efi/runtime-map 2>/dev/null | wc -l)"
if [ $n = 10 ]; then
    echo CHAIN ENDS
else
    echo $((n + 1)) >/count
    pack
    kexec-load /boot/vmlinuz --initrd /tmp/next.cpio && kexec -e
fi
"#;
        let mut vm = Vm::new(kernel)
            .append("nokaslr BOOT_IMAGE=/vmlinuz quoted=\"a initrd=b\" rootflags=x")
            .stage(1, stage)
            .file("count", b"0");
        if uefi {
            vm = vm.uefi();
        }
        let console = vm.run();
        console.has("CHAIN ENDS");
        let lines = console.marked("CMDLINE");
        assert_eq!(lines.len(), 11, "{}", console.shown());
        assert!(lines[0].contains("BOOT_IMAGE="), "{}", console.shown());
        // OVMF's loader adds an initrd= of its own.
        let is_mark = |word: &&str| word.starts_with("BOOT_IMAGE=") || word.starts_with("initrd=");
        let without: Vec<&str> = lines[0].split(' ').filter(|word| !is_mark(word)).collect();
        let without = replaced(&without.join(" "), "quoted=\"a", "quoted=\"a initrd=b\"");
        assert!(lines[1..].iter().all(|line| *line == without), "{lines:?}");
        for mark in ["MAP", "EFI", "MEMORY"] {
            let values = console.marked(mark);
            assert_eq!(values.len(), 11, "{mark}\n{}", console.shown());
            assert!(values[1..].iter().all(|value| *value == values[1]), "{mark}: {values:?}");
        }
        assert_eq!(console.marked("MAP")[0], console.marked("MAP")[1]);
        assert_eq!(console.marked("EFI")[0], console.marked("EFI")[1]);
        assert_eq!(console.marked("EFI")[0] != "0", uefi, "{}", console.shown());
        // The firmware's boot loader and rc-kexec leave a different page or two behind.
        let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap();
        let memory: Vec<i64> = console.marked("MEMORY").into_iter().map(kib).collect();
        assert!((memory[0] - memory[1]).abs() <= 64, "{memory:?}");
    }
}

#[test]
fn a_failed_load_leaves_the_earlier_one_in_place() {
    let first = LoadAndJump::by("load").before("echo 1 >/proc/sys/kernel/kexec_load_limit_reboot").jump(
        "head -c 3000000 /boot/vmlinuz >/tmp/cut\n\
             run kexec -l /tmp/cut --append never\n\
             run kexec -c -l /boot/vmlinuz --append never\n\
             echo STILL $(cat /sys/kernel/kexec_loaded)\n\
             kexec -e",
    );
    let console = Vm::new(Kernel::Alpine).stage(1, first).stage(2, SAY).run();
    console.has("/tmp/cut: the file is cut short").has("kernel.kexec_load_limit_reboot is 0").has("STILL 1");
    assert_second(&console);
}

#[test]
fn kexec_exec_jumps_only_when_the_machine_goes_down_for_a_reboot() {
    let first = LoadAndJump::by("load").jump(
        "run kexec-exec\n\
         RC_GOINGDOWN=YES RC_RUNLEVEL=single kexec-exec; echo SINGLE $?\n\
         RC_REBOOT=YES RC_RUNLEVEL=shutdown kexec-exec; echo STAYING $?\n\
         RC_GOINGDOWN=YES RC_RUNLEVEL=shutdown kexec-exec; echo UNKNOWN $?\n\
         RC_GOINGDOWN=YES RC_RUNLEVEL=shutdown RC_REBOOT=YES kexec-exec",
    );
    let console = Vm::new(Kernel::Alpine).stage(1, first).stage(2, SAY).run();
    console
        .has("EXIT 1 of kexec-exec")
        .has("the machine is not going down (RC_RUNLEVEL is not set)")
        .has("the machine is not going down (RC_RUNLEVEL is single)")
        .has("SINGLE 1")
        .has("the machine is not going down (RC_GOINGDOWN is not YES)")
        .has("STAYING 1")
        .has("nothing watched its signals")
        .has("UNKNOWN 1");
    assert_second(&console);
}

#[test]
fn kexec_f_loads_and_jumps_and_kexec_alone_asks_init() {
    let first = format!(
        "memmap FIRST\npack\n\
         printf '#!/bin/sh\\necho INIT WAS ASKED BY $0\\n' >/sbin/reboot; chmod 755 /sbin/reboot\n\
         run kexec /boot/vmlinuz --initrd=/tmp/next.cpio --append='{SECOND}'\n\
         echo LOADED $(cat /sys/kernel/kexec_loaded)\n\
         echo EXIT 0 of kexec-load\n\
         kexec -f /boot/vmlinuz --initrd=/tmp/next.cpio --append='{SECOND}'\n"
    );
    let console = Vm::new(Kernel::Alpine).stage(1, &first).stage(2, SAY).run();
    console.has("INIT WAS ASKED BY /sbin/reboot");
    assert_second(&console);
}
