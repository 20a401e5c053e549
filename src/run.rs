//! What each command does: the verbs, and the words around them.

use rc_kexec::base::text::Shown;
use rc_kexec::cli::{Command, Jump, Load};
use rc_kexec::failure::{Failure, Result};
use rc_kexec::host;
use rc_kexec::host::files;
use rc_kexec::host::memory::{self, Memory};
use rc_kexec::host::stdio::{eprint, eprint_with, print, print_whole, print_with};
use rc_kexec::host::sys::process;
use rc_kexec::known::boot_options;
use rc_kexec::known::call::{Call, Calls};
use rc_kexec::load::{self, After, Files, Goal, KernelChoice, Layout, Payload, Route, Starts};
use rc_kexec::say;
use rc_kexec::say::report::About;
#[cfg(feature = "vmcore")]
use rc_kexec::settings::Origin;
use rc_kexec::shutdown::{self, Outcome};
use rc_kexec::{doctor, jump, status};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Runs a command; its exit status.
pub fn run(command: Command) -> Result<u8> {
    match command {
        Command::Load(command) => load(command).map(|()| 0),
        Command::Unload(starts) => load::unload(starts).map(|()| 0),
        Command::Status(request) => status(request),
        Command::Jump(Jump { request, debug, ignored }) => {
            explain_ignored(debug, &ignored);
            Err(jump::run(request))
        }
        Command::Shutdown(action) => going_down(action),
        Command::Doctor(request) => {
            let format = request.format;
            let (about, findings) = examine(request);
            print_with(&mut |out| say::report::report(out, about, format, &findings));
            Ok(doctor::exit_status(&findings))
        }
        Command::BootOptions(line) => boot_options(line.as_deref()),
        #[cfg(feature = "vmcore")]
        Command::Dump { action, file } => crate::vmcore::run(action, &file),
        #[cfg(feature = "vmcore")]
        Command::DumpPlace(dir) => crate::vmcore::place(&dir),
        Command::Print(text) => {
            print(format_args!("{}\n", text.trim_ascii_end()));
            Ok(0)
        }
    }
}

/// What the doctor finds, and about what.
fn examine(request: doctor::Request) -> (About, Vec<doctor::Finding>) {
    #[cfg(feature = "vmcore")]
    if request.crash {
        // The settings of the other service are for a reboot.
        let load = match request.load {
            Origin::Said(load) => *load,
            Origin::File | Origin::Environment => load::Request::default(),
        };
        let (facts, crash) = doctor::crash::gather(load);
        return (About::Crash, doctor::crash::examine(&facts, &crash));
    }
    (About::Reboot, doctor::examine(&doctor::gather(request)))
}

/// A load, as far as its goal: choose the names, open the files, make the call, go on.
fn load(command: Load) -> Result<()> {
    let Load { from, goal, announce, debug, ignored } = command;
    let (mut request, _) = from.read();
    if goal == Goal::Draw {
        request = request.rehearsed();
    }
    let files = Files::new();
    let chosen = load::select(&request)?;
    let is_found = matches!(request.kernel, KernelChoice::Installed { .. });
    if is_found && goal != Goal::Identify {
        print_with(&mut |out| say::load::choice(out, &chosen));
    }
    let open = if goal == Goal::Identify { load::identify } else { load::kernel };
    let kernel = open(&files, &chosen.kernel, request.kind.as_deref())?;
    let after = match goal {
        Goal::Identify => {
            print(format_args!("{}: {kernel}\n", kernel.path.shown()));
            return Ok(());
        }
        Goal::Draw => None,
        Goal::Load(after) => Some(after),
    };
    let chosen = load::initrds::settle(chosen, &kernel)?;
    if is_found {
        name_initrds(load::initrds::names(&chosen));
    }
    let payload = load::open(&files, &chosen, &request, kernel)?;
    let calls = host::calls(load::asks_for_calls(&request))?;
    let route = load::route(&request, &payload, calls)?;
    eprint_with(&mut |out| say::load::notes(out, &request, &payload));
    explain_ignored(debug, &ignored);
    if debug {
        eprint_with(&mut |out| say::load::describe(out, &payload));
    }
    let Some(after) = after else { return draw(&payload, route, debug) };
    let call = commit(&payload, route, calls, debug)?;
    // This wipes a key, before anything else happens.
    drop(payload);
    report(call, request.starts, announce, debug);
    follow(after)
}

fn report(call: Call, starts: Starts, announce: bool, debug: bool) {
    if announce {
        let when = if starts == Starts::AtPanic { "a panic" } else { "the next reboot with kexec" };
        print(format_args!("loaded with {call}; {when} starts it\n"));
    }
    if debug {
        eprint(format_args!("anonymous memory: {} KiB\n", memory::anonymous_kib().unwrap_or(0)));
    }
}

fn name_initrds(names: &[OsString]) {
    for name in names {
        print(format_args!("initrd: {}\n", name.shown()));
    }
}

/// Makes the call that changes something, as [`load::commit`] does, and tells of it; says which call
/// it was.
fn commit(payload: &Payload, route: Route, calls: Calls, debug: bool) -> Result<Call> {
    if let Route::File(_) = route {
        match file(payload) {
            Err(failure) if route.goes_on_after(&failure, calls) => {
                eprint_with(&mut |out| say::load::goes_on(out, &failure));
            }
            other => return other.map(|()| Call::FileLoad),
        }
    }
    segments(payload, debug).map(|()| Call::Load)
}

fn file(payload: &Payload) -> Result<()> {
    eprint_with(&mut |out| say::load::file_notes(out, payload));
    load::file(payload)
}

fn segments(payload: &Payload, debug: bool) -> Result<()> {
    let mut memory = payload.memory()?;
    let layout = payload.plan(&mut memory)?;
    tell(&layout, &memory, debug);
    load::segments(payload, &layout.plan, &memory)
}

/// The notes on a layout, and with -d all of it.
fn tell(layout: &Layout, memory: &Memory, debug: bool) {
    eprint_with(&mut |out| say::load::layout_notes(out, layout, memory));
    if debug {
        eprint_with(&mut |out| say::load::explain(out, layout, memory));
    }
}

/// A dry run: draws the memory with each part where it would lie.
fn draw(payload: &Payload, route: Route, debug: bool) -> Result<()> {
    let mut memory = payload.memory()?;
    let layout = load::rehearse(route, payload, &mut memory)?;
    if let Some(layout) = &layout {
        tell(layout, &memory, debug);
    }
    print_with(&mut |out| say::load::rehearse(out, payload, layout.as_ref(), &memory, route));
    Ok(())
}

fn follow(after: After) -> Result<()> {
    match after {
        After::Nothing => Ok(()),
        After::Jump { sync } => Err(jump::jump(sync)),
        After::Reboot => Err(Failure::NoReboot(process::exec(c"/sbin/reboot", &[c"reboot"])).into()),
    }
}

fn status(request: status::Request) -> Result<u8> {
    let answer = match (status::run(request), request) {
        (Ok(loaded), _) => Some(loaded),
        (Err(failure), status::Request::Kexec8 { .. }) => {
            eprint(format_args!("kexec: {failure}\n"));
            None
        }
        (Err(failure), status::Request::Load(_)) => return Err(failure),
    };
    if let (status::Request::Load(starts), Some(loaded)) = (request, answer) {
        let which = if loaded { "a" } else { "no" };
        let what = if starts == Starts::AtPanic { "crash kernel" } else { "kernel" };
        print(format_args!("{which} {what} is loaded\n"));
    }
    Ok(request.exit_status(answer))
}

fn going_down(action: shutdown::Action) -> Result<u8> {
    let outcome = shutdown::run(action)?;
    if outcome == Outcome::NeedsRescue {
        eprint(format_args!("{outcome}"));
        return Err(shutdown::rescue());
    }
    print(format_args!("{outcome}"));
    Ok(outcome.exit_status())
}

/// Prints what a command line, or else the running kernel's, asks rc-kexec-init for.
fn boot_options(line: Option<&OsStr>) -> Result<u8> {
    let unreadable = |errno| Failure::SystemFile { path: "/proc/cmdline", errno };
    let line = match line {
        Some(line) => line.as_bytes().to_vec(),
        None => files::boot_loaders_line().map_err(unreadable)?,
    };
    match boot_options::parse(&line) {
        Ok(options) => match print_whole(&say::boot_options::assignments(&options)) {
            Ok(()) => return Ok(0),
            Err(errno) => {
                let why = process::strerror(errno);
                eprint(format_args!("rc-kexec boot-options: unable to print the options: {why}\n"));
            }
        },
        Err(problems) => {
            for problem in problems {
                eprint(format_args!("rc-kexec boot-options: {problem}\n"));
            }
        }
    }
    Ok(1)
}

/// Names each option that rc-kexec accepts only because kexec(8) has it.
fn explain_ignored(debug: bool, options: &[&str]) {
    for option in options.iter().filter(|_| debug) {
        eprint(format_args!("{option} is accepted but does nothing\n"));
    }
}
