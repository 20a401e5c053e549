//! Process 1: which init it is, what its inittab says, and which signals it was sent.

use crate::base::bytes::parts;
use std::ffi::{OsStr, OsString};

/// Which init process 1 is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// Process 1 cannot be seen.
    #[default]
    Hidden,
    /// BusyBox's init, and the state of its `reboot` action.
    BusyBox(RebootAction),
    /// openrc-init. It runs `openrc reboot` for a reboot and for a kexec.
    OpenRc,
    /// sysvinit. Its runlevel 6 runs `openrc reboot` ([`sysvinit_tells`]).
    SysVinit,
    /// Another init, with the name of its program.
    Other(OsString),
}

/// The inittab action that Alpine's BusyBox (1.37.0-r13 and later) runs for a reboot instead of
/// `shutdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebootAction {
    /// This init does not know it.
    Unsupported,
    /// This init knows it, and /etc/inittab has no line for it.
    Absent,
    /// /etc/inittab has a line for it, which does not run `openrc reboot`.
    Different,
    /// The line runs `openrc reboot`: RC_REBOOT is set for a reboot, and only then.
    InForce,
}

/// What a trace of the signals to process 1 shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Nothing watches the signals.
    #[default]
    NotArmed,
    /// A trace may exist, and cannot be read.
    Unreadable,
    /// No signal on which BusyBox's init would act.
    Nothing,
    /// This signal was the first, and no other kind was delivered.
    First(Signal),
    /// Different signals were delivered. Which one init acts on cannot be told.
    Several,
}

/// The signals that tell BusyBox's init to go down (init/init.c, `halt_reboot_pwoff`). Their numbers
/// are the same on every architecture that this program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Reboot,
    /// SIGUSR2
    PowerOff,
    /// SIGUSR1, and SIGPWR
    Halt,
}

impl Init {
    /// Whether a trace has to tell a reboot from a poweroff: under BusyBox's init, unless its
    /// `reboot` action is in force.
    pub fn needs_trace(&self) -> bool {
        matches!(self, Init::BusyBox(action) if *action != RebootAction::InForce)
    }

    /// Whether a trace of its signals counts. Only BusyBox's init is watched, so a watched init that
    /// cannot be seen is BusyBox's.
    pub fn may_be_watched(&self) -> bool {
        matches!(self, Init::BusyBox(_) | Init::Hidden)
    }
}

/// The state of the `reboot` action, from the bytes of init's program and its inittab. The program
/// has the names of the actions in one string, in the order of their numbers (init/init.c,
/// `parse_inittab`, with Alpine's patch).
pub fn reboot_action(program: &[u8], inittab: &[u8]) -> RebootAction {
    if !contains(program, b"shutdown\0reboot\0restart\0") {
        return RebootAction::Unsupported;
    }
    // id:runlevels:action:process
    let processes = parts(inittab, b'\n').filter_map(|line| {
        let line = parts(line, b'#').next().unwrap_or_default();
        let mut fields = line.splitn(4, |&byte| byte == b':').skip(2);
        (fields.next() == Some(b"reboot")).then(|| fields.next().unwrap_or_default())
    });
    processes.fold(RebootAction::Absent, |found, process| {
        if found == RebootAction::InForce || runs_openrc_reboot(process) {
            RebootAction::InForce
        } else {
            RebootAction::Different
        }
    })
}

/// Whether sysvinit runs `openrc reboot` in runlevel 6. Debian's runs a script instead, which stops
/// every service before that, as a user would.
pub fn sysvinit_tells(inittab: &[u8]) -> bool {
    parts(inittab, b'\n').any(|line| {
        let mut fields = line.splitn(4, |&byte| byte == b':').skip(1);
        let is_six = fields.next().is_some_and(|runlevels| runlevels.contains(&b'6'));
        !line.starts_with(b"#") && is_six && fields.nth(1).is_some_and(runs_openrc_reboot)
    })
}

/// Whether a process is `openrc reboot`, with openrc in any folder.
fn runs_openrc_reboot(process: &[u8]) -> bool {
    let mut words = process.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let openrc = words.next().and_then(|path| path.rsplit(|&byte| byte == b'/').next());
    openrc == Some(b"openrc") && words.next() == Some(b"reboot")
}

/// Which init it is, from its program's name and bytes, and its inittab.
pub fn recognise_init(name: &OsStr, program: &[u8], inittab: &[u8]) -> Init {
    if contains(program, b"BusyBox v") {
        Init::BusyBox(reboot_action(program, inittab))
    } else if contains(program, b"OpenRC init version") {
        Init::OpenRc
    } else if contains(program, b"INIT_VERSION=sysvinit-") {
        Init::SysVinit
    } else {
        Init::Other(name.to_os_string())
    }
}

/// Whether `wanted` is anywhere in the bytes of a program.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    after(bytes, wanted).is_some()
}

/// The bytes after the first `wanted`.
fn after<'b>(mut bytes: &'b [u8], wanted: &[u8]) -> Option<&'b [u8]> {
    let Some((&first, rest)) = wanted.split_first() else { return Some(bytes) };
    while let Some(at) = bytes.iter().position(|&byte| byte == first) {
        bytes = bytes.get(at.saturating_add(1)..).unwrap_or_default();
        if let Some(after) = bytes.strip_prefix(rest) {
            return Some(after);
        }
    }
    None
}

/// Reads a trace of `signal_generate` (include/trace/events/signal.h), the oldest line first:
/// `SENDER-PID [CPU] FLAGS TIME: signal_generate: sig=12 errno=0 code=0 comm=init pid=1 grp=1
/// res=0`. A delivered signal has res=0. A signal that init ignores has res=1, as every one has once
/// init has begun to go down.
pub fn read_trace(trace: &[u8]) -> Trace {
    let mut found = Trace::Nothing;
    for line in parts(trace, b'\n') {
        match (delivered(line), found) {
            (None, _) => {}
            (Some(signal), Trace::Nothing) => found = Trace::First(signal),
            (Some(signal), Trace::First(first)) if signal == first => {}
            _ => return Trace::Several,
        }
    }
    found
}

/// The signal of a line that was delivered to process 1.
fn delivered(line: &[u8]) -> Option<Signal> {
    // The name of a process has at most 15 bytes: the sender's name cannot contain this.
    let fields = after(line, b": signal_generate: ")?;
    let mut words = fields.split(|&byte| byte == b' ');
    let signal = words.next()?;
    let mut last = words.rev();
    if last.next()?.trim_ascii_end() != b"res=0" || last.nth(1)? != b"pid=1" {
        return None;
    }
    match signal {
        b"sig=15" => Some(Signal::Reboot),
        b"sig=12" => Some(Signal::PowerOff),
        b"sig=10" | b"sig=30" => Some(Signal::Halt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Init::{BusyBox, OpenRc, SysVinit};
    use super::RebootAction::{Absent, Different, InForce, Unsupported};
    use super::*;

    /// Lines as a machine's trace had them (BusyBox 1.37, Linux 6.12).
    fn line(signal: u32, result: u32) -> String {
        format!(
            "        poweroff-190     [001] d....     7.817287: signal_generate: sig={signal} errno=0 code=0 comm=init pid=1 grp=1 res={result}\n"
        )
    }

    #[test]
    fn the_first_signal_that_was_delivered_counts() {
        let head = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 1/1   #P:1\n#\n";
        let table = [
            (String::new(), Trace::Nothing),
            (head.to_string(), Trace::Nothing),
            (line(15, 0), Trace::First(Signal::Reboot)),
            (line(12, 0), Trace::First(Signal::PowerOff)),
            (line(10, 0), Trace::First(Signal::Halt)),
            (line(30, 0), Trace::First(Signal::Halt)),
            (line(15, 1), Trace::Nothing),
            (line(1, 0), Trace::Nothing),
            // What is typed while the machine goes down is ignored by init.
            (line(15, 0) + &line(12, 1), Trace::First(Signal::Reboot)),
            (line(12, 0) + &line(15, 1) + &line(10, 1), Trace::First(Signal::PowerOff)),
            (line(15, 0) + &line(15, 2), Trace::First(Signal::Reboot)),
            // Two at once: init takes the lower number, or the one before.
            (line(15, 0) + &line(12, 0), Trace::Several),
            (line(10, 0) + &line(30, 0), Trace::First(Signal::Halt)),
        ];
        for (text, wanted) in table {
            assert_eq!(read_trace((head.to_string() + &text).as_bytes()), wanted, "{text}");
            assert_eq!(read_trace(text.trim_end().as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn names_of_senders_cannot_forge_a_signal() {
        for name in ["sig=15 res=0", "x: sig=15 pid=1", ": signal_genera"] {
            let line = line(12, 0).replace("poweroff", name);
            assert_eq!(read_trace(line.as_bytes()), Trace::First(Signal::PowerOff), "{line}");
            let ignored = line.replace("res=0\n", "res=1\n");
            assert_eq!(read_trace(ignored.as_bytes()), Trace::Nothing, "{ignored}");
        }
        let other = line(15, 0).replace("pid=1 ", "pid=17 ");
        assert_eq!(read_trace(other.as_bytes()), Trace::Nothing);
        for cut in 0..line(15, 0).len() - 2 {
            assert_eq!(read_trace(&line(15, 0).as_bytes()[..cut]), Trace::Nothing, "{cut}");
        }
    }

    /// The table of actions of an init as it is, and with Alpine's patch.
    const PLAIN: &[u8] =
        b"..BusyBox v1.37.0\0sysinit\0wait\0once\0respawn\0askfirst\0ctrlaltdel\0shutdown\0restart\0\0";
    const PATCHED: &[u8] =
        b"..BusyBox v1.37.0\0sysinit\0wait\0once\0respawn\0askfirst\0ctrlaltdel\0shutdown\0reboot\0restart\0\0";

    /// As Alpine installs it.
    const STOCK: &str = "# /etc/inittab\n\n::sysinit:/sbin/openrc sysinit\n::sysinit:/sbin/openrc boot\n::wait:/sbin/openrc default\n\n# Set up a couple of getty's\ntty1::respawn:/sbin/getty 38400 tty1\n\n# Stuff to do for the 3-finger salute\n::ctrlaltdel:/sbin/reboot\n\n# Stuff to do before rebooting\n::shutdown:/sbin/openrc shutdown\n";

    #[test]
    fn the_reboot_action_takes_an_init_that_knows_it_and_a_line() {
        let table = [
            ("", Absent),
            ("::reboot:/sbin/openrc reboot\n", InForce),
            ("::reboot:/usr/sbin/openrc  reboot", InForce),
            ("::reboot:openrc reboot # told apart\n", InForce),
            ("id:3:reboot:/sbin/openrc reboot\n", InForce),
            ("#::reboot:/sbin/openrc reboot\n", Absent),
            ("# ::reboot:/sbin/openrc reboot\n", Absent),
            ("::reboot:/bin/umount -a -r\n", Different),
            ("::reboot:/sbin/openrc shutdown\n", Different),
            ("::reboot:/sbin/myopenrc reboot\n", Different),
            ("::reboot\n", Different),
            ("::reboots:/sbin/openrc reboot\n", Absent),
            ("::shutdown:/sbin/openrc reboot\n", Absent),
            ("::reboot:/bin/sync\n::reboot:/sbin/openrc reboot\n::reboot:/bin/sync\n", InForce),
        ];
        for (line, wanted) in table {
            let inittab = format!("{STOCK}{line}");
            assert_eq!(reboot_action(PATCHED, inittab.as_bytes()), wanted, "{line}");
            assert_eq!(reboot_action(PLAIN, inittab.as_bytes()), Unsupported, "{line}");
        }
    }

    #[test]
    fn sysvinit_tells_by_openrc_reboot_in_runlevel_6() {
        for (line, wanted) in [
            ("l6:6:wait:/sbin/openrc reboot", true),
            ("l6:06:wait:/usr/sbin/openrc reboot", true),
            ("l6:6:wait:/etc/init.d/rc 6", false),
            ("l0:0:wait:/sbin/openrc reboot", false),
            ("#l6:6:wait:/sbin/openrc reboot", false),
            ("l6:6:wait:/sbin/openrc shutdown", false),
            ("l6:6", false),
            ("", false),
        ] {
            assert_eq!(sysvinit_tells(format!("id:3:initdefault:\n{line}\n").as_bytes()), wanted, "{line}");
        }
    }

    #[test]
    fn inits_are_known_by_their_program_and_not_by_their_name() {
        let init = OsStr::new("init");
        assert_eq!(recognise_init(init, PLAIN, STOCK.as_bytes()), BusyBox(Unsupported));
        assert_eq!(recognise_init(init, PATCHED, STOCK.as_bytes()), BusyBox(Absent));
        assert_eq!(recognise_init(init, b"\0OpenRC init version %s starting\n\0", b""), OpenRc);
        assert_eq!(recognise_init(init, b"PATH=/sbin\0INIT_VERSION=sysvinit-3.14\0", b""), SysVinit);
        assert_eq!(recognise_init(OsStr::new("openrc-init"), b"", b""), Init::Other("openrc-init".into()));
    }
}
