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
mod makedumpfile;
mod openrc;
mod plot;
mod progress;

use cpio::Cpio;
use machine::{Console, Kernel, Vm, part, parts};
use makedumpfile::{MAKEDUMPFILE, with_makedumpfile};
use openrc::{End, INITRAMFS, Init, Installed, initramfs_with};
use plot::{Panel, Point, Series};

/// Loads of each kind, in turns; the table shows the median.
const LOADS: usize = 5;

/// The bench measures a load that needs longer than this only once, and ends it at its limit.
const SLOW_LOAD: u64 = 10;
const LOAD_TIME: u64 = 60;

/// A jump whose machine takes longer than this is measured once. Where nothing is said for so
/// many seconds after the old kernel's last word it is ended.
const SLOW_JUMP: f64 = 30.0;
const JUMP_TIME: u64 = 150;

/// A machine of loads says nothing while a load runs or a large initrd is made.
const LOADS_SILENCE: u64 = 600;

/// So that a program has the same addresses each time: the emulator translates code anew for
/// each address that it has, and that would be most of what is measured of a small program.
const FIXED: &str = "norandmaps";

/// Jumps of each kind, in turns, and whole reboots.
const JUMPS: usize = 5;
const REBOOTS: usize = 3;

/// The initrds, in MB.
const SIZES: [usize; 4] = [1, 10, 100, 500];

/// The largest initrd in the page cache, in the kernel's hands, and in the peer's memory,
/// where it takes up to twice its length.
const MEMORY: &str = "2560M";

/// On arm64 as much again above 4 GiB, from where the kernel's allocator takes pages first.
/// Without that it hands out those where kexec-tools' segments are to lie, and each costs a
/// search: 50 s for a load of 1 MB.
const MEMORY_ARM64: &str = "6144M";

/// The promises. A load, by the time inside the bare call; a jump, by the peer's without its
/// hash; the load and the jump of a reboot by the services, by the recipe's.
const LOAD_LIMIT: f64 = 1.15;
const JUMP_LIMIT: f64 = 1.1;
const REBOOT_LIMIT: f64 = 0.25;
/// The time for a dump, by that of `makedumpfile -c -d 31`.
const DUMP_LIMIT: f64 = 1.0;
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
    /// Unless --memory says otherwise.
    memory: &'static str,
}

const X86_64: Place = Place {
    kernel: Kernel::Alpine,
    title: "x86_64, kernel configured as Alpine's",
    probe: "RC_KEXEC_PROBE",
    peer: "peer",
    loader: "lib64/ld-linux-x86-64.so.2",
    libraries: "lib/x86_64-linux-gnu",
    append: "console=ttyS0 earlycon=uart8250,io,0x3f8 loglevel=6 panic=-1",
    memory: MEMORY,
};

const ARM64: Place = Place {
    kernel: Kernel::Arm64,
    title: "arm64, Debian's cloud kernel",
    probe: "RC_KEXEC_PROBE_AARCH64",
    peer: "arm64/peer",
    loader: "lib/ld-linux-aarch64.so.1",
    libraries: "lib/aarch64-linux-gnu",
    append: "console=ttyAMA0 earlycon=pl011,0x9000000 loglevel=6 panic=-1",
    memory: MEMORY_ARM64,
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
    reboots: usize,
    memory: Option<&'a str>,
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
        reboots: value("--runs").map_or(REBOOTS, |runs| runs.parse().unwrap()),
        memory: value("--memory"),
        sizes: value("--sizes")
            .map_or(SIZES.into(), |sizes| sizes.split(',').map(|size| size.parse().unwrap()).collect()),
    };
    let all =
        !words.iter().any(|word| ["--loads", "--jumps", "--reboots", "--dumps"].contains(&word.as_str()));
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
            reboots(&mut report, wanted.reboots);
        }
        if place.kernel != Kernel::Arm64 && (all || asked("--dumps")) {
            dumps(&mut report, wanted.loads);
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
        .append(FIXED)
        .memory(memory)
        .touched()
        .silence(LOADS_SILENCE)
        .file("sbin/probe", &probe(place))
        .dir("peer")
        .dir("lib64")
        .dir("lib")
        .file("peer/kexec", &part(&format!("{usr}/sbin/kexec")))
        .file(place.loader, &part(&format!("{usr}/{}", place.loader)))
        .file("small.cpio", &second_stage(place))
        .stage(1, format!("export LD_LIBRARY_PATH=/lib\n{stage}"));
    for (name, data) in libraries(place) {
        vm = vm.file(&format!("lib/{name}"), &data);
    }
    vm
}

fn probe(place: Place) -> Vec<u8> {
    let path = std::env::var(place.probe).unwrap_or_else(|_| panic!("no {}: run make bench", place.probe));
    std::fs::read(path).unwrap()
}

/// The peer's files, without its dynamic loader.
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

/// A time in milliseconds.
#[derive(Clone, Copy)]
enum Time {
    Took(f64),
    /// It was ended then.
    Over(f64),
    /// It did not come to it.
    None,
}

impl Time {
    /// The least that it is.
    fn least(self) -> Option<f64> {
        match self {
            Time::Took(time) | Time::Over(time) => Some(time),
            Time::None => None,
        }
    }

    /// In a column of a table.
    fn shown(self) -> String {
        match self {
            Time::Took(time) if time < 10.0 => format!("{time:.1} ms"),
            Time::Took(time) if time < 10_000.0 => format!("{time:.0} ms"),
            Time::Took(time) => format!("{:.1} s", time / 1000.0),
            Time::Over(time) => format!("over {:.0} s", time / 1000.0),
            Time::None => "-".into(),
        }
    }

    /// In times of another.
    fn times(self, other: Time) -> String {
        match (self, other) {
            (Time::Took(time), Time::Took(other)) => format!("{:.2}", time / other),
            (Time::Over(time), Time::Took(other)) => format!(">{:.0}", time / other),
            (Time::Took(time), Time::Over(other)) => format!("<{:.2}", time / other),
            _ => "-".into(),
        }
    }

    /// In the plot.
    fn point(self, size: usize) -> Option<Point> {
        Some(Point { size: size as f64, time: self.least()?, over: matches!(self, Time::Over(_)) })
    }

    /// Of several: they are all of one kind, or the slow one is there once.
    fn median(mut times: Vec<Time>) -> Time {
        let least = |time: &Time| time.least().unwrap_or(f64::INFINITY);
        times.sort_by(|a, b| least(a).total_cmp(&least(b)));
        times[times.len() / 2]
    }
}

/// What was seen of a process: its memory, its calls, and where its time goes.
struct Watched {
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
            // There and back, so that none always has the memory that the same one left behind.
            let mut turns = [FLOOR, OURS, PEER, PEER_FAST];
            if round % 2 == 1 {
                turns.reverse();
            }
            for way in turns {
                let (command, mark) = (command(place, way), way.mark());
                let timed = match way.command {
                    "" => "probe floor /boot/vmlinuz /initrd $places".to_string(),
                    _ => format!("probe time {LOAD_TIME} {command}"),
                };
                // Nothing is loaded before: to free the last image would count, too.
                stage.push_str(&format!(
                    "if [ ! -e /slow-{size}-{mark} ]; then\nkexec -u\n\
                     took=$({timed})\necho \"T-{size}-{mark} $took\"\n\
                     [ \"${{took%% *}}\" -lt {SLOW_LOAD}000000 ] || : >/slow-{size}-{mark}\nfi\n"
                ));
            }
        }
        for way in WAYS {
            let (command, mark) = (command(place, way), way.mark());
            stage.push_str(&format!(
                "if [ ! -e /slow-{size}-{mark} ]; then\nkexec -u\n\
                 echo \"W-{size}-{mark} $(probe watch {command})\"\nfi\n"
            ));
        }
        stage.push_str("kexec -u\nrm /initrd\n");
    }
    // What a process needs that does nothing.
    for _ in 0..asked.loads {
        stage.push_str("echo \"T-nothing $(probe time 60 /sbin/kexec --version)\"\n");
    }
    let console = vm(place, asked.memory.unwrap_or(place.memory), &stage).run();
    console.has("STAGE 1 ENDS");

    report.line(&format!(
        "\n{}, {}, software emulation, {FIXED}: load by kexec_load, the median of {} (over {SLOW_LOAD} s: once)",
        place.title, asked.memory.unwrap_or(place.memory), asked.loads
    ));
    report.line(&format!(
        "{:<9} {:<16} {:>9} {:>9} {:>12} {:>7}",
        "initrd", "", "wall", "to floor", "anonymous", "calls"
    ));
    let mut series = [FLOOR, OURS, PEER, PEER_FAST].map(|way| Series::new(way.name, way.colour));
    let mut ours = Vec::new();
    for &size in &asked.sizes {
        let floor = median_time(&console, &format!("T-{size}-{}", FLOOR.mark()));
        series[0].points.extend(floor.point(size));
        report.line(&format!(
            "{:<9} {:<16} {:>9} {:>9} {:>12} {:>7}",
            format!("{size} MB"),
            FLOOR.name,
            floor.shown(),
            "1.00",
            "",
            1
        ));
        for (index, way) in WAYS.into_iter().enumerate() {
            let time = median_time(&console, &format!("T-{size}-{}", way.mark()));
            let watched = watched(&console, size, way);
            series[index + 1].points.extend(time.point(size));
            let of = |it: fn(&Watched) -> String| watched.as_ref().map_or("-".into(), it);
            report.line(&format!(
                "{:<9} {:<16} {:>9} {:>9} {:>12} {:>7}",
                "",
                way.name,
                time.shown(),
                time.times(floor),
                of(|it| format!("{:.0} KiB", it.memory)),
                of(|it| it.calls.to_string())
            ));
            if index == 0 {
                let (Time::Took(time), Time::Took(floor), Some(watched)) = (time, floor, watched) else {
                    panic!("{size} MB took too long\n{}", console.shown())
                };
                ours.push((size, floor, time, watched));
            }
        }
    }
    let mut missed = Vec::new();
    for (size, floor, time, watched) in &ours {
        let what = format!("load of {size} MB, in times of the bare call");
        if !report.target(&what, time / floor, LOAD_LIMIT) {
            missed.push((size, floor, time, watched));
        }
    }
    let memory = |pick: fn(f64, f64) -> f64| ours.iter().map(|it| it.3.memory).reduce(pick).unwrap();
    let growth = memory(f64::max) - memory(f64::min);
    report.target("memory, KiB more from the smallest to the largest initrd", growth, MEMORY_LIMIT);
    let nothing = median_time(&console, "T-nothing").shown();
    for (size, floor, time, it) in missed {
        report.line(&format!(
            "  {size} MB, where {time:.1} ms go, {:.1} over the floor: {nothing} to start and end a process that \
             prints its version. When watched (which adds to each call): {:.1} in the longest call, {:.1} in \
             the others, {:.1} outside of calls",
            time - floor,
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

/// None of a way that is slow.
fn watched(console: &Console, size: usize, way: Way) -> Option<Watched> {
    let line = console.marked(&format!("W-{size}-{}", way.mark())).first().copied()?;
    let numbers = line.split(", ").map(|part| part.split(' ').next().unwrap().parse::<f64>().unwrap());
    let numbers: Vec<f64> = numbers.collect();
    let [calls, memory, longest, others, between] = numbers[..] else { panic!("{line}") };
    let ms = |us: f64| us / 1000.0;
    Some(Watched { memory, calls, longest: ms(longest), others: ms(others), between: ms(between) })
}

/// The median of the times that are marked so.
fn median_time(console: &Console, mark: &str) -> Time {
    let times = console.marked(mark).into_iter().map(|line| {
        let (time, status) =
            line.split_once(" us, ").unwrap_or_else(|| panic!("{line}\n{}", console.shown()));
        let time = time.parse::<f64>().unwrap() / 1000.0;
        if status.starts_with("signal: 9") {
            return Time::Over(LOAD_TIME as f64 * 1000.0);
        }
        assert_eq!(status, "exit status: 0", "{mark}\n{}", console.shown());
        Time::Took(time)
    });
    let times: Vec<Time> = times.collect();
    assert!(!times.is_empty(), "{mark}\n{}", console.shown());
    Time::median(times)
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty());
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn jumps(report: &mut Report, place: Place, asked: &Wanted) {
    let runs = asked.jumps;
    report.line(&format!(
        "\n{}: jump, \"Starting new kernel\" to \"Linux version\", the median of {runs} \
         (where a machine takes over {SLOW_JUMP:.0} s: once)",
        place.title
    ));
    report.line(&format!("{:<9} {:<16} {:>9} {:>18}", "initrd", "", "wall", "to kexec-tools -i"));
    let mut series = WAYS.map(|way| Series::new(way.name, way.colour));
    let mut ratios = Vec::new();
    for &size in &asked.sizes {
        let mut times = [const { Vec::new() }; WAYS.len()];
        let mut slow = [false; WAYS.len()];
        for _ in 0..runs {
            for (index, way) in WAYS.into_iter().enumerate() {
                if !slow[index] {
                    let (time, whole) = jump(place, asked, way, size);
                    times[index].push(time);
                    slow[index] = whole > SLOW_JUMP;
                }
            }
        }
        let medians = times.map(Time::median);
        let [ours, .., fast] = medians;
        for (index, (way, time)) in WAYS.into_iter().zip(medians).enumerate() {
            series[index].points.extend(time.point(size));
            let initrd = if index == 0 { format!("{size} MB") } else { String::new() };
            let why = if time.least().is_none() {
                format!("  (its load took over {LOAD_TIME} s)")
            } else {
                String::new()
            };
            report.line(&format!(
                "{initrd:<9} {:<16} {:>9} {:>18}{why}",
                way.name,
                time.shown(),
                time.times(fast)
            ));
        }
        ratios.push((size, ours, fast));
    }
    for (size, ours, fast) in ratios {
        let what = format!("jump with {size} MB, in times of kexec-tools -i's");
        match (ours, fast) {
            (Time::Took(ours), Time::Took(fast)) => {
                if !report.target(&what, ours / fast, JUMP_LIMIT) {
                    report.line(&format!(
                        "  {size} MB, where {:.0} ms more go: the old kernel copies the segments to their places, \
                         a few instructions of either loader run, and the new kernel begins. Kernel and initrd are the \
                         same but for their places",
                        ours - fast
                    ));
                }
            }
            _ => report.line(&format!("OPEN  {what}: {} and {}", ours.shown(), fast.shown())),
        }
    }
    report.panels.push(Panel { title: format!("jump, {}", place.kernel_name()), series: series.into() });
    report.keep();
}

/// The time between the two lines on the console, as they arrive here; and the machine's, in
/// seconds.
fn jump(place: Place, asked: &Wanted, way: Way, size: usize) -> (Time, f64) {
    let stage = format!(
        "probe grow /small.cpio {size} /initrd\n\
         took=$(probe time {LOAD_TIME} {})\necho \"LOAD $took\"\n\
         case $took in *'exit status: 0') ;; *) reboot -f ;; esac\n\
         sync\ndmesg -n 8\n/sbin/kexec -e\n",
        command(place, way)
    );
    let console = vm(place, asked.memory.unwrap_or(place.memory), &stage).silence(JUMP_TIME).run_or_hang();
    let whole = console.lines.last().map_or(0.0, |(time, _)| *time);
    if console.only("LOAD").contains("signal: 9") {
        return (Time::None, whole);
    }
    let start = at(&console, "Starting new kernel", 0.0);
    if console.hung.is_some() && !console.text.contains("SECOND") {
        return (Time::Over(JUMP_TIME as f64 * 1000.0), JUMP_TIME as f64);
    }
    console.has("SECOND");
    (Time::Took((at(&console, "Linux version", start) - start) * 1000.0), whole)
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
        .append(FIXED)
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
    for run in 0..runs {
        for turn in 0..2 {
            // Each is the first one in turns.
            let by_recipe = (run + turn) % 2 == 1;
            let times = &mut times[usize::from(by_recipe)];
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
    let [[_, load, .., jump, ours], [.., recipe]] = medians;
    if !report.target("load and jump of a reboot, in times of the recipe's", ours / recipe, REBOOT_LIMIT) {
        report.line(&format!(
            "  {jump:.0} ms of it is the jump, from the kernel's word to the next one's first, and {load:.0} ms the \
             load, with the shell that starts and times it: how much of either is the kernel's own is said above, \
             by the bare call and by kexec-tools -i"
        ));
    }
}

/// The dump of one crash, saved by both programs in turns, in the crash kernel.
fn dumps(report: &mut Report, runs: usize) {
    let load = "kexec-load --crash /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append stage=2";
    let first = format!(
        "pack\n{load}\n\
         # Pages of a kernel at work: names that it has to keep.\n\
         mkdir /tmp/full; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo >/tmp/full/$i; done\n\
         echo c >/proc/sysrq-trigger\n"
    );
    let turn = format!(
        "rm -f /tmp/dump; time -o /tmp/time -f 'ours %e %U %S' rc-kexec vmcore save /tmp/dump 2>/dev/null\n\
         echo DUMP $(cat /tmp/time) $(stat -c %s /tmp/dump)\n\
         rm -f /tmp/dump; time -o /tmp/time -f 'theirs %e %U %S' {MAKEDUMPFILE} -c -d 31 /proc/vmcore /tmp/dump >/dev/null\n\
         echo DUMP $(cat /tmp/time) $(stat -c %s /tmp/dump)\n"
    );
    let vm = Vm::new(Kernel::Alpine)
        .memory("1G")
        .append("quiet crashkernel=256M")
        .append(FIXED)
        .silence(LOADS_SILENCE)
        .stage(1, first)
        .stage(2, turn.repeat(runs));
    let console = with_makedumpfile(vm).run();
    let of = |whose: &str, column: usize| -> Vec<f64> {
        let words = console.marked("DUMP").into_iter().map(|line| line.split(' ').collect::<Vec<_>>());
        words.filter(|words| words[0] == whose).map(|words| words[column].parse().unwrap()).collect()
    };
    report.line(&format!("\n{}: the dump of a crash, the median of {runs}", X86_64.title));
    report.line(&format!("{:<26} {:>9} {:>9} {:>9} {:>12}", "", "whole", "user", "system", "bytes"));
    let mut whole = [0.0; 2];
    for (index, (whose, name)) in
        [("ours", "rc-kexec vmcore save"), ("theirs", "makedumpfile -c -d 31")].into_iter().enumerate()
    {
        let [all, user, system, size] = [1, 2, 3, 4].map(|column| median(of(whose, column)));
        report.line(&format!("{name:<26} {all:>7.2} s {user:>7.2} s {system:>7.2} s {size:>12}"));
        whole[index] = all;
    }
    report.target("time for a dump, in times of makedumpfile's", whole[0] / whole[1], DUMP_LIMIT);
}
