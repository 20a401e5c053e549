//! The Alpine package, without Alpine: alpine/APKBUILD's functions run in BusyBox ash, with
//! stand-ins for abuild's helpers (tests/alpine/abuild.sh); its hook and its hints; and the
//! tarball that it is made from.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod tree;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tree::{Dir, commit, copy, make, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What each package is and holds, in full.
const PACKAGES: &str = "\
rc-kexec: x86_64 aarch64 x86
  usr/lib/rc-kexec/kdump 755
  usr/sbin/kexec-exec -> rc-kexec
  usr/sbin/kexec-load -> rc-kexec
  usr/sbin/rc-kexec 755
  usr/sbin/rc-kexec-init 755
rc-kexec-doc: noarch
  install_if: docs rc-kexec=VERSION-r0
  usr/share/doc/rc-kexec/CHANGELOG.md 644
  usr/share/doc/rc-kexec/README.md 644
  usr/share/doc/rc-kexec/SECURITY.md 644
  usr/share/doc/rc-kexec/docs/ARCHITECTURE.md 644
  usr/share/doc/rc-kexec/docs/alpine.md 644
  usr/share/doc/rc-kexec/docs/encrypted-root.md 644
  usr/share/doc/rc-kexec/docs/formats.md 644
  usr/share/doc/rc-kexec/docs/initramfs.md 644
  usr/share/doc/rc-kexec/docs/kdump.md 644
  usr/share/doc/rc-kexec/docs/measurements.md 644
  usr/share/doc/rc-kexec/docs/openrc.md 644
  usr/share/doc/rc-kexec/docs/systemd.md 644
  usr/share/licenses/rc-kexec/LICENSE-APACHE 644
  usr/share/licenses/rc-kexec/LICENSE-MIT 644
  usr/share/man/man8/kexec-exec.8.gz 644
  usr/share/man/man8/kexec-load.8.gz 644
  usr/share/man/man8/rc-kexec-init.8.gz 644
  usr/share/man/man8/rc-kexec.8.gz 644
rc-kexec-openrc: noarch
  install_if: openrc rc-kexec=VERSION-r0
  etc/conf.d/kdump 644
  etc/conf.d/kexec-load 644
  etc/init.d/kdump 755
  etc/init.d/kexec-exec 755
  etc/init.d/kexec-load 755
rc-kexec-mkinitfs: noarch
  depends: rc-kexec=VERSION-r0
  install_if: rc-kexec=VERSION-r0 mkinitfs
  etc/mkinitfs/features.d/rc-kexec.files 644
  etc/mkinitfs/features.d/rc-kexec.modules 644
rc-kexec-kexec: noarch
  depends: rc-kexec=VERSION-r0 !kexec-tools
  usr/sbin/kexec -> rc-kexec
  usr/share/bash-completion/completions/kexec -> rc-kexec
rc-kexec-bash-completion: noarch
  install_if: rc-kexec=VERSION-r0 bash-completion
  usr/share/bash-completion/completions/kexec-exec -> rc-kexec
  usr/share/bash-completion/completions/kexec-load -> rc-kexec
  usr/share/bash-completion/completions/rc-kexec 644
rc-kexec-zsh-completion: noarch
  install_if: rc-kexec=VERSION-r0 zsh
  usr/share/zsh/site-functions/_rc-kexec 644
rc-kexec-kernel-hook: noarch
  depends: rc-kexec-openrc=VERSION-r0 kernel-hooks
  etc/kernel-hooks.d/90-rc-kexec.hook 755
";

fn busybox() -> PathBuf {
    let path = std::env::var("PATH").unwrap();
    let found = path.split(':').map(|dir| Path::new(dir).join("busybox")).find(|file| file.exists());
    found.expect("no busybox in PATH; run: sudo apt-get install busybox (make check does, as root)")
}

/// A place where abuild would work.
struct Abuild {
    dir: Dir,
    /// BusyBox's commands before this machine's, as on Alpine.
    path: String,
    triple: String,
}

impl Abuild {
    fn new(test: &str) -> Abuild {
        let dir = Dir::new(&format!("package-{test}"));
        let (bin, source) = (dir.0.join("bin"), dir.0.join("src"));
        std::fs::create_dir_all(&bin).unwrap();
        let applets = run(Command::new(busybox()).arg("--list"));
        for applet in String::from_utf8(applets.stdout).unwrap().lines() {
            symlink(busybox(), bin.join(applet)).unwrap();
        }
        copy(&source);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        // The nearest to x86_64-alpine-linux-musl that this machine's Rust has.
        let triple = format!(
            "{}-unknown-linux-musl",
            std::env::consts::ARCH.replace("x86", "i686").replace("i686_64", "x86_64")
        );
        Abuild { dir, path, triple }
    }

    fn source(&self) -> PathBuf {
        self.dir.0.join("src")
    }

    fn command(&self, goals: &[&str]) -> Command {
        let mut command = Command::new(self.dir.0.join("bin/ash"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alpine/abuild.sh")).args(goals);
        for (name, _) in std::env::vars() {
            if (name.starts_with("CARGO") && name != "CARGO_HOME")
                || name.contains("RUSTFLAGS")
                || name.starts_with("MAKE")
            {
                command.env_remove(name);
            }
        }
        command.env("APKBUILD", self.source().join("alpine/APKBUILD"));
        command.env("builddir", self.source()).env("pkgbasedir", self.dir.0.join("pkg"));
        command.env("CTARGET", &self.triple).env("PATH", &self.path);
        command
    }

    fn value(&self, variable: &str) -> String {
        let output = run(&mut self.command(&[&format!("${variable}")]));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    }

    /// A program before all others.
    fn program(&self, name: &str, script: &str) {
        let file = self.dir.0.join("bin").join(name);
        let _ = std::fs::remove_file(&file);
        executable(&file, script);
    }
}

fn executable(file: &Path, script: &str) {
    std::fs::write(file, script).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn each_package_holds_what_the_list_says() {
    let abuild = Abuild::new("split");
    let built = abuild.source().join(format!("target/{}/release", abuild.triple));
    std::fs::create_dir_all(&built).unwrap();
    let program = std::env::var("RC_KEXEC").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rc-kexec").into());
    std::fs::copy(program, built.join("rc-kexec")).unwrap();
    std::fs::create_dir_all(abuild.dir.0.join("pkg/rc-kexec")).unwrap();
    run(&mut abuild.command(&["package", "split"]));
    let listed = String::from_utf8(run(&mut abuild.command(&["list"])).stdout).unwrap();
    let wanted = PACKAGES.replace("VERSION", VERSION);
    assert!(listed == wanted, "there is:\n{listed}\nwanted:\n{wanted}");
}

#[test]
fn the_package_is_fetched_built_and_tested_as_rust_packages_are_there() {
    let abuild = Abuild::new("build");
    // cargo auditable adds a list of the crates; all else is as it will be.
    let log = abuild.dir.0.join("log");
    abuild.program(
        "cargo",
        &format!(
            "#!/bin/sh\necho \"$*\" >>{}\n[ \"$1\" != auditable ] || shift\nPATH=${{PATH#*:}}\nexec cargo \"$@\"\n",
            log.display()
        ),
    );
    // Here this triple has settings, for a linker that Alpine does not have; Alpine's has none.
    let settings = abuild.source().join(".cargo/config.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(
        &settings,
        text.replace("-unknown-linux-musl]", "-elsewhere]").replace("target = \"", "target = \"no-"),
    )
    .unwrap();
    let sysroot = run(Command::new("rustc").args(["--print", "sysroot"])).stdout;
    let host = Path::new(String::from_utf8(sysroot).unwrap().trim()).join("lib/rustlib");
    let lld = std::fs::read_dir(host)
        .unwrap()
        .map(|dir| dir.unwrap().path().join("bin/gcc-ld"))
        .find(|dir| dir.exists());

    let mut command = abuild.command(&["prepare", "build", "check"]);
    command.env(format!("CARGO_TARGET_{}_LINKER", abuild.triple.replace('-', "_").to_uppercase()), "cc");
    command.env("COMPILER_PATH", lld.unwrap_or_default()).env("CARGO_NET_OFFLINE", "true");
    // What abuild.conf sets.
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s").env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1").env("CARGO_PROFILE_RELEASE_LTO", "true");
    // tests/cli.rs, which check() runs, fails unless what was built is static.
    run(&mut command);

    let log = std::fs::read_to_string(log).unwrap();
    let wanted = format!(
        "fetch --target={} --locked\nauditable build --release --frozen\n\
         test --frozen --lib --bins --test cli --test install\n",
        abuild.triple
    );
    assert_eq!(log, wanted);
    let size =
        abuild.source().join(format!("target/{}/release/rc-kexec", abuild.triple)).metadata().unwrap().len();
    assert!(size <= 600 * 1024, "{size} bytes");
}

#[test]
fn the_apkbuild_is_as_abuild_wants_it() {
    let abuild = Abuild::new("lint");
    let text = std::fs::read_to_string("alpine/APKBUILD").unwrap();
    assert_eq!(abuild.value("pkgver"), VERSION);
    assert_eq!(abuild.value("source"), format!("rc-kexec-{VERSION}.tar.gz"));
    assert_eq!(abuild.value("license"), env!("CARGO_PKG_LICENSE"));
    assert!(abuild.value("pkgdesc").len() < 128);
    assert_eq!(abuild.value("makedepends"), "cargo cargo-auditable lld");
    // It conflicts with what has the same file, and with it alone; the package with nothing.
    assert_eq!(abuild.value("depends"), "");
    for script in abuild.value("install").split_whitespace() {
        assert!(Path::new("alpine").join(script).exists(), "{script}");
    }
    // Whoever submits it puts their name there.
    assert_eq!(text.lines().next(), Some("# Maintainer:"));
    assert!(!text.contains('@'), "somebody's address");
    let order: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
        .collect();
    let wanted = [
        "pkgname",
        "pkgver",
        "pkgrel",
        "pkgdesc",
        "url",
        "arch",
        "license",
        "makedepends",
        "install",
        "subpackages",
        "source",
        "options",
        "sha512sums",
    ];
    assert_eq!(order, wanted);
    for (index, line) in text.lines().enumerate() {
        assert!(!line.starts_with(' ') && !line.ends_with([' ', '\t']), "line {}: {line:?}", index + 1);
        assert!(line.len() <= 100, "line {} is long", index + 1);
    }
}

#[test]
fn the_hints_are_the_readmes_and_nothing_is_turned_on() {
    let abuild = Abuild::new("hints");
    // Whatever it would run is a program that says so.
    for name in ["rc-update", "rc-service", "rc-kexec"] {
        abuild.program(name, "#!/bin/sh\necho \"ran: $0 $*\"\n");
    }
    let script = abuild.source().join("alpine/rc-kexec.post-install");
    let mut command = Command::new(abuild.dir.0.join("bin/ash"));
    let empty = abuild.dir.0.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = run(command.arg(script).args([VERSION]).current_dir(&empty).env("PATH", &abuild.path));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("ran: "), "{said}");
    assert_eq!(std::fs::read_dir(empty).unwrap().count(), 0);
    let readme = include_str!("../README.md").split("\n## Reboots by kexec\n").nth(1).unwrap();
    let typed =
        readme.lines().skip_while(|line| !line.starts_with("    ")).take_while(|line| !line.is_empty());
    for line in typed.map(|line| line.split(" # ").next().unwrap().trim()) {
        assert!(
            said.lines().any(|hint| hint.trim_start_matches(['*', ' ']) == line),
            "{line:?} is not in:\n{said}"
        );
    }
}

#[test]
fn services_of_others_with_our_names_are_told_of() {
    let abuild = Abuild::new("foreign");
    let root = abuild.dir.0.join("root");
    std::fs::create_dir_all(root.join("etc/init.d")).unwrap();
    let script = std::fs::read_to_string("alpine/rc-kexec.post-install").unwrap();
    let there = abuild.dir.0.join("there");
    std::fs::write(&there, script.replace("/etc/init.d/", &format!("{}/etc/init.d/", root.display())))
        .unwrap();
    let said = |own: &str, new: bool| {
        std::fs::write(root.join("etc/init.d/kexec-load"), own).unwrap();
        let path = root.join("etc/init.d/kexec-load.apk-new");
        let _ = if new { std::fs::write(path, "x") } else { std::fs::remove_file(path) };
        let mut command = Command::new(abuild.dir.0.join("bin/ash"));
        String::from_utf8(run(command.arg(&there).arg(VERSION)).stdout).unwrap()
    };
    let foreign = "kexec-load is another program's";
    let ours = include_str!("../openrc/kexec-load.initd");
    assert!(said("#!/sbin/openrc-run\n", true).contains(foreign));
    assert!(!said("#!/sbin/openrc-run\n", false).contains(foreign));
    assert!(!said(ours, true).contains(foreign));
}

/// A machine on which kernel-hooks runs the hook.
struct Machine {
    abuild: Abuild,
    root: PathBuf,
}

impl Machine {
    /// With a kernel loaded by the service, at its start.
    fn new(test: &str) -> Machine {
        let abuild = Abuild::new(test);
        let root = abuild.dir.0.join("root");
        for dir in ["etc/kernel-hooks.d", "etc/conf.d", "run/openrc", "usr/share/kernel/virt", "boot"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::fs::copy("alpine/kernel-hook", root.join("etc/kernel-hooks.d/90-rc-kexec.hook")).unwrap();
        std::fs::write(root.join("run/openrc/softlevel"), "default").unwrap();
        std::fs::write(root.join("usr/share/kernel/virt/kernel.release"), "6.12.1-0-virt").unwrap();
        std::fs::write(root.join("boot/initramfs-virt"), "").unwrap();
        let machine = Machine { abuild, root };
        machine.settings("kexec_load_at=\"start\"");
        let file = |name: &str| machine.root.join(name).display().to_string();
        machine.write("loaded", "");
        machine.write("started", "");
        machine.abuild.program(
            "kexec-load",
            &format!(
                "#!/bin/sh\ncase $1 in\n--crash) [ $2 = --status ] && [ -e {crash} ] ;;\n--status) [ -e {loaded} ] ;;\n--unload) echo unloaded >>{log}; rm {loaded} ;;\n\
                 --boot) [ \"$2 $3 $4 $5\" = \"{boot} --flavour virt --dry-run\" ] || exit 9; [ ! -e {refused} ] || {{ echo refused >&2; exit 1; }} ;;\n*) exit 9 ;;\nesac\n",
                crash = file("crash-loaded"),
                loaded = file("loaded"),
                boot = file("boot"),
                refused = file("refused"),
                log = file("log")
            ),
        );
        machine.abuild.program("uname", "#!/bin/sh\necho 6.12.0-0-virt\n");
        machine.abuild.program(
            "rc-service",
            &format!(
                "#!/bin/sh\ncase \"$1 $2\" in\n'kdump status') exit 0 ;;\n'kdump reload') echo kdump reloaded >>{log}; exit $(cat {crash}) ;;\nesac\n\
                 [ \"$1\" = kexec-load ] || exit 9\ncase $2 in\nstatus) [ -e {started} ] || exit 3 ;;\n\
                 reload) echo reloaded >>{log}; [ ! -e {fails} ] ;;\n*) exit 9 ;;\nesac\n",
                crash = file("crash-loaded"),
                started = file("started"),
                fails = file("fails"),
                log = file("log")
            ),
        );
        machine
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root.join(name), text).unwrap();
    }

    fn settings(&self, more: &str) {
        self.write(
            "etc/conf.d/kexec-load",
            &format!("kexec_boot=\"{}/boot\"\n{more}\n", self.root.display()),
        );
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.root.join(name)).unwrap();
    }

    /// Fails unless the hook did and said that; it never fails itself, so no upgrade does.
    #[track_caller]
    fn hook(&self, did: &str, said: &str) {
        let hook = self.root.join("etc/kernel-hooks.d/90-rc-kexec.hook");
        let _ = std::fs::remove_file(self.root.join("log"));
        let mut command = Command::new(self.abuild.dir.0.join("bin/ash"));
        let output: Output =
            run(command.arg(hook).args(["virt", "6.12.1-0", "6.12.0-0"]).env("PATH", &self.abuild.path));
        let log = std::fs::read_to_string(self.root.join("log")).unwrap_or_default();
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{:?}", output.stdout);
        assert_eq!(log.trim(), did, "{words}");
        assert!(
            if said.is_empty() { words.is_empty() } else { words.contains(said) },
            "wanted {said:?}; said: {words}"
        );
    }
}

#[test]
fn the_hook_loads_again_what_the_service_had_loaded() {
    let machine = Machine::new("hook");
    machine.hook("reloaded", "");
    machine.write("fails", "");
    machine.hook("reloaded", "rc-service kexec-load reload failed");
}

/// Whether it loads or not, the one for a reboot is looked after.
#[test]
fn the_hook_loads_the_kernel_for_a_crash_again() {
    let machine = Machine::new("hook-crash");
    machine.write("crash-loaded", "0");
    machine.hook("kdump reloaded\nreloaded", "");
    machine.remove("loaded");
    machine.hook("kdump reloaded", "");
    machine.write("crash-loaded", "1");
    machine.hook("kdump reloaded", "the kernel for a crash stays the old one until the next boot");
}

#[test]
fn the_hook_is_silent_where_nothing_is_loaded_or_in_a_chroot() {
    let machine = Machine::new("hook-silent");
    machine.remove("run/openrc/softlevel");
    machine.hook("", "");
    machine.write("run/openrc/softlevel", "default");
    machine.remove("loaded");
    machine.hook("", "");
    // Not even rc-kexec is installed, or it cannot say.
    machine.write("loaded", "");
    machine.abuild.program("kexec-load", "#!/bin/sh\necho broken >&2\nexit 1\n");
    machine.hook("", "");
}

#[test]
fn the_hook_keeps_what_was_loaded_by_hand_and_says_so() {
    let machine = Machine::new("hook-hand");
    machine.remove("started");
    machine.hook(
        "",
        "not by the service kexec-load, so it stays loaded. If it is the one that changed (linux-virt), run kexec-load",
    );
    machine.write("started", "");
    for settings in ["", "kexec_load_at=\"shutdown\"", "kexec_load_at=start\nif then", "exit 0"] {
        machine.settings(settings);
        machine.hook("", "stays loaded");
    }
}

/// Where mkinitfs's trigger runs after the hook, there is only the old kernel's initramfs yet.
#[test]
fn the_hook_waits_for_what_cannot_be_loaded_yet() {
    let machine = Machine::new("hook-waits");
    machine.write("refused", "");
    machine.hook("unloaded", "rc-kexec: refused\nrc-kexec: loading waits for the reboot");
    machine.write("loaded", "");
    machine.remove("refused");
    machine.hook("reloaded", "");
}

#[test]
fn the_hook_acts_for_the_flavour_that_is_loaded() {
    let machine = Machine::new("hook-flavour");
    let program = |release: &str| machine.abuild.program("uname", &format!("#!/bin/sh\necho {release}\n"));
    program("6.12.0-0-lts");
    machine.hook("", "");
    machine.settings("kexec_load_at=start\nkexec_kernel=/boot/vmlinuz-virt");
    machine.hook("reloaded", "");
    machine.settings("kexec_load_at=start\nkexec_kernel=/boot/EFI/Linux/linux-virt.efi");
    machine.hook("reloaded", "");
    program("6.12.0-0-virt");
    machine.settings("kexec_load_at=start\nkexec_kernel=/boot/vmlinuz-lts");
    machine.hook("", "");
}

#[test]
fn dist_makes_the_same_tarball_from_every_clone_and_an_apkbuild_with_its_checksum() {
    let dir = Dir::new("package-dist");
    let (one, two) = (dir.0.join("one"), dir.0.join("deeper/and-called/otherwise"));
    copy(&one);
    commit(&one);
    run(Command::new("git").args(["clone", "--quiet"]).arg(&one).arg(&two));
    // Settings of somebody's own.
    let settings = dir.0.join("gitconfig");
    std::fs::write(&settings, "[core]\n\tautocrlf = true\n[tar]\n\tumask = user\n").unwrap();
    run(make(&one).arg("dist"));
    run(make(&two).arg("dist").env("GIT_CONFIG_GLOBAL", settings).env("TZ", "Asia/Tokyo"));
    let name = format!("rc-kexec-{VERSION}.tar.gz");
    let tarball = |clone: &Path| std::fs::read(clone.join("target").join(&name)).unwrap();
    assert!(tarball(&one) == tarball(&two), "the tarballs differ");

    let alpine = one.join("target/alpine");
    let mut files: Vec<String> = std::fs::read_dir(&alpine)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["APKBUILD", name.as_str(), "rc-kexec.post-install"]);
    let mut abuild = Command::new(busybox());
    abuild.args(["ash", "tests/alpine/abuild.sh", "$sha512sums"]).env("APKBUILD", alpine.join("APKBUILD"));
    abuild.env("pkgbasedir", &dir.0).env("CTARGET", "");
    let sums = run(&mut abuild).stdout;
    std::fs::write(alpine.join("sums"), sums.trim_ascii()).unwrap();
    let checked = run(Command::new("sha512sum").args(["--check", "--strict", "sums"]).current_dir(&alpine));
    assert_eq!(String::from_utf8_lossy(&checked.stdout), format!("{name}: OK\n"));

    // What is in it is what was committed, readable by all, whoever packed it.
    let listed = run(Command::new("tar").arg("-tvzf").arg(one.join("target").join(&name)));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tracked = run(Command::new("git").current_dir(&one).arg("ls-files"));
    let mut tracked: Vec<String> = String::from_utf8(tracked.stdout)
        .unwrap()
        .lines()
        .map(|file| format!("rc-kexec-{VERSION}/{file}"))
        .collect();
    tracked.sort();
    let mut packed = Vec::new();
    for line in listed.lines() {
        assert!(
            ["-rw-r--r-- ", "-rwxr-xr-x ", "drwxr-xr-x "].iter().any(|mode| line.starts_with(mode)),
            "{line}"
        );
        assert!(line.contains(" root/root ") && line.contains(" 2000-01-01 "), "{line}");
        packed.extend(line.rsplit(' ').next().filter(|name| !name.ends_with('/')).map(String::from));
    }
    packed.sort();
    assert_eq!(packed, tracked);

    // Nothing that is not committed, and no other version.
    std::fs::write(one.join("new"), "").unwrap();
    let refused = make(&one).arg("dist").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("which are not committed:\n?? new"), "{said}");
    std::fs::remove_file(one.join("new")).unwrap();
    let apkbuild = one.join("alpine/APKBUILD");
    let text = std::fs::read_to_string(&apkbuild).unwrap();
    std::fs::write(&apkbuild, text.replace(&format!("pkgver={VERSION}"), "pkgver=9.9")).unwrap();
    let refused = make(&one).arg("dist").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("alpine/APKBUILD says version 9.9"), "{said}");
}
