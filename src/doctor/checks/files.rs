//! What would be loaded: the files, their place in memory, and who can change them.

use crate::base::text::{Shown, Size};
use crate::doctor::{Facts, Finding, Status};
use crate::failure::Failure;
use crate::host::sys::process::strerror;
use crate::known::exposure::Exposure;
use crate::settings;

/// The text of every check after a failed one.
pub const NOT_LOOKED_AT: &str = "not checked, because of the above";

pub fn loaded(facts: &Facts) -> Finding {
    if facts.loaded {
        Finding::note("loaded", "a kernel is loaded: a reboot starts that one, and loads no other")
    } else {
        Finding::ok("loaded", "nothing yet")
    }
}

pub fn release(facts: &Facts) -> Finding {
    let flavour = facts.flavour.as_deref().unwrap_or("none");
    let release = &facts.release;
    match &facts.installed {
        Some(installed) if installed != release => {
            let which = if facts.loaded {
                ": the loaded kernel may be either\n  to load the installed one: kexec-load"
            } else {
                ": a kexec starts the installed one"
            };
            let text =
                format!("Linux {release} is running, {installed} is installed (flavour {flavour}){which}");
            Finding::note("release", text)
        }
        _ => Finding::ok("release", format!("Linux {release} is running, flavour {flavour}")),
    }
}

/// The load as it would go: kernel, initrd, command-line, memory. A failure appears once, under the
/// first of them that it prevents.
pub fn rehearsal(facts: &Facts) -> [Finding; 4] {
    let found = &facts.rehearsal;
    let mut failure = found.failure.as_deref();
    let mut step = |name, text: &Option<String>| match text {
        Some(text) => Finding::ok(name, text.as_str()),
        None => failed(facts, name, failure.take()),
    };
    let kernel = step("kernel", &found.kernel);
    let initrd = step("initrd", &found.initrds);
    let mut line = step("command-line", &found.command_line);
    if line.status == Status::Ok {
        if found.loses_root {
            line.status = Status::Note;
            line.text.push_str("; it has no root=, but the running kernel's has one");
        } else if found.loses_lock_option {
            line.status = Status::Note;
            line.text.push_str(
                "; it has no kexec_load_disabled=0, and the running kernel's has it: the reboot after the next will be an ordinary one",
            );
        } else if found.unlocks_nothing {
            line.status = Status::Note;
            line.text.push_str("; it has no cryptroot=, so the key unlocks nothing");
        }
    }
    let memory = match found.memory {
        Some((needed, allowed)) => memory(facts, needed, allowed),
        None => failed(facts, "memory", failure.take()),
    };
    [kernel, initrd, line, memory]
}

fn failed(facts: &Facts, name: &'static str, failure: Option<&Failure>) -> Finding {
    let Some(failure) = failure else { return Finding::note(name, NOT_LOOKED_AT) };
    let more = match failure {
        Failure::NoKernelFound { unmounted: Some(_), .. } if facts.by_settings => {
            "\n  or run: rc-service kexec-load doctor, which mounts it for the check"
        }
        _ => "",
    };
    Finding::new(name, facts.load_matters(), format!("{failure}{more}"))
}

fn memory(facts: &Facts, needed: u64, allowed: u64) -> Finding {
    let available = facts.refusal.available.unwrap_or(u64::MAX);
    let (size, allowed) = (Size(needed), Size(allowed));
    if needed <= available {
        return Finding::ok("memory", format!("{size} of at most {allowed} (half of RAM)"));
    }
    Finding::new(
        "memory",
        facts.load_matters(),
        format!(
            "it needs {size}, but only {} is available\n  free some memory, or load when the service starts: kexec_load_at=\"start\" in {}",
            Size(available),
            settings::FILE
        ),
    )
}

/// A finding for each file that users other than root can change.
pub fn exposure(name: &'static str, files: &[Exposure]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut note = |text| found.push(Finding::note(name, text));
    for file in files {
        let path = file.path.shown();
        if let (Some(link), Some(to)) = (&file.link, &file.leads_to) {
            note(format!("{path} is really {}: {} is a symbolic link", to.shown(), link.shown()));
        }
        if let Some((by, mode, owner)) = &file.by {
            let by = by.shown();
            note(format!(
                "users other than root can change {path}: {by} has mode {mode:04o} and owner {owner}"
            ));
        }
        if let Some(errno) = file.unseen {
            note(format!("unable to check {path}: {}", strerror(errno)));
        }
    }
    match (files, found.as_slice()) {
        ([], _) => vec![Finding::note(name, NOT_LOOKED_AT)],
        (_, []) => vec![Finding::ok(name, "only root can change it")],
        _ => found,
    }
}

pub fn settings(facts: &Facts) -> Option<Finding> {
    let line = facts.odd_line?;
    Some(Finding::bad(
        "settings",
        format!(
            "only a shell can read line {line} of {}: the service may load a different kernel than this one\n  run: rc-service kexec-load doctor",
            settings::FILE
        ),
    ))
}
