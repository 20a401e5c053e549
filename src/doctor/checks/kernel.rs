//! The running kernel, in the order in which it refuses a load.

use crate::base::text::Shown;
use crate::doctor::{Facts, Finding, Status};
use crate::failure::NotDone;
use crate::known::call::Call;
use crate::known::refusal::Obstacle;
use crate::known::xen::Xen;

pub fn container(facts: &Facts) -> Finding {
    match &facts.container {
        None => Finding::ok("container", "none"),
        Some(name) => Finding::bad(
            "container",
            format!(
                "this is a container ({}): it cannot change the machine's kernel\n  run it on the machine itself",
                name.shown()
            ),
        ),
    }
}

pub fn hypervisor(facts: &Facts) -> Finding {
    let xen = facts.calls.xen;
    if facts.calls.unaccepted > 0 {
        return Finding::bad("hypervisor", NotDone::Unaccepted(facts.calls.unaccepted).to_string());
    }
    let status = match xen {
        Xen::Absent => Status::Ok,
        Xen::Machine => Status::Note,
        Xen::ControlDomain | Xen::Paravirtual | Xen::Unknown => Status::Bad,
    };
    Finding::new("hypervisor", status, xen.to_string())
}

pub fn privilege(facts: &Facts) -> Finding {
    let refusal = &facts.refusal;
    match refusal.cap_sys_boot {
        Some(true) if refusal.is_root => Finding::ok("privilege", "root, with CAP_SYS_BOOT"),
        Some(true) => Finding::ok("privilege", "CAP_SYS_BOOT, but not root"),
        Some(false) => Finding::bad("privilege", Obstacle::NoPrivilege(refusal).to_string()),
        None => Finding::bad("privilege", "unknown: unable to read /proc/self/status"),
    }
}

pub fn calls(facts: &Facts) -> Finding {
    match (facts.calls.load, facts.calls.file_load) {
        (Some(true), Some(true)) => Finding::ok("calls", "kexec_load and kexec_file_load"),
        (Some(true), _) => Finding::ok("calls", "kexec_load; no kexec_file_load"),
        (_, Some(true)) => Finding::ok("calls", "kexec_file_load; no kexec_load"),
        (Some(false), Some(false)) => Finding::new(
            "calls",
            facts.load_matters(),
            "this kernel has no kexec (CONFIG_KEXEC, CONFIG_KEXEC_FILE)\n  boot a kernel that has it, such as Alpine's linux-lts or linux-virt",
        ),
        _ => Finding::new(
            "calls",
            facts.load_matters(),
            "unknown: a filter on system calls hides which calls this kernel has",
        ),
    }
}

pub fn load_lock(facts: &Facts) -> Finding {
    if facts.refusal.load_disabled {
        let text = Obstacle::Disabled(&facts.refusal).to_string();
        return Finding::new("load-lock", facts.load_matters(), text);
    }
    let option = if facts.refusal.boot_option { "is" } else { "is not" };
    Finding::ok(
        "load-lock",
        format!("kernel.kexec_load_disabled is not 1; the boot option kexec_load_disabled=0 {option} set"),
    )
}

pub fn load_limit(facts: &Facts) -> Finding {
    match facts.refusal.loads_left {
        Some(0) => Finding::new("load-limit", facts.load_matters(), Obstacle::NoLoadsLeft.to_string()),
        Some(left) => {
            Finding::ok("load-limit", format!("{left} loads are left (kernel.kexec_load_limit_reboot)"))
        }
        None => Finding::ok("load-limit", "none"),
    }
}

pub fn lockdown(facts: &Facts) -> Finding {
    let refusal = &facts.refusal;
    match &refusal.lockdown {
        None => Finding::ok("lockdown", "none"),
        Some(mode) if facts.calls.file_load == Some(true) => Finding::new(
            "lockdown",
            facts.load_matters(),
            format!(
                "{}: this kernel accepts only an image with a signature that it trusts; only a load shows whether it trusts this one\n  run: kexec-load, then rc-kexec doctor",
                mode.shown()
            ),
        ),
        Some(_) => {
            let text = Obstacle::LockedDown(Call::Load, refusal).to_string();
            Finding::new("lockdown", facts.load_matters(), text)
        }
    }
}

pub fn secure_boot(facts: &Facts) -> Finding {
    Finding::ok(
        "secure-boot",
        match facts.secure_boot {
            Some(true) => "on",
            Some(false) => "off",
            None => "no UEFI, or it does not say",
        },
    )
}
