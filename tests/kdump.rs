//! The script of the service kdump, from outside: what it tells of new dumps, what it removes, where it has a
//! dump saved, and what it loads. The programs that it runs are stand-ins; tests/vm/kdump.rs has the real ones.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine of folders, removed at the end.
struct Machine(PathBuf);

impl Machine {
    fn new(test: &str) -> Machine {
        let dir = std::env::temp_dir().join(format!("rc-kexec-kdump-{test}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        std::fs::create_dir_all(dir.join("crash")).unwrap();
        let machine = Machine(dir);
        let on_shm = "case $3 in /dev/shm/*) echo 'unable to save dumps: made up' >&2; exit 1 ;; esac";
        machine.program(
            "rc-kexec",
            &format!("if [ $2 = place ]; then {on_shm}; echo \"UUID=1:$3\"; else grep -q whole \"$3\" || echo incomplete: made up; fi"),
        );
        machine.program("logger", ":");
        machine.program("kexec-load", "printf '<%s>' \"$@\"");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn program(&self, name: &str, does: &str) {
        let file = self.path("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// A dump with this log, whole or not.
    fn dump(&self, name: &str, log: &str, whole: bool) {
        let dir = self.path("crash").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("dmesg.txt"), log).unwrap();
        std::fs::write(dir.join("vmcore"), if whole { "whole" } else { "half" }).unwrap();
    }

    fn dumps(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("crash")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self, what: &str, settings: &[(&str, &str)]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openrc/kdump");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(script).arg(what).env("PATH", path).env("kdump_dir", self.path("crash"));
        command.env("kdump_hooks", self.path("hooks")).envs(settings.iter().copied());
        command.output().unwrap()
    }

    #[track_caller]
    fn says(&self, what: &str, settings: &[(&str, &str)]) -> String {
        let output = self.run(what, settings);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_new_dump_is_told_once_with_the_reason_of_the_crash() {
    let machine = Machine::new("notice");
    // The log's end, and the reason in it.
    let table = [
        (
            "2026-11-26-004112",
            "[    1.0] BUG: sleeping function called\n[    9.1] sysrq: Trigger a crash\n[    9.2] Kernel panic - not syncing: sysrq triggered crash\n",
            "Kernel panic - not syncing: sysrq triggered crash",
        ),
        (
            "2026-11-26-014112",
            "[    9.1] BUG: kernel NULL pointer dereference, address: 0000000000000000\n[    9.1] #PF: supervisor\n\
             [    9.1] Oops: 0002 [#1]\n[    9.2] Kernel panic - not syncing: Fatal exception in interrupt\n",
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        ),
        (
            "2026-11-26-024112",
            "[    9.1] Unable to handle kernel paging request at virtual address 0\n[    9.2] Kernel panic - not syncing: Oops: Fatal exception\n",
            "Unable to handle kernel paging request at virtual address 0",
        ),
    ];
    let mut wanted = String::new();
    for (name, log, reason) in table {
        machine.dump(name, log, true);
        let dir = machine.path("crash").join(name);
        wanted.push_str(&format!(
            "crash: 2026-11-26 {}:41 saved {}: {reason}\n",
            &name[11..13],
            dir.display()
        ));
    }
    assert_eq!(machine.says("notice", &[]), wanted);
    assert_eq!(machine.says("notice", &[]), "");
    // A dump that is not whole says so, a log alone where that is wanted does not, and there may be no time.
    machine.dump("crash", "", false);
    let path = machine.path("crash/crash");
    let half =
        format!("crash: crash saved {}, without all of the memory: its log has no panic\n", path.display());
    assert!(machine.says("notice", &[]).starts_with(&half));
    machine.dump("crash-1", "Kernel panic - not syncing: x\n", false);
    let said = machine.says("notice", &[("kdump_memory", "no")]);
    assert!(
        said.starts_with("crash: crash-1 saved ") && said.contains(", the log alone: Kernel panic"),
        "{said}"
    );
}

#[test]
fn the_newest_dumps_stay_and_programs_get_each_new_one() {
    let machine = Machine::new("prune");
    for number in 1..=5 {
        machine.dump(&format!("2026-11-0{number}-000000"), "", true);
    }
    std::fs::create_dir_all(machine.path("hooks")).unwrap();
    std::fs::write(machine.path("hooks/not-a-program"), "").unwrap();
    let hook = machine.path("hooks/tell");
    std::fs::write(&hook, "#!/bin/sh\necho \"told of ${1##*/}\"\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let said = machine.says("notice", &[]);
    assert_eq!(said.matches("told of 2026-11-0").count(), 5, "{said}");
    assert_eq!(said.matches(&format!("{} failed for ", hook.display())).count(), 5, "{said}");
    assert_eq!(machine.dumps(), ["2026-11-03-000000", "2026-11-04-000000", "2026-11-05-000000"]);
    assert_eq!(machine.says("notice", &[("kdump_number", "4")]), "");
    // All of them may take half of what would be free without them; the newest one stays even so.
    machine.program("df", "printf 'x\\n/dev/x 9 9 7 9 /\\n'");
    machine.program("du", "echo 5 \"$2\"");
    assert_eq!(machine.dumps().len(), 3);
    machine.program("df", "echo made up >&2; exit 1");
    assert_eq!(machine.says("notice", &[]), "");
    machine.program("df", "printf 'x\\n/dev/x 9 9 7 9 /\\n'");
    let said = machine.says("notice", &[]);
    assert_eq!(said.matches("removed the old dump ").count(), 2, "{said}");
    assert_eq!(machine.dumps(), ["2026-11-05-000000"]);
}

#[test]
fn a_test_ends_with_a_verdict_at_the_next_boot() {
    let machine = Machine::new("test");
    let mark = machine.path("crash/.test");
    std::fs::write(&mark, "").unwrap();
    let said = machine.says("notice", &[]);
    assert!(said.starts_with("kdump test: FAILED: no whole dump is in "), "{said}");
    assert!(!mark.exists());
    for (whole, verdict) in [(false, "kdump test: FAILED"), (true, "kdump test: passed\n")] {
        std::fs::write(&mark, "").unwrap();
        machine.dump(if whole { "b" } else { "a" }, "", whole);
        let said = machine.says("notice", &[]);
        assert!(said.contains(verdict), "{whole}: {said}");
    }
    // Without a yes nothing happens.
    let output = machine.run("test", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("not crashed"));
    assert!(!mark.exists());
}

#[test]
fn what_is_loaded_names_each_place_and_each_setting() {
    let machine = Machine::new("load");
    // It goes on to read how much is reserved.
    let output = machine.run(
        "load",
        &[
            ("kdump_places", "UUID=1:/crash LABEL=*:/"),
            ("kdump_memory", "no"),
            ("kdump_keep", "user"),
            ("kdump_limit", "60"),
            ("kdump_append", "a=1"),
            ("kdump_kernel", "/boot/k"),
        ],
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let wanted = "<--crash></boot/k><--reuse-cmdline><--append><rdinit=/usr/sbin/rc-kexec-init root=/dev/ram panic=10 \
        rckexec.dump=UUID=1:/crash rckexec.dump=LABEL=*:/ rckexec.dump=log rckexec.dump-keep=user rckexec.dump-limit=60 a=1>\
        <--add-file></usr/sbin/rc-kexec:/usr/sbin/rc-kexec:0755>\
        <--add-file></usr/sbin/rc-kexec-init:/usr/sbin/rc-kexec-init:0755>";
    assert!(said.starts_with(wanted), "{said}");
    // A folder with a blank in its name is one word for the kernel.
    let blank = machine.path("a b");
    let output = machine.run("load", &[("kdump_dir", blank.to_str().unwrap())]);
    let said = String::from_utf8(output.stdout).unwrap();
    let word = format!(" \"rckexec.dump=UUID=1:{}\" ><--add-file>", blank.display());
    assert!(said.contains(&word), "{said}");
    // Where nothing can be saved, nothing is loaded.
    let output = machine.run("load", &[("kdump_dir", "/dev/shm/rc-kexec-kdump")]);
    let _ = std::fs::remove_dir("/dev/shm/rc-kexec-kdump");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "unable to save dumps: made up\n");
}
