//! The options of kexec-load.

use super::words::Words;
use super::{Command, Load};
use crate::failure::Result;
use crate::load::{After, Choice, Goal, Starts};
use crate::settings::Origin;
use crate::status;
use argh::ArgsInfo;
use std::os::unix::ffi::OsStrExt;

/// Load a kernel, which the next reboot then starts. Without KERNEL, find the
/// installed kernel of the running flavour and its initramfs. Without a command line,
/// use the running kernel's.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// an initrd; may be repeated
    #[argh(option, arg_name = "FILE")]
    initrd: Vec<String>,
    /// the command line, or with --reuse-cmdline the options to add to it
    #[argh(option, arg_name = "LINE")]
    append: Option<String>,
    /// the whole command line
    #[argh(option, arg_name = "LINE")]
    command_line: Option<String>,
    /// start from the running kernel's command line, without the options that its
    /// boot loader added (BOOT_IMAGE=, initrd=)
    #[argh(switch)]
    reuse_cmdline: bool,
    /// another name of --reuse-cmdline
    #[argh(switch, hidden_help)]
    reuse_commandline: bool,
    /// add the file SRC to the next kernel's initramfs as DEST, with owner root and
    /// MODE (octal; the default is SRC's own); may be repeated
    #[argh(option, arg_name = "SRC:DEST[:MODE]")]
    add_file: Vec<String>,
    /// add FILE to the initramfs as /crypto_keyfile.bin, and cryptkey to the command
    /// line: with them Alpine's initramfs unlocks the root
    #[argh(option, arg_name = "FILE")]
    crypt_key: Option<String>,
    /// accept a key on a file system that is not known to be encrypted
    #[argh(switch)]
    force: bool,
    /// the device tree to use instead of the running kernel's (arm64)
    #[argh(option, arg_name = "FILE")]
    dtb: Option<String>,
    /// the folder of the installed kernels (/boot); with KERNEL, also find the initrds
    /// beside the kernel, unless --initrd none
    #[argh(option, arg_name = "DIR")]
    boot: Option<String>,
    /// the flavour of the installed kernel to find, instead of the running one's
    #[argh(option, arg_name = "FLAVOUR")]
    flavour: Option<String>,
    /// load what the services' settings in the environment say (kexec_kernel and others)
    #[argh(switch)]
    from_environment: bool,
    /// load a crash kernel, which starts when the running kernel panics
    #[argh(switch)]
    crash: bool,
    /// the system call: auto (the default), load or file
    #[argh(option, arg_name = "CALL")]
    syscall: Option<String>,
    /// draw where in memory each part would go; load nothing
    #[argh(switch)]
    dry_run: bool,
    /// print the kernel's format, version and machine; load nothing
    #[argh(switch, long = "type")]
    kind: bool,
    /// unload the loaded kernel
    #[argh(switch)]
    unload: bool,
    /// exit with 0 when a kernel is loaded, else with 1
    #[argh(switch)]
    status: bool,
    /// print details
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the kernel
    #[argh(positional)]
    kernel: Option<String>,
}

/// `kexec-load ...`
pub fn command(words: &Words) -> Result<Command> {
    let goal = match (words.has("--type"), words.has("--dry-run")) {
        (true, _) => Goal::Identify,
        (false, true) => Goal::Draw,
        (false, false) => Goal::Load(After::Nothing),
    };
    let from = origin(words)?;
    let starts = if words.has("--crash") { Starts::AtPanic } else { Starts::AtReboot };
    let loads = from.is_some() || goal != Goal::Load(After::Nothing);
    match (words.has("--unload"), words.has("--status"), loads) {
        (true, false, false) => return Ok(Command::Unload(starts)),
        (false, true, false) => return Ok(Command::Status(status::Request::Load(starts))),
        (false, false, _) => {}
        _ => {
            return Err(words.misused("unable to combine these options: give --unload or --status alone"));
        }
    }
    let mut from = from.unwrap_or(Origin::Said(Box::default()));
    match &mut from {
        Origin::Said(request) => {
            request.call = choice(words)?;
            request.starts = starts;
            request.line.for_crash(starts);
        }
        Origin::Environment if starts == Starts::AtPanic => {
            return Err(
                words.misused("unable to use --crash with --from-environment: the settings are for a reboot")
            );
        }
        _ => {}
    }
    let debug = words.has("--debug");
    Ok(Command::Load(Load { from, goal, announce: true, debug, ignored: Vec::new() }))
}

/// Where the load is described; `None` when no option describes one.
pub fn origin(words: &Words) -> Result<Option<Origin>> {
    match (words.has("--from-environment"), super::said(words)?) {
        (false, said) => Ok(said.map(Box::new).map(Origin::Said)),
        (true, None) => Ok(Some(Origin::Environment)),
        (true, Some(_)) => Err(words.misused(
            "unable to combine these options: with --from-environment the settings say what to load",
        )),
    }
}

fn choice(words: &Words) -> Result<Choice> {
    let word = words.last("--syscall").unwrap_or("auto".as_ref());
    let choice = Choice::from_word(word.as_bytes());
    choice.ok_or_else(|| words.misused("unable to use --syscall: it must be auto, load or file"))
}
