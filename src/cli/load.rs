//! The options of kexec-load.

use super::words::Words;
use super::{Command, Load};
use crate::failure::Result;
use crate::known::call::Call;
use crate::load::{After, Choice, Goal};
use crate::settings::Origin;
use crate::status;
use argh::ArgsInfo;

/// Load a kernel, to be started by the next reboot. With no kernel named, finds
/// the installed kernel of the running flavour and its initramfs. With no command
/// line given, takes the running kernel's.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// initrd; may be repeated
    #[argh(option, arg_name = "FILE")]
    initrd: Vec<String>,
    /// the command line, or with --reuse-cmdline what is added to it
    #[argh(option, arg_name = "LINE")]
    append: Option<String>,
    /// the command line, whole
    #[argh(option, arg_name = "LINE")]
    command_line: Option<String>,
    /// begin with the running kernel's command line, without what its boot loader
    /// put there (BOOT_IMAGE=, initrd=)
    #[argh(switch)]
    reuse_cmdline: bool,
    /// another name of --reuse-cmdline
    #[argh(switch, hidden_help)]
    reuse_commandline: bool,
    /// add SRC to the next kernel's initramfs as DEST, root's, with MODE (octal; SRC's
    /// own by default); may be repeated
    #[argh(option, arg_name = "SRC:DEST[:MODE]")]
    add_file: Vec<String>,
    /// add FILE to it as /crypto_keyfile.bin, and cryptkey to the command line:
    /// Alpine's initramfs unlocks its root with it
    #[argh(option, arg_name = "FILE")]
    crypt_key: Option<String>,
    /// take the key from a file system that is not known to be encrypted, too
    #[argh(switch)]
    force: bool,
    /// the device tree to hand on, in the place of the running kernel's (arm64)
    #[argh(option, arg_name = "FILE")]
    dtb: Option<String>,
    /// where installed kernels are looked for (/boot); with it, a named kernel's
    /// initrds are looked for beside the kernel, unless --initrd none
    #[argh(option, arg_name = "DIR")]
    boot: Option<String>,
    /// load what the services' settings in the environment say (kexec_kernel and so on)
    #[argh(switch)]
    from_environment: bool,
    /// auto (the default), load or file
    #[argh(option, arg_name = "CALL")]
    syscall: Option<String>,
    /// draw where it would go; load nothing
    #[argh(switch)]
    dry_run: bool,
    /// say what the kernel is: its format, version and machine; load nothing
    #[argh(switch, long = "type")]
    kind: bool,
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
    let loads = from.is_some() || goal != Goal::Load(After::Nothing);
    match (words.has("--unload"), words.has("--status"), loads) {
        (true, false, false) => return Ok(Command::Unload),
        (false, true, false) => return Ok(Command::Status(status::Request::Load)),
        (false, false, _) => {}
        _ => {
            return Err(
                words.misused("unable to do all of this: --unload and --status stand alone, one of them")
            );
        }
    }
    let mut from = from.unwrap_or(Origin::Said(Default::default()));
    if let Origin::Said(request) = &mut from {
        request.call = choice(words)?;
    }
    let debug = words.has("--debug");
    Ok(Command::Load(Load { from, goal, announce: true, debug, ignored: Vec::new() }))
}

/// Where it is said what to load; `None` when no option says so.
pub fn origin(words: &Words) -> Result<Option<Origin>> {
    match (words.has("--from-environment"), super::said(words)?) {
        (false, said) => Ok(said.map(Origin::Said)),
        (true, None) => Ok(Some(Origin::Environment)),
        (true, Some(_)) => Err(words.misused(
            "unable to load what is named: --from-environment stands alone, the settings name everything",
        )),
    }
}

fn choice(words: &Words) -> Result<Choice> {
    match words.last("--syscall").unwrap_or("auto".as_ref()).to_str() {
        Some("auto") => Ok(Choice::Auto),
        Some("load") => Ok(Choice::Only(Call::Load)),
        Some("file") => Ok(Choice::Only(Call::FileLoad)),
        _ => Err(words.misused("unable to use --syscall: it is auto, load or file")),
    }
}
