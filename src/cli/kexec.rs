//! The options of kexec(8), as its users type them.

use super::words::{OptionRow, Word, alias, option};
use super::{After, Choice, Command, ExecRequest, LoadRequest, Operands, StatusRequest, VERSION};
use crate::failure::{Answer, Call};
use crate::layout::range::Range;
use argh::FromArgs;
use std::ffi::{OsStr, OsString};

const NAME: &str = "kexec";

/// Load a kernel and start it, with the options of kexec(8). With neither -l nor
/// -f nor -e, loads and asks init for a reboot.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// load the kernel
    #[argh(switch, short = 'l')]
    load: bool,
    /// start the kernel that is loaded, at once
    #[argh(switch, short = 'e')]
    exec: bool,
    /// load and start at once; the last of -l and -f counts
    #[argh(switch, short = 'f')]
    force: bool,
    /// unload
    #[argh(switch, short = 'u')]
    unload: bool,
    /// exit with 1 when a crash kernel (with -l: a kernel) is loaded, else with 0
    #[argh(switch, short = 'S')]
    status: bool,
    /// load a crash kernel: refused, this program does not
    #[argh(switch, short = 'p')]
    load_panic: bool,
    /// initrd; may be repeated (also --ramdisk)
    #[argh(option)]
    initrd: Vec<Word>,
    /// the command line, or with --reuse-cmdline what is added to it
    #[argh(option)]
    append: Vec<Word>,
    /// the command line (the same as --append)
    #[argh(option)]
    command_line: Vec<Word>,
    /// begin with the running kernel's command line (also --reuse-commandline)
    #[argh(switch)]
    reuse_cmdline: bool,
    /// the kernel's type; the file's content decides, and must agree
    #[argh(option, short = 't', long = "type")]
    kind: Vec<Word>,
    /// the lowest address to load to
    #[argh(option)]
    mem_min: Vec<Word>,
    /// the highest address to load to
    #[argh(option)]
    mem_max: Vec<Word>,
    /// only kexec_load
    #[argh(switch, short = 'c')]
    kexec_syscall: bool,
    /// only kexec_file_load
    #[argh(switch, short = 's')]
    kexec_file_syscall: bool,
    /// kexec_file_load where the kernel has it, else kexec_load (the default)
    #[argh(switch, short = 'a')]
    kexec_syscall_auto: bool,
    /// do not write file systems' data before a jump
    #[argh(switch, short = 'y')]
    no_sync: bool,
    /// accepted, does nothing: the image is never hashed
    #[argh(switch, short = 'i')]
    no_checks: bool,
    /// accepted, does nothing: no interface is taken down
    #[argh(switch, short = 'x')]
    no_ifdown: bool,
    /// say everything
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the kernel
    #[argh(positional)]
    kernel: Vec<Word>,
}

/// The table of the pass over the words.
pub const OPTIONS: &[OptionRow] = &[
    option("load", Some(b'l'), false),
    option("exec", Some(b'e'), false),
    option("force", Some(b'f'), false),
    option("unload", Some(b'u'), false),
    option("status", Some(b'S'), false),
    option("load-panic", Some(b'p'), false),
    option("initrd", None, true),
    alias("ramdisk", true, "initrd"),
    option("append", None, true),
    option("command-line", None, true),
    option("reuse-cmdline", None, false),
    alias("reuse-commandline", false, "reuse-cmdline"),
    option("type", Some(b't'), true),
    option("mem-min", None, true),
    option("mem-max", None, true),
    option("kexec-syscall", Some(b'c'), false),
    option("kexec-file-syscall", Some(b's'), false),
    option("kexec-syscall-auto", Some(b'a'), false),
    option("no-sync", Some(b'y'), false),
    option("no-checks", Some(b'i'), false),
    option("no-ifdown", Some(b'x'), false),
    option("debug", Some(b'd'), false),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

const NO_CRASH_KERNELS: &str = "unable to load or unload a crash kernel (-p): rc-kexec starts kernels for a reboot only\n  kexec-tools does it";

/// `kexec ...`
pub fn parse(args: &[OsString]) -> Answer<Command> {
    let (args, words) = match super::read::<Args>(NAME, OPTIONS, Operands::Yes, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    let usage = |what| super::misused(NAME, what);
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    // "this option supersedes other options and it will not load or unload"
    if args.status {
        return Ok(Command::Status(StatusRequest { crash: !args.load, loaded: 1, say: false }));
    }
    if args.load_panic {
        return Ok(Command::Refuse(NO_CRASH_KERNELS));
    }
    let ignored = super::ignored(&[(args.no_ifdown, "--no-ifdown"), (args.no_checks, "--no-checks")]);
    let sync = !args.no_sync;
    let kernel = super::only_kernel(NAME, words.all(&args.kernel))?;
    if args.unload {
        return match kernel {
            None if !args.load && !args.exec && !args.force => Ok(Command::Unload),
            _ => {
                Err(usage("unable to unload and load at once: leave -u out, a load replaces what is loaded"))
            }
        };
    }
    if kernel.is_none() && args.exec {
        let debug = args.debug;
        return Ok(Command::Exec(ExecRequest { now: true, kexec_when_unknown: false, sync, debug, ignored }));
    }
    if kernel.is_none() {
        return Err(usage("unable to load: no kernel is named"));
    }
    if args.exec {
        return Err(usage(
            "unable to start a kernel that is named: -e starts the one that is loaded, -f loads and starts",
        ));
    }
    // --append and --command-line are one option by two names; the last one counts.
    let append = words.last(&[args.append, args.command_line].concat());
    let kind = words.last(&args.kind);
    let choice = match (args.kexec_syscall_auto, args.kexec_file_syscall, args.kexec_syscall) {
        (true, _, _) | (_, false, false) => Choice::Auto,
        (_, true, false) => Choice::Only(Call::FileLoad),
        (_, false, true) => Choice::Only(Call::Load),
        (_, true, true) => return Err(usage("unable to load with -c and -s: they exclude each other")),
    };
    let bounds = bounds(words.last(&args.mem_min).as_deref(), words.last(&args.mem_max).as_deref());
    let bounds = bounds.map_err(usage)?;
    if choice == Choice::Only(Call::FileLoad) && bounds != Range::ALL {
        return Err(usage(
            "unable to keep to --mem-min and --mem-max with -s: kexec_file_load takes no bounds",
        ));
    }
    Ok(Command::Load(LoadRequest {
        kernel,
        boot: None,
        initrds: words.all(&args.initrd),
        reuse: args.reuse_cmdline,
        append,
        choice,
        kind,
        bounds,
        dry_run: false,
        say: false,
        debug: args.debug,
        ignored,
        // As with kexec-tools, the last of -l and -f counts.
        after: match words.last_option(&["--load", "--force"]) {
            Some("--force") => After::Jump { sync },
            Some(_) => After::Nothing,
            None => After::Reboot,
        },
    }))
}

/// `--mem-min` and `--mem-max`: both ends inside, in decimal or with 0x.
fn bounds(min: Option<&OsStr>, max: Option<&OsStr>) -> Result<Range, &'static str> {
    let number = |text: &OsStr| {
        let text = text.as_encoded_bytes();
        if text.starts_with(b"0x") {
            crate::bytes::parse_hex(text)
        } else {
            crate::bytes::parse_decimal(text)
        }
    };
    let min = min.map_or(Some(0), number).ok_or("unable to use --mem-min: it is no address")?;
    let max = max.map_or(Some(u64::MAX), number).ok_or("unable to use --mem-max: it is no address")?;
    Range::new(min, max.saturating_add(1)).ok_or("unable to use --mem-max: it is not above --mem-min")
}
