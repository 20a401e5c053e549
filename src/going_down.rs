//! Is the machine rebooting, powering off, or neither? [`decide`] is pure over
//! [`Evidence`], which host/init.rs gathers.
//!
//! OpenRC runs the same services for a reboot, a poweroff and a halt, and what it
//! tells them depends on the init. Whenever the answer is not certain, it is not
//! "reboot": a machine that reboots in the ordinary way comes back, one that was
//! to be powered off and runs on may burn.

use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::cli::Action;
use crate::failure::{Failure, Result};
use crate::host::{files, init, sys};
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};

/// The file whose presence makes the next reboot an ordinary one.
pub const SKIP_FILE: &str = "/run/rc-kexec/skip";

/// All that is known about why services are being stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// RC_GOINGDOWN, of the environment (openrc-run(8)).
    pub going_down: Option<OsString>,
    /// RC_RUNLEVEL, of the environment.
    pub runlevel: Option<OsString>,
    /// RC_REBOOT, of the environment: set by `openrc reboot` alone.
    pub reboot: Option<OsString>,
    /// Whether [`SKIP_FILE`] is there.
    pub skip: bool,
    /// Process 1.
    pub init: Init,
    /// What process 1 was sent since the trace was armed.
    pub trace: Trace,
}

/// Who process 1 is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// It cannot be seen.
    #[default]
    Hidden,
    /// BusyBox's init, and what there is of its `reboot` action.
    BusyBox(RebootAction),
    /// openrc-init: runs `openrc reboot` for a reboot and a kexec.
    OpenRc,
    /// sysvinit: runlevel 6 runs `openrc reboot`.
    SysVinit,
    /// Another, by the name of its program.
    Other(OsString),
}

/// The inittab action that Alpine's BusyBox (1.37.0-r13 and later) runs for a reboot
/// in the place of `shutdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebootAction {
    /// This init does not know it.
    Unsupported,
    /// It knows it, and /etc/inittab has no line of it.
    Absent,
    /// There is a line, and it does not run `openrc reboot`.
    Different,
    /// `openrc reboot` is run: RC_REBOOT is set for a reboot, and then only.
    InForce,
}

/// What a trace of the signals to process 1 shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// There is none.
    #[default]
    NotArmed,
    /// There may be one.
    Unreadable,
    /// No signal that BusyBox's init would act on.
    Nothing,
    /// The first that was delivered.
    First(Signal),
    /// Different ones, each delivered: which one init took first cannot be told.
    Several,
}

/// The signals by which BusyBox's init is told what to do (init/init.c,
/// `halt_reboot_pwoff`), numbered as on every architecture that is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Reboot,
    /// SIGUSR2
    PowerOff,
    /// SIGUSR1, and SIGPWR
    Halt,
}

/// The answer, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The machine is not going down.
    No,
    /// It is, and the user wants an ordinary reboot.
    Skip,
    /// It is going to reboot.
    Reboot,
    /// It is going to be off, or halted where the two cannot be told apart.
    PowerOff,
    /// It is going to stand still.
    Halt,
    /// It is going down, and nothing says for what.
    Unknown,
}

/// What the evidence comes to: the rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'e> {
    /// RC_RUNLEVEL is not shutdown.
    OtherRunlevel(Option<&'e OsStr>),
    /// RC_GOINGDOWN is not YES.
    NotGoingDown,
    /// [`SKIP_FILE`] is there.
    Skip,
    /// RC_REBOOT is YES.
    Variable,
    /// It is not, under an init that sets it for every reboot.
    NoVariable(&'static str),
    /// It is not, with BusyBox's `reboot` action in force.
    NoVariableWithAction,
    /// The first signal to BusyBox's init.
    Signal(Signal),
    /// Several signals.
    SeveralSignals,
    /// A trace that cannot be read.
    Unreadable,
    /// A trace without a signal.
    NoSignal,
    /// BusyBox's init without action and trace.
    NotArmed,
    /// An init that tells nothing.
    OtherInit(Option<&'e OsStr>),
}

/// Does what `going-down` is asked to; the exit status.
pub fn run(errand: Action) -> Result<u8> {
    match errand {
        Action::Decide { kexec_when_unknown } => {
            let evidence = init::evidence();
            let decision = decide(&evidence);
            let verdict = decision.verdict();
            let is_unknown = verdict == Verdict::Unknown;
            let policy =
                if is_unknown && kexec_when_unknown { "; a kexec is wanted all the same" } else { "" };
            files::print(format_args!("{verdict}: {decision}{policy}\n"));
            return Ok(u8::from(verdict != Verdict::Reboot && !(is_unknown && kexec_when_unknown)));
        }
        Action::Arm => init::arm()?,
        Action::Disarm => init::disarm()?,
        Action::Skip => {
            init::skip()?;
            files::print(format_args!(
                "the next reboot will be an ordinary one (rc-service kexec-load restart takes that back)\n"
            ));
        }
        Action::Rescue => {
            if needs_rescue(&init::evidence()) {
                files::eprint(format_args!("rebooting in the ordinary way: no kernel was started\n"));
                return Err(Failure::RebootRefused(sys::reboot_now()).into());
            }
        }
        Action::SetUp => {
            let text = match init::set_up()? {
                SetUp::Added => {
                    "::reboot:/sbin/openrc reboot was added to /etc/inittab, and init has read it"
                }
                SetUp::WasThere => "the line is in /etc/inittab, and init has read it",
                SetUp::NotNeeded => "there is nothing to set up: this init says so by itself",
            };
            files::print(format_args!("{text}\n"));
        }
    }
    Ok(0)
}

/// Whether the machine would stand still at the end of this shutdown: openrc-init, told
/// to kexec by `openrc-shutdown -K`, calls reboot(2) for that alone, and goes back to
/// waiting for commands when nothing is loaded, with everything else dead. Services
/// cannot tell it from a reboot, whose end this is, too.
fn needs_rescue(evidence: &Evidence) -> bool {
    evidence.init == Init::OpenRc
        && is(&evidence.runlevel, "shutdown")
        && is(&evidence.going_down, "YES")
        && is(&evidence.reboot, "YES")
}

fn is(value: &Option<OsString>, wanted: &str) -> bool {
    value.as_deref().is_some_and(|value| value == wanted)
}

/// What became of /etc/inittab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// The line was added.
    Added,
    /// It was there.
    WasThere,
    /// This init sets RC_REBOOT without.
    NotNeeded,
}

/// Decides. The first rule that applies counts.
pub fn decide(evidence: &Evidence) -> Decision<'_> {
    // RC_GOINGDOWN alone does not say so: `openrc single` sets it, too.
    if !is(&evidence.runlevel, "shutdown") {
        return Decision::OtherRunlevel(evidence.runlevel.as_deref());
    }
    if !is(&evidence.going_down, "YES") {
        return Decision::NotGoingDown;
    }
    if evidence.skip {
        return Decision::Skip;
    }
    // BusyBox's init acts on its signals alone: an inittab whose ::shutdown: line runs
    // openrc reboot says "reboot" of everything.
    let signals = if evidence.init.may_be_watched() { evidence.trace } else { Trace::NotArmed };
    if is(&evidence.reboot, "YES") {
        return match signals {
            Trace::First(signal @ (Signal::PowerOff | Signal::Halt)) => Decision::Signal(signal),
            Trace::Several => Decision::SeveralSignals,
            Trace::Unreadable => Decision::Unreadable,
            _ => Decision::Variable,
        };
    }
    match (&evidence.init, evidence.trace) {
        (Init::OpenRc, _) => Decision::NoVariable("openrc-init"),
        (Init::SysVinit, _) => Decision::NoVariable("sysvinit"),
        (Init::BusyBox(RebootAction::InForce), _) => Decision::NoVariableWithAction,
        (Init::BusyBox(_), Trace::First(signal)) => Decision::Signal(signal),
        (Init::BusyBox(_), Trace::Several) => Decision::SeveralSignals,
        (Init::BusyBox(_), Trace::Unreadable) => Decision::Unreadable,
        (Init::BusyBox(_), Trace::Nothing) => Decision::NoSignal,
        (Init::BusyBox(_), Trace::NotArmed) => Decision::NotArmed,
        (Init::Other(name), _) => Decision::OtherInit(Some(name)),
        (Init::Hidden, _) => Decision::OtherInit(None),
    }
}

impl Decision<'_> {
    /// The answer.
    pub fn verdict(&self) -> Verdict {
        match self {
            Decision::OtherRunlevel(_) | Decision::NotGoingDown => Verdict::No,
            Decision::Skip => Verdict::Skip,
            Decision::Variable | Decision::Signal(Signal::Reboot) => Verdict::Reboot,
            Decision::NoVariable(_) | Decision::NoVariableWithAction | Decision::Signal(Signal::PowerOff) => {
                Verdict::PowerOff
            }
            Decision::Signal(Signal::Halt) => Verdict::Halt,
            Decision::SeveralSignals
            | Decision::Unreadable
            | Decision::NoSignal
            | Decision::NotArmed
            | Decision::OtherInit(_) => Verdict::Unknown,
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::No => "no",
            Verdict::Skip => "skip",
            Verdict::Reboot => "reboot",
            Verdict::PowerOff => "poweroff",
            Verdict::Halt => "halt",
            Verdict::Unknown => "unknown",
        })
    }
}

impl Display for Decision<'_> {
    /// The reason.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Decision::OtherRunlevel(Some(runlevel)) => {
                write!(f, "the machine is not going down (RC_RUNLEVEL is {})", runlevel.shown())
            }
            Decision::OtherRunlevel(None) => {
                f.write_str("the machine is not going down (RC_RUNLEVEL is not set)")
            }
            Decision::NotGoingDown => f.write_str("the machine is not going down (RC_GOINGDOWN is not YES)"),
            Decision::Skip => write!(f, "an ordinary reboot was asked for ({SKIP_FILE} is there)"),
            Decision::Variable => f.write_str("RC_REBOOT is YES"),
            Decision::NoVariable(init) => {
                write!(f, "RC_REBOOT is not set, and {init} sets it for every reboot")
            }
            Decision::NoVariableWithAction => f.write_str(
                "RC_REBOOT is not set, and the ::reboot: line of /etc/inittab sets it for every reboot",
            ),
            Decision::Signal(signal) => {
                let name = match signal {
                    Signal::Reboot => "SIGTERM",
                    Signal::PowerOff => "SIGUSR2",
                    Signal::Halt => "SIGUSR1 or SIGPWR",
                };
                write!(f, "the first signal that init was sent is {name}")
            }
            Decision::SeveralSignals => f.write_str(
                "init was sent signals of different meaning, and which it took first cannot be told",
            ),
            Decision::Unreadable => f.write_str("the signals that init was sent cannot be read"),
            Decision::NoSignal => f.write_str("init was sent no signal that says so"),
            Decision::NotArmed => f.write_str(
                "BusyBox's init does not say, and its signals were not watched (is kexec-load started?)",
            ),
            Decision::OtherInit(Some(name)) => {
                write!(f, "how {} tells a reboot from a poweroff is not known", name.shown())
            }
            Decision::OtherInit(None) => f.write_str("process 1 cannot be seen"),
        }
    }
}

impl Init {
    /// Whether a trace of its signals counts: BusyBox's are watched, and where they are, one
    /// that cannot be seen is BusyBox's.
    pub fn may_be_watched(&self) -> bool {
        matches!(self, Init::BusyBox(_) | Init::Hidden)
    }
}

/// What an init's program knows of the `reboot` action and its inittab makes of it.
/// The names of its actions stand in one string, in the order of their numbers
/// (init/init.c, `parse_inittab`, with Alpine's patch).
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

/// Whether sysvinit runs `openrc reboot` in runlevel 6. Debian's runs a script that has
/// stopped every service by then, as if by hand.
pub fn sysvinit_tells(inittab: &[u8]) -> bool {
    parts(inittab, b'\n').any(|line| {
        let mut fields = line.splitn(4, |&byte| byte == b':').skip(1);
        let is_six = fields.next().is_some_and(|runlevels| runlevels.contains(&b'6'));
        !line.starts_with(b"#") && is_six && fields.nth(1).is_some_and(runs_openrc_reboot)
    })
}

/// `/sbin/openrc reboot`, wherever openrc lies.
fn runs_openrc_reboot(process: &[u8]) -> bool {
    let mut words = process.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let openrc = words.next().and_then(|path| path.rsplit(|&byte| byte == b'/').next());
    openrc == Some(b"openrc") && words.next() == Some(b"reboot")
}

/// Who process 1 is, by its program and the program's name.
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

/// Whether `wanted` is somewhere in the megabytes of a program.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    after(bytes, wanted).is_some()
}

/// What follows the first `wanted`.
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

/// What a trace of `signal_generate` shows (include/trace/events/signal.h), oldest
/// line first: `SENDER-PID [CPU] FLAGS TIME: signal_generate: sig=12 errno=0 code=0
/// comm=init pid=1 grp=1 res=0`. A signal with res=0 was delivered; one that init
/// ignores, as it does once it has begun to go down, has res=1.
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

/// The signal of a line, when it was delivered to process 1.
fn delivered(line: &[u8]) -> Option<Signal> {
    // A process's name has at most 15 bytes: no sender's can hold this.
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
    use super::*;
    use Init::{BusyBox, Hidden, OpenRc, SysVinit};
    use RebootAction::{Absent, Different, InForce, Unsupported};

    const SHUTDOWN: Option<&str> = Some("shutdown");
    const YES: Option<&str> = Some("YES");

    #[test]
    fn the_table_of_decisions() {
        let other = || Init::Other("s6-svscan".into());
        let (no, unknown) = (Verdict::No, Verdict::Unknown);
        let (reboot, off, halt) = (Verdict::Reboot, Verdict::PowerOff, Verdict::Halt);
        let term = Trace::First(Signal::Reboot);
        // RC_RUNLEVEL, RC_GOINGDOWN, RC_REBOOT, init, trace -> verdict
        let table = [
            // Not going down, whatever else there is.
            (None, None, None, BusyBox(Absent), term, no),
            (None, YES, YES, OpenRc, term, no),
            (Some("single"), YES, None, BusyBox(Absent), term, no),
            (Some("single"), YES, YES, SysVinit, term, no),
            (Some("default"), YES, YES, BusyBox(InForce), term, no),
            (Some("default"), None, None, OpenRc, Trace::NotArmed, no),
            (Some("shutdown "), YES, YES, OpenRc, term, no),
            (SHUTDOWN, None, YES, OpenRc, term, no),
            (SHUTDOWN, Some("NO"), YES, BusyBox(Absent), term, no),
            // RC_REBOOT says so under every init.
            (SHUTDOWN, YES, YES, OpenRc, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, SysVinit, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, BusyBox(InForce), Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, BusyBox(Unsupported), term, reboot),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Nothing, reboot),
            (SHUTDOWN, YES, YES, OpenRc, Trace::First(Signal::Halt), reboot),
            // Unless BusyBox's init was sent something else.
            (SHUTDOWN, YES, YES, BusyBox(Unsupported), Trace::First(Signal::Halt), halt),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::First(Signal::PowerOff), off),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Several, unknown),
            (SHUTDOWN, YES, YES, BusyBox(Absent), Trace::Unreadable, unknown),
            (SHUTDOWN, YES, YES, other(), Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, Hidden, Trace::NotArmed, reboot),
            (SHUTDOWN, YES, YES, Hidden, Trace::First(Signal::PowerOff), off),
            // Its absence says something where it is always set.
            (SHUTDOWN, YES, None, OpenRc, Trace::NotArmed, off),
            (SHUTDOWN, YES, None, OpenRc, term, off),
            (SHUTDOWN, YES, None, SysVinit, term, off),
            (SHUTDOWN, YES, Some("NO"), SysVinit, Trace::NotArmed, off),
            (SHUTDOWN, YES, None, BusyBox(InForce), Trace::NotArmed, off),
            (SHUTDOWN, YES, None, BusyBox(InForce), term, off),
            // Else the trace does, for BusyBox's init alone.
            (SHUTDOWN, YES, None, BusyBox(Unsupported), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Absent), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Different), term, reboot),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::First(Signal::PowerOff), off),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::First(Signal::Halt), halt),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Several, unknown),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Unreadable, unknown),
            (SHUTDOWN, YES, None, BusyBox(Absent), Trace::Nothing, unknown),
            (SHUTDOWN, YES, None, BusyBox(Unsupported), Trace::NotArmed, unknown),
            (SHUTDOWN, YES, None, other(), term, unknown),
            (SHUTDOWN, YES, None, Hidden, term, unknown),
        ];
        for (runlevel, going_down, variable, init, trace, wanted) in table {
            let mut evidence = Evidence {
                going_down: going_down.map(OsString::from),
                runlevel: runlevel.map(OsString::from),
                reboot: variable.map(OsString::from),
                skip: false,
                init,
                trace,
            };
            let decision = decide(&evidence);
            assert_eq!(decision.verdict(), wanted, "{evidence:?}: {decision}");
            // Asking for an ordinary reboot never makes anything else of "no".
            evidence.skip = true;
            let wanted = if wanted == no { no } else { Verdict::Skip };
            assert_eq!(decide(&evidence).verdict(), wanted, "{evidence:?}");
        }
    }

    #[test]
    fn only_openrc_init_on_its_way_to_a_reboot_is_rescued() {
        let reboot = Evidence {
            going_down: YES.map(OsString::from),
            runlevel: SHUTDOWN.map(OsString::from),
            reboot: YES.map(OsString::from),
            init: OpenRc,
            ..Evidence::default()
        };
        assert!(needs_rescue(&reboot));
        assert!(needs_rescue(&Evidence { skip: true, ..reboot.clone() }));
        for other in [
            Evidence { init: SysVinit, ..reboot.clone() },
            Evidence { init: BusyBox(InForce), ..reboot.clone() },
            Evidence { init: Hidden, ..reboot.clone() },
            Evidence { reboot: None, ..reboot.clone() },
            Evidence { going_down: None, ..reboot.clone() },
            Evidence { runlevel: Some("single".into()), ..reboot },
        ] {
            assert!(!needs_rescue(&other), "{other:?}");
        }
    }

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
