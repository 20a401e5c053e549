//! `make bench`: rc-kexec beside Debian's kexec-tools and the bare system call, in
//! one virtual machine for the loads and one for each jump. The machines are
//! noisy: what counts is the ratios within one run.

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

use cpio::Cpio;
use machine::{Console, Kernel, Vm, part, parts};

/// Loads and jumps of each kind; the median is what is shown.
const RUNS: usize = 7;

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
    /// The large initrd, in MB.
    large: usize,
}

const X86_64: Place = Place {
    kernel: Kernel::Alpine,
    title: "x86_64, kernel configured as Alpine's",
    probe: "RC_KEXEC_PROBE",
    peer: "peer",
    loader: "lib64/ld-linux-x86-64.so.2",
    libraries: "lib/x86_64-linux-gnu",
    append: "console=ttyS0 earlycon=uart8250,io,0x3f8 panic=-1",
    large: 110,
};

/// With an initrd of another size: the peer's hash, with caches off, takes its time.
const ARM64: Place = Place {
    kernel: Kernel::Arm64,
    title: "arm64, Debian's cloud kernel",
    probe: "RC_KEXEC_PROBE_AARCH64",
    peer: "arm64/peer",
    loader: "lib/ld-linux-aarch64.so.1",
    libraries: "lib/aarch64-linux-gnu",
    append: "console=ttyAMA0 earlycon=pl011,0x9000000 panic=-1",
    large: 5,
};

/// A way to load.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    command: &'static str,
}

const OURS: Way = Way { name: "rc-kexec", command: "/sbin/kexec -l" };
const PEER: Way = Way { name: "kexec-tools", command: "/peer/kexec -l" };
const PEER_FAST: Way = Way { name: "kexec-tools -i", command: "/peer/kexec -i -l" };
const WAYS: [Way; 3] = [OURS, PEER, PEER_FAST];

fn main() {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    for place in [X86_64, ARM64] {
        if asked("--x86_64") && place.kernel == Kernel::Arm64
            || asked("--arm64") && place.kernel != Kernel::Arm64
        {
            continue;
        }
        println!("\n{}, 1536 MiB, software emulation; medians of {RUNS} runs, taken in turns", place.title);
        if asked("--jumps") {
            table_of_jumps(place);
            continue;
        }
        table_of_loads(place, &loads(place));
        if !asked("--loads") {
            table_of_jumps(place);
        }
    }
}

/// A machine with the peer, its libraries, the probe, and a large initrd.
fn vm(place: Place, stage: &str) -> Vm {
    let usr = format!("{}/usr", place.peer);
    let mut vm = Vm::new(place.kernel)
        .memory("1536M")
        .touched()
        .seconds(1200)
        .file("sbin/probe", &std::fs::read(std::env::var(place.probe).unwrap()).unwrap())
        .dir("peer")
        .dir("lib64")
        .dir("lib")
        .file("peer/kexec", &part(&format!("{usr}/sbin/kexec")))
        .file(place.loader, &part(&format!("{usr}/{}", place.loader)))
        .file("large.cpio", &large_initrd(place))
        .file("small.cpio", &second_stage(place).finish())
        .stage(1, stage);
    let libraries = parts().join(usr).join(place.libraries);
    for entry in std::fs::read_dir(libraries).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".so.") && !place.loader.ends_with(&name) {
            vm = vm.file(&format!("lib/{name}"), &std::fs::read(entry.path()).unwrap());
        }
    }
    vm
}

/// What the second kernel runs: it says so and ends.
fn second_stage(place: Place) -> Cpio {
    let init = "#!/bin/busybox sh\necho SECOND\n/bin/busybox reboot -f\n";
    ["bin", "dev"]
        .iter()
        .fold(Cpio::default(), |cpio, name| cpio.dir(name))
        .char_device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, &place.kernel.busybox())
        .file("init", 0o755, init.as_bytes())
}

/// The same, with a file of noise that no compression would shrink.
fn large_initrd(place: Place) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut noise = Vec::with_capacity(place.large * 1_000_000);
    while noise.len() < place.large * 1_000_000 - 1_500_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    second_stage(place).file("noise", 0o644, &noise).finish()
}

fn loads(place: Place) -> Console {
    // Files in the page cache, and every page of the guest's memory touched once: the
    // host's own page faults are not what is measured.
    let mut stage = String::from(
        "export LD_LIBRARY_PATH=/lib\ncat /large.cpio /boot/vmlinuz >/dev/null\n\
         mount -t tmpfs -o size=1300M none /mnt\n\
         dd if=/dev/zero of=/mnt/x bs=1M count=1100 2>/dev/null\nrm /mnt/x\n",
    );
    for initrd in ["small", "large"] {
        for round in 0..RUNS {
            // Nothing is loaded before: to free the last image would count, too.
            stage.push_str("kexec -u\n");
            stage.push_str(&format!(
                "echo \"T-{initrd}-floor $(probe floor /boot/vmlinuz /{initrd}.cpio)\"\n"
            ));
            for way in WAYS {
                let command = format!(
                    "{} /boot/vmlinuz --initrd=/{initrd}.cpio --append='{}'",
                    way.command, place.append
                );
                let mark = way.name.replace(' ', "");
                stage.push_str(&format!("kexec -u\necho \"T-{initrd}-{mark} $(probe time {command})\"\n"));
                if round == 0 {
                    stage.push_str(&format!("echo \"W-{initrd}-{mark} $(probe watch {command})\"\n"));
                }
            }
        }
    }
    let console = vm(place, &stage).run();
    console.has("STAGE 1 ENDS");
    console
}

/// The median of the times that are marked so, in milliseconds.
fn median_time(console: &Console, mark: &str) -> f64 {
    let times = console.marked(mark).into_iter().map(|line| {
        let (time, status) = line.split_once(" us, ").unwrap();
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

fn table_of_loads(place: Place, console: &Console) {
    for (initrd, size) in
        [("small", second_stage(place).finish().len()), ("large", large_initrd(place).len())]
    {
        let floor = median_time(console, &format!("T-{initrd}-floor"));
        println!("\nload by kexec_load, initrd of {:.1} MB", size as f64 / 1e6);
        println!("{:<34} {:>9} {:>10} {:>10} {:>8}", "", "wall", "to the call", "anonymous", "calls");
        println!(
            "{:<34} {floor:>6.0} ms {:>10.2} {:>10} {:>8}",
            "the bare call over mapped files", 1.0, "", 1
        );
        for way in WAYS {
            let mark = way.name.replace(' ', "");
            let time = median_time(console, &format!("T-{initrd}-{mark}"));
            let watched = console.only(&format!("W-{initrd}-{mark}"));
            let (calls, memory) = watched.split_once(" calls, ").unwrap();
            println!(
                "{:<34} {time:>6.0} ms {:>10.2} {memory:>10} {calls:>8}",
                format!("{}, whole process", way.name),
                time / floor
            );
        }
        let time = |way: Way| median_time(console, &format!("T-{initrd}-{}", way.name.replace(' ', "")));
        println!(
            "{:<34} {:.1} times, {:.1} times with -i",
            "rc-kexec is faster than kexec-tools",
            time(PEER) / time(OURS),
            time(PEER_FAST) / time(OURS)
        );
    }
}

fn table_of_jumps(place: Place) {
    let mut times = [const { Vec::new() }; WAYS.len()];
    for _ in 0..RUNS {
        for (way, times) in WAYS.iter().zip(&mut times) {
            times.push(jump(place, *way));
        }
    }
    let medians = times.map(median);
    let [.., floor] = medians;
    println!("\njump with the initrd of {} MB: \"Starting new kernel\" to \"Linux version\"", place.large);
    println!("{:<34} {:>9} {:>16}", "", "wall", "to kexec-tools -i");
    for (way, time) in WAYS.iter().zip(medians) {
        println!("{:<34} {:>6.0} ms {:>10.2}", way.name, time * 1000.0, time / floor);
    }
}

/// Seconds between the two lines on the console, as they arrive here.
fn jump(place: Place, way: Way) -> f64 {
    let stage = format!(
        "export LD_LIBRARY_PATH=/lib\n{} /boot/vmlinuz --initrd=/large.cpio --append='{}'\nsync\ndmesg -n 8\n/sbin/kexec -e\n",
        way.command, place.append
    );
    let console = vm(place, &stage).run();
    console.has("SECOND");
    let at = |wanted: &str, after: f64| {
        let found = console.lines.iter().find(|(time, line)| *time > after && line.contains(wanted));
        found.unwrap_or_else(|| panic!("{wanted} is not there\n{}", console.shown())).0
    };
    let start = at("Starting new kernel", 0.0);
    at("Linux version", start) - start
}
