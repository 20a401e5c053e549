//! Words -> [`Command`]. Pure: touches nothing on the system.

mod doctor;
mod exec;
mod going_down;
mod kexec;
mod load;
mod words;

use crate::base::bytes::parts;
use crate::base::range::Range;
use crate::base::text::{Shown, parse_octal};
use crate::failure::{Call, Failure, Result};
use crate::image::newc;
use argh::{ArgsInfo, CommandInfoWithArgs};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use words::Words;

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// Load a kernel, and perhaps more.
    Load(LoadRequest),
    /// Unload what is loaded.
    Unload,
    /// Is something loaded?
    Status(StatusRequest),
    /// Start what is loaded.
    Exec(ExecRequest),
    /// Is the machine rebooting? And what makes that known.
    GoingDown(Action),
    /// What stands between this machine and a kexec?
    Doctor(DoctorRequest),
    /// Print this, on standard output.
    Print(String),
    /// Refuse in words.
    Refuse(&'static str),
}

/// A question that the exit status answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRequest {
    /// Whether it is about the kernel for a panic.
    pub crash: bool,
    /// The exit status when something is loaded; the other of 0 and 1 when not.
    pub loaded: u8,
    /// Whether to say it in words, too.
    pub say: bool,
}

/// Which system call to load with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// kexec_file_load where the kernel has it, else kexec_load.
    #[default]
    Auto,
    /// This one and no other.
    Only(Call),
}

/// What follows a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// Jump at once.
    Jump {
        /// Write file systems' data first.
        sync: bool,
    },
    /// Ask init for a reboot.
    Reboot,
}

/// A load.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// The kernel; found by the running kernel's flavour when absent.
    pub kernel: Option<OsString>,
    /// Where it is looked for then; /boot when absent.
    pub boot: Option<OsString>,
    /// Initrds, in their order.
    pub initrds: Vec<OsString>,
    /// Files to add to the next kernel's initramfs.
    pub added: Vec<AddedFile>,
    /// A key file to add to it, for Alpine's initramfs to unlock the root with.
    pub crypt_key: Option<OsString>,
    /// Take the key from a file system that is not known to be encrypted, too.
    pub force: bool,
    /// A device tree to hand on in the place of the running kernel's (arm64).
    pub dtb: Option<OsString>,
    /// Whether a unified image's own command line counts: the user says nothing of one.
    pub own_line: bool,
    /// Say what the kernel is; load nothing.
    pub name_only: bool,
    /// Begin with the running kernel's command line.
    pub reuse: bool,
    /// The command line, or what is added to the running kernel's.
    pub append: Option<OsString>,
    /// The system call.
    pub choice: Choice,
    /// `--type`, as it was given.
    pub kind: Option<OsString>,
    /// Where segments may lie.
    pub bounds: Range,
    /// Draw it, load nothing.
    pub dry_run: bool,
    /// Say what was loaded.
    pub say: bool,
    /// Say everything.
    pub debug: bool,
    /// What was accepted and does nothing.
    pub ignored: Vec<&'static str>,
    /// What follows.
    pub after: After,
}

impl LoadRequest {
    /// Whether files are added to the next kernel's initramfs.
    pub fn adds(&self) -> bool {
        self.crypt_key.is_some() || !self.added.is_empty()
    }
}

/// A file that is added to the next kernel's initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedFile {
    /// The file, here.
    pub source: OsString,
    /// Its path there, as newc::name has it.
    pub name: OsString,
    /// Its permission bits there; the ones that it has here when absent.
    pub mode: Option<u32>,
}

/// A jump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Even when the machine is not going down.
    pub now: bool,
    /// Even when it may be going to power off.
    pub kexec_when_unknown: bool,
    /// Write file systems' data first.
    pub sync: bool,
    /// Say everything.
    pub debug: bool,
    /// What was accepted and does nothing.
    pub ignored: Vec<&'static str>,
}

/// What going-down is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say whether the machine is rebooting.
    Decide {
        /// Whether a kexec is wanted when that is not known.
        kexec_when_unknown: bool,
    },
    /// Watch init's signals.
    Arm,
    /// Watch them no more.
    Disarm,
    /// Edit /etc/inittab.
    SetUp,
    /// Make the next reboot an ordinary one.
    Skip,
    /// Reboot at once, where init could not.
    Rescue,
}

/// What the doctor looks at, and how it speaks.
#[derive(Clone, Debug)]
pub struct DoctorRequest {
    /// What would be loaded; the services' settings when absent.
    pub load: Option<LoadRequest>,
    /// Whether a kexec is wanted when a reboot cannot be told from a poweroff.
    pub kexec_when_unknown: bool,
    /// How it speaks.
    pub speech: Format,
}

/// How the doctor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// A line a finding, for scripts.
    Porcelain,
    /// At most two lines, and only when a reboot would not be a kexec.
    Warning,
}

/// The name of an applet, what it is for, and how its words become a command.
struct Applet {
    name: &'static str,
    /// Its name in messages: whole, where no link has it.
    speaks_as: &'static str,
    purpose: &'static str,
    options: fn() -> CommandInfoWithArgs,
    command: fn(&Words) -> Result<Command>,
}

const APPLETS: [Applet; 5] = [
    Applet {
        name: "kexec-load",
        speaks_as: "kexec-load",
        purpose: "load a kernel, to be started by the next reboot",
        options: load::Options::get_args_info,
        command: load::command,
    },
    Applet {
        name: "kexec-exec",
        speaks_as: "kexec-exec",
        purpose: "start the loaded kernel, at the end of a shutdown",
        options: exec::Options::get_args_info,
        command: exec::command,
    },
    Applet {
        name: "kexec",
        speaks_as: "kexec",
        purpose: "both, with the options of kexec(8)",
        options: kexec::Options::get_args_info,
        command: kexec::command,
    },
    Applet {
        name: "doctor",
        speaks_as: "rc-kexec doctor",
        purpose: "say what stands between this machine and a kexec",
        options: doctor::Options::get_args_info,
        command: doctor::command,
    },
    Applet {
        name: "going-down",
        speaks_as: "rc-kexec going-down",
        purpose: "say whether the machine is rebooting, for services",
        options: going_down::Options::get_args_info,
        command: going_down::command,
    },
];

/// The program's name and version.
pub const VERSION: &str = concat!("rc-kexec ", env!("CARGO_PKG_VERSION"), "\n");

/// The applet that these words call, by name, and the command that they make.
pub fn parse(argv: &[OsString]) -> (&'static str, Result<Command>) {
    let (first, rest) =
        argv.split_first().map_or((OsStr::new(""), argv), |(first, rest)| (first.as_os_str(), rest));
    let name = first.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if let Some(applet) = applet(OsStr::from_bytes(name)) {
        return (applet.speaks_as, applet.parse(rest));
    }
    let command = match rest.split_first() {
        None => Err(no_applet("unable to do anything: no applet is named")),
        Some((word, rest)) => match (applet(word), word.to_str().unwrap_or_default()) {
            (Some(applet), _) => return (applet.speaks_as, applet.parse(rest)),
            (None, "--help" | "-h" | "help") => Ok(Command::Print(list_of_applets())),
            (None, "--version" | "-v") => Ok(Command::Print(VERSION.to_string())),
            _ => Err(no_applet(&format!("unable to run {}: there is no such applet", word.shown()))),
        },
    };
    ("rc-kexec", command)
}

fn applet(name: &OsStr) -> Option<&'static Applet> {
    APPLETS.iter().find(|applet| name == applet.name)
}

impl Applet {
    fn parse(&self, args: &[OsString]) -> Result<Command> {
        let info = (self.options)();
        let words = Words::split(self.speaks_as, &info, args)?;
        if words.has("--help") {
            return Ok(Command::Print(words::help(self.speaks_as, &info)));
        }
        if words.has("--version") {
            return Ok(Command::Print(VERSION.to_string()));
        }
        (self.command)(&words)
    }
}

fn list_of_applets() -> String {
    let mut text = String::from("rc-kexec loads a Linux kernel and starts it without the firmware.\n\n");
    for applet in &APPLETS {
        let _ = writeln!(text, "  rc-kexec {:<11} {}", applet.name, applet.purpose);
    }
    text.push_str(
        "\nThe first three are also names to call it by. For the options: rc-kexec APPLET --help\n",
    );
    text
}

fn no_applet(what: &str) -> Box<Failure> {
    let mut what = format!("{what}; the applets are");
    for (index, applet) in APPLETS.iter().enumerate() {
        what.push_str(if index == 0 { " " } else { ", " });
        what.push_str(applet.name);
    }
    Box::new(Failure::Usage { applet: "", what })
}

/// `--when-unknown`: whether a kexec is wanted when a reboot cannot be told from a
/// poweroff.
fn when_unknown(words: &Words) -> Result<bool> {
    match words.last("--when-unknown").unwrap_or("reboot".as_ref()).to_str() {
        Some("reboot") => Ok(false),
        Some("kexec") => Ok(true),
        _ => Err(words.misused("unable to use --when-unknown: it is reboot or kexec")),
    }
}

/// What kexec-load's options say of the kernel, its initrds, and its command line: the
/// running kernel's, when there is no option for it.
fn what_to_load(words: &Words, load: &mut LoadRequest) -> Result<()> {
    let (append, command_line) = (words.last("--append"), words.last("--command-line"));
    let reuse = words.has("--reuse-cmdline");
    if command_line.is_some() && (append.is_some() || reuse) {
        return Err(words.misused(
            "unable to make a command line: give one of --command-line and --append, and --reuse-cmdline only with --append",
        ));
    }
    load.kernel = only_kernel(words)?;
    load.boot = words.last("--boot").map(OsStr::to_os_string);
    load.initrds = words.all("--initrd");
    for word in words.all("--add-file") {
        let added = added_file(word.as_bytes()).ok_or_else(|| {
            words.misused(&format!(
                "unable to use --add-file {}: it is SRC:DEST[:MODE], DEST a path of at most 4095 bytes without . and .., MODE octal",
                word.shown()
            ))
        })?;
        load.added.push(added);
    }
    // The kernel would leave one of them out without a word.
    let above = |name: &OsStr, other: &AddedFile| {
        other.name.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    };
    for added in &load.added {
        if load.added.iter().any(|other| above(&added.name, other)) {
            return Err(words.misused(&format!(
                "unable to add {} as a file: another file is added below it",
                added.name.shown()
            )));
        }
    }
    load.crypt_key = words.last("--crypt-key").map(OsStr::to_os_string);
    load.force = words.has("--force");
    load.own_line = !reuse && append.is_none() && command_line.is_none();
    load.reuse = reuse || load.own_line;
    load.dtb = words.last("--dtb").map(OsStr::to_os_string);
    load.append = append.or(command_line).map(OsStr::to_os_string);
    Ok(())
}

/// SRC:DEST[:MODE].
fn added_file(word: &[u8]) -> Option<AddedFile> {
    let mut fields = parts(word, b':');
    let (source, destination) = (fields.next()?, fields.next()?);
    let mode = match fields.next() {
        Some(digits) => Some(parse_octal(digits).filter(|&mode| mode <= 0o7777)?),
        None => None,
    };
    let os = |bytes| OsStr::from_bytes(bytes).to_os_string();
    if source.is_empty() || fields.next().is_some() {
        return None;
    }
    Some(AddedFile { source: os(source), name: os(newc::name(destination)?), mode })
}

/// At most one kernel.
fn only_kernel(words: &Words) -> Result<Option<OsString>> {
    match words.operands.as_slice() {
        [] => Ok(None),
        [kernel] => Ok(Some(kernel.to_os_string())),
        several => Err(words.misused(&format!("unable to load {} kernels: name one", several.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn run(line: &str) -> (&'static str, Result<Command>) {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&argv)
    }

    fn load(line: &str) -> LoadRequest {
        match run(line).1 {
            Ok(Command::Load(request)) => request,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn usage(line: &str) -> String {
        match run(line).1.map_err(|failure| *failure) {
            Err(Failure::Usage { what, .. }) => what,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn applets_by_name_and_by_first_word() {
        assert_eq!(run("/usr/sbin/kexec-load").0, "kexec-load");
        assert_eq!(run("rc-kexec kexec-exec").0, "kexec-exec");
        assert_eq!(run("./renamed kexec -e").0, "kexec");
        for line in ["rc-kexec", "rc-kexec frobnicate"] {
            assert!(usage(line).contains("kexec-load, kexec-exec, kexec"), "{line}");
        }
        assert_eq!(run("rc-kexec going-down").0, "rc-kexec going-down");
        assert!(matches!(run("rc-kexec --help").1, Ok(Command::Print(text)) if text.contains("kexec-exec")));
        assert!(parse(&[]).1.is_err());
    }

    #[test]
    fn spellings_of_kexec8() {
        for line in [
            "kexec -l /k --initrd=/a --initrd=/b --append=x -c",
            "kexec --load /k --initrd /a --ramdisk /b --command-line x --kexec-syscall",
            "kexec -cl /k --ramd=/a --init /b --app x",
            "kexec /k --load -c --initrd /a --append nothing --append x --initrd=/b",
            "kexec -lc --append=x --initrd /a --initrd /b -- /k",
        ] {
            let request = load(line);
            assert_eq!(request.kernel.as_deref(), Some(OsStr::new("/k")), "{line}");
            assert_eq!(request.initrds, ["/a", "/b"], "{line}");
            assert_eq!(request.append.as_deref(), Some(OsStr::new("x")), "{line}");
            assert_eq!(request.choice, Choice::Only(Call::Load), "{line}");
            assert_eq!(request.after, After::Nothing, "{line}");
            assert!(!request.reuse && !request.say && !request.dry_run, "{line}");
        }
    }

    #[test]
    fn what_follows_a_load_of_kexec() {
        assert_eq!(load("kexec -f /k").after, After::Jump { sync: true });
        assert_eq!(load("kexec -lf /k").after, After::Jump { sync: true });
        assert_eq!(load("kexec -fl /k").after, After::Nothing);
        assert_eq!(load("kexec -fy /k").after, After::Jump { sync: false });
        assert_eq!(load("kexec /k").after, After::Reboot);
        assert!(matches!(run("kexec -e").1, Ok(Command::Exec(ExecRequest { now: true, sync: true, .. }))));
        assert!(matches!(run("kexec -ey").1, Ok(Command::Exec(ExecRequest { sync: false, .. }))));
        assert!(matches!(run("kexec -u").1, Ok(Command::Unload)));
    }

    #[test]
    fn status_of_kexec_is_about_the_crash_kernel_unless_l_is_there() {
        let table =
            [("kexec -S", true), ("kexec -Sp", true), ("kexec -Sl", false), ("kexec --status --load", false)];
        for (line, crash) in table {
            let Ok(Command::Status(request)) = run(line).1 else { panic!("{line}") };
            assert_eq!(request, StatusRequest { crash, loaded: 1, say: false }, "{line}");
        }
        let Ok(Command::Status(request)) = run("kexec-load --status").1 else { panic!() };
        assert_eq!(request, StatusRequest { crash: false, loaded: 0, say: true });
    }

    #[test]
    fn crash_kernels_are_refused_in_words() {
        for line in ["kexec -p /k", "kexec --load-panic /k", "kexec -pu"] {
            assert!(matches!(run(line).1, Ok(Command::Refuse(_))), "{line}");
        }
    }

    #[test]
    fn values_that_begin_with_a_dash_and_odd_bytes() {
        assert_eq!(load("kexec -l /k --append -x").append.as_deref(), Some(OsStr::new("-x")));
        assert_eq!(load("kexec-load /k --append=--").append.as_deref(), Some(OsStr::new("--")));
        assert_eq!(load("kexec-load /k --append=").append.as_deref(), Some(OsStr::new("")));
        let argv = [
            OsString::from("kexec-load"),
            OsString::from_vec(b"/boot/\xff".to_vec()),
            OsString::from_vec(b"--initrd=/\xfe".to_vec()),
        ];
        let Ok(Command::Load(request)) = parse(&argv).1 else { panic!() };
        assert_eq!(request.kernel.unwrap().as_bytes(), b"/boot/\xff");
        assert_eq!(request.initrds[0].as_bytes(), b"/\xfe");
    }

    #[test]
    fn files_to_add_are_three_fields_at_most() {
        let os = |text: &str| OsString::from(text);
        let table = [
            ("a:b", "a", "b", None),
            ("/etc/a:/etc/b", "/etc/a", "etc/b", None),
            ("a:/b:0600", "a", "b", Some(0o600)),
            ("a:b:4755", "a", "b", Some(0o4755)),
            ("a:new\nline:0", "a", "new\nline", Some(0)),
        ];
        for (word, source, name, mode) in table {
            let wanted = AddedFile { source: os(source), name: os(name), mode };
            assert_eq!(added_file(word.as_bytes()), Some(wanted), "{word:?}");
        }
        for word in
            ["", "a", "a:", ":b", "a:/", "a:b:", "a:b:8", "a:b:10000", "a:b:-1", "a:b:c:d", "a:../b", "a:b/"]
        {
            assert_eq!(added_file(word.as_bytes()), None, "{word:?}");
        }
        let request = load("kexec-load --add-file a:b --add-file=c:d:1 --crypt-key k --force");
        assert_eq!(request.added.len(), 2);
        assert_eq!((request.crypt_key.as_deref(), request.force), (Some(OsStr::new("k")), true));
        assert!(request.adds() && !load("kexec-load /k --force").adds());
        assert!(usage("kexec-load --add-file a:../b").contains("SRC:DEST[:MODE]"));
        assert!(usage("kexec-load --add-file a:b/c --add-file a:b").contains("added below it"));
        assert!(load("kexec-load --add-file a:b --add-file a:bc --add-file a:b").adds());
        assert!(usage("kexec-load --unload --crypt-key k").contains("stand alone"));
    }

    #[test]
    fn wrong_use_says_what_is_wrong() {
        let table = [
            ("kexec --frob /k", "unknown option --frob"),
            ("kexec -lz /k", "unknown option -z"),
            ("kexec --mem-m /k", "--mem-m could be --mem-min or --mem-max"),
            ("kexec --kexec- /k", "could be --kexec-syscall"),
            ("kexec -l", "no kernel is named"),
            ("kexec", "no kernel is named"),
            ("kexec -l /k --append", "--append takes a value"),
            ("kexec -l --load=1 /k", "--load takes no value"),
            ("kexec -l /a /b", "2 kernels"),
            ("kexec -e /a", "-f loads and starts"),
            ("kexec -le /a", "-f loads and starts"),
            ("kexec -s -l /k --mem-max=0x1000", "takes no bounds"),
            ("kexec -l /k --mem-min=q", "--mem-min"),
            ("kexec -l /k --mem-min=0x2000 --mem-max=0x1000", "--mem-max"),
            ("kexec-load --syscall both", "--syscall"),
            ("kexec-load --unload --status", "one of"),
            ("kexec-load /k --append a --command-line b", "one of"),
            ("kexec-exec now", "unable to use now"),
            ("kexec-exec --when-unknown now", "--when-unknown: it is reboot or kexec"),
            ("rc-kexec going-down --when-unknown reboot 7", "unable to use 7"),
            ("rc-kexec going-down --arm --disarm", "one of them"),
            ("rc-kexec doctor --porcelain --warn", "one of"),
            ("rc-kexec doctor --append a --command-line b", "one of"),
        ];
        for (line, wanted) in table {
            let what = usage(line);
            assert!(what.contains(wanted), "{line}: {what}");
        }
    }

    #[test]
    fn bounds_are_inclusive_and_in_any_base() {
        let request = load("kexec -l /k --mem-min=0x100000 --mem-max=536870911");
        assert_eq!((request.bounds.start(), request.bounds.end()), (0x10_0000, 0x2000_0000));
    }

    #[test]
    fn what_does_nothing_is_remembered() {
        assert_eq!(load("kexec -l -x -i /k").ignored, ["--no-ifdown", "--no-checks"]);
        assert_eq!(load("kexec -l /k").ignored, [""; 0]);
    }

    #[test]
    fn kexec_load_reuses_the_command_line_unless_told_one() {
        assert!(load("kexec-load").reuse);
        assert!(load("kexec-load /k").reuse);
        assert!(!load("kexec-load /k --append x").reuse);
        assert!(!load("kexec-load /k --command-line x").reuse);
        let both = load("kexec-load /k --reuse-cmdline --append x");
        assert!(both.reuse && both.append.is_some() && both.say);
        assert!(!load("kexec -l /k").reuse);
        assert!(load("kexec -l /k --reuse-commandline").reuse);
        assert!(load("kexec -l /k --reuse").reuse);
        assert_eq!(load("kexec -l /k --command-line a --append b").append.as_deref(), Some(OsStr::new("b")));
    }

    #[test]
    fn every_applet_has_help_with_all_its_options() {
        for applet in &APPLETS {
            let name = applet.speaks_as;
            let Ok(Command::Print(text)) = run(&format!("rc-kexec {} --help", applet.name)).1 else {
                panic!("{name}")
            };
            assert!(text.starts_with(&format!("Usage: {name} ")), "{text}");
            for option in (applet.options)().flags {
                assert!(text.contains(words::full_name(option)), "{name}: {}\n{text}", option.long);
                let names = |row: &argh::FlagInfo| row.long == words::full_name(option) && !row.hidden;
                assert!((applet.options)().flags.iter().any(names), "{name}: {}", option.long);
            }
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }
}
