//! What only a kernel can say: machines that load and start a second kernel. The
//! proof is what the second one prints.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod added;
mod arm64;
mod cpio;
mod faults;
mod forms;
mod hooks;
mod i386;
mod machine;
mod openrc;
mod oracle;
mod script;
mod seeds;
mod selftests;
mod services;
mod soak;
mod sum;
mod systemd;

use cpio::Cpio;
use machine::{Console, Kernel, Vm};
use script::{LoadAndJump, replaced};

/// The command line of second stages.
const SECOND: &str = "console=ttyS0 panic=-1 stage=2 mark=second";

/// What the second kernel says of itself.
const SAY: &str = "echo CMDLINE $(cat /proc/cmdline)\nmemmap THEN\n";

/// A program of ours that runs inside of machines, which the Makefile builds.
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

fn jump_once(kernel: Kernel, call: &str) -> Vm {
    Vm::new(kernel).stage(1, LoadAndJump::by(call)).stage(2, SAY)
}

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

#[test]
fn uefi_with_a_part_missing_starts_without_runtime_services_and_says_so() {
    let first = LoadAndJump::by("load").before("mount -t tmpfs none /sys/firmware/efi/runtime-map");
    let second =
        format!("{SAY}ls /sys/firmware/efi || echo NO EFI\ndmesg | grep -c ACPI | sed 's/^/ACPI /'\n");
    let console = Vm::new(Kernel::Alpine).uefi().stage(1, first).stage(2, second).run();
    assert_second(&console);
    console.has("note: the next kernel will do without EFI runtime services: /sys/firmware/efi/runtime-map is not there");
    console.has("NO EFI");
    // Without EFI the ACPI tables are found by boot_params.acpi_rsdp_addr alone.
    assert_ne!(console.only("ACPI"), "0", "{}", console.shown());
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
fn with_more_devices_than_a_small_table_holds() {
    let first = LoadAndJump::by("load").before("echo NESTED $(grep -c '^ ' /proc/iomem)");
    let console = Vm::new(Kernel::Alpine).devices(24).stage(1, first).stage(2, SAY).run();
    assert_second(&console);
    assert!(console.only("NESTED").parse::<u32>().unwrap() > 64, "{}", console.shown());
}

#[test]
fn the_crash_kernels_memory_is_left_alone() {
    let first = LoadAndJump::by("load").options("-d").before(
        "grep 'Crash kernel' /proc/iomem | sed 's/^ */CRASH /'\n\
         kexec-load /boot/vmlinuz --dry-run | sed 's/^/DRAWN /'",
    );
    let console = Vm::new(Kernel::Debian).append("crashkernel=128M").stage(1, first).stage(2, SAY).run();
    assert_second(&console);
    let crash = range(console.only("CRASH"), "-");
    for place in segments(&console) {
        assert!(place.1 < crash.0 || crash.1 < place.0, "{crash:x?} {place:x?}\n{}", console.shown());
    }
    let bars =
        console.marked("DRAWN").into_iter().filter_map(|line| line.split('|').nth(1)).collect::<String>();
    assert!(bars.contains('x') && bars.contains('K'), "{bars}\n{}", console.shown());
}

#[test]
fn with_512_mib() {
    assert_second(&jump_once(Kernel::Alpine, "load").memory("512M").run());
}

#[test]
fn with_6_gib_the_initrd_lies_above_4_gib() {
    for kernel in [Kernel::Alpine, Kernel::Debian] {
        let second = format!("{SAY}dmesg | grep RAMDISK: | sed 's/.*RAMDISK:/RAMDISK/'\n");
        let console =
            Vm::new(kernel).memory("6G").stage(1, LoadAndJump::by("load")).stage(2, second).run();
        assert_second(&console);
        let ramdisk = console.only("RAMDISK");
        let start = ramdisk.trim_start_matches("[mem 0x").split('-').next().unwrap();
        let start = u64::from_str_radix(start, 16).unwrap();
        assert!(start >= 1 << 32, "{ramdisk}\n{}", console.shown());
    }
}

#[test]
fn mem_max_keeps_every_segment_below_it() {
    let first = LoadAndJump::new().loader("kexec -d -c -l").options("--mem-max=0x1fffffff");
    let second = format!("{SAY}dmesg | grep RAMDISK: | sed 's/.*RAMDISK:/RAMDISK/'\n");
    let console = Vm::new(Kernel::Alpine).memory("6G").stage(1, first).stage(2, second).run();
    console.has("EXIT 0 of kexec").has("STAGE 2 ENDS");
    assert!(console.only("RAMDISK").ends_with("-0x1fffffff]"), "{}", console.shown());
    let ends = segments(&console).into_iter().map(|place| place.1);
    assert!(ends.max() == Some(0x1fff_ffff), "{}", console.shown());
}

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
    for number in 2..count {
        vm = vm.file(&format!("extra{number}"), &marked_archive(number));
    }
    let initrds = ["/extra0", "/tmp/next.cpio", "/extra2", "/extra3", "/extra4"];
    // One of them compressed: a run of archives may mix.
    let first = LoadAndJump::by(call)
        .packed("[ -e /extra2 ] && gzip -c /extra2 >/tmp/2 && cat /tmp/2 >/extra2")
        .initrds(&initrds[..count as usize]);
    let second = format!(
        "{SAY}cat /from-* 2>/dev/null\necho MICROCODE $(wc -c </kernel/x86/microcode/AuthenticAMD.bin)\n"
    );
    let console = vm.stage(1, first).stage(2, second).run();
    assert_second(&console);
    assert_eq!(console.only("MICROCODE"), "3001", "{}", console.shown());
    let wanted: Vec<String> = (2..count).map(|number| number.to_string()).collect();
    assert_eq!(console.marked("INITRD"), wanted, "{}", console.shown());
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

/// 140 reserved ranges in the RAM between 128 and 268 MiB.
fn many_ranges() -> String {
    let ranges: Vec<String> = (128..268).map(|mib| format!("64K${mib}M")).collect();
    format!("nokaslr memmap={}", ranges.join(","))
}

#[test]
fn ranges_that_the_user_reserved_are_not_written() {
    let first = LoadAndJump::by("load").packed(
        "kexec -c -d -l /boot/vmlinuz --initrd /tmp/next.cpio --mem-min 0x8000000 --mem-max 0x10bfffff \
         --append x 2>&1 | sed 's/^/TIGHT /'",
    );
    let console = Vm::new(Kernel::Debian).append(&many_ranges()).stage(1, first).stage(2, SAY).run();
    assert_second(&console);
    // Between the reserved ranges there is no place for a kernel.
    console.has("there is no free range of");
}

#[test]
fn more_than_128_ranges_reach_the_second_kernel() {
    // Without /sys/firmware/memmap the map is /proc/iomem's, with the user's ranges.
    let first = LoadAndJump::by("load").before(
        "grep -E '^ *[0-9a-f]+-[0-9a-f]+ : (System RAM|Reserved|ACPI)' /proc/iomem | sed 's/^ */IOMEM1 /'\n\
         mount -t tmpfs none /sys/firmware/memmap",
    );
    let second = "echo CMDLINE $(cat /proc/cmdline)\nmemmap THEN\ndmesg | grep -c 'extended physical RAM map' | sed 's/^/EXTENDED /'\n";
    let console = Vm::new(Kernel::Debian).append(&many_ranges()).stage(1, first).stage(2, second).run();
    console.has("STAGE 2 ENDS");
    let first: Vec<(u64, u64)> = console.marked("IOMEM1").iter().map(|line| range(line, "-")).collect();
    let second: Vec<(u64, u64)> = console.marked("THEN").iter().map(|line| range(line, " ")).collect();
    assert!(first.len() > 256, "{} ranges\n{}", first.len(), console.shown());
    assert_eq!(first, second, "{}", console.shown());
}

/// Where `-d` says that the segments are.
fn segments(console: &Console) -> Vec<(u64, u64)> {
    let lines = console.lines.iter().filter_map(|(_, line)| line.strip_prefix("    "));
    let places = lines.filter_map(|line| line.split_once(" 0x").map(|(_, place)| range(place, "-")));
    let places: Vec<(u64, u64)> = places.collect();
    assert_eq!(places.len(), 3, "{}", console.shown());
    places
}

/// The two addresses at the beginning of a line.
fn range(line: &str, separator: &str) -> (u64, u64) {
    let mut words = line.splitn(2, separator);
    let number = |word: &str| {
        let word = word.split(' ').next().unwrap();
        u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap()
    };
    (number(words.next().unwrap()), number(words.next().unwrap()))
}

#[test]
fn a_command_line_of_2047_bytes_arrives_whole_and_2048_are_refused() {
    let first = format!(
        r#"
pack
line="{SECOND} pad="
while [ ${{#line}} -lt 2047 ]; do line="${{line}}x"; done
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall load --command-line "${{line}}y"
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall file --command-line "$line"
run kexec -c -l /boot/vmlinuz --initrd /tmp/next.cpio --command-line "$line"
echo "FIRST $(echo "$line" | md5sum)"
kexec -e
"#
    );
    let second = "echo \"LENGTH $(wc -c </proc/cmdline)\"\necho \"THEN $(md5sum </proc/cmdline)\"\n";
    let console = Vm::new(Kernel::Debian).stage(1, &first).stage(2, second).run();
    console.has("the command line is 2048 bytes long, and this kernel takes 2047");
    console.has("kexec_file_load keeps 31 of them for itself");
    console.has("EXIT 0 of kexec");
    // With the newline.
    assert_eq!(console.only("LENGTH"), "2048", "{}", console.shown());
    assert_eq!(console.only("FIRST"), console.only("THEN"), "{}", console.shown());
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
            .file("count", b"0")
            .seconds(240);
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
fn a_locked_kernel_names_the_boot_option_and_where_it_goes() {
    let first = "echo 'default_kernel_opts=\"quiet\"' >/etc/update-extlinux.conf\n\
                 run kexec-load /boot/vmlinuz --append stage=2\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    let console =
        Vm::new(Kernel::Alpine).locked().file("etc/alpine-release", b"3.22.0\n").stage(1, first).run();
    console
        .has("EXIT 1 of kexec-load")
        .has("unable to load /boot/vmlinuz with kexec_load: kernel.kexec_load_disabled is 1")
        .has("the boot option kexec_load_disabled=0 is not on this kernel's command line")
        .has("sed -i 's/^default_kernel_opts=\"/&kexec_load_disabled=0 /' /etc/update-extlinux.conf && update-extlinux")
        .has("then reboot once in the ordinary way")
        .has("LOADED 0");
    // The remedy is a command, and it does what it says.
    let remedy = "printf 'a=1\\ndefault_kernel_opts=\"quiet\"\\n' >/etc/update-extlinux.conf\n\
                  sed -i 's/^default_kernel_opts=\"/&kexec_load_disabled=0 /' /etc/update-extlinux.conf\n\
                  cat /etc/update-extlinux.conf\n";
    let console = Vm::new(Kernel::Alpine).stage(1, remedy).run();
    console.has("default_kernel_opts=\"kexec_load_disabled=0 quiet\"");
}

#[test]
fn an_option_without_effect_is_told_from_one_that_is_absent() {
    let first = "echo 1 >/proc/sys/kernel/kexec_load_disabled\n\
                 run kexec-load /boot/vmlinuz --append stage=2\n\
                 mkdir -p /etc/sysctl.d; echo 'kernel.kexec_load_disabled = 1' >/etc/sysctl.d/hard.conf\n\
                 run kexec -l /boot/vmlinuz --append stage=2\n";
    let console = Vm::new(Kernel::Alpine).stage(1, first).run();
    console
        .has("EXIT 1 of kexec-load")
        .has("the boot option kexec_load_disabled=0 is on this kernel's command line and had no effect")
        .has("/etc/sysctl.d/hard.conf sets it: take the line out");
}

#[test]
fn lockdown_is_named() {
    let first = "echo LOCKDOWN $(cat /sys/kernel/security/lockdown)\n\
                 run kexec -c -l /boot/vmlinuz --append stage=2\n\
                 run kexec-load --syscall file /boot/vmlinuz --append stage=2\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    let console = Vm::new(Kernel::Debian).append("lockdown=integrity").stage(1, first).run();
    console
        .has("LOCKDOWN none [integrity] confidentiality")
        .has("with kexec_load: the kernel is locked down (integrity), which forbids this call")
        .has("the lockdown comes from the lockdown= option on the running kernel's command line")
        .has("LOADED 0");
    // Which of the two it is depends on the keys that the firmware holds: none here.
    let file_call = console.text.split("with kexec_file_load: ").nth(1).unwrap_or_default();
    let known =
        ["the kernel is locked down (integrity) and found no signature", "the image's signature is by a key"];
    assert!(known.iter().any(|reason| file_call.starts_with(reason)), "{}", console.shown());
}

#[test]
fn a_failed_load_leaves_the_earlier_one_in_place() {
    let first =
        LoadAndJump::by("load").before("echo 1 >/proc/sys/kernel/kexec_load_limit_reboot").jump(
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
fn unload_and_status_answer_by_exit_code() {
    let first = "run kexec-load --status\n\
                 kexec -Sl; echo PEER-EMPTY $?\n\
                 kexec -S; echo PEER-CRASH $?\n\
                 kexec -l /boot/vmlinuz --append x\n\
                 kexec -Sl; echo PEER-FULL $?\n\
                 kexec-load --status; echo OURS-FULL $?\n\
                 run kexec-load --unload\n\
                 kexec-load --status; echo OURS-EMPTY $?\n\
                 kexec -l /boot/vmlinuz --append x; kexec -u; echo LOADED $(cat /sys/kernel/kexec_loaded)\n\
                 run kexec -e\nrun kexec-exec --now\nrun kexec -p /boot/vmlinuz\n";
    let console = Vm::new(Kernel::Alpine).stage(1, first).run();
    console
        .has("no kernel is loaded\nEXIT 1 of kexec-load")
        .has("PEER-EMPTY 0")
        .has("PEER-CRASH 0")
        .has("PEER-FULL 1")
        .has("a kernel is loaded\nOURS-FULL 0")
        .has("EXIT 0 of kexec-load")
        .has("OURS-EMPTY 1")
        .has("LOADED 0")
        .has("kexec: unable to start a kernel: none is loaded")
        .has("kexec-exec: unable to start a kernel: none is loaded")
        .has("unable to load or unload a crash kernel");
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
        .has("its signals were not watched")
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

#[test]
fn with_no_kernel_named_the_installed_one_is_found() {
    let first = "pack\nmv /boot/vmlinuz /boot/vmlinuz-virt\nrun kexec-load\n\
                 cp /tmp/next.cpio /boot/initramfs-virt\nrun kexec-load\n\
                 sed -i 's/^stage=1/stage=2/' /init; pack; cp /tmp/next.cpio /boot/initramfs-virt\n\
                 run kexec-load; kexec -e\n";
    let console = Vm::new(Kernel::Alpine).append("BOOT_IMAGE=x").stage(1, first).stage(2, SAY).run();
    console
        .has("unable to find the initrd of /boot/vmlinuz-virt")
        .has("kernel: /boot/vmlinuz-virt\ninitrd: /boot/initramfs-virt\n")
        .has("STAGE 2 ENDS");
    assert_eq!(
        console.only("CMDLINE"),
        "console=ttyS0 panic=-1 kexec_load_disabled=0",
        "{}",
        console.shown()
    );
}

#[test]
fn dry_run_draws_without_privilege_and_loads_nothing() {
    let first = "pack; chmod 644 /tmp/next.cpio\n\
                 echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd\n\
                 su nobody -c '/sbin/kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --dry-run; echo NOBODY $?'\n\
                 run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --dry-run\n\
                 su nobody -c '/sbin/kexec-load /boot/vmlinuz --initrd /tmp/next.cpio; echo NOBODY-LOADS $?'\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    for (kernel, call) in [
        (Kernel::Alpine, "system call: kexec_load; this kernel has no kexec_file_load"),
        (Kernel::Debian, "system call: kexec_file_load, which this kernel has"),
    ] {
        let console = Vm::new(kernel).stage(1, first).run();
        console
            .has("NOBODY 0")
            .has("/proc/iomem hides its addresses from this user")
            .has("EXIT 0 of kexec-load")
            .has("K kernel")
            .has("1 initrd 1")
            .has("entry: 0x")
            .has("nothing was loaded (--dry-run)")
            .has(call)
            .has("NOBODY-LOADS 1")
            .has("it takes root, with CAP_SYS_BOOT\n  run it as root")
            .has("LOADED 0");
    }
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
        console.has("the one asked for; the unified image's own (.cmdline) is left out");
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
        .has("unable to load /boot/bomb: its gzip data decode to more than ")
        .has("EXIT 1 of kexec-load")
        .has("LOADED 1");
}
