//! The script of most machines' first stage, of which a test changes the part that it is
//! about; and texts of others with one part changed. Either fails where there is nothing to
//! change: a test that changes nothing tries what another one tries already.

use crate::SECOND;
use std::fmt::{Display, Formatter, Result};

/// Says the firmware's memory map, packs this root file system as the second kernel's initrd,
/// loads /boot/vmlinuz, and jumps.
#[derive(Clone)]
pub struct LoadAndJump {
    says: String,
    before: String,
    packed: String,
    loader: String,
    kernel: String,
    asks_type: bool,
    initrds: Vec<String>,
    options: Vec<String>,
    line: Option<String>,
    jump: String,
}

impl LoadAndJump {
    /// By the system call that the program chooses when it is not told.
    pub fn new() -> LoadAndJump {
        LoadAndJump {
            says: "memmap FIRST".into(),
            before: String::new(),
            packed: String::new(),
            loader: "kexec-load".into(),
            kernel: "/boot/vmlinuz".into(),
            asks_type: false,
            initrds: vec!["/tmp/next.cpio".into()],
            options: Vec::new(),
            line: Some(SECOND.into()),
            jump: "run kexec -e".into(),
        }
    }

    /// By this system call: load, file or auto.
    pub fn by(call: &str) -> LoadAndJump {
        LoadAndJump::new().options(&format!("--syscall {call}"))
    }

    /// What the first kernel says of itself, instead of its memory map.
    pub fn says(mut self, script: &str) -> LoadAndJump {
        self.says = script.into();
        self
    }

    /// More lines, before this root file system is packed.
    pub fn before(mut self, script: &str) -> LoadAndJump {
        self.before = script.into();
        self
    }

    /// More lines, once it is packed as /tmp/next.cpio.
    pub fn packed(mut self, script: &str) -> LoadAndJump {
        self.packed = script.into();
        self
    }

    /// Another command than kexec-load.
    pub fn loader(mut self, command: &str) -> LoadAndJump {
        self.loader = command.into();
        self
    }

    /// Another kernel.
    pub fn kernel(mut self, path: &str) -> LoadAndJump {
        self.kernel = path.into();
        self
    }

    /// Asks first what the kernel is (--type).
    pub fn asking_type(mut self) -> LoadAndJump {
        self.asks_type = true;
        self
    }

    /// These initrds, instead of the one that is packed.
    pub fn initrds(mut self, paths: &[&str]) -> LoadAndJump {
        self.initrds = paths.iter().map(|path| (*path).into()).collect();
        self
    }

    /// More options.
    pub fn options(mut self, words: &str) -> LoadAndJump {
        self.options.push(words.into());
        self
    }

    /// Another command line than [`SECOND`].
    pub fn line(mut self, line: &str) -> LoadAndJump {
        self.line = Some(line.into());
        self
    }

    /// With no initrd and no command line but those that the options name.
    pub fn bare(mut self) -> LoadAndJump {
        self.initrds.clear();
        self.line = None;
        self
    }

    /// What comes after the load, instead of `kexec -e`.
    pub fn jump(mut self, script: &str) -> LoadAndJump {
        self.jump = script.into();
        self
    }
}

impl Display for LoadAndJump {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let (loader, kernel) = (&self.loader, &self.kernel);
        writeln!(out, "{}\n{}\npack\n{}", self.says, self.before, self.packed)?;
        if self.asks_type {
            writeln!(out, "run {loader} {kernel} --type")?;
        }
        write!(out, "run {loader} {kernel}")?;
        self.initrds.iter().try_for_each(|path| write!(out, " --initrd {path}"))?;
        self.options.iter().try_for_each(|words| write!(out, " {words}"))?;
        if let Some(line) = &self.line {
            write!(out, " --command-line '{line}'")?;
        }
        writeln!(out, "\necho LOADED $(cat /sys/kernel/kexec_loaded)\n{}", self.jump)
    }
}

/// Makes /tmp/large.cpio: an archive with one file, /large, of so many random bytes.
pub fn large_initrd(bytes: u64) -> String {
    format!(
        "mkdir /tmp/d; head -c {bytes} /dev/urandom >/tmp/d/large\n\
         (cd /tmp/d; echo large | cpio -o -H newc) >/tmp/large.cpio; rm -r /tmp/d\n"
    )
}

/// A text that is not a script of these tests, with a part of it changed.
#[track_caller]
pub fn replaced(text: &str, what: &str, with: &str) -> String {
    assert!(text.contains(what), "nothing to change: {what:?} is not in\n{text}");
    text.replace(what, with)
}

#[test]
#[should_panic(expected = "nothing to change: \"gone\" is not in\nit is here")]
fn a_part_that_is_not_there_is_not_replaced_in_silence() {
    assert_eq!(replaced("it is here", "is", "was"), "it was here");
    replaced("it is here", "gone", "x");
}
