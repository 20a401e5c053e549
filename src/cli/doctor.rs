//! The options of doctor.

use super::words::{OptionRow, Word, alias, option};
use super::{After, Choice, Command, DoctorRequest, LoadRequest, Operands, Speech, VERSION};
use crate::failure::Answer;
use crate::layout::range::Range;
use argh::FromArgs;
use std::ffi::OsString;

/// As it speaks: no link has this name.
pub const NAME: &str = "rc-kexec doctor";

/// Say what stands between this machine and a kexec, and what to do about it. Exit
/// status 0 when a reboot now would be a kexec, 1 when not. With no option that says
/// what would be loaded, takes the services' settings, /etc/conf.d/kexec-load.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// a line a check, for scripts: name, status and text, with tabs between
    #[argh(switch)]
    porcelain: bool,
    /// at most two lines, and none when a reboot now would be a kexec
    #[argh(switch)]
    warn: bool,
    /// as for kexec-load
    #[argh(option)]
    initrd: Vec<Word>,
    /// as for kexec-load
    #[argh(option)]
    append: Vec<Word>,
    /// as for kexec-load
    #[argh(option)]
    command_line: Vec<Word>,
    /// as for kexec-load
    #[argh(switch)]
    reuse_cmdline: bool,
    /// as for kexec-load
    #[argh(option)]
    boot: Vec<Word>,
    /// as for kexec-exec
    #[argh(option)]
    when_unknown: Vec<Word>,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the kernel
    #[argh(positional)]
    kernel: Vec<Word>,
}

/// The table of the pass over the words.
pub const OPTIONS: &[OptionRow] = &[
    option("porcelain", None, false),
    option("warn", None, false),
    option("initrd", None, true),
    option("append", None, true),
    option("command-line", None, true),
    option("reuse-cmdline", None, false),
    alias("reuse-commandline", false, "reuse-cmdline"),
    option("boot", None, true),
    option("when-unknown", None, true),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

/// `doctor ...`
pub fn parse(args: &[OsString]) -> Answer<Command> {
    let (args, words) = match super::read::<Args>(NAME, OPTIONS, Operands::Yes, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    let kernel = super::only_kernel(NAME, words.all(&args.kernel))?;
    let line = super::command_line(NAME, &words, &args.append, &args.command_line, args.reuse_cmdline)?;
    let speech = match (args.porcelain, args.warn) {
        (false, false) => Speech::Table,
        (true, false) => Speech::Porcelain,
        (false, true) => Speech::Warning,
        (true, true) => {
            let what = "unable to speak in two ways: give one of --porcelain and --warn";
            return Err(super::misused(NAME, what));
        }
    };
    let (boot, initrds) = (words.last(&args.boot), words.all(&args.initrd));
    let nothing_said = kernel.is_none() && boot.is_none() && initrds.is_empty() && line.append.is_none();
    let load = LoadRequest {
        kernel,
        boot,
        initrds,
        reuse: line.reuse,
        append: line.append,
        choice: Choice::Auto,
        kind: None,
        bounds: Range::ALL,
        dry_run: true,
        say: false,
        debug: false,
        ignored: Vec::new(),
        after: After::Nothing,
    };
    Ok(Command::Doctor(DoctorRequest {
        load: (!nothing_said).then_some(load),
        kexec_when_unknown: super::when_unknown(NAME, words.last(&args.when_unknown))?,
        speech,
    }))
}
