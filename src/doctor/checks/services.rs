//! OpenRC's services.

use crate::doctor::{Facts, Finding};
use crate::known::init::Init;
use crate::known::shutdown::SKIP_FILE;

/// All findings about OpenRC's services.
pub fn all(facts: &Facts) -> Vec<Finding> {
    if matches!(&facts.init, Init::Other(name) if name == "systemd") {
        return Vec::new();
    }
    if !facts.services.are_installed {
        return vec![missing()];
    }
    if facts.services.are_foreign {
        return vec![foreign()];
    }
    let found = [Some(kexec_load(facts)), misplaced(facts), Some(kexec_exec(facts)), skip(facts)];
    found.into_iter().flatten().collect()
}

fn missing() -> Finding {
    Finding::bad(
        "services",
        "/etc/init.d/kexec-load or /etc/init.d/kexec-exec is missing\n  run: make install, or install the package with the OpenRC scripts",
    )
}

fn foreign() -> Finding {
    Finding::bad(
        "services",
        "/etc/init.d/kexec-load or /etc/init.d/kexec-exec is not rc-kexec's: with it a poweroff may become a kexec\n  with apk: mv the .apk-new files beside them over them; else run make install again",
    )
}

fn kexec_load(facts: &Facts) -> Finding {
    let not_started = facts.load_matters();
    match (facts.services.load_started, facts.services.load_enabled) {
        (true, true) => Finding::ok("kexec-load", "started, and in a runlevel"),
        (true, false) => Finding::note(
            "kexec-load",
            "started, but in no runlevel: it will not start at the next boot\n  run: rc-update add kexec-load default",
        ),
        (false, true) => Finding::new(
            "kexec-load",
            not_started,
            "in a runlevel, but not started\n  run: rc-service kexec-load start",
        ),
        (false, false) => Finding::new(
            "kexec-load",
            not_started,
            "in no runlevel, and not started\n  run: rc-update add kexec-load default && rc-service kexec-load start",
        ),
    }
}

fn misplaced(facts: &Facts) -> Option<Finding> {
    facts.services.load_misplaced.then(|| {
        Finding::bad(
            "load-misplaced",
            "kexec-load is also in the shutdown runlevel: OpenRC does not stop it there, so it loads nothing\n  run: rc-update del kexec-load shutdown",
        )
    })
}

fn kexec_exec(facts: &Facts) -> Finding {
    if facts.services.exec_started {
        Finding::bad(
            "kexec-exec",
            "it is started already, so OpenRC will not start it at the shutdown\n  run: rc-service kexec-exec zap",
        )
    } else if facts.services.exec_enabled {
        Finding::ok("kexec-exec", "in the shutdown runlevel")
    } else {
        Finding::bad("kexec-exec", "not in the shutdown runlevel\n  run: rc-update add kexec-exec shutdown")
    }
}

fn skip(facts: &Facts) -> Option<Finding> {
    facts.skip.then(|| {
        Finding::bad(
            "skip",
            format!(
                "the next reboot is to be an ordinary one ({SKIP_FILE} is there)\n  to undo that: rc-service kexec-load restart"
            ),
        )
    })
}
