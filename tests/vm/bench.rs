//! `make bench`: rc-kexec beside Debian's kexec-tools and the bare system call, in
//! one virtual machine for the loads and one for each jump; and its services beside the
//! wiki's. The machines are noisy: what counts is the ratios within one run. A table and a
//! plot of it are kept in target/bench.

#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod cpio;
mod machine;
mod openrc;
mod plot;

use cpio::Cpio;
use machine::{Console, Kernel, Vm, part, parts};
use openrc::{End, INITRAMFS, Init, Installed, initramfs_with};
use plot::{Panel, Series};

/// Loads of each kind, taken in turns; the median is what is shown.
const LOADS: usize = 5;

/// Jumps of each kind, and whole reboots, unless --runs says otherwise.
const JUMPS: usize = 3;

/// The initrds, in MB.
const SIZES: [usize; 4] = [1, 10, 100, 500];

/// The largest initrd in the page cache, in the kernel's hands, and in the peer's memory,
/// where it takes up to twice its length.
const MEMORY: &str = "2560M";

/// The promises. A load, by the time inside the bare call; a jump, by the peer's without its
/// hash; the load and the jump of a reboot by the services, by the recipe's.
const LOAD_LIMIT: f64 = 1.15;
const JUMP_LIMIT: f64 = 1.1;
const REBOOT_LIMIT: f64 = 0.25;
/// How much memory may differ from initrd to initrd, in KiB.
const MEMORY_LIMIT: f64 = 64.0;

/// A machine that is measured.
#[derive(Clone, Copy)]
struct Place {
    kernel: Kernel,
    title: &'static str,
    /// Where the probe for it is.
    probe: &'static str,
    peer: &'static str,
    /// Its dynamic loader, as the peer names it.
    loader: &'static str,
    libraries: &'static str,
    append: &'static str,
}

const X86_64: Place = Place {
    kernel: Kernel::Alpine,
    title: "x86_64, kernel configured as Alpine's",
    probe: "RC_KEXEC_PROBE",
    peer: "peer",
    loader: "lib64/ld-linux-x86-64.so.2",
    libraries: "lib/x86_64-linux-gnu",
    append: "console=ttyS0 earlycon=uart8250,io,0x3f8 loglevel=6 panic=-1",
};

const ARM64: Place = Place {
    kernel: Kernel::Arm64,
    title: "arm64, Debian's cloud kernel",
    probe: "RC_KEXEC_PROBE_AARCH64",
    peer: "arm64/peer",
    loader: "lib/ld-linux-aarch64.so.1",
    libraries: "lib/aarch64-linux-gnu",
    append: "console=ttyAMA0 earlycon=pl011,0x9000000 loglevel=6 panic=-1",
};

/// A way to load.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    command: &'static str,
    colour: &'static str,
}

const OURS: Way = Way { name: "rc-kexec", command: "/sbin/kexec -l", colour: "#0072b2" };
const PEER: Way = Way { name: "kexec-tools", command: "/peer/kexec -l", colour: "#d55e00" };
const PEER_FAST: Way = Way { name: "kexec-tools -i", command: "/peer/kexec -i -l", colour: "#e69f00" };
const WAYS: [Way; 3] = [OURS, PEER, PEER_FAST];
/// What the time of a load is divided by. Its segments lie where rc-kexec has them: a page that
/// the kernel's allocator hands out where a segment is to be costs so much time that the place
/// of 500 MB alone makes a difference of one to twenty, and which place is good differs from
/// machine to machine.
const FLOOR: Way = Way { name: "the bare call", command: "", colour: "#999999" };

impl Way {
    fn mark(self) -> String {
        self.name.replace(' ', "")
    }
}

/// What is measured, and how often.
struct Wanted<'a> {
    loads: usize,
    jumps: usize,
    memory: &'a str,
    sizes: Vec<usize>,
}

/// What is printed, and kept.
#[derive(Default)]
struct Report {
    text: String,
    panels: Vec<Panel>,
    missed: usize,
}

impl Report {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
        self.keep();
    }

    /// Whether a promise is kept, with the number that says so.
    fn target(&mut self, what: &str, value: f64, limit: f64) -> bool {
        let kept = value <= limit;
        self.missed += usize::from(!kept);
        let verdict = if kept { "PASS" } else { "MISS" };
        self.line(&format!("{verdict}  {what}: {value:.2}, at most {limit:.2}"));
        kept
    }

    fn keep(&self) {
        let dir = parts().parent().unwrap().join("bench"); // beside it, also where it is a link
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("table.txt"), &self.text).unwrap();
        if !self.panels.is_empty() {
            std::fs::write(dir.join("plot.svg"), plot::svg(&self.panels)).unwrap();
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let asked = |word: &str| words.iter().any(|argument| argument == word);
    let value = |option: &str| words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
    let wanted = Wanted {
        loads: value("--runs").map_or(LOADS, |runs| runs.parse().unwrap()),
        jumps: value("--runs").map_or(JUMPS, |runs| runs.parse().unwrap()),
        memory: value("--memory").unwrap_or(MEMORY),
        sizes: value("--sizes")
            .map_or(SIZES.into(), |sizes| sizes.split(',').map(|size| size.parse().unwrap()).collect()),
    };
    let all = !words.iter().any(|word| ["--loads", "--jumps", "--reboots"].contains(&word.as_str()));
    let mut report = Report::default();
    for place in [X86_64, ARM64] {
        if asked("--x86_64") && place.kernel == Kernel::Arm64
            || asked("--arm64") && place.kernel != Kernel::Arm64
        {
            continue;
        }
        if all || asked("--loads") {
            loads(&mut report, place, &wanted);
        }
        if all || asked("--jumps") {
            jumps(&mut report, place, &wanted);
        }
        if place.kernel != Kernel::Arm64 && (all || asked("--reboots")) {
            reboots(&mut report, wanted.jumps);
        }
    }
    let missed = report.missed;
    report.line(&format!("\n{missed} targets missed; this is target/bench/table.txt, beside plot.svg"));
}

/// A machine with the peer, its libraries, and the probe.
fn vm(place: Place, memory: &str, stage: &str) -> Vm {
    let usr = format!("{}/usr", place.peer);
    let mut vm = Vm::new(place.kernel)
        .append("quiet")
        .memory(memory)
        .touched()
        .seconds(1800)
        .file("sbin/probe", &probe(place))
        .dir("peer")
        .dir("lib64")
        .dir("lib")
        .file("peer/kexec", &part(&format!("{usr}/sbin/kexec")))
        .file(place.loader, &part(&format!("{usr}/{}", place.loader)))
        .file("small.cpio", &second_stage(place))
        .stage(1, &format!("export LD_LIBRARY_PATH=/lib\n{stage}"));
    for (name, data) in libraries(place) {
        vm = vm.file(&format!("lib/{name}"), &data);
    }
    vm
}

fn probe(place: Place) -> Vec<u8> {
    let path = std::env::var(place.probe).unwrap_or_else(|_| panic!("no {}: run make bench", place.probe));
    std::fs::read(path).unwrap()
}

/// The peer's, but for its dynamic loader.
fn libraries(place: Place) -> Vec<(String, Vec<u8>)> {
    let folder = parts().join(place.peer).join("usr").join(place.libraries);
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let named = files.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let wanted = named.filter(|(name, _)| name.contains(".so.") && !place.loader.ends_with(name.as_str()));
    wanted.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

/// What the second kernel runs: the probe says that it is there, and ends the machine.
fn second_stage(place: Place) -> Vec<u8> {
    Cpio::default().dir("dev").char_device("dev/console", (5, 1)).file("init", 0o755, &probe(place)).finish()
}

/// The way's command for the initrd.
fn command(place: Place, way: Way) -> String {
    format!("{} /boot/vmlinuz --initrd=/initrd --append='{}'", way.command, place.append)
}

/// The whole process, its memory, its calls, and where its time goes.
struct Measured {
    time: f64,
    memory: f64,
    calls: f64,
    longest: f64,
    others: f64,
    between: f64,
}

fn loads(report: &mut Report, place: Place, asked: &Wanted) {
    // All files are in the page cache.
    let mut stage = String::from("cat /boot/vmlinuz >/dev/null\n");
    for &size in &asked.sizes {
        stage.push_str(&format!(
            "probe grow /small.cpio {size} /initrd\n\
             kexec-load /boot/vmlinuz --initrd /initrd --command-line x --dry-run >/plan\n\
             place() {{ sed -n \"s/^ *$1 *\\(0x[0-9a-f]*\\)-.*/\\1/p\" /plan; }}\n\
             places=\"$(place 'K kernel') $(place '1 initrd 1') $(place 'P parameters')\"\n\
             echo PLACES $places\n"
        ));
        for round in 0..asked.loads {
            // Nothing is loaded before: to free the last image would count, too.
            stage.push_str(&format!(
                "kexec -u\necho \"T-{size}-{} $(probe floor /boot/vmlinuz /initrd $places)\"\n",
                FLOOR.mark()
            ));
            for way in WAYS {
                let (command, mark) = (command(place, way), way.mark());
                stage.push_str(&format!("kexec -u\necho \"T-{size}-{mark} $(probe time {command})\"\n"));
                if round == 0 {
                    stage.push_str(&format!("kexec -u\necho \"W-{size}-{mark} $(probe watch {command})\"\n"));
                }
            }
        }
        stage.push_str("kexec -u\nrm /initrd\n");
    }
    // What any process takes that does nothing.
    for _ in 0..asked.loads {
        stage.push_str("echo \"T-nothing $(probe time /sbin/kexec --version)\"\n");
    }
    let console = vm(place, asked.memory, &stage).run();
    console.has("STAGE 1 ENDS");

    report.line(&format!(
        "\n{}, {}, software emulation: load by kexec_load, the median of {}",
        place.title, asked.memory, asked.loads
    ));
    report.line(&format!(
        "{:<9} {:<16} {:>9} {:>9} {:>12} {:>7}",
        "initrd", "", "wall", "to floor", "anonymous", "calls"
    ));
    let mut series = [FLOOR, OURS, PEER, PEER_FAST].map(|way| Series::new(way.name, way.colour));
    let mut missed = Vec::new();
    let mut ours = Vec::new();
    for &size in &asked.sizes {
        let floor = median_time(&console, &format!("T-{size}-{}", FLOOR.mark()));
        series[0].points.push((size as f64, floor));
        report.line(&format!(
            "{:<9} {:<16} {floor:>6.1} ms {:>9.2} {:>12} {:>7}",
            format!("{size} MB"),
            FLOOR.name,
            1.0,
            "",
            1
        ));
        for (index, way) in WAYS.into_iter().enumerate() {
            let measured = measured(&console, size, way);
            series[index + 1].points.push((size as f64, measured.time));
            report.line(&format!(
                "{:<9} {:<16} {:>6.1} ms {:>9.2} {:>8.0} KiB {:>7.0}",
                "",
                way.name,
                measured.time,
                measured.time / floor,
                measured.memory,
                measured.calls
            ));
            if index == 0 {
                ours.push((size, floor, measured));
            }
        }
    }
    for (size, floor, measured) in &ours {
        let what = format!("load of {size} MB, in times of the bare call");
        if !report.target(&what, measured.time / floor, LOAD_LIMIT) {
            missed.push((size, floor, measured));
        }
    }
    let memory = |pick: fn(f64, f64) -> f64| ours.iter().map(|(_, _, it)| it.memory).reduce(pick).unwrap();
    let growth = memory(f64::max) - memory(f64::min);
    report.target("memory, KiB more from the smallest to the largest initrd", growth, MEMORY_LIMIT);
    let nothing = median_time(&console, "T-nothing");
    for (size, floor, it) in missed {
        report.line(&format!(
            "  {size} MB, where {:.1} ms go, {:.1} over the floor: {nothing:.1} to start and end a process that \
             prints its version. When watched (which adds to each call): {:.1} in the longest call, {:.1} in \
             the others, {:.1} outside of calls",
            it.time,
            it.time - floor,
            it.longest,
            it.others,
            it.between
        ));
    }
    report.panels.push(Panel { title: format!("load, {}", place.kernel_name()), series: series.into() });
    report.keep();
}

impl Place {
    fn kernel_name(self) -> &'static str {
        if self.kernel == Kernel::Arm64 { "arm64" } else { "x86_64" }
    }
}

fn measured(console: &Console, size: usize, way: Way) -> Measured {
    let time = median_time(console, &format!("T-{size}-{}", way.mark()));
    let watched = console.only(&format!("W-{size}-{}", way.mark()));
    let numbers = watched.split(", ").map(|part| part.split(' ').next().unwrap().parse::<f64>().unwrap());
    let numbers: Vec<f64> = numbers.collect();
    let [calls, memory, longest, others, between] = numbers[..] else { panic!("{watched}") };
    let ms = |us: f64| us / 1000.0;
    Measured { time, memory, calls, longest: ms(longest), others: ms(others), between: ms(between) }
}

/// The median of the times that are marked so, in milliseconds.
fn median_time(console: &Console, mark: &str) -> f64 {
    let times = console.marked(mark).into_iter().map(|line| {
        let (time, status) =
            line.split_once(" us, ").unwrap_or_else(|| panic!("{line}\n{}", console.shown()));
        assert_eq!(status, "exit status: 0", "{mark}\n{}", console.shown());
        time.parse::<f64>().unwrap() / 1000.0
    });
    median(times.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty());
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn jumps(report: &mut Report, place: Place, asked: &Wanted) {
    let runs = asked.jumps;
    report.line(&format!(
        "\n{}: jump, \"Starting new kernel\" to \"Linux version\", the median of {runs}",
        place.title
    ));
    if place.kernel == Kernel::Arm64 && runs > 1 {
        report.line("(kexec-tools with 100 MB and more: once)");
    }
    report.line(&format!("{:<9} {:<16} {:>9} {:>18}", "initrd", "", "wall", "to kexec-tools -i"));
    let mut series = WAYS.map(|way| Series::new(way.name, way.colour));
    let mut ratios = Vec::new();
    for &size in &asked.sizes {
        let mut times = [const { Vec::new() }; WAYS.len()];
        for run in 0..runs {
            for (way, times) in WAYS.into_iter().zip(&mut times) {
                // A minute and more, of which next to nothing is noise: its hash, with caches off.
                let slow = way.name == PEER.name && place.kernel == Kernel::Arm64 && size >= 100;
                if run == 0 || !slow {
                    times.push(jump(place, asked, way, size));
                }
            }
        }
        let medians = times.map(median);
        let [ours, .., fast] = medians;
        for (index, (way, time)) in WAYS.into_iter().zip(medians).enumerate() {
            series[index].points.push((size as f64, time));
            let initrd = if index == 0 { format!("{size} MB") } else { String::new() };
            report.line(&format!("{initrd:<9} {:<16} {time:>6.0} ms {:>18.2}", way.name, time / fast));
        }
        ratios.push((size, ours / fast));
    }
    for (size, ratio) in ratios {
        report.target(&format!("jump with {size} MB, in times of kexec-tools -i's"), ratio, JUMP_LIMIT);
    }
    report.panels.push(Panel { title: format!("jump, {}", place.kernel_name()), series: series.into() });
    report.keep();
}

/// Milliseconds between the two lines on the console, as they arrive here.
fn jump(place: Place, asked: &Wanted, way: Way, size: usize) -> f64 {
    let stage = format!(
        "probe grow /small.cpio {size} /initrd\n{}\nsync\ndmesg -n 8\n/sbin/kexec -e\n",
        command(place, way)
    );
    let console = vm(place, asked.memory, &stage).run();
    console.has("SECOND");
    let start = at(&console, "Starting new kernel", 0.0);
    (at(&console, "Linux version", start) - start) * 1000.0
}

/// When a line with these words came, after such a time.
fn at(console: &Console, wanted: &str, after: f64) -> f64 {
    let found = console.lines.iter().find(|(time, line)| *time > after && line.contains(wanted));
    found.unwrap_or_else(|| panic!("{wanted} is not there after {after} s\n{}", console.shown())).0
}

/// What the Alpine wiki's page on kexec has its reader write, in effect: one service that loads
/// when the machine goes down, one that jumps at the end of it.
const RECIPE_LOAD: &str = "#!/sbin/openrc-run
depend() { need localmount; }
start() { :; }
stop() {
    [ \"$RC_GOINGDOWN\" = YES ] || return 0
    ebegin \"Loading by kexec-tools\"
    kexec -l /boot/vmlinuz-virt --initrd=/boot/initramfs-virt --reuse-cmdline
    eend $?
}
";
const RECIPE_EXEC: &str = "#!/sbin/openrc-run
depend() { after killprocs savecache mount-ro; }
start() {
    ebegin \"Jumping by kexec-tools\"
    kexec -e
    eend $?
    return 0
}
";

/// In the place of a program: says when it begins and ends.
fn spoken(program: &str) -> String {
    format!(
        "#!/bin/sh\necho \"PART BEGINS $0 $*\" >/dev/console\n{program} \"$@\"\nstatus=$?\n\
         echo \"PART ENDS\" >/dev/console\nexit $status\n"
    )
}

/// The initrd of the machines with services, in MB.
const INSTALLED: usize = 10;

fn installed() -> Installed {
    let initrd = initramfs_with(INITRAMFS);
    let missing = (INSTALLED * 1_000_000).saturating_sub(initrd.clone().finish().len());
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.flatten().take(missing).collect();
    Installed::new(Init::BusyBox, Kernel::Alpine)
        // In this order: earlycon shows what was said before by the level that holds then.
        .append("loglevel=6 earlycon=uart8250,io,0x3f8")
        .boot_file("initramfs-virt", &initrd.file("noise", 0o644, &noise).finish())
}

/// A reboot by the services, in seconds: the whole, from the word that is typed to the user's
/// first in the next system; and of it the load, the questions whether something is loaded,
/// the last program up to the kernel's word that it jumps, and the jump.
fn reboot(by_recipe: bool) -> [f64; 5] {
    let place = X86_64;
    let (typed, machine) = if by_recipe {
        let mut machine = installed()
            .file("etc/init.d/recipe-load", RECIPE_LOAD.as_bytes())
            .file("etc/init.d/recipe-exec", RECIPE_EXEC.as_bytes())
            .file("peer/kexec", &part(&format!("{}/usr/sbin/kexec", place.peer)))
            .file("usr/bin/kexec", spoken("LD_LIBRARY_PATH=/peer /peer/kexec").as_bytes());
        for (name, data) in libraries(place) {
            machine = machine.file(&format!("peer/{name}"), &data);
        }
        let add = "rc-update add recipe-load default\nrc-update add recipe-exec shutdown\nrc-service recipe-load start\n";
        (add, machine)
    } else {
        let machine = installed()
            .file("usr/bin/kexec-load", spoken("/usr/sbin/kexec-load").as_bytes())
            .file("usr/bin/kexec-exec", spoken("/usr/sbin/kexec-exec").as_bytes());
        let add = "rc-update add kexec-load default\nrc-update add kexec-exec shutdown\nrc-service kexec-load start\n";
        (add, machine)
    };
    // A second reboot is the one that is looked at: all is as it will ever be then.
    let console = machine
        .boot(&format!("{typed}reboot"), End::Kexec)
        .boot("reboot", End::Kexec)
        .boot("poweroff", End::PowerOff)
        .console();
    let begin = at(&console, "# reboot", at(&console, "BOOT 2 BEGINS", 0.0));
    let start = at(&console, "Starting new kernel", begin);
    let version = at(&console, "Linux version", start);
    let end = at(&console, "BOOT 3 BEGINS", version);
    let (mut load, mut asked, mut part) = (0.0, 0.0, None);
    for (time, line) in console.lines.iter().filter(|(time, _)| (begin..start).contains(time)) {
        if line.contains("PART BEGINS ") {
            part = Some((*time, line));
        } else if line.contains("PART ENDS")
            && let Some((since, words)) = part.take()
        {
            *(if words.contains("--status") { &mut asked } else { &mut load }) += time - since;
        }
    }
    // The last one does not end.
    let (exec, _) = part.unwrap_or_else(|| panic!("no jump\n{}", console.shown()));
    [end - begin, load, asked, start - exec, version - start]
}

fn reboots(report: &mut Report, runs: usize) {
    report.line(&format!(
        "\n{}, OpenRC under BusyBox init, initrd of {INSTALLED} MB: a whole reboot, from typing it to \
         userspace, the median of {runs}",
        X86_64.title
    ));
    report.line(&format!(
        "{:<26} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "whole", "load", "--status", "exec", "jump", "its own"
    ));
    let mut times = [const { [const { Vec::new() }; 6] }; 2];
    for _ in 0..runs {
        for (by_recipe, times) in [false, true].into_iter().zip(&mut times) {
            let [whole, load, asked, exec, jump] = reboot(by_recipe);
            let all = [whole, load, asked, exec, jump, load + asked + exec + jump];
            for (times, time) in times.iter_mut().zip(all) {
                times.push(time * 1000.0);
            }
        }
    }
    let medians = times.map(|times| times.map(median));
    for (name, medians) in ["rc-kexec's services", "the wiki's, by kexec-tools"].into_iter().zip(medians) {
        let columns: Vec<String> = medians.into_iter().map(|time| format!("{time:>6.0} ms")).collect();
        report.line(&format!("{name:<26} {}", columns.join(" ")));
    }
    let [[.., floor, ours], [.., recipe]] = medians;
    if !report.target("load and jump of a reboot, in times of the recipe's", ours / recipe, REBOOT_LIMIT) {
        report.line(&format!(
            "  {floor:.0} ms of it is the kernel's own: from its word that it jumps to the next one's first, \
             which is what no loader takes part in"
        ));
    }
}
