//! Process 1: who it is, and what it was sent.
//!
//! Its signals are watched by an instance of tracefs of our own
//! (Documentation/trace/ftrace.rst, "Instances"; events.rst, "Event filtering"). No
//! process runs for it: the kernel writes a line when a signal is sent.

use super::files::{self, Input, exists, read, read_or_empty, write};
use super::sys::file;
use super::sys::mount::{mount_tracefs, unmount};
use super::sys::process::{environment, signal_init_to_reload};
use crate::failure::{Failure, Result};
use crate::known::init::{self, Init, RebootAction, Trace};
use crate::known::shutdown::{Evidence, SKIP_FILE, SetUp};
use core::ffi::CStr;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where all is that this program writes.
const RUN: &str = "/run/rc-kexec";
/// Says that tracefs is mounted because of us.
const MOUNTED: &str = "/run/rc-kexec/mounted-tracefs";
const TRACEFS: &str = "/sys/kernel/tracing";
const TRACEFS_FOR_C: &CStr = c"/sys/kernel/tracing";
const INSTANCE: &str = "/sys/kernel/tracing/instances/rc-kexec";
const INITTAB: &str = "/etc/inittab";
/// What makes RC_REBOOT tell.
const REBOOT_LINE: &str = "::reboot:/sbin/openrc reboot\n";

/// The settings of the instance, in the order in which they are made.
const SETTINGS: [(&str, &str); 7] = [
    ("events/signal/signal_generate/enable", "0"),
    // A few lines are enough, and the first one counts: nothing may push it out.
    ("buffer_size_kb", "4"),
    ("options/overwrite", "0"),
    // "mono": the same on every processor, so that the lines come in their order.
    ("trace_clock", "mono"),
    ("events/signal/signal_generate/filter", "pid==1 && (sig==10 || sig==12 || sig==15 || sig==30)"),
    // Opening it for writing empties it.
    ("trace", ""),
    ("events/signal/signal_generate/enable", "1"),
];

/// Who process 1 is.
pub fn kind() -> Init {
    let Ok(name) = file::read_link("/proc/1/exe".as_ref()) else { return Init::Hidden };
    // Open by this name it is the program that runs, even where an upgrade has
    // replaced its file.
    let Ok(program) = Input::open("/proc/1/exe".as_ref()) else { return Init::Hidden };
    let name = name.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    init::recognise_init(OsStr::from_bytes(name), program.bytes(), &read_or_empty(INITTAB))
}

/// Whether sysvinit's inittab lets it tell a reboot from a poweroff.
pub fn sysvinit_tells() -> bool {
    init::sysvinit_tells(&read_or_empty(INITTAB))
}

/// What the trace shows.
pub fn trace() -> Trace {
    match read(in_instance("events/signal/signal_generate/enable")) {
        Ok(enabled) if enabled.starts_with(b"1") => {
            read(in_instance("trace")).map_or(Trace::Unreadable, |text| init::read_trace(&text))
        }
        Ok(_) | Err(Errno::ENOENT) => Trace::NotArmed,
        Err(_) => Trace::Unreadable,
    }
}

fn in_instance(name: &str) -> OsString {
    files::joined(&[INSTANCE.as_ref(), name.as_ref()])
}

/// All that is known about why services are being stopped.
pub fn evidence() -> Evidence {
    let kind = kind();
    Evidence {
        going_down: environment(c"RC_GOINGDOWN"),
        runlevel: environment(c"RC_RUNLEVEL"),
        reboot: environment(c"RC_REBOOT"),
        // One that cannot be seen may be there.
        skip: files::may_exist(SKIP_FILE),
        trace: if kind.may_be_watched() { trace() } else { Trace::NotArmed },
        init: kind,
    }
}

/// Begins to watch process 1's signals, where nothing else tells them apart.
/// Takes back an ordinary reboot that was asked for.
pub fn arm() -> Result<()> {
    gone(SKIP_FILE, files::remove_file(SKIP_FILE))?;
    let kind = kind();
    if kind == Init::BusyBox(RebootAction::InForce) {
        // A line that init has not read is not in force yet.
        let _ = signal_init_to_reload();
    }
    if !kind.needs_trace() {
        let _ = files::remove_dir(RUN);
        return Ok(());
    }
    let result = make_instance();
    if result.is_err() {
        let _ = remove_instance();
        let _ = files::remove_dir(RUN);
    }
    result
}

/// The answer of a step at this path.
fn armed(path: &OsStr, answer: Result<(), Errno>) -> Result<()> {
    answer.map_err(|errno| Failure::Arm { path: path.to_os_string(), errno }.into())
}

fn make_instance() -> Result<()> {
    if !exists("/sys/kernel/tracing/instances") {
        armed(RUN.as_ref(), files::make_dir(RUN))?;
        // Noted first: what is not known to be ours would stay mounted.
        armed(MOUNTED.as_ref(), write(MOUNTED.as_ref(), b""))?;
        armed(TRACEFS.as_ref(), mount_tracefs(TRACEFS_FOR_C))?;
    }
    armed(INSTANCE.as_ref(), files::make_dir(INSTANCE))?;
    for (name, value) in SETTINGS {
        let path = in_instance(name);
        armed(&path, write(&path, value.as_bytes()))?;
    }
    Ok(())
}

/// Undoes what [`arm`] did, and all that is under /run.
pub fn disarm() -> Result<()> {
    let undone = remove_instance().and(gone(SKIP_FILE, files::remove_file(SKIP_FILE)));
    // Somebody else's files stay, and the folder with them.
    let _ = files::remove_dir(RUN);
    undone
}

/// A failure, unless it is that the path is not there.
fn gone(path: &'static str, answer: Result<(), Errno>) -> Result<()> {
    match answer {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Failure::Disarm { path, errno }.into()),
    }
}

fn remove_instance() -> Result<()> {
    if exists(INSTANCE) {
        // What is watched cannot be removed.
        let _ = write(&in_instance("events/signal/signal_generate/enable"), b"0");
        gone(INSTANCE, files::remove_dir(INSTANCE))?;
    }
    if exists(MOUNTED) {
        // Somebody else may be using it by now.
        match unmount(TRACEFS_FOR_C) {
            Ok(()) | Err(Errno::EBUSY | Errno::EINVAL) => {}
            Err(errno) => return Err(Failure::Disarm { path: TRACEFS, errno }.into()),
        }
    }
    gone(MOUNTED, files::remove_file(MOUNTED))
}

/// Makes the next reboot an ordinary one.
pub fn skip() -> Result<()> {
    let made = files::make_dir(RUN).and_then(|()| write(SKIP_FILE.as_ref(), b""));
    made.map_err(|errno| Failure::Skip { errno }.into())
}

/// Adds the `::reboot:` line to /etc/inittab, once, and lets init read it.
pub fn set_up() -> Result<SetUp> {
    let failed = |errno| Box::new(Failure::SetUp { errno });
    let done = match kind() {
        Init::BusyBox(RebootAction::InForce) => SetUp::WasThere,
        Init::BusyBox(RebootAction::Absent) => {
            let inittab = read(INITTAB).map_err(failed)?;
            let mut line = Vec::new();
            if inittab.last().is_some_and(|&byte| byte != b'\n') {
                line.push(b'\n');
            }
            line.extend_from_slice(REBOOT_LINE.as_bytes());
            files::append(INITTAB, &line).map_err(failed)?;
            SetUp::Added
        }
        Init::BusyBox(RebootAction::Unsupported) => return Err(Failure::NoRebootAction.into()),
        Init::BusyBox(RebootAction::Different) => return Err(Failure::OtherRebootLine.into()),
        Init::OpenRc | Init::SysVinit => return Ok(SetUp::NotNeeded),
        Init::Hidden => return Err(Failure::InitHidden.into()),
        Init::Other(_) => return Err(Failure::NotBusyBox.into()),
    };
    // SIGHUP: "reload /etc/inittab". It costs nothing when it has been read already.
    signal_init_to_reload().map_err(failed)?;
    Ok(done)
}
