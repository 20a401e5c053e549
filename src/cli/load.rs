//! The options of kexec-load.

use super::words::{OptionRow, Word, alias, option};
use super::{After, Choice, Command, LoadRequest, Operands, StatusRequest, VERSION};
use crate::failure::{Answer, Call};
use crate::layout::range::Range;
use argh::FromArgs;
use std::ffi::OsString;

const NAME: &str = "kexec-load";

/// Load a kernel, to be started by the next reboot. With no kernel named, finds
/// the installed kernel of the running flavour and its initramfs. With no command
/// line given, takes the running kernel's.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// initrd; may be repeated
    #[argh(option)]
    initrd: Vec<Word>,
    /// the command line, or with --reuse-cmdline what is added to it
    #[argh(option)]
    append: Vec<Word>,
    /// the command line, whole
    #[argh(option)]
    command_line: Vec<Word>,
    /// begin with the running kernel's command line, without what its boot loader
    /// put there (BOOT_IMAGE=, initrd=)
    #[argh(switch)]
    reuse_cmdline: bool,
    /// where installed kernels are looked for (/boot); with it, a named kernel's
    /// initrds are looked for beside the kernel, unless --initrd none
    #[argh(option)]
    boot: Vec<Word>,
    /// auto (the default), load or file
    #[argh(option)]
    syscall: Vec<Word>,
    /// draw where it would go; load nothing
    #[argh(switch)]
    dry_run: bool,
    /// unload
    #[argh(switch)]
    unload: bool,
    /// exit with 0 when a kernel is loaded, else with 1
    #[argh(switch)]
    status: bool,
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
    option("initrd", None, true),
    option("append", None, true),
    option("command-line", None, true),
    option("reuse-cmdline", None, false),
    alias("reuse-commandline", false, "reuse-cmdline"),
    option("boot", None, true),
    option("syscall", None, true),
    option("dry-run", None, false),
    option("unload", None, false),
    option("status", None, false),
    option("debug", Some(b'd'), false),
    option("version", Some(b'v'), false),
    option("help", Some(b'h'), false),
];

/// `kexec-load ...`
pub fn parse(args: &[OsString]) -> Answer<Command> {
    let (args, words) = match super::read::<Args>(NAME, OPTIONS, Operands::Yes, args)? {
        Ok(read) => read,
        Err(print) => return Ok(print),
    };
    let usage = |what| super::misused(NAME, what);
    if args.version {
        return Ok(Command::Print(VERSION.to_string()));
    }
    let kernel = super::only_kernel(NAME, words.all(&args.kernel))?;
    let loads = kernel.is_some() || args.dry_run || !args.initrd.is_empty();
    match (args.unload, args.status, loads) {
        (true, false, false) => return Ok(Command::Unload),
        (false, true, false) => {
            return Ok(Command::Status(StatusRequest { crash: false, loaded: 0, say: true }));
        }
        (false, false, _) => {}
        _ => return Err(usage("unable to do all of this: --unload and --status stand alone, one of them")),
    }
    let line = super::command_line(NAME, &words, &args.append, &args.command_line, args.reuse_cmdline)?;
    let choice = match words.last(&args.syscall).unwrap_or_else(|| "auto".into()).to_str() {
        Some("auto") => Choice::Auto,
        Some("load") => Choice::Only(Call::Load),
        Some("file") => Choice::Only(Call::FileLoad),
        _ => return Err(usage("unable to use --syscall: it is auto, load or file")),
    };
    Ok(Command::Load(LoadRequest {
        kernel,
        boot: words.last(&args.boot),
        initrds: words.all(&args.initrd),
        reuse: line.reuse,
        append: line.append,
        choice,
        kind: None,
        bounds: Range::ALL,
        dry_run: args.dry_run,
        say: true,
        debug: args.debug,
        ignored: Vec::new(),
        after: After::Nothing,
    }))
}
