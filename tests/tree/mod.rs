//! Copies of this source in folders of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for a test, removed at its end.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(test: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("rc-kexec-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies what belongs to the source, changes that are not committed among it. Where this is
/// no clone, that is all but target/.
pub fn copy(to: &Path) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    // CI's folder may belong to another user than the one who runs this.
    let listed = Command::new("git")
        .current_dir(top)
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    let names: Vec<String> = if top.join(".git").exists() {
        let listed = listed.unwrap();
        assert!(listed.status.success(), "{listed:?}");
        String::from_utf8(listed.stdout).unwrap().split_terminator('\0').map(String::from).collect()
    } else {
        let mut names = Vec::new();
        walk(top, Path::new(""), &mut names);
        names
    };
    for name in names.iter().filter(|name| top.join(name).exists()) {
        let file = to.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::copy(top.join(name), &file).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn walk(top: &Path, dir: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(top.join(dir)).unwrap() {
        let entry = entry.unwrap();
        let path = dir.join(entry.file_name());
        if path == Path::new("target") {
        } else if entry.file_type().unwrap().is_dir() {
            walk(top, &path, names);
        } else {
            names.push(path.to_str().unwrap().into());
        }
    }
}

/// Makes a folder a clone with one commit, the same whoever makes it and when.
pub fn commit(dir: &Path) {
    for words in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=all"]] {
        let mut git = Command::new("git");
        git.current_dir(dir).args(["-c", "commit.gpgsign=false"]).args(words);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "test").env(format!("GIT_{who}_EMAIL"), "test@localhost");
            git.env(format!("GIT_{who}_DATE"), "2000-01-01T00:00:00Z");
        }
        run(&mut git);
    }
}

/// `make GOAL` in a folder, as if typed there.
pub fn make(dir: &Path) -> Command {
    let mut make = Command::new("make");
    make.current_dir(dir);
    // What cargo and make set for those they start.
    for (name, _) in std::env::vars() {
        if (name.starts_with("CARGO") && name != "CARGO_HOME")
            || name.contains("RUSTFLAGS")
            || name.starts_with("MAKE")
        {
            make.env_remove(name);
        }
    }
    make
}

/// Fails with all that was said unless the command did not.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let typed = format!("{:?} {:?}", command.get_program(), command.get_args().collect::<Vec<_>>());
    let output = command.output().unwrap_or_else(|error| panic!("{typed}: {error}"));
    assert!(
        output.status.success(),
        "{typed}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
