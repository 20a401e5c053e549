//! What stands between this machine and a kexec, and what to do about it. [`gather`] reads the
//! machine. [`examine`] is pure: each check is one function from those facts to its findings.

mod checks;
#[cfg(feature = "vmcore")]
pub mod crash;
mod gather;

pub use gather::{Facts, Rehearsal, gather};

use crate::known::shutdown::WhenUnknown;
use crate::settings::Origin;
use checks::{files, kernel, services, telling};

/// What the doctor looks at, and its output format.
#[derive(Clone, Debug)]
pub struct Request {
    /// What would be loaded.
    pub load: Origin,
    /// Whether a crash is what is asked about, and not a reboot.
    #[cfg(feature = "vmcore")]
    pub crash: bool,
    /// What to do when a reboot cannot be told from a poweroff.
    pub when_unknown: WhenUnknown,
    /// The output format.
    pub format: Format,
}

/// The doctor's output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// One line for each finding, for scripts.
    Porcelain,
    /// At most two lines, and none when a reboot would be a kexec.
    Warning,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What the check looked at: one word, the same in every version.
    pub name: &'static str,
    /// The result.
    pub status: Status,
    /// What it found and, in further lines, what to do.
    pub text: String,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; a reboot can be a kexec all the same.
    Note,
    /// A reboot is not a kexec, or may not be one.
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
        kernel::hypervisor(facts),
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
    /// How bad it is that a load would fail: when a kernel is loaded, a reboot starts that one.
    fn load_matters(&self) -> Status {
        if self.loaded { Status::Note } else { Status::Bad }
    }
}

#[cfg(test)]
mod tests;
