//! OpenRC's own rc-depend over our services, under valgrind. It sorts everything in
//! /etc/init.d; if it fails, no service starts and the machine does not come up, whether ours
//! are enabled or not. No machine is needed: Debian's program runs as it is shipped, in a
//! folder with its own libraries (parts.sh makes it), which is its root.

use crate::machine::{folder, parts};
use std::fmt::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A release of Debian, and how the version of its OpenRC begins.
#[derive(Clone, Copy)]
struct Release {
    suite: &'static str,
    version: &'static str,
}

const TRIXIE: Release = Release { suite: "trixie", version: "0.56" };
const NEWEST: Release = Release { suite: "testing", version: "0." };

/// Who resolves dependency loops. Two services that both say `after *` make one.
#[derive(Clone, Copy)]
enum Loops {
    /// Debian's loop solver: a patch to OpenRC, which Debian's /etc/rc.conf enables.
    Solver,
    /// Only OpenRC itself, as on Alpine.
    Plain,
}

/// OpenRC's own services for Linux, and what they say about others, as of 0.56. Debian's
/// package lacks most of these scripts.
const OPENRC: &[(&str, &str)] = &[
    ("agetty", "after local; provide getty"),
    ("binfmt", "after clock procfs; use devfs modules"),
    ("bootmisc", "after clock root sysctl; before logger; need localmount"),
    ("cgroups", "after sysfs"),
    ("consolefont", "after bootmisc hotplug modules; need termencoding"),
    ("devfs", "before dev; provide dev-mount"),
    ("dmesg", "before dev modules"),
    ("fsck", "after clock; use clock dev modules"),
    ("hostname", "after clock"),
    ("hwclock", "provide clock; use root; want modules"),
    ("keymaps", "after devfs; need termencoding"),
    ("killprocs", ""),
    ("local", "after *"),
    ("localmount", "after clock lvm modules; need fsck root; use lvm modules"),
    ("loopback", "after clock"),
    ("modules", "provide modules-load; use isapnp"),
    ("mount-ro", "after killprocs savecache"),
    ("mtab", "after clock; before localmount; need root"),
    ("net-online", "after modules net; need sysfs; provide network-online"),
    ("netmount", "after root; use afc-client amd dns openvpn root; want nfsclient"),
    ("network", "after bootmisc clock; need localmount; provide net"),
    ("numlock", ""),
    ("osclock", "provide clock"),
    ("procfs", "after clock; use devfs; want modules"),
    ("root", "after clock; need fsck"),
    ("runsvdir", ""),
    ("s6-svscan", "need localmount"),
    ("save-keymaps", "after bootmisc clock keymaps; need termencoding"),
    ("save-termencoding", "after bootmisc clock termencoding; use root"),
    ("savecache", ""),
    ("seedrng", "after clock; need localmount; provide urandom"),
    ("staticroute", "after clock; provide net; use network"),
    ("swap", "after clock root; before localmount"),
    ("swclock", "provide clock"),
    ("sysctl", "after clock; before bootmisc logger"),
    ("sysfs", ""),
    ("termencoding", "after devfs"),
];

/// A small machine's services, and one more.
const fn small(name: &'static str, says: &'static str) -> [(&'static str, &'static str); 7] {
    [
        ("killprocs", ""),
        ("local", "after *"),
        ("localmount", "need sysfs"),
        ("mount-ro", "after killprocs savecache"),
        ("savecache", ""),
        ("sysfs", ""),
        (name, says),
    ]
}

/// Names of other services, in the alphabet before and after ours.
const OTHERS: &str = "acpid alsa bluetooth chronyd crond cupsd dbus dhcpcd docker elogind iptables iwd kexec \
    kubelet lvm mdev nftables nginx ntpd postgresql rsyslog samba sshd udev udev-trigger wpa_supplicant zram-init";

/// What the shutdown runlevel holds beside kexec-exec, as Alpine and Gentoo install it.
const SHUTDOWN: [&str; 3] = ["killprocs", "mount-ro", "savecache"];

/// What lies in /etc/init.d beside our services.
struct Services {
    name: String,
    /// Their names and what they say of others.
    made: Vec<(String, String)>,
    /// Whether Debian's own scripts lie there, too.
    debian: bool,
    /// What is in the shutdown runlevel beside kexec-exec.
    shutdown: Vec<String>,
}

impl Services {
    fn of(name: &str, table: &[(&str, &str)], debian: bool, shutdown: &[&str]) -> Services {
        Services {
            name: name.into(),
            made: table.iter().map(|(name, says)| ((*name).into(), (*says).into())).collect(),
            debian,
            shutdown: shutdown.iter().map(|name| (*name).into()).collect(),
        }
    }

    /// The same set in each run. All services are in a random order: each needs, uses, wants and
    /// is after earlier ones, and is before later ones. So they make no loop, in some of which
    /// Debian's solver has an error of its own, with or without our services. One more service
    /// says `after *`, as `local` does, and makes a loop with kexec-exec.
    fn random(seed: u64) -> Services {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let always = ["killprocs", "localmount", "mount-ro", "savecache", "sysfs"];
        let all = OPENRC.iter().map(|(name, _)| *name).chain(OTHERS.split_whitespace());
        let mut names: Vec<&str> = all.filter(|name| *name != "local" && !always.contains(name)).collect();
        random.shuffle(&mut names);
        // From a few services to those of a desktop.
        names.truncate(random.below(40));
        names.extend(always);
        random.shuffle(&mut names);
        // A name that is provided counts as a service: with some of these, the order as it once
        // was does no harm.
        let provides = random.one_in(4);
        let mut made = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let mut says = String::new();
            for (kind, seldom) in [("need", 3), ("use", 3), ("want", 8), ("after", 2)] {
                if at > 0 && random.one_in(seldom) {
                    random.words(kind, &names[..at], &mut says);
                }
            }
            if at == 0 && random.one_in(2) {
                says.push_str("before *; ");
            } else if at + 1 < names.len() && random.one_in(4) {
                random.words("before", &names[at + 1..], &mut says);
            }
            if provides && random.one_in(8) {
                random.words("provide", &["clock", "dev", "logger", "net"], &mut says);
            }
            if random.one_in(4) {
                // Some of these do not exist.
                random.words("use", &["clock", "dev", "dns", "logger", "net"], &mut says);
            }
            made.push(((*name).to_string(), says));
        }
        let last = if random.one_in(2) { "local" } else { "zz-last" };
        made.push((last.into(), "after *".into()));
        let mut shutdown: Vec<String> = SHUTDOWN.map(String::from).to_vec();
        for _ in 0..random.below(4) {
            shutdown.push(names[random.below(names.len())].into());
        }
        shutdown.retain(|name| name != "localmount");
        shutdown.sort();
        shutdown.dedup();
        Services { name: format!("random {seed}"), made, debian: false, shutdown }
    }

    /// As text, for a test that fails.
    fn shown(&self) -> String {
        let mut text = format!("{}; in shutdown: {}\n", self.name, self.shutdown.join(" "));
        for (name, says) in &self.made {
            let _ = writeln!(text, "  {name}: {says}");
        }
        text
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn shuffle(&mut self, names: &mut [&str]) {
        for at in (1..names.len()).rev() {
            names.swap(at, self.below(at + 1));
        }
    }

    /// One to three different ones of `names`.
    fn words(&mut self, kind: &str, names: &[&str], says: &mut String) {
        let mut chosen: Vec<&str> = (0..=self.below(3)).map(|_| names[self.below(names.len())]).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let _ = write!(says, "{kind} {}; ", chosen.join(" "));
    }
}

/// The set where the error was first seen.
fn first_seen() -> Services {
    Services::of("where it was first seen", &small("acpid", ""), false, &SHUTDOWN)
}

fn sets() -> Vec<Services> {
    let with = |name, says| {
        let shutdown = [&SHUTDOWN[..], &[name]].concat();
        Services::of(&format!("in shutdown, {says}"), &small(name, says), false, &shutdown)
    };
    let mut sets = vec![
        first_seen(),
        Services::of("OpenRC's own", OPENRC, false, &SHUTDOWN),
        // Debian's OpenRC also reads the scripts for sysvinit. It has no localmount.
        Services::of("Debian's own", &[("localmount", "after checkfs")], true, &["umountfs", "umountroot"]),
        with("zz", "before *"),
        with("aa", "after local"),
        with("zz", "after local"),
        with("zz", "need localmount; after local"),
    ];
    sets.extend((1..=20).map(Services::random));
    sets
}

/// A line of our scripts, and what replaces it.
type Change = Option<(&'static str, &'static str)>;

/// The order of kexec-exec as it once was. The shell replaces `*` by all names, so three of
/// them are there twice. When a service is after more names than there are services, Debian's
/// loop solver writes past the end of an array: in OpenRC 0.56 (trixie), and still in 0.64.1,
/// the newest at this time.
const ONCE: Change = Some(("\tafter *\n", "\tafter killprocs savecache mount-ro *\n"));

/// A folder with /etc, /run and /tmp for one set of services.
struct Root<'a> {
    release: Release,
    services: &'a Services,
    dir: PathBuf,
}

impl<'a> Root<'a> {
    fn new(release: Release, loops: Loops, services: &'a Services, change: Change) -> Root<'a> {
        let root = Root { release, services, dir: folder() };
        for dir in
            ["run", "tmp", "etc/init.d", "etc/conf.d", "etc/runlevels/shutdown", "etc/runlevels/default"]
        {
            std::fs::create_dir_all(root.dir.join(dir)).unwrap();
        }
        // OpenRC reads here what LSB's names ($local_fs) stand for.
        std::fs::create_dir(root.dir.join("etc/insserv.conf.d")).unwrap();
        std::fs::copy(root.base().join("etc/insserv.conf"), root.dir.join("etc/insserv.conf")).unwrap();
        let config = std::fs::read_to_string(root.base().join("etc/rc.conf")).unwrap();
        let solver = "\nrc_loopsolver_enable=\"YES\"\n";
        // A newer release may drop it.
        assert!(release.suite != TRIXIE.suite || config.contains(solver), "{config}");
        let config = match loops {
            Loops::Solver => config,
            Loops::Plain => config.replace(solver, "\n"),
        };
        // Otherwise our services are left out when the test runs in a container.
        std::fs::write(root.dir.join("etc/rc.conf"), config + "\nrc_sys=\"\"\n").unwrap();
        if services.debian {
            for entry in std::fs::read_dir(root.base().join("etc/init.d")).unwrap() {
                let path = entry.unwrap().path();
                std::fs::copy(&path, root.dir.join("etc/init.d").join(path.file_name().unwrap())).unwrap();
            }
        }
        for (name, says) in &services.made {
            root.script(name, &script(says));
        }
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("openrc");
        let read = |name: &str| std::fs::read_to_string(ours.join(name)).unwrap();
        let mut changed = 0;
        for name in ["kexec-exec", "kexec-load"] {
            let mut text = read(&format!("{name}.initd"));
            if let Some((from, to)) = change {
                changed += text.matches(from).count();
                text = text.replace(from, to);
            }
            root.script(name, &text);
        }
        assert_eq!(changed, usize::from(change.is_some()), "{change:?}");
        // Its own need of localmount would hide that another's is missing.
        if change.is_none() {
            root.script("kdump", &read("kdump.initd"));
        }
        std::fs::write(root.dir.join("etc/conf.d/kexec-load"), read("kexec-load.confd")).unwrap();
        // `*` includes files that are not services.
        std::fs::write(root.dir.join("etc/init.d/README"), "For administrators.\n").unwrap();
        root.script("functions.sh", "#!/bin/sh\n");
        for name in root.names() {
            let level = if root.is_in_shutdown(&name) { "shutdown" } else { "default" };
            let link = root.dir.join("etc/runlevels").join(level).join(&name);
            symlink(Path::new("/etc/init.d").join(&name), link).unwrap();
        }
        root
    }

    /// The programs and libraries of the release.
    fn base(&self) -> PathBuf {
        parts().join("rc-depend").join(self.release.suite)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.dir.join("etc/init.d").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// All services in alphabetical order, as OpenRC lists them.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("etc/init.d")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !["README", "functions.sh"].contains(&name.as_str()));
        names.sort();
        names
    }

    fn is_in_shutdown(&self, name: &str) -> bool {
        name == "kexec-exec" || self.services.shutdown.iter().any(|other| other == name)
    }

    /// Runs a program of the release, with a root and mounts that nothing else sees.
    fn run(&self, variables: &[(&str, &str)], program: &[&str]) -> Run {
        let mut command = Command::new("unshare");
        // Without root, a user namespace makes us root in there, if the system allows that.
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(self.base()).arg(&self.dir).args(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(variables.iter().copied());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Run { command: format!("{command:?}"), output, of: self.services.shown() }
    }

    /// Under valgrind: makes a new deptree, as a boot does, and sorts the shutdown runlevel with
    /// it, as a shutdown does.
    fn update_and_start(&self) -> Run {
        let valgrind = ["valgrind", "-q", "--error-exitcode=99", "--vgdb=no", "--undef-value-errors=no"];
        let rc_depend = [RC_DEPEND, "--update", "--strict", "--starting", "--type", TYPES];
        let wanted: Vec<String> = self.names().into_iter().filter(|name| self.is_in_shutdown(name)).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let level = [("RC_RUNLEVEL", "shutdown"), ("RC_BOOTLEVEL", "boot"), ("EINFO_QUIET", "yes")];
        self.run(&level, &[&valgrind[..], &rc_depend, &wanted].concat())
    }

    /// Sorts what a shutdown stops: it begins at the end of this list.
    fn stop(&self) -> Run {
        let rc_depend = [RC_DEPEND, "--strict", "--stopping", "--type", TYPES];
        let wanted: Vec<String> =
            self.names().into_iter().filter(|name| !self.is_in_shutdown(name)).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let level = [("RC_RUNLEVEL", "default"), ("RC_BOOTLEVEL", "boot"), ("EINFO_QUIET", "yes")];
        self.run(&level, &[&rc_depend[..], &wanted].concat())
    }

    /// Looks at both orders; the error says what is wrong.
    fn look(&self) -> Result<(), String> {
        let start = self.update_and_start();
        let order = start.order()?;
        for name in self.services.shutdown.iter().map(String::as_str).chain(["kexec-exec"]) {
            if !order.iter().any(|other| other == name) {
                return Err(format!("{name} is not started\n{}", start.shown()));
            }
        }
        if order.last().map(String::as_str) != Some("kexec-exec") {
            return Err(format!("kexec-exec is not the last\n{}", start.shown()));
        }
        let stop = self.stop();
        let order = stop.order()?;
        let at = |name: &str| {
            let at = order.iter().position(|other| other == name);
            at.ok_or_else(|| format!("{name} is not stopped\n{}", stop.shown()))
        };
        // The later one is stopped first.
        if at("kexec-load")? < at("localmount")? {
            return Err(format!("localmount is stopped before kexec-load\n{}", stop.shown()));
        }
        if self.names().iter().any(|name| name == "kdump") {
            at("kdump")?;
        }
        Ok(())
    }
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

const RC_DEPEND: &str = "/usr/lib/rc/bin/rc-depend";

/// The dependencies that OpenRC itself sorts by when it starts and stops a runlevel.
const TYPES: &str = "ineed,iwant,iuse,iafter";

/// ROOT FOLDER PROGRAM...: runs it in ROOT with /etc, /run and /tmp of FOLDER. valgrind needs
/// /proc.
const ENTER: &str = "set -e
for dir in etc run tmp; do mount --bind \"$2/$dir\" \"$1/$dir\"; done
mount --rbind /proc \"$1/proc\"
root=$1
shift 2
exec chroot \"$root\" \"$@\"";

/// What a program said.
struct Run {
    command: String,
    output: Output,
    of: String,
}

impl Run {
    fn shown(&self) -> String {
        let Output { status, stdout, stderr } = &self.output;
        let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        format!("{}\n{status}\nstdout: {stdout}\nstderr: {stderr}\nservices: {}", self.command, self.of)
    }

    /// The services that it printed; the error is all of its output.
    fn order(&self) -> Result<Vec<String>, String> {
        if !self.output.status.success() {
            return Err(self.shown());
        }
        let text = String::from_utf8_lossy(&self.output.stdout);
        let line = text.lines().last().unwrap_or_default();
        Ok(line.split_whitespace().map(String::from).collect())
    }
}

/// The script of a service that says this about others.
fn script(says: &str) -> String {
    let lines: String = says.split(';').map(|line| format!("\t{}\n", line.trim())).collect();
    format!("#!/sbin/openrc-run\ndepend() {{\n\t:\n{lines}}}\nstart() {{ :; }}\n")
}

/// Fails with what to do if the programs cannot run at all.
#[track_caller]
fn assert_runs(release: Release) {
    let version = parts().join("rc-depend").join(release.suite).join("usr/lib/rc/version");
    let version = std::fs::read_to_string(&version).unwrap_or_else(|error| {
        panic!("{}: {error}\n  run: sh tests/vm/setup.sh (make test does)", version.display())
    });
    assert!(version.starts_with(release.version), "{version}: not OpenRC {}", release.version);
    let nothing = Services::of("none", &[], false, &[]);
    let run = Root::new(release, Loops::Plain, &nothing, None).run(&[], &["true"]);
    assert!(
        run.output.status.success(),
        "this test makes mounts of its own: run it as root, or let users make namespaces\n\
         (sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0)\n{}",
        run.shown()
    );
}

#[track_caller]
fn assert_sorted(release: Release, loops: Loops) {
    assert_runs(release);
    for services in sets() {
        if let Err(why) = Root::new(release, loops, &services, None).look() {
            panic!("{why}");
        }
    }
}

#[test]
fn openrc_0_56_sorts_our_services_without_an_error_and_kexec_exec_last() {
    assert_sorted(TRIXIE, Loops::Solver);
}

#[test]
fn openrc_0_56_without_debians_solver_does_so_too() {
    assert_sorted(TRIXIE, Loops::Plain);
}

#[test]
fn the_newest_openrc_sorts_our_services_without_an_error_and_kexec_exec_last() {
    assert_sorted(NEWEST, Loops::Solver);
}

#[test]
fn the_newest_openrc_without_debians_solver_does_so_too() {
    assert_sorted(NEWEST, Loops::Plain);
}

/// The tests above are able to fail: they find the order as it once was, and a missing one.
#[test]
fn other_lines_in_our_services_are_found_to_be_wrong() {
    assert_runs(TRIXIE);
    for (change, found) in [
        (ONCE, "Invalid write of size"),
        (Some(("\tafter *\n", "")), "kexec-exec is not the last\n"),
        (Some(("\tneed localmount\n", "")), "localmount is stopped before kexec-load\n"),
    ] {
        let services = first_seen();
        let why = Root::new(TRIXIE, Loops::Solver, &services, change).look().expect_err(found);
        assert!(why.contains(found), "{found}\n{why}");
    }
}

/// A name beside a star is there twice, whatever else is installed.
#[test]
fn a_star_stands_alone_in_our_dependencies() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("openrc");
    let mut stars = 0;
    for name in ["kdump.initd", "kexec-exec.initd", "kexec-load.initd"] {
        let text = std::fs::read_to_string(ours.join(name)).unwrap();
        let depend = text.split_once("\ndepend() {\n").unwrap().1.split_once("\n}\n").unwrap().0;
        for line in depend.lines() {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let star = words.contains(&"*");
            assert!(!star || words.len() == 1, "{name}: {line}");
            stars += usize::from(star);
        }
    }
    assert_eq!(stars, 1);
}
