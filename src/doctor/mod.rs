//! What stands between this machine and a kexec, and what to do about it. [`gather`] reads,
//! [`examine`] is pure over what it found: each check is one function that makes one finding.

mod checks;
mod gather;

pub use gather::{Facts, Rehearsal, gather};

use crate::known::shutdown::WhenUnknown;
use crate::settings::Origin;
use checks::{files, kernel, services, telling};

/// What the doctor looks at, and how it speaks.
#[derive(Clone, Debug)]
pub struct Request {
    /// What would be loaded.
    pub load: Origin,
    /// What to do when a reboot cannot be told from a poweroff.
    pub when_unknown: WhenUnknown,
    /// How it speaks.
    pub format: Format,
}

/// How the doctor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// A line a finding, for scripts.
    Porcelain,
    /// At most two lines, and only when a reboot would not be a kexec.
    Warning,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in one word that is the same in every version.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found and, in further lines, what to do.
    pub text: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; a reboot can be a kexec all the same.
    Note,
    /// With this a reboot is not a kexec, or that is not certain.
    Bad,
}

impl Finding {
    fn new(name: &'static str, status: Status, text: impl Into<String>) -> Finding {
        Finding { name, status, text: text.into() }
    }

    fn ok(name: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(name, Status::Ok, text)
    }

    fn note(name: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(name, Status::Note, text)
    }

    fn bad(name: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(name, Status::Bad, text)
    }
}

/// Every check, in the order in which a reboot meets them.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![
        kernel::container(facts),
        kernel::privilege(facts),
        kernel::calls(facts),
        kernel::load_lock(facts),
        kernel::load_limit(facts),
        kernel::lockdown(facts),
        kernel::secure_boot(facts),
        files::loaded(facts),
        files::release(facts),
    ];
    found.extend(files::rehearsal(facts));
    found.extend(files::exposure("kernel-file", &facts.files));
    found.extend(files::exposure("settings-file", core::slice::from_ref(&facts.settings)));
    found.extend(files::settings(facts));
    found.extend([telling::init(facts), telling::trace(facts)]);
    found.extend(services::all(facts));
    found
}

/// The exit status: 0 when a reboot now would be a kexec.
pub fn exit_status(findings: &[Finding]) -> u8 {
    u8::from(findings.iter().any(|finding| finding.status == Status::Bad))
}

impl Facts {
    /// How much it matters that a load would fail: with a kernel loaded a reboot starts that one.
    fn load_matters(&self) -> Status {
        if self.loaded { Status::Note } else { Status::Bad }
    }
}

#[cfg(test)]
mod tests;
