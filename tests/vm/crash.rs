//! Crash kernels: loaded by each call, started by a panic, and what they find of the crashed one.

use crate::machine::{Console, Kernel, Vm, folder, parts};
use crate::makedumpfile::{MAKEDUMPFILE, with_makedumpfile};
use crate::script::{LoadAndJump, replaced};
use std::process::{Command, Stdio};

/// What the crash kernel says: its memory, and the dump.
const CAPTURE: &str = r#"
echo CMDLINE $(cat /proc/cmdline)
echo DUMP $(stat -c %s /proc/vmcore)
echo ELF $(hexdump -v -e '1/1 "%02x"' -n 20 /proc/vmcore)
echo RELEASE $(head -c 65536 /proc/vmcore | strings | sed -n 's/^OSRELEASE=//p' | head -n 1)
sed -n 's/^\(.*\) : System RAM$/RAM \1/p' /proc/iomem
rc-kexec vmcore dmesg >/tmp/log; echo EXIT $? of vmcore
sed 's/^/LOG /' /tmp/log
run rc-kexec vmcore info
"#;

/// What a crash kernel that saves the dump says then. Only some do: in emulation it takes ten seconds and more.
const SAVE: &str = r#"
run rc-kexec vmcore save /tmp/dump
rc-kexec vmcore dmesg /tmp/dump >/tmp/again; cmp /tmp/log /tmp/again && echo SAVED LOG
"#;

/// What the first kernel says before it panics.
const FIRST: &str = r#"
sed -n 's/^ *\(.*\) : Crash kernel$/RESERVED \1/p' /proc/iomem
echo RUNNING $(uname -r)
"#;

/// The end of process 1, and what an administrator types. A tiny kernel has only the first.
const END_OF_INIT: &str = "exec /bin/busybox false";
const ONE: &str = "crashkernel=256M";
const SYSRQ: &str = "echo c >/proc/sysrq-trigger";

fn crash(kernel: Kernel, call: &str, panic: &str, reserved: &str) -> Vm {
    let console = if kernel == Kernel::Arm64 { "ttyAMA0" } else { "ttyS0" };
    let first = LoadAndJump::new()
        .before(FIRST)
        .loader("kexec-load --crash")
        .options(&format!("--syscall {call}"))
        .line(&format!("console={console} panic=-1 stage=2 nr_cpus=1 reset_devices"))
        .jump(&format!("echo CRASH LOADED $(cat /sys/kernel/kexec_crash_loaded)\n{panic}"));
    Vm::new(kernel).memory("1G").append(reserved).stage(1, first).stage(2, CAPTURE)
}

/// The crash kernel came up, in the memory that was reserved for it, and finds the crashed one's.
#[track_caller]
fn assert_captured(console: &Console) {
    console
        .has("; a panic starts it")
        .has("EXIT 0 of kexec-load")
        .has("LOADED 0")
        .has("CRASH LOADED 1")
        .has("STAGE 2 ENDS");
    console.has("Kernel panic - not syncing: ");
    // An ELF core file of 64-bit, little-endian.
    assert!(console.only("ELF").starts_with("7f454c4602010100"), "{}", console.shown());
    assert!(console.only("ELF").contains("0400"), "{}", console.shown());
    let dump: u64 = console.only("DUMP").parse().unwrap();
    // All of its memory, of which the smallest machine has 1 GiB, but what was reserved.
    assert!(dump > 740 << 20, "{dump}\n{}", console.shown());
    assert_eq!(console.only("RELEASE"), console.only("RUNNING"), "{}", console.shown());
    assert_log(console);
    console.has(&format!("kernel: {}\nmachine: ", console.only("RUNNING")));
}

/// And it was saved without what the kernel has no use for.
#[track_caller]
fn assert_saved(console: &Console) {
    console.has("SAVED LOG");
    let pages: Vec<u64> =
        console.only("pages:").split(" of ").map(|number| number.parse().unwrap()).collect();
    assert!(pages[0] > 1000 && pages[0] * 4 < pages[1], "{pages:?}\n{}", console.shown());
}

/// The dump's log is what the crashed kernel wrote to its console, from its first line to its last one. The
/// console of a kernel like Alpine's has no times, by which its lines could be told from the script's.
#[track_caller]
fn assert_log(console: &Console) {
    console.has("EXIT 0 of vmcore");
    let log = console.marked("LOG");
    assert!(log[0].starts_with("[    0.000000] "), "{}", console.shown());
    for line in ["Linux version ", "Kernel panic - not syncing: "] {
        assert!(log.iter().any(|said| said.contains(line)), "{line}\n{}", console.shown());
    }
    let crashed = console.text.match_indices("Linux version ").nth(1).unwrap().0;
    let time = |line: &&str| line.starts_with("[ ") && line.get(13..15) == Some("] ");
    let lines = console.text[..crashed].lines().filter(time);
    let (found, missing): (Vec<&str>, Vec<&str>) = lines.partition(|line| log.contains(line));
    // The last line is cut here.
    assert!(missing.len() <= 1, "{missing:#?}\n{}", console.shown());
    assert!(found.len() > 100 || found.is_empty(), "{found:#?}\n{}", console.shown());
}

#[test]
fn by_kexec_load_on_debians_kernel() {
    let console = crash(Kernel::Debian, "load", SYSRQ, ONE).run();
    assert_captured(&console);
    console.has(" elfcorehdr=0x");
}

/// A crashing kernel may have written anywhere. A byte of each segment is changed, in the middle and at the
/// end of its bytes, and the machine resets instead of starting what is damaged. Only the ELF core header is
/// not compared where the kernel may write it again: a damaged one gives no dump.
#[test]
fn a_damaged_crash_kernel_resets_the_machine() {
    // the letter of the segment, how far into it, the bits that change
    let table = [
        ("K", 0x200, 0),
        ("K", 0x200, 16),
        ("K", 0x30_0000, 1),
        ("1", 0x1000, 128),
        ("E", 0, 1),
        ("P", 0x10, 4),
        ("P", 0x1280, 8),
    ];
    for (letter, offset, bits) in table {
        let damage = format!(
            "start=$(sed -n 's/^    {letter} .* \\(0x[0-9a-f]*\\)-0x.*/\\1/p' /tmp/said)\n\
             place=$((start + {offset})); old=$(devmem $place 8)\n\
             devmem $place 8 $((old ^ {bits})); echo CHANGED $((old ^ $(devmem $place 8)))\n\
             {SYSRQ}"
        );
        let first = LoadAndJump::new()
            .loader("kexec-load --crash -d")
            .line("console=ttyS0 panic=-1 stage=2")
            .jump(&damage);
        let first = replaced(&first.to_string(), "run kexec-load", "kexec-load");
        let first = replaced(&first, "stage=2'", "stage=2' >/tmp/said 2>&1");
        let console = Vm::new(Kernel::Alpine)
            .memory("1G")
            .append(ONE)
            .stage(1, first)
            .stage(2, "ls /proc/vmcore\n")
            .run();
        console.has("Kernel panic - not syncing: sysrq triggered crash");
        assert_eq!(console.only("CHANGED"), bits.to_string(), "{}", console.shown());
        let kernels = console.text.matches("Linux version ").count();
        let starts = bits == 0 || letter == "E";
        assert_eq!(kernels, if starts { 2 } else { 1 }, "{letter} {offset:#x}\n{}", console.shown());
        if letter == "E" {
            console.has("Warning: Core image elf header not found").has("ls: /proc/vmcore: No such file");
        }
    }
}

#[test]
fn by_kexec_file_load_on_debians_kernel() {
    assert_captured(&crash(Kernel::Debian, "file", SYSRQ, ONE).run());
}

#[test]
fn by_kexec_load_on_a_kernel_like_alpines() {
    let second = format!("{CAPTURE}{SAVE}");
    let console = crash(Kernel::Alpine, "load", END_OF_INIT, ONE).stage(2, second).run();
    assert_captured(&console);
    assert_saved(&console);
}

/// makedumpfile and this program read each other's dumps, and print the same log but for its column of callers.
/// makedumpfile 1.7.6 finds no free page in this kernel's memory, so that its dump is larger.
#[test]
fn makedumpfile_reads_what_is_saved_and_the_other_way_round() {
    let second = "run rc-kexec vmcore save /tmp/ours\nrun rc-kexec vmcore info /tmp/ours\nrc-kexec vmcore dmesg /tmp/ours >/tmp/log\n\
        MAKEDUMPFILE -c -d 31 /proc/vmcore /tmp/theirs; echo EXIT $? of makedumpfile\n\
        run rc-kexec vmcore info /tmp/theirs\nrc-kexec vmcore dmesg /tmp/theirs >/tmp/by-us && cmp /tmp/log /tmp/by-us && echo THEIRS BY US\n\
        MAKEDUMPFILE --dump-dmesg /tmp/ours /tmp/by-them\n\
        sed -i 's/^\\(\\[[^]]*\\] \\)\\[ *[TC][0-9]*\\] /\\1/' /tmp/by-them; cmp /tmp/log /tmp/by-them && echo OURS BY THEM\n\
        run rc-kexec vmcore save /tmp/ours\nrun rc-kexec vmcore save /tmp/other /tmp/ours\nrun rc-kexec vmcore info /proc/cpuinfo\n\
        head -c 3000000 /tmp/ours >/tmp/cut; rc-kexec vmcore dmesg /tmp/cut >/dev/null; echo EXIT $? of the cut one\n\
        mkdir /small; mount -t tmpfs -o size=4M tmpfs /small; run rc-kexec vmcore save /small/dump\n\
        run rc-kexec vmcore info /small/dump\nrun rc-kexec vmcore save --keep all /tmp/all\nrun rc-kexec vmcore save --elf /tmp/elf\n\
        MAKEDUMPFILE --dump-dmesg /tmp/elf /tmp/elf-by-them\n\
        sed -i 's/^\\(\\[[^]]*\\] \\)\\[ *[TC][0-9]*\\] /\\1/' /tmp/elf-by-them; cmp /tmp/log /tmp/elf-by-them && echo ELF BY THEM\n\
        for name in ours theirs all; do echo SIZE $(stat -c %s /tmp/$name); done\n";
    let second = replaced(second, "MAKEDUMPFILE", MAKEDUMPFILE);
    let vm = with_makedumpfile(crash(Kernel::Alpine, "load", SYSRQ, ONE).stage(2, second));
    let console = vm.run();
    console
        .has("EXIT 0 of makedumpfile")
        .has("THEIRS BY US")
        .has("OURS BY THEM")
        .has("ELF BY THEM")
        .has("unable to save the dump as /tmp/ours: /tmp/ours exists")
        .has("unable to read the dump /tmp/ours: pages were left out of it")
        .has("unable to read the dump /proc/cpuinfo: it is neither an ELF core file")
        .has("EXIT 1 of the cut one")
        .has("unable to save the dump as /small/dump: No space left on device")
        .has("incomplete: the saving was interrupted")
        .has("STAGE 2 ENDS");
    let sizes: Vec<u64> = console.marked("SIZE").iter().map(|size| size.parse().unwrap()).collect();
    assert!(
        sizes.len() == 3 && sizes[0] <= sizes[1] && sizes[1] <= sizes[2],
        "{sizes:?}\n{}",
        console.shown()
    );
}

#[test]
fn on_arm64_by_device_tree_and_by_uefi() {
    for uefi in [false, true] {
        let mut vm = crash(Kernel::Arm64, "load", SYSRQ, ONE);
        if uefi {
            assert_captured(&vm.uefi().run());
            continue;
        }
        vm = vm.stage(2, format!("{CAPTURE}{SAVE}"));
        let console = vm.run();
        assert_captured(&console);
        assert_saved(&console);
    }
}

/// A 32-bit kernel's memory is there, in a dump of 64-bit addresses; its log is not read.
#[test]
fn on_32_bit_x86() {
    let second = "echo DUMP $(stat -c %s /proc/vmcore)\necho RELEASE $(head -c 65536 /proc/vmcore | strings | sed -n 's/^OSRELEASE=//p')\n\
        run rc-kexec vmcore info\n";
    // It reserves below 512 MiB, where its own random place may leave no 256 MiB in one piece.
    let console = crash(Kernel::I386, "load", SYSRQ, "crashkernel=128M").stage(2, second).run();
    console
        .has("CRASH LOADED 1")
        .has("STAGE 2 ENDS")
        .has("Kernel panic - not syncing: sysrq triggered crash");
    assert!(console.only("DUMP").parse::<u64>().unwrap() > 740 << 20, "{}", console.shown());
    assert_eq!(console.only("RELEASE"), console.only("RUNNING"), "{}", console.shown());
    console.has("unable to read the dump /proc/vmcore: it is of a machine that rc-kexec does not know (ELF machine 3)");
}

#[test]
fn a_crash_kernel_is_loaded_beside_one_for_a_reboot_and_unloaded() {
    let say = "echo BOTH $(cat /sys/kernel/kexec_loaded) $(cat /sys/kernel/kexec_crash_loaded)\n";
    let first = format!(
        "pack\nrun kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line 'console=ttyS0 panic=-1 stage=2'\n\
         run kexec -p /boot/vmlinuz --initrd /tmp/next.cpio --append 'console=ttyS0 panic=-1 stage=3'\n{say}\
         run kexec -S\nrun kexec-load --crash --status\nrun kexec-load --crash --dry-run /boot/vmlinuz -d\n\
         run kexec -p -u\n{say}run kexec-load --crash --status\n\
         run kexec-load --crash /boot/vmlinuz --initrd /tmp/next.cpio --dry-run -d\nrun kexec -e\n"
    );
    for kernel in [Kernel::Debian, Kernel::Alpine] {
        let vm = Vm::new(kernel).memory("1G").append("crashkernel=256M hugepages=2").stage(1, &first);
        let console = vm.stage(2, "echo SECOND\n").run();
        console
            .has("    E ELF core header 0x")
            .has("EXIT 1 of kexec\n")
            .has("a crash kernel is loaded")
            .has("no crash kernel is loaded");
        assert_eq!(console.marked("BOTH"), ["1 1", "1 0"], "{}", console.shown());
        // The running kernel's line, without what would hurt and with what is needed.
        console.has("nr_cpus=1 reset_devices irqpoll").has_not("hugepages=2 nr_cpus").has("SECOND");
    }
}

/// As the button of a server's management does it: a processor gets an NMI that no driver knows, here from the
/// other one's local APIC (Intel SDM, volume 3, "Interrupt Command Register").
#[test]
fn an_nmi_to_the_other_processor_is_a_crash() {
    // Both words are for one APIC: the one of the processor that writes.
    let nmi = "echo 1 >/proc/sys/kernel/unknown_nmi_panic\n\
        taskset 1 devmem 0xfee00310 32 $((1 << 24))\ntaskset 1 devmem 0xfee00300 32 0x4400\nsleep 60";
    let console = crash(Kernel::Alpine, "load", nmi, ONE).processors(2).run();
    assert_captured(&console);
    console.has(" on CPU 1.").has("Kernel panic - not syncing: NMI: Not continuing");
}

#[test]
fn without_a_reservation_nothing_is_loaded() {
    let first = "run kexec -p /boot/vmlinuz --append x\nrun kexec-load --crash --status\nrun kexec -p -u\n";
    let console = Vm::new(Kernel::Alpine).stage(1, first).run();
    console
        .has("kexec: unable to load a crash kernel: no memory is reserved for one; this kernel and its initrds need ")
        .has("EXIT 1 of kexec\n")
        .has("no crash kernel is loaded")
        .has("EXIT 1 of kexec-load")
        .has("EXIT 0 of kexec\n");
}

#[test]
fn under_uefi_with_6_gib_two_reservations_and_two_processors() {
    // The kernel writes the core header again when a processor goes and comes, and says virtual addresses there.
    let on_the_second = "cd /sys/devices/system/cpu; echo FOLLOWS $(cat crash_hotplug)\n\
        echo 0 >cpu1/online; echo 1 >cpu1/online\n\
        exec taskset 2 /bin/busybox sh -c 'echo c >/proc/sysrq-trigger'";
    let two = "crashkernel=384M,high crashkernel=128M,low";
    let header = "od -An -v -tx8 -w56 -j64 -N560 /proc/vmcore | sed 's/^/HEADER/'\n";
    let vm = crash(Kernel::Debian, "load", on_the_second, two).uefi().memory("6G").processors(2);
    let console = vm.stage(2, format!("{CAPTURE}{header}")).run();
    assert_captured(&console);
    assert_eq!(console.only("FOLLOWS"), "1", "{}", console.shown());
    let has_address =
        |header: &&str| header.starts_with("0000000700000001 ") && header.split(' ').nth(2) > Some("f");
    assert!(console.marked("HEADER").iter().any(has_address), "{}", console.shown());
    console.has("CPU: 1 ");
    let places = console.marked("RESERVED");
    assert!(places.len() == 2 && places[1].len() > places[0].len(), "{}", console.shown());
}

/// crash(8), which nobody here made, opens what is saved, with the debug information of the kernel. This is what it
/// says, of a machine that crashed in this way, and whose dump was saved with these options.
fn said_by_crash(panic: &str, options: &str) -> String {
    let second = format!(
        "run rc-kexec vmcore save {options} /tmp/dump\necho SIZE $(stat -c %s /tmp/dump)\ndd if=/tmp/dump of=/dev/vda bs=1M\n"
    );
    let console = crash(Kernel::Alpine, "load", panic, ONE).stage(2, second).takes(128).run();
    let size: usize = console.only("SIZE").parse().unwrap();
    let dir = folder();
    let (dump, commands) = (dir.join("dump"), dir.join("commands"));
    std::fs::write(&dump, &console.taken[..size]).unwrap();
    std::fs::write(&commands, "sys\nbt\nps\nlog\nquit\n").unwrap();
    let usr = parts().join("crash/usr");
    let mut program = Command::new(usr.join("lib64/ld-linux-x86-64.so.2"));
    program.arg("--library-path").arg(usr.join("lib/x86_64-linux-gnu")).arg(usr.join("bin/crash"));
    // Its caches of kernel memory have a form in this tiny kernel that crash 8.0.6 does not know.
    program.args(["--no_kmem_cache", "-s", "-i"]).arg(commands);
    program.arg(parts().join("alpine/vmlinux")).arg(dump).env("HOME", &dir).stdin(Stdio::null());
    let output = program.output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// It names the panic, whose stack it was, the tasks, and the log's last line.
#[test]
fn crash_reads_what_is_saved() {
    let null = "mount -t debugfs debug /sys/kernel/debug\necho 1 >/proc/sys/kernel/panic_on_oops\n\
        echo EXCEPTION >/sys/kernel/debug/provoke-crash/DIRECT";
    let by_sysrq = [
        "PANIC: \"Kernel panic - not syncing: sysrq triggered crash\"",
        "] __crash_kexec at ",
        "] write_sysrq_trigger at ",
        "] sysrq: Trigger a crash\n",
    ];
    let by_oops = [
        "PANIC: \"Oops: ",
        "[exception RIP: lkdtm_EXCEPTION+",
        "] direct_entry at ",
        "] BUG: kernel NULL pointer dereference, address: 0000000000000000\n",
    ];
    for (panic, options, crash) in [(SYSRQ, "", by_sysrq), (null, "--elf", by_oops)] {
        let said = said_by_crash(panic, options);
        let always = [
            "COMMAND: \"init\"\n #0 [",
            "  [swapper/0]\n>       1       0   0  ",
            "  [kthreadd]\n",
            "] Linux version 6.12.",
        ];
        for wanted in crash.into_iter().chain(always) {
            assert!(said.contains(wanted), "not said: {wanted:?}\n{said}");
        }
    }
}
