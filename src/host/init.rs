//! Process 1: which init it is, and which signals it was sent.
//!
//! An instance of tracefs watches its signals (Documentation/trace/ftrace.rst, "Instances";
//! events.rst, "Event filtering"). No process runs for that: the kernel writes a line for each
//! signal.

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

/// The folder for all files that this program writes, beside the inittab.
const RUN: &str = "/run/rc-kexec";
/// Present while tracefs is mounted because of us.
const MOUNTED: &str = "/run/rc-kexec/mounted-tracefs";
const TRACEFS: &str = "/sys/kernel/tracing";
const TRACEFS_FOR_C: &CStr = c"/sys/kernel/tracing";
const INSTANCE: &str = "/sys/kernel/tracing/instances/rc-kexec";
const INITTAB: &str = "/etc/inittab";
/// With this line, RC_REBOOT is YES for a reboot and is not set for a poweroff.
const REBOOT_LINE: &str = "::reboot:/sbin/openrc reboot\n";

/// The settings of the instance, in the order in which they are written.
const SETTINGS: [(&str, &str); 7] = [
    ("events/signal/signal_generate/enable", "0"),
    // A few lines are enough. The first one counts, and later ones must not overwrite it.
    ("buffer_size_kb", "4"),
    ("options/overwrite", "0"),
    // CLOCK_MONOTONIC, the same on every processor: the lines stay in their order.
    ("trace_clock", "mono"),
    ("events/signal/signal_generate/filter", "pid==1 && (sig==10 || sig==12 || sig==15 || sig==30)"),
    // Opening this file with O_TRUNC empties the buffer.
    ("trace", ""),
    ("events/signal/signal_generate/enable", "1"),
];

/// Which init process 1 is, and what its inittab says.
pub fn kind() -> Init {
    let Ok(name) = file::read_link("/proc/1/exe".as_ref()) else { return Init::Hidden };
    // This name opens the program that runs, even when an upgrade has replaced its file
    // (proc_pid_exe(5)).
    let Ok(program) = Input::open("/proc/1/exe".as_ref()) else { return Init::Hidden };
    let name = name.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    init::recognise_init(OsStr::from_bytes(name), program.bytes(), &read_or_empty(INITTAB))
}

/// Whether sysvinit's inittab runs `openrc reboot` for a reboot.
pub fn sysvinit_tells() -> bool {
    init::sysvinit_tells(&read_or_empty(INITTAB))
}

/// The signals that process 1 was sent since [`arm`].
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

/// Whether a service of OpenRC's shutdown runlevel runs this program (openrc-run(8): RC_SVCNAME,
/// RC_RUNLEVEL).
pub fn is_in_shutdown_service() -> bool {
    environment(c"RC_SVCNAME").is_some()
        && environment(c"RC_RUNLEVEL").is_some_and(|runlevel| runlevel == "shutdown")
}

/// All that is known about why OpenRC stops services now.
pub fn evidence() -> Evidence {
    let kind = kind();
    Evidence {
        going_down: environment(c"RC_GOINGDOWN"),
        runlevel: environment(c"RC_RUNLEVEL"),
        reboot: environment(c"RC_REBOOT"),
        // Unless it is certainly absent, the user asked for an ordinary reboot.
        skip: files::may_exist(SKIP_FILE),
        trace: if kind.may_be_watched() { trace() } else { Trace::NotArmed },
        init: kind,
    }
}

/// Begins to watch process 1's signals, under an init that needs it, and takes back [`skip`].
/// Fails with [`Failure::Arm`], and then leaves nothing behind.
pub fn arm() -> Result<()> {
    gone(SKIP_FILE, files::remove_file(SKIP_FILE))?;
    let kind = kind();
    if kind == Init::BusyBox(RebootAction::InForce) {
        // Init may not have read the line yet, and then it is not in force.
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

/// The answer of a step, with the path at which it failed.
fn armed(path: &OsStr, answer: Result<(), Errno>) -> Result<()> {
    answer.map_err(|errno| Failure::Arm { path: path.to_os_string(), errno }.into())
}

fn make_instance() -> Result<()> {
    if !exists("/sys/kernel/tracing/instances") {
        armed(RUN.as_ref(), files::make_dir(RUN))?;
        // The note comes first: a mount without it would stay.
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

/// Undoes [`arm`] and [`skip`]. Fails with [`Failure::Disarm`].
pub fn disarm() -> Result<()> {
    let undone = remove_instance().and(gone(SKIP_FILE, files::remove_file(SKIP_FILE)));
    // With somebody else's files in it, the folder stays.
    let _ = files::remove_dir(RUN);
    undone
}

/// The answer of a removal, which an absent path does not fail.
fn gone(path: &'static str, answer: Result<(), Errno>) -> Result<()> {
    match answer {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Failure::Disarm { path, errno }.into()),
    }
}

fn remove_instance() -> Result<()> {
    if exists(INSTANCE) {
        // Off first: no line comes in while the instance is removed.
        let _ = write(&in_instance("events/signal/signal_generate/enable"), b"0");
        gone(INSTANCE, files::remove_dir(INSTANCE))?;
    }
    if exists(MOUNTED) {
        // Somebody else may use it, or have unmounted it, by now.
        match unmount(TRACEFS_FOR_C) {
            Ok(()) | Err(Errno::EBUSY | Errno::EINVAL) => {}
            Err(errno) => return Err(Failure::Disarm { path: TRACEFS, errno }.into()),
        }
    }
    gone(MOUNTED, files::remove_file(MOUNTED))
}

/// Makes the next reboot an ordinary one. Fails with [`Failure::Skip`].
pub fn skip() -> Result<()> {
    let made = files::make_dir(RUN).and_then(|()| write(SKIP_FILE.as_ref(), b""));
    made.map_err(|errno| Failure::Skip { errno }.into())
}

/// Adds the `::reboot:` line to /etc/inittab unless it is there, and lets init read it. Fails under
/// an init that does not know the action, and when the inittab cannot be changed.
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
    // BusyBox, init --help: "HUP: reload /etc/inittab". A second time does no harm.
    signal_init_to_reload().map_err(failed)?;
    Ok(done)
}
