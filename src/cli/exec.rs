//! The options of kexec-exec.

use super::words::Words;
use super::{Command, Jump};
use crate::failure::Result;
use crate::jump::{Request, When};
use argh::ArgsInfo;

/// Start the loaded kernel at the end of a shutdown for a reboot: writes file
/// systems' data and jumps. Refuses when nothing is loaded or the machine is not
/// going to reboot (rc-kexec going-down says why).
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// what to do when a reboot cannot be told from a poweroff: reboot (refuse, so
    /// that it goes on in the ordinary way; the default) or kexec
    #[argh(option, arg_name = "WHAT")]
    when_unknown: Option<String>,
    /// jump at once, even when the machine is not going down
    #[argh(switch)]
    now: bool,
    /// say everything
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
}

/// `kexec-exec ...`
pub fn command(words: &Words) -> Result<Command> {
    let when_unknown = super::when_unknown(words)?;
    let when = if words.has("--now") { When::Now } else { When::Rebooting(when_unknown) };
    let request = Request { when, sync: true };
    Ok(Command::Jump(Jump { request, debug: words.has("--debug"), ignored: Vec::new() }))
}
