//! What stands between this machine and a kexec, and what to do about it.
//! [`examine`] is pure over [`Facts`], which host/examination.rs gathers.

use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::base::text::Size;
use crate::cli::{DoctorRequest, Format, LoadRequest};
use crate::failure::{Call, Failure, Obstacle, Refusal};
use crate::going_down::{Init, RebootAction, SKIP_FILE, Trace};
use crate::host::sys::strerror;
use crate::host::{examination, files, init};
use crate::load::{self, Rehearsal};
use crate::settings::{self, Settings};
use nix::errno::Errno;
use std::ffi::OsString;
use std::fmt::{self, Display, Write};

/// All that the doctor looks at.
#[derive(Debug, Default)]
pub struct Facts {
    /// What can be known about why a load is refused.
    pub refusal: Refusal,
    /// Whether the kernel has kexec_load; none when that cannot be told.
    pub has_load: Option<bool>,
    /// As `has_load`, for kexec_file_load.
    pub has_file_load: Option<bool>,
    /// Whether a kernel is loaded.
    pub loaded: bool,
    /// Whether UEFI's Secure Boot is on; none without UEFI, or when it does not say.
    pub secure_boot: Option<bool>,
    /// The running kernel's release.
    pub release: String,
    /// Its flavour.
    pub flavour: Option<String>,
    /// The installed release of that flavour (Alpine).
    pub installed: Option<String>,
    /// The container that this is.
    pub container: Option<OsString>,
    /// Process 1.
    pub init: Init,
    /// Whether sysvinit's inittab runs `openrc reboot` for a reboot.
    pub sysvinit_tells: bool,
    /// What watching it showed.
    pub trace: Trace,
    /// Whether the kernel has tracefs.
    pub has_tracefs: bool,
    /// Whether the next reboot is to be an ordinary one.
    pub skip: bool,
    /// Whether OpenRC's services are installed: kexec-load and kexec-exec.
    pub installed_services: bool,
    /// Whether kexec-load is started, or starting.
    pub load_started: bool,
    /// Whether kexec-load is in a runlevel other than shutdown.
    pub load_enabled: bool,
    /// Whether kexec-load is in the shutdown runlevel.
    pub load_misplaced: bool,
    /// Whether kexec-exec was started before the shutdown.
    pub exec_started: bool,
    /// Whether kexec-exec is in the shutdown runlevel.
    pub exec_enabled: bool,
    /// A load as it would go.
    pub rehearsal: Rehearsal,
    /// Whether that load is by /etc/conf.d/kexec-load, read without a shell.
    pub by_settings: bool,
    /// A line of the settings that only a shell can read.
    pub odd_line: Option<usize>,
    /// Whether a kexec is wanted when a reboot cannot be told from a poweroff.
    pub kexec_when_unknown: bool,
    /// Who can change what would be loaded: file by file.
    pub files: Vec<Exposure>,
    /// As `files`, of the settings.
    pub settings: Exposure,
}

/// Who else than root can change a file, and so choose what runs next.
#[derive(Debug, Default)]
pub struct Exposure {
    /// The file.
    pub path: OsString,
    /// The first of it and the directories above it that is a symbolic link.
    pub link: Option<OsString>,
    /// And where the file lies in truth.
    pub leads_to: Option<OsString>,
    /// The first of all these that others can write to: its name, its mode, its owner.
    pub by: Option<(OsString, u32, u32)>,
    /// Why it was not looked at to its end.
    pub unseen: Option<Errno>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; a reboot can be a kexec all the same.
    Note,
    /// With this, a reboot is not a kexec, or that is not certain.
    Bad,
}

/// Is told of each finding: what was looked at, in one word that is the same in every
/// version; how it came out; what was found and, in further lines, what to do.
pub type Tell<'t> = dyn FnMut(&'static str, Status, fmt::Arguments) + 't;

/// Looks, prints, and answers by the exit status: 0 when a reboot now would be a kexec.
// Apart: in one frame with its caller's, both would reach further for what is theirs.
#[inline(never)]
pub fn run(request: DoctorRequest) -> u8 {
    let by_settings = request.load.is_none();
    let (load, kexec_when_unknown, odd_line) = match request.load {
        Some(load) => (load, request.kexec_when_unknown, None),
        None => {
            let settings = settings::parse(&files::read_or_empty(settings::FILE));
            let kexec_when_unknown = settings.kexec_when_unknown || request.kexec_when_unknown;
            let odd_line = settings.odd_line;
            (load_of(settings), kexec_when_unknown, odd_line)
        }
    };
    let mut facts = Facts::default();
    examination::examination(&mut facts);
    facts.rehearsal = load::rehearse(&load);
    facts.kexec_when_unknown = kexec_when_unknown;
    facts.odd_line = odd_line;
    facts.by_settings = by_settings;
    facts.files = facts.rehearsal.files.iter().map(|path| examination::exposure(path)).collect();
    facts.settings = examination::exposure(settings::FILE.as_ref());
    // It need not be there.
    facts.settings.unseen = facts.settings.unseen.filter(|errno| *errno != Errno::ENOENT);
    facts.sysvinit_tells = init::sysvinit_tells();
    facts.init = init::kind();
    facts.trace = init::trace();
    let mut bad = 0u32;
    let mut first_bad = None;
    files::print_with(&mut |out| {
        let mut result = Ok(());
        examine(&facts, &mut |name, status, text| {
            if status == Status::Bad {
                bad = bad.saturating_add(1);
                first_bad = first_bad.take().or_else(|| Some((name, text.to_string())));
            }
            let text = Paragraph { text, speech: request.speech };
            result = result.and(match request.speech {
                Format::Table => writeln!(out, "{}  {name:<13} {text}", status.mark()),
                Format::Porcelain => writeln!(out, "{name}\t{}\t{text}", status.word()),
                Format::Warning => Ok(()),
            });
        });
        result?;
        conclude(out, request.speech, bad, first_bad.as_ref())
    });
    u8::from(bad > 0)
}

/// What the services would load with these settings.
fn load_of(settings: Settings) -> LoadRequest {
    // As openrc/kexec-load.initd gives them to kexec-load.
    let mut load = LoadRequest::default();
    let added = settings.command_line.is_none();
    load.kernel = settings.kernel;
    // Its initrds are looked for beside a kernel that is named.
    load.boot = settings.boot.or_else(|| Some("/boot".into()));
    load.initrds = settings.initrds;
    load.crypt_key = settings.crypt_key;
    load.force = settings.force;
    load.reuse = added;
    load.own_line = added && settings.append.is_none();
    load.append = if added { settings.append } else { settings.command_line };
    load.dry_run = true;
    load
}

/// Every check, in the order in which a reboot meets them. What only matters for a load
/// is worth a note alone when a kernel is loaded already: a reboot starts that one.
pub fn examine(facts: &Facts, tell: &mut Tell) {
    let load_matters = if facts.loaded { Status::Note } else { Status::Bad };
    machine(tell, facts, load_matters);
    what_is_loaded(tell, facts, load_matters);
    telling(tell, facts);
    services(tell, facts);
}

/// The kernel we stand on, in the order in which it refuses a load.
fn machine(tell: &mut Tell, facts: &Facts, load_matters: Status) {
    let refusal = &facts.refusal;
    match &facts.container {
        None => tell("container", Status::Ok, format_args!("none")),
        Some(name) => tell(
            "container",
            Status::Bad,
            format_args!(
                "this is a container ({}): the machine's kernel cannot be changed from it\n  run it on the machine itself",
                name.shown()
            ),
        ),
    }
    match refusal.cap_sys_boot {
        Some(true) if refusal.is_root => {
            tell("privilege", Status::Ok, format_args!("root, with CAP_SYS_BOOT"))
        }
        Some(true) => tell("privilege", Status::Ok, format_args!("CAP_SYS_BOOT, without being root")),
        Some(false) => tell("privilege", Status::Bad, format_args!("{}", Obstacle::NoPrivilege(refusal))),
        None => tell("privilege", Status::Bad, format_args!("unknown: /proc/self/status cannot be read")),
    }
    match (facts.has_load, facts.has_file_load) {
        (Some(true), Some(true)) => tell("calls", Status::Ok, format_args!("kexec_load and kexec_file_load")),
        (Some(true), _) => tell("calls", Status::Ok, format_args!("kexec_load; no kexec_file_load")),
        (_, Some(true)) => tell("calls", Status::Ok, format_args!("kexec_file_load; no kexec_load")),
        (Some(false), Some(false)) => tell(
            "calls",
            load_matters,
            format_args!(
                "this kernel has no kexec (CONFIG_KEXEC, CONFIG_KEXEC_FILE)\n  boot one that has: Alpine's linux-lts and linux-virt do"
            ),
        ),
        _ => tell(
            "calls",
            load_matters,
            format_args!("which calls this kernel has cannot be told: a filter is on system calls"),
        ),
    }
    let option = if refusal.boot_option { "is" } else { "is not" };
    if refusal.load_disabled {
        tell("load-lock", load_matters, format_args!("{}", Obstacle::Disabled(refusal)));
    } else {
        tell(
            "load-lock",
            Status::Ok,
            format_args!(
                "kernel.kexec_load_disabled is not 1; the boot option kexec_load_disabled=0 {option} there"
            ),
        );
    }
    match refusal.loads_left {
        Some(0) => tell("load-limit", load_matters, format_args!("{}", Obstacle::NoLoadsLeft)),
        Some(left) => tell(
            "load-limit",
            Status::Ok,
            format_args!("{left} loads are left (kernel.kexec_load_limit_reboot)"),
        ),
        None => tell("load-limit", Status::Ok, format_args!("none")),
    }
    match &refusal.lockdown {
        None => tell("lockdown", Status::Ok, format_args!("none")),
        Some(mode) if facts.has_file_load == Some(true) => tell(
            "lockdown",
            load_matters,
            format_args!(
                "{}: the kernel takes only an image with a signature that it trusts; loading it tells\n  run: kexec-load, then ask again",
                mode.shown()
            ),
        ),
        Some(_) => {
            tell("lockdown", load_matters, format_args!("{}", Obstacle::LockedDown(Call::Load, refusal)))
        }
    }
    tell(
        "secure-boot",
        Status::Ok,
        format_args!(
            "{}",
            match facts.secure_boot {
                Some(true) => "on",
                Some(false) => "off",
                None => "no UEFI, or it does not say",
            }
        ),
    );
}

/// Of what comes after a failure.
const NOT_LOOKED_AT: &str = "not looked at, because of the above";

/// The files and their place in memory.
fn what_is_loaded(tell: &mut Tell, facts: &Facts, load_matters: Status) {
    if facts.loaded {
        tell(
            "loaded",
            Status::Note,
            format_args!("a kernel is loaded: a reboot starts that one, and loads no other"),
        );
    } else {
        tell("loaded", Status::Ok, format_args!("nothing yet"));
    }
    let flavour = facts.flavour.as_deref().unwrap_or("none");
    match &facts.installed {
        Some(installed) if *installed != facts.release => {
            let which = if facts.loaded {
                ", after or before the loaded one was loaded\n  to load the installed one: kexec-load"
            } else {
                ": a kexec starts that one"
            };
            tell(
                "release",
                Status::Note,
                format_args!(
                    "Linux {} runs, {installed} is installed (flavour {flavour}){which}",
                    facts.release
                ),
            );
        }
        _ => tell("release", Status::Ok, format_args!("Linux {} runs, flavour {flavour}", facts.release)),
    }
    let found = &facts.rehearsal;
    let mut ended = false;
    for (name, text) in
        [("kernel", &found.kernel), ("initrd", &found.initrds), ("command-line", &found.command_line)]
    {
        match (text, &found.failure) {
            (Some(text), _) if name == "command-line" && found.loses_root => tell(
                name,
                Status::Note,
                format_args!("{text}; it has no root=, and the running kernel's has one"),
            ),
            (Some(text), _) if name == "command-line" && found.unlocks_nothing => {
                tell(name, Status::Note, format_args!("{text}; it has no cryptroot=, and there is a key"))
            }
            (Some(text), _) => tell(name, Status::Ok, format_args!("{text}")),
            (None, Some(failure)) if !ended => {
                let more = match **failure {
                    Failure::NoKernelFound { unmounted: Some(_), .. } if facts.by_settings => {
                        "\n  or run: rc-service kexec-load doctor, which mounts it meanwhile"
                    }
                    _ => "",
                };
                tell(name, load_matters, format_args!("{failure}{more}"));
                ended = true;
            }
            (None, _) => tell(name, Status::Note, format_args!("{NOT_LOOKED_AT}")),
        }
    }
    match (found.memory, &found.failure) {
        (Some((needed, allowed)), _) => {
            let available = facts.refusal.available.unwrap_or(u64::MAX);
            let (needed, allowed, is_enough) = (Size(needed), Size(allowed), needed <= available);
            if is_enough {
                tell(
                    "memory",
                    Status::Ok,
                    format_args!("{needed} of at most {allowed}, which is half of RAM"),
                );
            } else {
                let available = Size(available);
                tell(
                    "memory",
                    load_matters,
                    format_args!(
                        "it takes {needed}, and {available} is available\n  end what takes the memory, or load at the start: kexec_load_at=\"start\" in {}",
                        settings::FILE
                    ),
                );
            }
        }
        (None, Some(failure)) if !ended => tell("memory", load_matters, format_args!("{failure}")),
        (None, _) => tell("memory", Status::Note, format_args!("{NOT_LOOKED_AT}")),
    }
    exposed(tell, "kernel-file", &facts.files);
    exposed(tell, "settings-file", core::slice::from_ref(&facts.settings));
    if let Some(line) = facts.odd_line {
        tell(
            "settings",
            Status::Bad,
            format_args!(
                "line {line} of {} takes a shell to read: another kernel may be loaded than is said here\n  run: rc-service kexec-load doctor",
                settings::FILE
            ),
        );
    }
}

/// What others than root can change, a line for each.
fn exposed(tell: &mut Tell, name: &'static str, files: &[Exposure]) {
    let mut is_fine = true;
    for file in files {
        let path = file.path.shown();
        if let (Some(link), Some(to)) = (&file.link, &file.leads_to) {
            is_fine = false;
            let (link, to) = (link.shown(), to.shown());
            tell(name, Status::Note, format_args!("{path} is {to}: {link} is a symbolic link"));
        }
        if let Some((by, mode, owner)) = &file.by {
            is_fine = false;
            let by = by.shown();
            tell(
                name,
                Status::Note,
                format_args!(
                    "others than root can change {path}: {by} has mode {mode:04o} and owner {owner}"
                ),
            );
        }
        if let Some(errno) = file.unseen {
            is_fine = false;
            tell(name, Status::Note, format_args!("{path} was not looked at: {}", strerror(errno)));
        }
    }
    if files.is_empty() {
        tell(name, Status::Note, format_args!("{NOT_LOOKED_AT}"));
    } else if is_fine {
        tell(name, Status::Ok, format_args!("only root can change it"));
    }
}

/// How a reboot is told from a poweroff.
fn telling(tell: &mut Tell, facts: &Facts) {
    let unknown_matters = if facts.kexec_when_unknown { Status::Note } else { Status::Bad };
    match &facts.init {
        Init::OpenRc => {
            tell("init", Status::Ok, format_args!("openrc-init, which sets RC_REBOOT for a reboot"))
        }
        Init::SysVinit if !facts.sysvinit_tells => tell(
            "init",
            Status::Bad,
            format_args!(
                "sysvinit, whose inittab does not run openrc reboot in runlevel 6\n  in /etc/inittab, let the line of runlevel 6 run: /sbin/openrc reboot"
            ),
        ),
        Init::SysVinit => {
            tell("init", Status::Ok, format_args!("sysvinit, which sets RC_REBOOT for a reboot"))
        }
        Init::BusyBox(RebootAction::InForce) => {
            tell(
                "init",
                Status::Ok,
                format_args!("BusyBox; the ::reboot: line of /etc/inittab sets RC_REBOOT for a reboot"),
            );
        }
        Init::BusyBox(RebootAction::Different) => tell(
            "init",
            Status::Bad,
            format_args!(
                "BusyBox, with a ::reboot: line in /etc/inittab that does not run OpenRC\n  change it to ::reboot:/sbin/openrc reboot, then run: kill -HUP 1"
            ),
        ),
        Init::BusyBox(action) if facts.trace == Trace::NotArmed => {
            let cannot = "BusyBox, which does not tell services a reboot from a poweroff, and its signals are not watched";
            let remedy = match (action, facts.has_tracefs) {
                (RebootAction::Absent, true) => {
                    "run: rc-service kexec-load start (it watches them); or rc-service kexec-load setup (a line in /etc/inittab)"
                }
                (RebootAction::Absent, false) => {
                    "run: rc-service kexec-load setup (a line in /etc/inittab; this kernel has no tracefs to watch them with)"
                }
                (_, true) => "run: rc-service kexec-load start (it watches them)",
                (_, false) => {
                    "this kernel has no tracefs to watch them with, and this init no ::reboot: action: upgrade busybox (Alpine's, since 1.37.0-r13), reboot, and run rc-service kexec-load setup"
                }
            };
            tell("init", unknown_matters, format_args!("{cannot}\n  {remedy}"));
        }
        Init::BusyBox(_) => tell(
            "init",
            Status::Ok,
            format_args!("BusyBox; its signals tell a reboot from a poweroff, and are watched"),
        ),
        Init::Hidden => tell(
            "init",
            Status::Bad,
            format_args!("process 1 cannot be seen: /proc/1/exe takes root, outside of a container"),
        ),
        Init::Other(name) if name == "systemd" => tell(
            "init",
            Status::Bad,
            format_args!(
                "systemd, which does not use OpenRC's services\n  run: systemctl enable --now kexec-load@FLAVOUR, then systemctl kexec\n  kexec-load and systemctl kexec start another kernel"
            ),
        ),
        Init::Other(name) => tell(
            "init",
            unknown_matters,
            format_args!(
                "{}: how it tells a reboot from a poweroff is not known\n  run it with openrc reboot for a reboot, which sets RC_REBOOT; or set kexec_when_unknown=\"kexec\" in {}",
                name.shown(),
                settings::FILE
            ),
        ),
    }
    match (facts.trace, facts.has_tracefs) {
        (Trace::NotArmed, true) => {
            tell("trace", Status::Ok, format_args!("not armed; the kernel has tracefs"))
        }
        (Trace::NotArmed, false) => tell("trace", Status::Note, format_args!("this kernel has no tracefs")),
        (Trace::Unreadable, _) => tell("trace", Status::Note, format_args!("it cannot be read")),
        (Trace::Nothing, _) => tell("trace", Status::Ok, format_args!("armed; init was sent nothing yet")),
        _ => tell("trace", Status::Note, format_args!("armed; init was told to end what it does")),
    }
}

/// OpenRC's side.
fn services(tell: &mut Tell, facts: &Facts) {
    if matches!(&facts.init, Init::Other(name) if name == "systemd") {
        return;
    }
    if !facts.installed_services {
        tell(
            "services",
            Status::Bad,
            format_args!(
                "/etc/init.d/kexec-load or kexec-exec is not there\n  run: make install, or install the package with OpenRC's scripts"
            ),
        );
        return;
    }
    match (facts.load_started, facts.load_enabled) {
        (true, true) => tell("kexec-load", Status::Ok, format_args!("started, and in a runlevel")),
        (true, false) => tell(
            "kexec-load",
            Status::Note,
            format_args!(
                "started, but in no runlevel: after the next boot it will not be\n  run: rc-update add kexec-load default"
            ),
        ),
        (false, true) => tell(
            "kexec-load",
            if facts.loaded { Status::Note } else { Status::Bad },
            format_args!("in a runlevel, but not started\n  run: rc-service kexec-load start"),
        ),
        (false, false) => tell(
            "kexec-load",
            if facts.loaded { Status::Note } else { Status::Bad },
            format_args!(
                "in no runlevel, and not started\n  run: rc-update add kexec-load default && rc-service kexec-load start"
            ),
        ),
    }
    if facts.load_misplaced {
        tell(
            "load-misplaced",
            Status::Bad,
            format_args!(
                "kexec-load is in the shutdown runlevel, too: OpenRC does not stop it there, so it does not load\n  run: rc-update del kexec-load shutdown"
            ),
        );
    }
    if facts.exec_started {
        tell(
            "kexec-exec",
            Status::Bad,
            format_args!(
                "started before the shutdown, where OpenRC would not start it again\n  run: rc-service kexec-exec zap"
            ),
        );
    } else if facts.exec_enabled {
        tell("kexec-exec", Status::Ok, format_args!("in the shutdown runlevel"));
    } else {
        tell(
            "kexec-exec",
            Status::Bad,
            format_args!("not in the shutdown runlevel\n  run: rc-update add kexec-exec shutdown"),
        );
    }
    if facts.skip {
        tell(
            "skip",
            Status::Bad,
            format_args!(
                "the next reboot is to be an ordinary one ({SKIP_FILE} is there)\n  to take that back: rc-service kexec-load restart"
            ),
        );
    }
}

impl Status {
    fn mark(self) -> &'static str {
        match self {
            Status::Ok => "ok  ",
            Status::Note => "note",
            Status::Bad => "BAD ",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Bad => "bad",
        }
    }
}

/// A finding's lines, the further ones set apart as each way to speak wants it.
struct Paragraph<'a> {
    text: fmt::Arguments<'a>,
    speech: Format,
}

/// Writes with each line's end, and the spaces after it, made something else.
struct Lines<'w> {
    out: &'w mut dyn Write,
    between: &'static str,
    begins: bool,
}

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => {
                    self.out.write_str(self.between)?;
                    self.begins = true;
                }
                ' ' if self.begins => {}
                _ => {
                    self.begins = false;
                    self.out.write_char(character)?;
                }
            }
        }
        Ok(())
    }
}

impl Display for Paragraph<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.speech == Format::Table { "\n                    -> " } else { "; " };
        Lines { out: f, between, begins: false }.write_fmt(self.text)
    }
}

/// The last words.
fn conclude(
    out: &mut dyn Write,
    speech: Format,
    bad: u32,
    first_bad: Option<&(&'static str, String)>,
) -> fmt::Result {
    match (speech, first_bad) {
        (Format::Table, None) => out.write_str("\nA reboot now would be a kexec.\n"),
        (Format::Table, Some(_)) => {
            let stand = if bad == 1 { "finding stands" } else { "findings stand" };
            writeln!(out, "\nA reboot now would be an ordinary one: {bad} {stand} in the way.")
        }
        (Format::Porcelain, None) => out.write_str("reboot\tok\tkexec\n"),
        (Format::Porcelain, Some(_)) => out.write_str("reboot\tbad\tordinary\n"),
        (Format::Warning, None) => Ok(()),
        // For the console while the machine boots.
        (Format::Warning, Some((name, text))) => {
            let reason = parts(text.as_bytes(), b'\n').next().unwrap_or_default();
            writeln!(out, "reboots will be ordinary ones: {name}: {}", reason.shown())?;
            match bad {
                1 => out.write_str("what to do about it: rc-kexec doctor\n"),
                _ => writeln!(out, "that is one of {bad} findings; all, and what to do: rc-kexec doctor"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::going_down::Signal;

    /// A machine on which a reboot now would be a kexec.
    fn ready() -> Facts {
        Facts {
            refusal: Refusal { cap_sys_boot: Some(true), is_root: true, ..Refusal::default() },
            has_load: Some(true),
            has_file_load: Some(false),
            release: "6.12.31-0-virt".into(),
            flavour: Some("virt".into()),
            has_tracefs: true,
            init: Init::BusyBox(RebootAction::Absent),
            trace: Trace::Nothing,
            installed_services: true,
            load_started: true,
            load_enabled: true,
            exec_enabled: true,
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

    fn told(facts: &Facts) -> Vec<(&'static str, Status, String)> {
        let mut told = Vec::new();
        examine(facts, &mut |name, status, text| told.push((name, status, text.to_string())));
        told
    }

    /// What is not as it should be.
    fn found(facts: &Facts, status: Status) -> Vec<(&'static str, String)> {
        let told = told(facts).into_iter().filter(|told| told.1 == status);
        told.map(|(name, _, text)| (name, text)).collect()
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

    /// A note and no more.
    #[track_caller]
    fn is_a_note(name: &str, word: &str, change: impl FnOnce(&mut Facts)) {
        let mut facts = ready();
        change(&mut facts);
        assert_eq!(found(&facts, Status::Bad), []);
        let notes = found(&facts, Status::Note);
        assert!(
            notes.iter().any(|note| note.0 == name && note.1.contains(word)),
            "{name}, {word}: {notes:?}"
        );
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
        let told = told(&ready());
        let mut names: Vec<&str> = told.iter().map(|told| told.0).collect();
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
        stands_in_the_way("privilege", "run it as root", |facts| {
            facts.refusal.cap_sys_boot = Some(false);
            facts.refusal.is_root = false;
        });
        stands_in_the_way("calls", "CONFIG_KEXEC", |facts| facts.has_load = Some(false));
        stands_in_the_way("calls", "cannot be told", |facts| facts.has_load = None);
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
            facts.has_file_load = Some(true);
        });
        stands_in_the_way("initrd", "unable to read /i", |facts| {
            let errno = nix::errno::Errno::ENOENT;
            facts.rehearsal.failure = Some(Failure::Unreadable { path: "/i".into(), errno }.into());
            facts.rehearsal.initrds = None;
            facts.rehearsal.command_line = None;
            facts.rehearsal.memory = None;
        });
        stands_in_the_way("memory", "it takes 17 MiB, and 16 MiB is available", |facts| {
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
        stands_in_the_way("init", "takes root", |facts| facts.init = Init::Hidden);
        stands_in_the_way("services", "make install", |facts| facts.installed_services = false);
        stands_in_the_way("kexec-load", "rc-service kexec-load start", |facts| facts.load_started = false);
        stands_in_the_way("kexec-load", "rc-update add kexec-load default", |facts| {
            facts.load_started = false;
            facts.load_enabled = false;
        });
        stands_in_the_way("kexec-exec", "rc-update add kexec-exec shutdown", |facts| {
            facts.exec_enabled = false
        });
        stands_in_the_way("kexec-exec", "zap", |facts| facts.exec_started = true);
        stands_in_the_way("load-misplaced", "del kexec-load shutdown", |facts| facts.load_misplaced = true);
        stands_in_the_way("init", "runlevel 6", |facts| facts.init = Init::SysVinit);
        stands_in_the_way("init", "kill -HUP 1", |facts| facts.init = Init::BusyBox(RebootAction::Different));
        stands_in_the_way("kernel", "or run: rc-service kexec-load doctor", |facts| {
            facts.rehearsal = Rehearsal::default();
            facts.rehearsal.failure =
                Some(Failure::NoKernelFound { tried: Vec::new(), unmounted: Some("/boot".into()) }.into());
            facts.by_settings = true;
        });
        stands_in_the_way("skip", "restart", |facts| facts.skip = true);
    }

    #[test]
    fn what_is_worth_knowing_and_in_nobodys_way() {
        is_a_note("release", "6.12.40-0-virt is installed", |facts| {
            facts.installed = Some("6.12.40-0-virt".into());
        });
        is_a_note("command-line", "no root=", |facts| facts.rehearsal.loses_root = true);
        is_a_note(
            "kernel-file",
            "others than root can change /boot/k: /boot has mode 0777 and owner 0",
            |facts| {
                let by = Some(("/boot".into(), 0o777, 0));
                facts.files =
                    vec![Exposure::default(), Exposure { path: "/boot/k".into(), by, ..Exposure::default() }];
            },
        );
        is_a_note("kernel-file", "/k is /boot/k-6.12: /k is a symbolic link", |facts| {
            let (link, leads_to) = (Some("/k".into()), Some("/boot/k-6.12".into()));
            facts.files = vec![Exposure { path: "/k".into(), link, leads_to, ..Exposure::default() }];
        });
        is_a_note("kernel-file", "/k was not looked at: Permission denied", |facts| {
            facts.files =
                vec![Exposure { path: "/k".into(), unseen: Some(Errno::EACCES), ..Exposure::default() }];
        });
        is_a_note("settings-file", "others than root can change /etc/conf.d/kexec-load: ", |facts| {
            facts.settings.path = settings::FILE.into();
            facts.settings.by = Some((settings::FILE.into(), 0o644, 1000));
        });
        is_a_note("command-line", "no cryptroot=", |facts| facts.rehearsal.unlocks_nothing = true);
        is_a_note("kexec-load", "rc-update add", |facts| facts.load_enabled = false);
        is_a_note("trace", "told to end", |facts| facts.trace = Trace::First(Signal::Reboot));
        is_a_note("init", "not watched", |facts| {
            facts.trace = Trace::NotArmed;
            facts.kexec_when_unknown = true;
        });
    }

    #[test]
    fn with_a_kernel_loaded_what_stops_loads_stops_no_reboot() {
        is_a_note("load-lock", "is 1", |facts| {
            facts.loaded = true;
            facts.refusal.load_disabled = true;
            facts.refusal.loads_left = Some(0);
            facts.refusal.lockdown = Some("integrity".into());
            facts.load_started = false;
            facts.rehearsal =
                Rehearsal { failure: Some(Failure::NothingLoaded.into()), ..Rehearsal::default() };
        });
        stands_in_the_way("kexec-exec", "", |facts| {
            facts.loaded = true;
            facts.exec_enabled = false;
        });
    }

    #[test]
    fn each_way_to_speak_sets_further_lines_apart() {
        let said = |speech| {
            let text = "one\n  two\n  three  four";
            Paragraph { text: format_args!("{text}"), speech }.to_string()
        };
        assert_eq!(said(Format::Porcelain), "one; two; three  four");
        let indent = " ".repeat(20);
        assert_eq!(said(Format::Table), format!("one\n{indent}-> two\n{indent}-> three  four"));
    }
}
