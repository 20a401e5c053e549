//! When a machine is hung: by what it says, not by how long it takes. On a busy computer it
//! needs three times as long, and says as much.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a machine may do before it counts as hung.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Seconds without a new line on its console.
    pub silence: u64,
    /// How often it may say the same line again, after others and the kernel's time before it
    /// apart. A machine that reboots without end is never silent, nor is a kernel that is stuck
    /// and says so.
    pub same: usize,
}

/// Unless somebody knows better.
pub const PATIENCE: Patience = Patience { silence: 120, same: 50 };

/// What a machine may say in all: one that counts never says the same.
const MOST_LINES: usize = 100_000;

/// systemd says this again and again while it waits: nothing new.
const WAITS: &str = " job is running for ";

/// How a machine gets on.
pub struct Progress {
    patience: Patience,
    last: Instant,
    lines: usize,
    previous: String,
    said: HashMap<String, usize>,
}

impl Progress {
    pub fn new(patience: Patience, now: Instant) -> Progress {
        Progress { patience, last: now, lines: 0, previous: String::new(), said: HashMap::new() }
    }

    /// How long it may say nothing from now on; `None` when it is over.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let end = self.last + Duration::from_secs(self.patience.silence);
        end.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Why it is ended at that time.
    pub fn silence(&self) -> String {
        format!("nothing new on its console for {} s", self.patience.silence)
    }

    /// It said this. Answers why it is to be ended, where it is.
    pub fn hear(&mut self, line: &str, now: Instant) -> Option<String> {
        self.lines += 1;
        if self.lines > MOST_LINES {
            return Some(format!("more than {MOST_LINES} lines on its console"));
        }
        let line = without_time(line);
        // Of a table of equal lines the first is new.
        if line.is_empty() || line.contains(WAITS) || line == self.previous {
            return None;
        }
        self.last = now;
        self.previous = line.into();
        let count = self.said.entry(line.into()).or_default();
        *count += 1;
        (*count > self.patience.same).then(|| format!("said {count} times: {line}"))
    }
}

/// A line without the time that the kernel writes before it: "[    1.234567] ".
fn without_time(line: &str) -> &str {
    let Some((time, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) else {
        return line.trim();
    };
    if time.trim().parse::<f64>().is_ok() { rest.trim() } else { line.trim() }
}

/// Why a machine that said these lines, each after so many seconds, is ended; and whether it
/// may go on after `at` seconds.
fn heard(patience: Patience, lines: &[(u64, &str)], at: u64) -> (Option<String>, bool) {
    let begin = Instant::now();
    let after = |seconds: u64| begin + Duration::from_secs(seconds);
    let mut progress = Progress::new(patience, begin);
    let mut ends = None;
    for &(time, line) in lines {
        ends = progress.hear(line, after(time));
    }
    (ends, progress.left(after(at)).is_some())
}

#[test]
fn a_machine_that_says_something_now_and_then_may_take_as_long_as_it_likes() {
    assert_eq!(heard(PATIENCE, &[(100, "one"), (200, "two"), (300, "three")], 419), (None, true));
}

#[test]
fn a_machine_that_says_nothing_new_is_hung() {
    assert_eq!(heard(PATIENCE, &[(100, "one")], 220), (None, false));
    let waits = "[  *** ] A start job is running for x.service (1min 30s / no limit)";
    for again in ["[  1.5] one", "", waits] {
        assert_eq!(heard(PATIENCE, &[(100, "one"), (219, again)], 220), (None, false), "{again}");
    }
}

#[test]
fn a_machine_that_goes_round_in_circles_is_hung() {
    let patience = Patience { same: 2, ..PATIENCE };
    let boot = |time| [(time, "[    0.1] Kernel panic - not syncing: x"), (time, ""), (time, "other")];
    let mut boots: Vec<(u64, &str)> = [boot(1), boot(2)].concat();
    // A table of equal lines is no circle.
    boots.splice(0..0, [(0, "0000"), (0, "0000"), (0, "0000")]);
    assert_eq!(heard(patience, &boots, 3), (None, true));
    let boots = [&boots[..], &[(3, "[   17.6] Kernel panic - not syncing: x")]].concat();
    let why = Some("said 3 times: Kernel panic - not syncing: x".to_string());
    assert_eq!(heard(patience, &boots, 3), (why, true));
}
