//! The options of kexec-exec.

use super::words::Words;
use super::{Command, Jump};
use crate::failure::Result;
use crate::jump::{Request, When};
use argh::ArgsInfo;

/// Start the loaded kernel at the end of a shutdown for a reboot: write cached data
/// to the disks, then jump. Refuse when no kernel is loaded or when the machine is not
/// rebooting (rc-kexec going-down says why).
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// what to do when this may be a reboot or a poweroff: reboot (the default:
    /// refuse, so that the machine goes on in the ordinary way) or kexec
    #[argh(option, arg_name = "WHAT")]
    when_unknown: Option<String>,
    /// jump at once, even when the machine is not shutting down
    #[argh(switch)]
    now: bool,
    /// print details
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
