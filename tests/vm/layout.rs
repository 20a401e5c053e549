//! Where the parts of a second kernel lie: in machines with little memory and with much, with
//! memory that is not to be written, and with more ranges than a table holds.

use crate::machine::{Console, Kernel, Vm};
use crate::script::{LoadAndJump, large_initrd};
use crate::{SAY, assert_second, jump_once};

#[test]
fn with_512_mib() {
    assert_second(&jump_once(Kernel::Alpine, "load").memory("512M").run());
}

/// kexec_file_load needs room for the files and for the segments (the kernel's init_size, which is
/// five times its file): with too little, the kernel ends programs, or panics.
#[test]
fn with_512_mib_a_large_initrd_is_left_to_kexec_load_when_one_is_loaded() {
    let twice = "load='kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --initrd /tmp/large.cpio'\n\
                 run $load --syscall file\n\
                 run $load --syscall file\n\
                 echo AFTER $(cat /sys/kernel/kexec_loaded)";
    let large = format!("{}{twice}", large_initrd(70_000_000));
    let first = LoadAndJump::by("auto").packed(&large).initrds(&["/tmp/next.cpio", "/tmp/large.cpio"]);
    let second = format!("{SAY}echo LARGE $(wc -c </large)\n");
    let console = Vm::new(Kernel::Debian).memory("512M").stage(1, first).stage(2, second).run();
    assert_second(&console);
    console
        .has("EXIT 1 of kexec-load")
        .has("AFTER 1")
        .has("kexec_load may load it: --syscall load")
        .has("note: kexec_load is tried instead")
        .has("LARGE 70000000")
        .has_not("Out of memory");
}

#[test]
fn with_6_gib_the_initrd_lies_above_4_gib() {
    for kernel in [Kernel::Alpine, Kernel::Debian] {
        let second = format!("{SAY}dmesg | grep RAMDISK: | sed 's/.*RAMDISK:/RAMDISK/'\n");
        let console = Vm::new(kernel).memory("6G").stage(1, LoadAndJump::by("load")).stage(2, second).run();
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
    let ends = segments(&console, 3).into_iter().map(|place| place.1);
    assert!(ends.max() == Some(0x1fff_ffff), "{}", console.shown());
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
    for place in segments(&console, 3) {
        assert!(place.1 < crash.0 || crash.1 < place.0, "{crash:x?} {place:x?}\n{}", console.shown());
    }
    let bars =
        console.marked("DRAWN").into_iter().filter_map(|line| line.split('|').nth(1)).collect::<String>();
    assert!(bars.contains('x') && bars.contains('K'), "{bars}\n{}", console.shown());
}

/// The firmware's map in /sys has the module, too. No segment may lie there, and the next kernel finds
/// it as this one did, not in its e820 table.
#[test]
fn memory_that_was_added_later_is_neither_used_nor_told() {
    let first =
        LoadAndJump::by("load").options("-d").before("grep -c . /sys/firmware/memmap/*/start | wc -l");
    let second = format!("{SAY}dmesg | grep 'BIOS-e820:.*usable' | sed 's/.*BIOS-e820/TOLD/'\n");
    let console = Vm::new(Kernel::Debian).memory("512M").added(128).stage(1, first).stage(2, second).run();
    assert_second(&console);
    let added = |mark| console.marked(mark).iter().any(|line| line.starts_with("0x100000000 0x107ffffff"));
    assert!(added("FIRST") && added("THEN"), "{}", console.shown());
    for place in segments(&console, 3) {
        assert!(place.1 < 512 << 20, "{place:x?}\n{}", console.shown());
    }
    let told = console.marked("TOLD:");
    assert!(
        !told.is_empty() && told.iter().all(|line| !line.contains("0x0000000100000000")),
        "{}",
        console.shown()
    );
    // What this kernel would do by itself.
    let first = LoadAndJump::by("auto").packed("kexec-load /boot/vmlinuz --dry-run --append x");
    let console = Vm::new(Kernel::Debian).memory("512M").added(128).stage(1, first).stage(2, SAY).run();
    assert_second(&console);
    console.has("kexec_load; kexec_file_load could use memory that was added later");
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
    // No kernel fits between the reserved ranges.
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

/// Where `-d` says that the segments are, of which there are so many.
pub fn segments(console: &Console, count: usize) -> Vec<(u64, u64)> {
    let lines = console.lines.iter().filter_map(|(_, line)| line.strip_prefix("    "));
    let places = lines.filter_map(|line| line.split_once(" 0x").map(|(_, place)| range(place, "-")));
    let places: Vec<(u64, u64)> = places.collect();
    assert_eq!(places.len(), count, "{}", console.shown());
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
