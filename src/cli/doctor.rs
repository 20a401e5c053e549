//! The options of doctor.

use super::words::Words;
use super::{Command, DoctorRequest};
use crate::doctor::Format;
use crate::failure::Result;
use crate::settings::Origin;
use argh::ArgsInfo;

/// Say what stands between this machine and a kexec, and what to do about it. The exit
/// status is 0 when a reboot now would be a kexec, else 1. When no option says what to
/// load, /etc/conf.d/kexec-load does.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// one line for each finding, for scripts: name, status, text
    #[argh(switch)]
    porcelain: bool,
    /// at most two lines, and none when a reboot now would be a kexec
    #[argh(switch)]
    warn: bool,
    /// say what stands between a panic and a dump
    #[cfg(feature = "vmcore")]
    #[argh(switch)]
    crash: bool,
    /// as for kexec-load
    #[argh(option, arg_name = "FILE")]
    initrd: Vec<String>,
    /// as for kexec-load
    #[argh(option, arg_name = "LINE")]
    append: Option<String>,
    /// as for kexec-load
    #[argh(option, arg_name = "LINE")]
    command_line: Option<String>,
    /// as for kexec-load
    #[argh(switch)]
    reuse_cmdline: bool,
    /// another name of --reuse-cmdline
    #[argh(switch, hidden_help)]
    reuse_commandline: bool,
    /// as for kexec-load
    #[argh(option, arg_name = "SRC:DEST[:MODE]")]
    add_file: Vec<String>,
    /// as for kexec-load
    #[argh(option, arg_name = "FILE")]
    crypt_key: Option<String>,
    /// as for kexec-load
    #[argh(switch)]
    force: bool,
    /// as for kexec-load
    #[argh(option, arg_name = "FILE")]
    dtb: Option<String>,
    /// as for kexec-load
    #[argh(option, arg_name = "DIR")]
    boot: Option<String>,
    /// as for kexec-load
    #[argh(option, arg_name = "FLAVOUR")]
    flavour: Option<String>,
    /// as for kexec-load
    #[argh(switch)]
    from_environment: bool,
    /// as for kexec-exec
    #[argh(option, arg_name = "WHAT")]
    when_unknown: Option<String>,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the kernel
    #[argh(positional)]
    kernel: Option<String>,
}

/// `doctor ...`
pub fn command(words: &Words) -> Result<Command> {
    let format = match (words.has("--porcelain"), words.has("--warn")) {
        (false, false) => Format::Table,
        (true, false) => Format::Porcelain,
        (false, true) => Format::Warning,
        (true, true) => {
            return Err(words.misused("unable to use --porcelain with --warn: give one of them"));
        }
    };
    Ok(Command::Doctor(DoctorRequest {
        load: super::load::origin(words)?.unwrap_or(Origin::File),
        when_unknown: super::when_unknown(words)?,
        #[cfg(feature = "vmcore")]
        crash: words.has("--crash"),
        format,
    }))
}
