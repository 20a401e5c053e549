//! The findings on machines that each differ from a ready one in one thing.

use super::*;
use crate::failure::Failure;
use crate::host::openrc::Services;
use crate::known::call::Calls;
use crate::known::exposure::Exposure;
use crate::known::init::{Init, RebootAction, Signal, Trace};
use crate::known::refusal::Refusal;
use crate::known::xen::Xen;
use crate::settings;
use nix::errno::Errno;

/// A machine on which a reboot now would be a kexec.
fn ready() -> Facts {
    Facts {
        refusal: Refusal { cap_sys_boot: Some(true), is_root: true, ..Refusal::default() },
        calls: Calls { load: Some(true), file_load: Some(false), ..Calls::default() },
        release: "6.12.31-0-virt".into(),
        flavour: Some("virt".into()),
        has_tracefs: true,
        init: Init::BusyBox(RebootAction::Absent),
        trace: Trace::Nothing,
        services: Services {
            are_installed: true,
            load_started: true,
            load_enabled: true,
            exec_enabled: true,
            ..Services::default()
        },
        files: vec![Exposure::default()],
        rehearsal: Rehearsal {
            kernel: Some("a kernel".into()),
            initrds: Some("an initrd".into()),
            command_line: Some("7 of 2047 bytes".into()),
            memory: Some((17 << 20, 245 << 20)),
            ..Rehearsal::default()
        },
        ..Facts::default()
    }
}

/// The findings with this status.
fn found(facts: &Facts, status: Status) -> Vec<(&'static str, String)> {
    let found = examine(facts).into_iter().filter(|finding| finding.status == status);
    found.map(|finding| (finding.name, finding.text)).collect()
}

/// The one check that stands in the way after `change`, and a word of its text.
#[track_caller]
fn stands_in_the_way(name: &str, word: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = ready();
    change(&mut facts);
    let bad = found(&facts, Status::Bad);
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!(bad[0].0, name, "{bad:?}");
    assert!(bad[0].1.contains(word), "{word}: {bad:?}");
}

/// `change` makes a note and nothing worse.
#[track_caller]
fn is_a_note(name: &str, word: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = ready();
    change(&mut facts);
    assert_eq!(found(&facts, Status::Bad), []);
    let notes = found(&facts, Status::Note);
    assert!(notes.iter().any(|note| note.0 == name && note.1.contains(word)), "{name}, {word}: {notes:?}");
}

#[test]
fn nothing_is_in_the_way_of_a_machine_that_is_ready() {
    assert_eq!(found(&ready(), Status::Bad), []);
    assert_eq!(found(&ready(), Status::Note), []);
    for init in [Init::OpenRc, Init::SysVinit, Init::BusyBox(RebootAction::InForce)] {
        let facts = Facts { init, sysvinit_tells: true, trace: Trace::NotArmed, ..ready() };
        assert_eq!(found(&facts, Status::Bad), []);
        let blind = Facts { has_tracefs: false, ..facts };
        assert_eq!(found(&blind, Status::Bad), []);
    }
}

#[test]
fn the_names_of_checks_are_words_and_each_is_there_once() {
    let mut names: Vec<&str> = examine(&ready()).iter().map(|finding| finding.name).collect();
    assert!(names.len() > 15, "{names:?}");
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
}

#[test]
fn each_thing_that_can_be_in_the_way() {
    stands_in_the_way("container", "lxc", |facts| facts.container = Some("lxc".into()));
    for (xen, word) in [
        (Xen::ControlDomain, "switch the whole host off"),
        (Xen::Paravirtual, "switch it off"),
        (Xen::Unknown, "may switch the machine off"),
    ] {
        stands_in_the_way("hypervisor", word, |facts| facts.calls.xen = xen);
    }
    is_a_note("hypervisor", "soft reset", |facts| facts.calls.xen = Xen::Machine);
    stands_in_the_way("privilege", "run it as root", |facts| {
        facts.refusal.cap_sys_boot = Some(false);
        facts.refusal.is_root = false;
    });
    stands_in_the_way("calls", "CONFIG_KEXEC", |facts| facts.calls.load = Some(false));
    stands_in_the_way("calls", "hides which calls", |facts| facts.calls.load = None);
    stands_in_the_way("load-lock", "kexec_load_disabled=0 is not on", |facts| {
        facts.refusal.load_disabled = true;
    });
    stands_in_the_way("load-lock", "had no effect", |facts| {
        facts.refusal.load_disabled = true;
        facts.refusal.boot_option = true;
    });
    stands_in_the_way("load-limit", "an ordinary reboot", |facts| facts.refusal.loads_left = Some(0));
    stands_in_the_way("lockdown", "integrity", |facts| facts.refusal.lockdown = Some("integrity".into()));
    stands_in_the_way("lockdown", "signature", |facts| {
        facts.refusal.lockdown = Some("integrity".into());
        facts.calls.file_load = Some(true);
    });
    stands_in_the_way("initrd", "unable to read /i", |facts| {
        let errno = nix::errno::Errno::ENOENT;
        facts.rehearsal.failure = Some(Failure::unusable("/i".as_ref(), errno.into()));
        facts.rehearsal.initrds = None;
        facts.rehearsal.command_line = None;
        facts.rehearsal.memory = None;
    });
    stands_in_the_way("memory", "it needs 17 MiB, but only 16 MiB is available", |facts| {
        facts.refusal.available = Some(16 << 20);
    });
    stands_in_the_way("memory", "none is loaded", |facts| {
        facts.rehearsal.memory = None;
        facts.rehearsal.failure = Some(Failure::NothingLoaded.into());
    });
    stands_in_the_way("settings", "line 9", |facts| facts.odd_line = Some(9));
    stands_in_the_way("init", "kexec-load setup", |facts| facts.trace = Trace::NotArmed);
    stands_in_the_way("init", "upgrade busybox", |facts| {
        facts.trace = Trace::NotArmed;
        facts.has_tracefs = false;
        facts.init = Init::BusyBox(RebootAction::Unsupported);
    });
    stands_in_the_way("init", "s6-svscan", |facts| facts.init = Init::Other("s6-svscan".into()));
    stands_in_the_way("init", "systemctl kexec", |facts| facts.init = Init::Other("systemd".into()));
    stands_in_the_way("init", "only to root", |facts| facts.init = Init::Hidden);
    stands_in_the_way("services", "make install", |facts| facts.services.are_installed = false);
    stands_in_the_way("services", ".apk-new", |facts| facts.services.are_foreign = true);
    stands_in_the_way("kexec-load", "rc-service kexec-load start", |facts| {
        facts.services.load_started = false
    });
    stands_in_the_way("kexec-load", "rc-update add kexec-load default", |facts| {
        facts.services.load_started = false;
        facts.services.load_enabled = false;
    });
    stands_in_the_way("kexec-exec", "rc-update add kexec-exec shutdown", |facts| {
        facts.services.exec_enabled = false
    });
    stands_in_the_way("kexec-exec", "zap", |facts| facts.services.exec_started = true);
    stands_in_the_way("load-misplaced", "del kexec-load shutdown", |facts| {
        facts.services.load_misplaced = true
    });
    stands_in_the_way("init", "runlevel 6", |facts| facts.init = Init::SysVinit);
    stands_in_the_way("init", "kill -HUP 1", |facts| facts.init = Init::BusyBox(RebootAction::Different));
    stands_in_the_way("kernel", "or run: rc-service kexec-load doctor", |facts| {
        facts.rehearsal = Rehearsal::default();
        facts.rehearsal.failure = Some(
            Failure::NoKernelFound { tried: Vec::new(), there: Vec::new(), unmounted: Some("/boot".into()) }
                .into(),
        );
        facts.by_settings = true;
    });
    stands_in_the_way("skip", "restart", |facts| facts.skip = true);
}

#[test]
fn what_is_worth_knowing_and_in_nobodys_way() {
    is_a_note("release", "6.12.40-0-virt is installed", |facts| {
        facts.installed = Some("6.12.40-0-virt".into());
    });
    is_a_note("command-line", "no kexec_load_disabled=0", |facts| facts.rehearsal.loses_lock_option = true);
    is_a_note("command-line", "no root=", |facts| facts.rehearsal.loses_root = true);
    is_a_note(
        "kernel-file",
        "users other than root can change /boot/k: /boot has mode 0777 and owner 0",
        |facts| {
            let by = Some(("/boot".into(), 0o777, 0));
            facts.files =
                vec![Exposure::default(), Exposure { path: "/boot/k".into(), by, ..Exposure::default() }];
        },
    );
    is_a_note("kernel-file", "/k is really /boot/k-6.12: /k is a symbolic link", |facts| {
        let (link, leads_to) = (Some("/k".into()), Some("/boot/k-6.12".into()));
        facts.files = vec![Exposure { path: "/k".into(), link, leads_to, ..Exposure::default() }];
    });
    is_a_note("kernel-file", "unable to check /k: Permission denied", |facts| {
        facts.files =
            vec![Exposure { path: "/k".into(), unseen: Some(Errno::EACCES), ..Exposure::default() }];
    });
    is_a_note("settings-file", "users other than root can change /etc/conf.d/kexec-load: ", |facts| {
        facts.settings.path = settings::FILE.into();
        facts.settings.by = Some((settings::FILE.into(), 0o644, 1000));
    });
    is_a_note("command-line", "no cryptroot=", |facts| facts.rehearsal.unlocks_nothing = true);
    is_a_note("kexec-load", "rc-update add", |facts| facts.services.load_enabled = false);
    is_a_note("trace", "signal to shut down", |facts| facts.trace = Trace::First(Signal::Reboot));
    is_a_note("init", "nothing watches", |facts| {
        facts.trace = Trace::NotArmed;
        facts.when_unknown = WhenUnknown::Kexec;
    });
}

#[test]
fn with_a_kernel_loaded_what_stops_loads_stops_no_reboot() {
    is_a_note("load-lock", "is 1", |facts| {
        facts.loaded = true;
        facts.refusal.load_disabled = true;
        facts.refusal.loads_left = Some(0);
        facts.refusal.lockdown = Some("integrity".into());
        facts.services.load_started = false;
        facts.rehearsal = Rehearsal { failure: Some(Failure::NothingLoaded.into()), ..Rehearsal::default() };
    });
    stands_in_the_way("kexec-exec", "", |facts| {
        facts.loaded = true;
        facts.services.exec_enabled = false;
    });
}
