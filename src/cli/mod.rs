//! From words to a [`Command`]. Pure: reads and changes nothing on the system.

mod boot_options;
mod doctor;
mod exec;
mod going_down;
mod kexec;
mod load;
#[cfg(feature = "vmcore")]
pub mod vmcore;
mod words;

use crate::base::bytes::parts;
use crate::base::text::{Shown, parse_octal};
use crate::doctor::Request as DoctorRequest;
use crate::failure::{Failure, Result};
use crate::image::newc;
use crate::jump;
use crate::known::shutdown::WhenUnknown;
use crate::load::{AddedFile, Base, Goal, Initrds, KernelChoice, Key, KeyFile, Line, Request, Starts};
use crate::settings::Origin;
use crate::shutdown::Action;
use crate::status;
use argh::{ArgsInfo, CommandInfoWithArgs};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use words::{Known, Words};

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// Load a kernel, and perhaps start it.
    Load(Load),
    /// Unload the kernel that is loaded for a reboot or a panic.
    Unload(Starts),
    /// Is a kernel loaded?
    Status(status::Request),
    /// Start the loaded kernel.
    Jump(Jump),
    /// Is the machine rebooting? And the preparations for the answer.
    Shutdown(Action),
    /// What stands between this machine and a kexec?
    Doctor(DoctorRequest),
    /// What does this command line, or else the running kernel's, ask rc-kexec-init for?
    BootOptions(Option<OsString>),
    /// Read a dump.
    #[cfg(feature = "vmcore")]
    Dump {
        /// What to do with it.
        action: vmcore::Action,
        /// The file.
        file: OsString,
    },
    /// Print where dumps in this folder are, as rckexec.dump= has it.
    #[cfg(feature = "vmcore")]
    DumpPlace(OsString),
    /// Print this, on standard output.
    Print(String),
}

/// A load, and what to print about it.
#[derive(Clone, Debug)]
pub struct Load {
    /// What to load.
    pub from: Origin,
    /// How far to go.
    pub goal: Goal,
    /// Say what was loaded.
    pub announce: bool,
    /// Print details.
    pub debug: bool,
    /// Options that rc-kexec accepts and ignores.
    pub ignored: Vec<&'static str>,
}

/// A jump, and what to print about it.
#[derive(Clone, Debug)]
pub struct Jump {
    /// The jump.
    pub request: jump::Request,
    /// Print details.
    pub debug: bool,
    /// Options that rc-kexec accepts and ignores.
    pub ignored: Vec<&'static str>,
}

/// An applet: its name, its purpose, and how its words become a command.
struct Applet {
    name: &'static str,
    /// Its name in messages; with `rc-kexec ` if no link has the name.
    speaks_as: &'static str,
    purpose: &'static str,
    options: fn() -> CommandInfoWithArgs,
    /// The options that are known beside those.
    known: &'static [Known],
    command: fn(&Words) -> Result<Command>,
}

const APPLETS: &[Applet] = &[
    Applet {
        name: "kexec-load",
        speaks_as: "kexec-load",
        purpose: "load a kernel, which the next reboot then starts",
        options: load::Options::get_args_info,
        known: &[],
        command: load::command,
    },
    Applet {
        name: "kexec-exec",
        speaks_as: "kexec-exec",
        purpose: "start the loaded kernel at the end of a shutdown",
        options: exec::Options::get_args_info,
        known: &[],
        command: exec::command,
    },
    Applet {
        name: "kexec",
        speaks_as: "kexec",
        purpose: "both, with the options of kexec(8)",
        options: kexec::Options::get_args_info,
        known: &kexec::KNOWN,
        command: kexec::command,
    },
    Applet {
        name: "doctor",
        speaks_as: "rc-kexec doctor",
        purpose: "say what stands between this machine and a kexec",
        options: doctor::Options::get_args_info,
        known: &[],
        command: doctor::command,
    },
    Applet {
        name: "going-down",
        speaks_as: "rc-kexec going-down",
        purpose: "say whether the machine is rebooting, for services",
        options: going_down::Options::get_args_info,
        known: &[],
        command: going_down::command,
    },
    Applet {
        name: "boot-options",
        speaks_as: "rc-kexec boot-options",
        purpose: "read the rckexec.* boot options, for rc-kexec-init",
        options: boot_options::Options::get_args_info,
        known: &[],
        command: boot_options::command,
    },
    #[cfg(feature = "vmcore")]
    Applet {
        name: "vmcore",
        speaks_as: "rc-kexec vmcore",
        purpose: "read the dump of a crashed kernel",
        options: vmcore::Options::get_args_info,
        known: &[],
        command: vmcore::command,
    },
];

/// The program's name and version.
pub const VERSION: &str = concat!("rc-kexec ", env!("CARGO_PKG_VERSION"), "\n");

/// The name of the applet that these words call, and the command that they make.
pub fn parse(argv: &[OsString]) -> (&'static str, Result<Command>) {
    let (first, rest) =
        argv.split_first().map_or((OsStr::new(""), argv), |(first, rest)| (first.as_os_str(), rest));
    let name = first.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if let Some(applet) = applet(OsStr::from_bytes(name)) {
        return (applet.speaks_as, applet.parse(rest));
    }
    let command = match rest.split_first() {
        None => Err(no_applet("unable to choose an applet: none is named")),
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
        let words = Words::split(self.speaks_as, &info, self.known, args)?;
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
    for applet in APPLETS {
        let _ = writeln!(text, "  rc-kexec {:<12} {}", applet.name, applet.purpose);
    }
    text.push_str("\nYou can also call the first three by name. For the options: rc-kexec APPLET --help\n");
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

/// `--when-unknown`
fn when_unknown(words: &Words) -> Result<WhenUnknown> {
    let word = words.last("--when-unknown").unwrap_or("reboot".as_ref());
    WhenUnknown::from_word(word.as_bytes())
        .ok_or_else(|| words.misused("unable to use --when-unknown: it must be reboot or kexec"))
}

/// What kexec-load's options say about a load; `None` when they say nothing.
fn said(words: &Words) -> Result<Option<Request>> {
    let boot = words.last("--boot").map(OsStr::to_os_string);
    let kernel = only_kernel(words)?;
    let key = words
        .last("--crypt-key")
        .map(|path| KeyFile { path: path.to_os_string(), force: words.has("--force") });
    let flavour = words.last("--flavour").map(|flavour| flavour.to_string_lossy().into_owned());
    if kernel.is_some() && flavour.is_some() {
        return Err(words.misused("unable to use --flavour with KERNEL: it is for finding a kernel"));
    }
    let says_something = kernel.is_some() || boot.is_some() || flavour.is_some();
    let mut kernel = KernelChoice::new(kernel, boot);
    if let KernelChoice::Installed { flavour: wanted, .. } = &mut kernel {
        *wanted = flavour;
    }
    let request = Request {
        kernel,
        initrds: Initrds::named(words.all("--initrd")),
        line: line(words)?,
        added: added_files(words)?,
        key: key.map_or(Key::Absent, Key::File),
        dtb: words.last("--dtb").map(OsStr::to_os_string),
        ..Request::default()
    };
    let is_default = request.initrds == Initrds::Unsaid
        && request.line == Line::default()
        && !request.adds()
        && request.dtb.is_none();
    Ok((says_something || !is_default).then_some(request))
}

/// The command line: the running kernel's, if no option gives one.
fn line(words: &Words) -> Result<Line> {
    let (append, command_line) = (words.last("--append"), words.last("--command-line"));
    let reuse = words.has("--reuse-cmdline");
    if command_line.is_some() && (append.is_some() || reuse) {
        return Err(words.misused(
            "unable to use --command-line with --append or --reuse-cmdline: it is the whole command line",
        ));
    }
    Ok(match (append.or(command_line), reuse) {
        (None, false) => Line::Unsaid(Base::Running),
        (text, true) => Line::Said(Base::Running, text.unwrap_or_default().to_os_string()),
        (Some(text), false) => Line::Said(Base::Empty, text.to_os_string()),
    })
}

fn added_files(words: &Words) -> Result<Vec<AddedFile>> {
    let mut files: Vec<AddedFile> = Vec::new();
    for word in words.all("--add-file") {
        files.push(added_file(word.as_bytes()).ok_or_else(|| {
            words.misused(&format!(
                "unable to use --add-file {}: it must be SRC:DEST[:MODE], with DEST a path of at most 4095 bytes without . and .., and MODE octal",
                word.shown()
            ))
        })?);
    }
    // The kernel would silently leave one of them out.
    let above = |name: &OsStr, other: &AddedFile| {
        other.name.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    };
    for added in &files {
        if files.iter().any(|other| above(&added.name, other)) {
            return Err(words.misused(&format!(
                "unable to add {} as a file: another file is added below it",
                added.name.shown()
            )));
        }
    }
    Ok(files)
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
    use crate::known::call::Call;
    use crate::load::{After, Choice};
    use std::os::unix::ffi::OsStringExt;

    fn run(line: &str) -> (&'static str, Result<Command>) {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&argv)
    }

    /// A load with what it asks for.
    fn parsed(line: &str) -> (Load, Request) {
        match run(line).1 {
            Ok(Command::Load(load)) => match load.from.clone() {
                Origin::Said(request) => (load, *request),
                other => panic!("{line}: {other:?}"),
            },
            other => panic!("{line}: {other:?}"),
        }
    }

    fn load(line: &str) -> Request {
        parsed(line).1
    }

    fn goal(line: &str) -> Goal {
        parsed(line).0.goal
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
            let (load, request) = parsed(line);
            let kernel = KernelChoice::Named { path: "/k".into(), finds_initrds: false };
            assert_eq!(request.kernel, kernel, "{line}");
            assert_eq!(request.initrds, Initrds::These(vec!["/a".into(), "/b".into()]), "{line}");
            assert_eq!(request.line, Line::Said(Base::Empty, "x".into()), "{line}");
            assert_eq!(request.call, Choice::Only(Call::Load), "{line}");
            assert_eq!(load.goal, Goal::Load(After::Nothing), "{line}");
            assert!(!load.announce, "{line}");
        }
    }

    #[test]
    fn what_follows_a_load_of_kexec() {
        assert_eq!(goal("kexec -f /k"), Goal::Load(After::Jump { sync: true }));
        assert_eq!(goal("kexec -lf /k"), Goal::Load(After::Jump { sync: true }));
        assert_eq!(goal("kexec -fl /k"), Goal::Load(After::Nothing));
        assert_eq!(goal("kexec -fy /k"), Goal::Load(After::Jump { sync: false }));
        assert_eq!(goal("kexec /k"), Goal::Load(After::Reboot));
        for (line, sync) in [("kexec -e", true), ("kexec -ey", false)] {
            let Ok(Command::Jump(jump)) = run(line).1 else { panic!("{line}") };
            assert_eq!(jump.request, jump::Request { when: jump::When::ByHand, sync }, "{line}");
        }
        assert!(matches!(run("kexec -u").1, Ok(Command::Unload(Starts::AtReboot))));
        assert!(matches!(run("kexec -p -u").1, Ok(Command::Unload(Starts::AtPanic))));
    }

    #[test]
    fn status_of_kexec_is_about_the_crash_kernel_unless_l_is_there() {
        let table =
            [("kexec -S", true), ("kexec -Sp", true), ("kexec -Sl", false), ("kexec --status --load", false)];
        for (line, crash) in table {
            let Ok(Command::Status(request)) = run(line).1 else { panic!("{line}") };
            assert_eq!(request, status::Request::Kexec8 { crash }, "{line}");
        }
        let Ok(Command::Status(request)) = run("kexec-load --status").1 else { panic!() };
        assert_eq!(request, status::Request::Load(Starts::AtReboot));
    }

    #[test]
    fn crash_kernels() {
        let what = |line| {
            let Ok(Command::Load(load)) = run(line).1 else { panic!("{line}") };
            let Origin::Said(request) = load.from else { panic!("{line}") };
            assert_eq!(load.goal, Goal::Load(After::Nothing), "{line}");
            (request.starts, request.line)
        };
        let with = |base| (Starts::AtPanic, Line::Unsaid(base));
        for line in ["kexec -p /k", "kexec --load-panic /k", "kexec -lp /k"] {
            assert_eq!(what(line), with(Base::Empty), "{line}");
        }
        assert_eq!(what("kexec-load --crash"), with(Base::RunningForCrash));
        assert_eq!(what("kexec-load --crash /k").1, Line::Unsaid(Base::RunningForCrash));
        assert_eq!(what("kexec-load --crash /k --append x").1, Line::Said(Base::Empty, "x".into()));
        assert_eq!(what("kexec-load /k").0, Starts::AtReboot);
        assert!(matches!(run("kexec-load --crash --unload").1, Ok(Command::Unload(Starts::AtPanic))));
        assert!(matches!(
            run("kexec-load --crash --status").1,
            Ok(Command::Status(status::Request::Load(Starts::AtPanic)))
        ));
        for line in ["kexec -pe", "kexec -pf /k", "kexec-load --crash --from-environment"] {
            let refusal = run(line).1.map_err(|failure| *failure);
            assert!(matches!(refusal, Err(Failure::Usage { .. })), "{line}: {refusal:?}");
        }
    }

    #[test]
    fn values_that_begin_with_a_dash_and_odd_bytes() {
        let said = |line| match load(line).line {
            Line::Said(_, text) => text,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(said("kexec -l /k --append -x"), "-x");
        assert_eq!(said("kexec-load /k --append=--"), "--");
        assert_eq!(said("kexec-load /k --append="), "");
        let argv = [
            OsString::from("kexec-load"),
            OsString::from_vec(b"/boot/\xff".to_vec()),
            OsString::from_vec(b"--initrd=/\xfe".to_vec()),
        ];
        let Ok(Command::Load(Load { from: Origin::Said(request), .. })) = parse(&argv).1 else { panic!() };
        let KernelChoice::Named { path, .. } = request.kernel else { panic!() };
        assert_eq!(path.as_bytes(), b"/boot/\xff");
        let Initrds::These(initrds) = request.initrds else { panic!() };
        assert_eq!(initrds[0].as_bytes(), b"/\xfe");
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
        assert_eq!(request.key, Key::File(KeyFile { path: "k".into(), force: true }));
        assert!(request.adds() && !load("kexec-load /k --force").adds());
        assert!(usage("kexec-load --add-file a:../b").contains("SRC:DEST[:MODE]"));
        assert!(usage("kexec-load --add-file a:b/c --add-file a:b").contains("added below it"));
        assert!(load("kexec-load --add-file a:b --add-file a:bc --add-file a:b").adds());
        assert!(usage("kexec-load --unload --crypt-key k").contains("--unload or --status alone"));
    }

    #[test]
    fn every_option_of_kexec_tools_is_known() {
        // Of 2.0.32 on x86 and arm64 (kexec/kexec.h, arch/*/include/arch/options.h): with what they
        // need beside them, and whether they load.
        let table = [
            ("--reset-vga", true),
            ("--console-vga", true),
            ("--console-serial", true),
            ("--serial=0x3f8", true),
            ("--serial-baud 9600", true),
            ("--args-linux", true),
            ("--pass-memmap-cmdline", true),
            ("--reuse-video-type", true),
            ("--no-cma", true),
            ("--hotplug", true),
            ("--force-dtb", true),
            ("--dt-no-old-root", true),
            ("--kexec-file-syscall-debug", true),
            ("--elf32-core-headers", true),
            ("--elf64-core-headers", true),
            ("--noefi", true),
            ("--real-mode", false),
            ("--entry-32bit", false),
            ("--args-elf", false),
            ("--args-none", false),
            ("--load-jump-back-helper", false),
            ("--load-live-update", false),
            ("--exec-live-update", false),
            ("--print-ckr-size", false),
            ("--port 0x3f8", false),
            ("--port-lsr 0x3fd", false),
        ];
        for (words, loads) in table {
            let line = format!("kexec -l /k {words}");
            match run(&line).1 {
                Ok(Command::Load(_)) => assert!(loads, "{line}"),
                Err(refusal) => {
                    let said = refusal.to_string();
                    let name = words.split([' ', '=']).next().unwrap();
                    assert!(!loads && said.contains(&format!("unable to use {name}: ")), "{line}: {said}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
        assert_eq!(parsed("kexec -l /k --reset-vga --serial=x").0.ignored, ["--reset-vga", "--serial"]);
        assert_eq!(load("kexec -l /k --noefi").efi, crate::load::Efi::LeftOut);
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
            ("kexec -l /k --append", "--append needs a value"),
            ("kexec -l --load=1 /k", "--load accepts no value"),
            ("kexec -l /a /b", "2 kernels"),
            ("kexec -e /a", "-f loads and starts"),
            ("kexec -le /a", "-f loads and starts"),
            ("kexec -s -l /k --mem-max=0x1000", "accepts no bounds"),
            ("kexec -s -l /k --noefi", "kexec_file_load always hands EFI on"),
            ("kexec -l /k --real-mode", "unable to use --real-mode: a kernel is entered at"),
            ("kexec -l /k --entry=0x100", "unable to use --entry: the kernel's header says"),
            ("kexec -l /k --module x", "an initrd is --initrd FILE"),
            ("kexec --load-preserve-context -l /k", "load it with -l"),
            ("kexec -l /k --reuseinitrd", "name it: --initrd FILE"),
            ("kexec -l /k --mem-min=q", "--mem-min"),
            ("kexec -l /k --mem-min=0x2000 --mem-max=0x1000", "--mem-max"),
            ("kexec-load --syscall both", "--syscall"),
            ("kexec-load --unload --status", "give --unload or --status alone"),
            ("kexec-load /k --append a --command-line b", "the whole command line"),
            ("kexec-exec now", "unable to use now"),
            ("kexec-exec --when-unknown now", "--when-unknown: it must be reboot or kexec"),
            ("rc-kexec going-down --when-unknown reboot 7", "unable to use 7"),
            ("rc-kexec going-down --arm --disarm", "one of them"),
            ("rc-kexec boot-options a b", "2 command lines"),
            ("rc-kexec doctor --porcelain --warn", "one of"),
            ("rc-kexec doctor --append a --command-line b", "the whole command line"),
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
        assert_eq!(parsed("kexec -l -x -i /k").0.ignored, ["--no-ifdown"]);
        assert_eq!(parsed("kexec -l /k").0.ignored, [""; 0]);
    }

    #[test]
    fn kexec_load_reuses_the_command_line_unless_told_one() {
        let line = |words| load(words).line;
        let said = |base, text: &str| Line::Said(base, text.into());
        assert_eq!(line("kexec-load"), Line::Unsaid(Base::Running));
        assert_eq!(line("kexec-load /k"), Line::Unsaid(Base::Running));
        assert_eq!(line("kexec-load /k --append x"), said(Base::Empty, "x"));
        assert_eq!(line("kexec-load /k --command-line x"), said(Base::Empty, "x"));
        assert_eq!(line("kexec-load /k --reuse-cmdline --append x"), said(Base::Running, "x"));
        assert!(parsed("kexec-load /k").0.announce);
        assert_eq!(line("kexec -l /k"), Line::Unsaid(Base::Empty));
        assert_eq!(line("kexec -l /k --reuse-commandline"), said(Base::Running, ""));
        assert_eq!(line("kexec -l /k --reuse"), said(Base::Running, ""));
        assert_eq!(line("kexec -l /k --command-line a --append b"), said(Base::Empty, "b"));
    }

    #[test]
    fn the_services_settings_stand_alone() {
        for (words, goal) in [
            ("kexec-load --from-environment", Goal::Load(After::Nothing)),
            ("kexec-load --from-environment --dry-run", Goal::Draw),
        ] {
            let Ok(Command::Load(load)) = run(words).1 else { panic!("{words}") };
            assert!(matches!(load.from, Origin::Environment) && load.goal == goal, "{load:?}");
        }
        let Ok(Command::Doctor(request)) = run("rc-kexec doctor --from-environment").1 else { panic!() };
        assert!(matches!(request.load, Origin::Environment));
        let Ok(Command::Doctor(request)) = run("rc-kexec doctor").1 else { panic!() };
        assert!(matches!(request.load, Origin::File));
        assert!(usage("kexec-load --from-environment /k").contains("with --from-environment the settings"));
        assert!(
            usage("rc-kexec doctor --from-environment --boot /")
                .contains("with --from-environment the settings")
        );
    }

    #[test]
    fn every_applet_has_help_with_all_its_options() {
        for applet in APPLETS {
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
