//! `make soak`: a machine that goes from kexec to kexec, with nothing that wears out on the
//! way. Its kernel and initrd are on a disk, as a machine's own are.

use crate::machine::{Kernel, folder, note_time, program, qemu, watch};
use crate::openrc::{ACCELERATOR, attach, file_system, initramfs_with};
use crate::progress::{PATIENCE, Patience};

/// Says what must not change, loads, and starts the next one. No forks where the shell can do
/// it: they need most of the time in an emulated machine.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t ext4 /dev/vda /root
read -r n </root/count
read -r last </root/last
read -r line </proc/cmdline
read -r memory </proc/meminfo
map= i=0
while read -r start </sys/firmware/memmap/$i/start; do
    read -r end </sys/firmware/memmap/$i/end
    read -r type </sys/firmware/memmap/$i/type
    map="$map $start-$end $type;"
    i=$((i + 1))
done 2>/dev/null
echo "CMDLINE $line"
echo "MEMORY $memory"
echo "MAP$map"
echo "IOMEM $(/bin/busybox md5sum </proc/iomem)"
# Not of another process: whether the pipe to it is closed already is chance.
cd /proc/1/fd
echo OPEN *
cd /
if [ $n = $last ]; then
    echo "STAGE $n"
    /bin/busybox umount /root
    /bin/busybox poweroff -f
fi
files() { read -r open rest </proc/sys/fs/file-nr; }
files; before=$open
/sbin/kexec-load /root/vmlinuz --initrd /root/initrd || /bin/busybox poweroff -f
files; echo "FILES $((open - before))"
echo $((n + 1)) >/root/count
/bin/busybox umount /root
echo "STAGE $n"
/sbin/kexec -e
/bin/busybox poweroff -f
"#;

const MARKS: [&str; 6] = ["CMDLINE ", "MEMORY ", "MAP ", "IOMEM ", "OPEN ", "FILES "];

#[test]
#[ignore = "make soak"]
fn kexecs_in_a_chain_change_nothing() {
    let count = std::env::var("RC_KEXEC_SOAK").map_or(200, |number| number.parse::<usize>().unwrap());
    let dir = folder();
    let initrd = initramfs_with(INIT)
        .dir("sbin")
        .file("sbin/rc-kexec", 0o755, &std::fs::read(program()).unwrap())
        .link("sbin/kexec-load", "rc-kexec")
        .link("sbin/kexec", "rc-kexec")
        .finish();
    let disk = dir.join("boot");
    std::fs::create_dir_all(&disk).unwrap();
    std::fs::write(disk.join("vmlinuz"), Kernel::Alpine.image()).unwrap();
    std::fs::write(disk.join("initrd"), &initrd).unwrap();
    std::fs::write(disk.join("count"), "0\n").unwrap();
    std::fs::write(disk.join("last"), format!("{count}\n")).unwrap();
    std::fs::write(dir.join("initrd"), initrd).unwrap();

    // nokaslr: where the kernel puts itself by chance, MemTotal differs by a page or two.
    let line =
        "console=ttyS0 panic=-1 quiet loglevel=1 nokaslr kexec_load_disabled=0 quoted=\"a initrd=b\" last=x";
    let mut qemu = qemu(Kernel::Alpine, &dir.join("initrd"), line, ACCELERATOR);
    qemu.args(["-m", "256M", "-smp", "1", "-no-reboot"]);
    attach(&mut qemu, &file_system(&disk, "32M"));

    // What each stage said, one line a mark; the machine is ended at the first that differs.
    let mut stages: Vec<Vec<String>> = Vec::new();
    let mut now: Vec<String> = Vec::new();
    let begin = std::time::Instant::now();
    let mut is_last = |text: &str| {
        if MARKS.iter().any(|mark| text.starts_with(mark)) {
            now.push(text.into());
        } else if text == format!("STAGE {}", stages.len()) {
            stages.push(std::mem::take(&mut now));
            let done = stages.len() - 1;
            if done.is_multiple_of(10) || done == count {
                println!("soak: {done} kexecs of {count}, {:.0} s", begin.elapsed().as_secs_f64());
            }
            return !is_unchanged(&stages, count);
        }
        false
    };
    // It says the same at each stage, of which there are so many.
    let patience = Patience { same: count + PATIENCE.same, ..PATIENCE };
    let console = watch(qemu, patience, &mut is_last);
    let _ = std::fs::remove_dir_all(&dir);
    note_time(&console);
    console.has_ended();
    let [.., last] = &stages[..] else { panic!("no stage at all\n{}", console.shown()) };
    assert!(
        is_unchanged(&stages, count),
        "{:#?}\n{last:#?}\n{}",
        &stages[..stages.len().min(2)],
        console.shown()
    );
    assert_eq!(stages.len(), count + 1, "{}", console.shown());
    println!("soak: after {count} kexecs as after the first:\n{}", last.join("\n"));
}

/// Whether the last stage is as the first one that a kexec started. The one that the firmware
/// started has the same memory map and command line, and MemTotal to a page or two.
fn is_unchanged(stages: &[Vec<String>], count: usize) -> bool {
    let [.., last] = stages else { return true };
    let whole = MARKS.len() - usize::from(stages.len() > count);
    if last.len() != whole {
        return false;
    }
    match stages {
        [first] => first[5] == "FILES 0",
        [first, second] => {
            let kib = |stage: &[String]| stage[1].split_whitespace().nth(2).unwrap().parse::<i64>().unwrap();
            first[0] == second[0]
                && first[2] == second[2]
                && first[4] == second[4]
                && (kib(first) - kib(second)).abs() <= 64
        }
        [_, second, ..] => *last == second[..whole],
        [] => true,
    }
}
