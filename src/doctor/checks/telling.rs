//! Whether services can tell a reboot from a poweroff.

use crate::base::text::Shown;
use crate::doctor::{Facts, Finding, Status};
use crate::known::init::{Init, RebootAction, Trace};
use crate::known::shutdown::WhenUnknown;
use crate::settings;

pub fn init(facts: &Facts) -> Finding {
    let unknown_matters = match facts.when_unknown {
        WhenUnknown::Reboot => Status::Bad,
        WhenUnknown::Kexec => Status::Note,
    };
    match &facts.init {
        Init::OpenRc => Finding::ok("init", "openrc-init, which sets RC_REBOOT for a reboot"),
        Init::SysVinit if facts.sysvinit_tells => {
            Finding::ok("init", "sysvinit, which sets RC_REBOOT for a reboot")
        }
        Init::SysVinit => Finding::bad(
            "init",
            "sysvinit, whose inittab does not run openrc reboot in runlevel 6\n  in /etc/inittab, make the line for runlevel 6 run: /sbin/openrc reboot",
        ),
        Init::BusyBox(action) => busybox(facts, *action, unknown_matters),
        Init::Hidden => Finding::bad(
            "init",
            "unable to identify process 1: /proc/1/exe is readable only to root, outside a container",
        ),
        Init::Other(name) if name == "systemd" => Finding::bad(
            "init",
            "systemd, which does not use OpenRC's services\n  run: systemctl enable --now kexec-load@FLAVOUR, then systemctl kexec\n  to start another kernel: kexec-load, then systemctl kexec",
        ),
        Init::Other(name) => Finding::new(
            "init",
            unknown_matters,
            format!(
                "{}: rc-kexec does not know how it tells a reboot from a poweroff\n  make it run openrc reboot for a reboot, which sets RC_REBOOT; or set kexec_when_unknown=\"kexec\" in {}",
                name.shown(),
                settings::FILE
            ),
        ),
    }
}

fn busybox(facts: &Facts, action: RebootAction, unknown_matters: Status) -> Finding {
    match action {
        RebootAction::InForce => {
            Finding::ok("init", "BusyBox; the ::reboot: line of /etc/inittab sets RC_REBOOT for a reboot")
        }
        RebootAction::Different => Finding::bad(
            "init",
            "BusyBox, with a ::reboot: line in /etc/inittab that does not run OpenRC\n  change it to ::reboot:/sbin/openrc reboot, then run: kill -HUP 1",
        ),
        _ if facts.trace == Trace::NotArmed => {
            let remedy = how_to_watch(action, facts.has_tracefs);
            let text = format!(
                "BusyBox, which does not tell services a reboot from a poweroff, and nothing watches its signals\n  {remedy}"
            );
            Finding::new("init", unknown_matters, text)
        }
        _ => Finding::ok(
            "init",
            "BusyBox; its signals tell a reboot from a poweroff, and rc-kexec watches them",
        ),
    }
}

/// The remedy that lets services tell a reboot from a poweroff under BusyBox's init.
fn how_to_watch(action: RebootAction, has_tracefs: bool) -> &'static str {
    match (action, has_tracefs) {
        (RebootAction::Absent, true) => {
            "run: rc-service kexec-load start (it watches them); or rc-service kexec-load setup (a line in /etc/inittab)"
        }
        (RebootAction::Absent, false) => {
            "run: rc-service kexec-load setup (a line in /etc/inittab; this kernel has no tracefs to watch them with)"
        }
        (_, true) => "run: rc-service kexec-load start (it watches them)",
        (_, false) => {
            "this kernel has no tracefs to watch them with, and this init has no ::reboot: action: upgrade busybox (on Alpine to 1.37.0-r13 or later), reboot, then run rc-service kexec-load setup"
        }
    }
}

pub fn trace(facts: &Facts) -> Finding {
    match (facts.trace, facts.has_tracefs) {
        (Trace::NotArmed, true) => Finding::ok("trace", "not armed; the kernel has tracefs"),
        (Trace::NotArmed, false) => Finding::note("trace", "this kernel has no tracefs"),
        (Trace::Unreadable, _) => Finding::note("trace", "unable to read it"),
        (Trace::Nothing, _) => Finding::ok("trace", "armed; init has received no signal yet"),
        _ => Finding::note("trace", "armed; init has received a signal to shut down"),
    }
}
