//! What stands between a panic of this kernel and a dump.

use super::checks::{files, kernel};
use super::gather::{Facts, rehearse};
use super::{Finding, Status};
use crate::base::text::{Shown, Size, parse_decimal};
use crate::failure::{Failure, Reservation};
use crate::host::files::{read_or_empty, value};
use crate::host::place::{self, DUMPS, Place};
use crate::host::sys::file;
use crate::host::{self, memory, refusal, storage};
use crate::load::{Request, Starts};
use crate::settings;
use std::ffi::{OsStr, OsString};

/// The settings of the service kdump.
const SETTINGS: &str = "/etc/conf.d/kdump";

/// What is looked at beside what matters for any load.
#[derive(Debug, Default)]
pub struct Crash {
    /// The memory that is reserved, in bytes.
    pub reserved: u64,
    /// Whether the kernel panics at an oops (sysctl kernel.panic_on_oops).
    pub on_oops: bool,
    /// Whether the kernel follows processors and memory that come and go
    /// (/sys/devices/system/cpu/crash_hotplug).
    pub follows: bool,
    /// Where a dump is saved.
    pub saves: Saves,
    /// Whether the root is encrypted, whose key the kernel's memory has then.
    pub has_key: bool,
}

/// Where the service kdump has a dump saved.
#[derive(Debug)]
pub enum Saves {
    /// Where kdump_places says.
    Said(OsString),
    /// In kdump_dir; and how many bytes the kernel's own memory has, of which a dump is made.
    In(Place, u64),
    /// Nowhere, and why.
    Nowhere(Box<Failure>),
}

impl Default for Saves {
    fn default() -> Saves {
        Saves::Said(OsString::new())
    }
}

/// Looks at everything.
pub fn gather(mut request: Request) -> (Facts, Crash) {
    request.starts = Starts::AtPanic;
    request.line.for_crash(Starts::AtPanic);
    let calls = host::calls(true).unwrap_or_default();
    let facts = Facts {
        refusal: refusal::known(),
        calls,
        loaded: host::kernel::is_loaded(true).unwrap_or(false),
        container: host::kernel::container(),
        rehearsal: rehearse(&request.rehearsed(), calls),
        ..Facts::default()
    };
    let number = |path| value(format_args!("{path}")).and_then(|text| parse_decimal(&text)).unwrap_or(0);
    let crash = Crash {
        reserved: host::crash::reserved(),
        on_oops: number("/proc/sys/kernel/panic_on_oops") != 0,
        follows: number("/sys/devices/system/cpu/crash_hotplug") == 1,
        saves: saves(),
        has_key: file::metadata(OsStr::new("/")).is_ok_and(|root| storage::is_on_encrypted(&root)),
    };
    (facts, crash)
}

fn saves() -> Saves {
    let text = read_or_empty(SETTINGS);
    let set = |name: &str| settings::value(&text, name.as_bytes()).filter(|value| !value.is_empty());
    if let Some(places) = set("kdump_places") {
        return Saves::Said(places);
    }
    let dir = set("kdump_dir").unwrap_or_else(|| DUMPS.into());
    match place::find(&dir) {
        Ok(place) => Saves::In(place, memory::of_kernel()),
        Err(why) => Saves::Nowhere(why),
    }
}

/// Every check, in the order in which a panic meets them.
pub fn examine(facts: &Facts, crash: &Crash) -> Vec<Finding> {
    let mut found = vec![
        kernel::container(facts),
        kernel::privilege(facts),
        kernel::calls(facts),
        kernel::load_lock(facts),
        kernel::load_limit(facts),
        kernel::lockdown(facts),
        reserved(facts, crash),
        loaded(facts),
    ];
    let [kernel, initrd, mut line, memory] = files::rehearsal(facts);
    if matches!(facts.rehearsal.failure.as_deref(), Some(Failure::NoReservation(_))) {
        // That is said above.
        line = Finding::note(line.name, files::NOT_LOOKED_AT);
    }
    found.extend([kernel, initrd, line]);
    // The memory that is free now does not matter.
    if facts.rehearsal.memory.is_none() && facts.rehearsal.command_line.is_some() {
        found.push(memory);
    }
    found.push(place_of(&crash.saves));
    found.extend(crash.has_key.then(key));
    found.extend([oops(crash), hotplug(crash)]);
    found
}

fn reserved(facts: &Facts, crash: &Crash) -> Finding {
    let name = "reserved";
    let size = Size(crash.reserved);
    let needs = match facts.rehearsal.failure.as_deref() {
        Some(Failure::NoReservation(reservation)) => Some(reservation.needs),
        _ => facts.rehearsal.reservation,
    };
    let Some(needs) = needs else {
        return match crash.reserved {
            0 => Finding::bad(name, "no memory is reserved for a crash kernel"),
            _ => Finding::ok(name, size.to_string()),
        };
    };
    let there = if crash.reserved == 0 { "nothing".to_string() } else { size.to_string() };
    let mut text = format!("{there}; this kernel and its initrds need {}", Size(needs));
    if crash.reserved >= needs {
        return Finding::ok(name, text);
    }
    let reservation = Reservation { needs, boot_loaders: facts.refusal.boot_loaders.clone() };
    // Writing to a text does not fail.
    let _ = reservation.edits(&mut text);
    Finding::new(name, if crash.reserved == 0 { Status::Bad } else { Status::Note }, text)
}

fn loaded(facts: &Facts) -> Finding {
    let name = "crash-kernel";
    if facts.loaded {
        return Finding::ok(name, "loaded");
    }
    Finding::bad(name, "none is loaded\n  run: rc-service kdump start (with systemd: systemctl start kdump)")
}

fn place_of(saves: &Saves) -> Finding {
    let name = "place";
    match saves {
        Saves::Said(places) => Finding::ok(name, format!("{}, as {SETTINGS} says", places.shown())),
        Saves::In(place, kernel) => {
            let text = format!(
                "{} on {}: {} are free, and a dump needs at most about {}",
                place.dir.shown(),
                place.device.shown(),
                Size(place.free),
                Size(*kernel)
            );
            let status = if place.free < *kernel { Status::Note } else { Status::Ok };
            Finding::new(name, status, text)
        }
        Saves::Nowhere(why) => Finding::bad(name, why.to_string()),
    }
}

fn key() -> Finding {
    Finding::note(
        "key",
        format!(
            "the root is encrypted, and a dump holds its key\n  to save the log alone: kdump_memory=\"no\" in {SETTINGS}"
        ),
    )
}

fn oops(crash: &Crash) -> Finding {
    match crash.on_oops {
        true => Finding::ok("oops", "each is a panic (kernel.panic_on_oops)"),
        false => Finding::note(
            "oops",
            "after most of them the kernel goes on, and saves nothing\n  for a dump of each: sysctl -w kernel.panic_on_oops=1, and a file in /etc/sysctl.d",
        ),
    }
}

fn hotplug(crash: &Crash) -> Finding {
    let text = match crash.follows {
        true => "the kernel follows processors and memory that come and go",
        false => "after processors or memory were added or removed: rc-service kdump reload",
    };
    Finding::ok("hotplug", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Rehearsal;
    use crate::known::boot_loader::BootLoader;
    use crate::known::call::Calls;
    use crate::known::refusal::Refusal;

    /// A machine on which a panic would be saved.
    fn ready() -> (Facts, Crash) {
        let facts = Facts {
            refusal: Refusal { cap_sys_boot: Some(true), is_root: true, ..Refusal::default() },
            calls: Calls { load: Some(true), file_load: Some(false), ..Calls::default() },
            loaded: true,
            rehearsal: Rehearsal {
                kernel: Some("a kernel".into()),
                initrds: Some("an initrd".into()),
                reservation: Some(128 << 20),
                command_line: Some("7 of 2047 bytes".into()),
                memory: Some((17 << 20, 245 << 20)),
                ..Rehearsal::default()
            },
            ..Facts::default()
        };
        let saves = Saves::In(on_disk(9 << 30), 300 << 20);
        (facts, Crash { reserved: 128 << 20, on_oops: true, follows: true, saves, ..Crash::default() })
    }

    fn on_disk(free: u64) -> Place {
        Place { dir: "/var/crash".into(), device: "/dev/sda2".into(), free, ..Place::default() }
    }

    /// What is not as it should be after a change.
    fn found(change: impl FnOnce(&mut Facts, &mut Crash)) -> Vec<(&'static str, Status, String)> {
        let (mut facts, mut crash) = ready();
        change(&mut facts, &mut crash);
        let found = examine(&facts, &crash).into_iter().filter(|finding| finding.status != Status::Ok);
        found.map(|finding| (finding.name, finding.status, finding.text)).collect()
    }

    #[test]
    fn what_stands_between_a_panic_and_a_dump_is_named() {
        assert_eq!(found(|_, _| {}), []);
        type Change = fn(&mut Facts, &mut Crash);
        let table: [(&str, Status, &str, Change); 9] = [
            ("key", Status::Note, "kdump_memory=\"no\" in /etc/conf.d/kdump", |_, crash| {
                crash.has_key = true
            }),
            ("crash-kernel", Status::Bad, "run: rc-service kdump start", |facts, _| facts.loaded = false),
            (
                "reserved",
                Status::Bad,
                "need 128 MiB\n  extlinux: run: sed -i 's/^default_kernel_opts=\"/&crashkernel=128M /'",
                |facts, crash| {
                    crash.reserved = 0;
                    facts.refusal.boot_loaders = vec![BootLoader::Extlinux { has_line: true }];
                },
            ),
            (
                "reserved",
                Status::Note,
                "96 MiB; this kernel and its initrds need 128 MiB\n  add crashkernel=128M to",
                |_, crash| {
                    crash.reserved = 96 << 20;
                },
            ),
            (
                "place",
                Status::Note,
                "200 MiB are free, and a dump needs at most about 300 MiB",
                |_, crash| {
                    crash.saves = Saves::In(on_disk(200 << 20), 300 << 20);
                },
            ),
            (
                "place",
                Status::Bad,
                "unable to save dumps in /var/crash: /dev/mapper/root is encrypted",
                |_, crash| {
                    crash.saves = Saves::Nowhere(Box::new(Failure::NoPlace {
                        dir: "/var/crash".into(),
                        what: "/dev/mapper/root".into(),
                        several: true,
                    }));
                },
            ),
            ("oops", Status::Note, "sysctl -w kernel.panic_on_oops=1", |_, crash| crash.on_oops = false),
            // A crash kernel that is loaded already would start.
            ("load-lock", Status::Note, "kernel.kexec_load_disabled is 1", |facts, _| {
                facts.refusal.load_disabled = true;
            }),
            ("container", Status::Bad, "this is a container", |facts, _| {
                facts.container = Some("lxc".into())
            }),
        ];
        for (name, status, text, change) in table {
            let found = found(change);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].0 == name && found[0].1 == status && found[0].2.contains(text), "{found:?}");
        }
    }

    #[test]
    fn a_load_without_a_reservation_is_said_once() {
        let found = found(|facts, crash| {
            crash.reserved = 0;
            facts.loaded = false;
            facts.rehearsal.command_line = None;
            facts.rehearsal.memory = None;
            facts.rehearsal.failure = Some(Box::new(Failure::NoReservation(Box::new(Reservation {
                needs: 128 << 20,
                ..Reservation::default()
            }))));
        });
        let about = |text: &str| found.iter().filter(|finding| finding.2.contains(text)).count();
        assert_eq!(about("nothing; this kernel"), 1, "{found:?}");
        assert_eq!(about("not checked"), 1, "{found:?}");
    }
}
