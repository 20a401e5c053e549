//! The rules for crates and source: those of deny.toml, checked without cargo-deny, and the
//! places where the lints of Cargo.toml are allowed. `make lint` runs these tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = top().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The strings of the list `name` in a TOML file.
fn list(toml: &str, name: &str) -> Vec<String> {
    let begin = format!("\n{name} = [");
    let rest = toml.split_once(&begin).unwrap_or_else(|| panic!("no {name} in\n{toml}")).1;
    let inside = rest.split_once(']').unwrap().0;
    inside.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// Whether the allowed licences satisfy an SPDX expression. A "/" means OR, as crates wrote it in
/// the past. An exception ("WITH") only permits more, so it is ignored.
fn met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let answer = either(&mut words, allowed);
    assert_eq!(words.next(), None, "{expression}");
    answer
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words, allowed: &[String]) -> bool {
    let mut answer = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        answer |= both(words, allowed);
    }
    answer
}

fn both(words: &mut Words, allowed: &[String]) -> bool {
    let mut answer = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        answer &= one(words, allowed);
    }
    answer
}

fn one(words: &mut Words, allowed: &[String]) -> bool {
    let word = words.next().unwrap_or_default();
    let answer = if word == "(" {
        let inside = either(words, allowed);
        assert_eq!(words.next(), Some(")"));
        inside
    } else {
        allowed.iter().any(|licence| licence == word)
    };
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    answer
}

#[test]
fn licence_expressions_are_read() {
    let allowed = ["MIT", "Unicode-3.0"].map(String::from);
    for (expression, wanted) in [
        ("MIT", true),
        ("GPL-2.0-only", false),
        ("", false),
        ("Apache-2.0/MIT", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", false),
        ("MIT AND Apache-2.0 OR Zlib", false),
        ("MIT WITH x OR Zlib", true),
    ] {
        assert_eq!(met(expression, &allowed), wanted, "{expression}");
    }
}

/// All crates that a manifest depends on, for any machine, with their licences.
fn licences(manifest: &str) -> BTreeMap<String, String> {
    let tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(top())
        .args(["tree", "--locked", "--quiet", "--target", "all", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}", "--manifest-path", manifest])
        .output()
        .unwrap();
    assert!(tree.status.success(), "cargo tree of {manifest}: {tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let lines = tree.lines().filter_map(|line| line.split_once('|'));
    lines.map(|(name, licence)| (name.into(), licence.into())).collect()
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let policy = read("deny.toml");
    let allowed = list(&policy, "allow");
    assert!(policy.contains("exceptions = [{ crate = \"libfuzzer-sys\", allow = [\"NCSA\"] }]"), "{policy}");
    let exception = ["NCSA".to_string()];
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let licences = licences(manifest);
        // This fails if cargo prints the tree in another form.
        assert!(licences.keys().any(|name| name.starts_with("libc v")), "{licences:?}");
        let refused: Vec<_> = licences
            .iter()
            .filter(|(name, licence)| {
                let excepted = if name.starts_with("libfuzzer-sys v") { &exception[..] } else { &[] };
                !name.starts_with("rc-kexec-fuzz v") && !met(licence, &[&allowed[..], excepted].concat())
            })
            .collect();
        assert!(refused.is_empty(), "not under {allowed:?}, in {manifest}: {refused:#?}");
    }
}

/// The name, version, source and checksum of each package in a lock file.
fn locked(file: &str) -> Vec<[String; 4]> {
    let text = read(file);
    let packages = text.split("[[package]]").skip(1).map(|package| {
        ["name", "version", "source", "checksum"].map(|field| {
            let begin = format!("{field} = \"");
            let value = package.lines().find_map(|line| line.strip_prefix(begin.as_str()));
            value.map_or_else(String::new, |value| value.trim_end_matches('"').into())
        })
    });
    packages.collect()
}

const LOCK_FILES: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

#[test]
fn every_crate_comes_from_crates_io_with_a_checksum() {
    for file in LOCK_FILES {
        let packages = locked(file);
        assert!(packages.len() > 10, "{packages:?}");
        for package in packages {
            let [name, _, source, checksum] = &package;
            let ours = source.is_empty() && name.starts_with("rc-kexec");
            let registry = source.starts_with("registry+") && source.ends_with("/crates.io-index");
            let theirs = registry && checksum.len() == 64;
            assert!(ours || theirs, "{file}: {package:?}");
        }
    }
}

#[test]
fn no_crate_is_there_in_two_versions() {
    for file in LOCK_FILES {
        let mut versions = BTreeMap::new();
        for [name, version, ..] in locked(file) {
            if let Some(other) = versions.insert(name.clone(), version.clone()) {
                panic!("{file}: {name} {other} and {version}");
            }
        }
    }
}

/// The paths of the program's source files, relative to the top, with their texts.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&top().join("src"), &mut files);
    files.sort();
    let name = |path: &Path| path.strip_prefix(top()).unwrap().to_str().unwrap().to_string();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The words of a source text outside comments.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

/// The attributes of a source text without spaces, each with the text after it.
fn attributes(text: &str) -> Vec<(String, &str)> {
    let starts = text.match_indices("#[").chain(text.match_indices("#!["));
    let attributes = starts.filter_map(|(at, _)| {
        let mut depth = 0u32;
        let length = text[at..].find(|c| {
            depth = depth.saturating_add(u32::from(c == '[')).saturating_sub(u32::from(c == ']'));
            c == ']' && depth == 0
        })?;
        let (attribute, rest) = text[at..].split_at(length.saturating_add(1));
        Some((attribute.split_whitespace().collect(), rest))
    });
    attributes.collect()
}

#[test]
fn unsafe_code_is_in_host_sys_alone() {
    let mut found = 0;
    for (file, text) in sources() {
        if file.starts_with("src/host/sys/") {
            found += words(&text).filter(|word| *word == "unsafe").count();
        } else {
            let line = text.lines().find(|line| words(line).any(|word| word == "unsafe"));
            assert_eq!(line, None, "in {file}");
        }
    }
    assert!(found > 20, "{found}: is it looked for where it is?");
}

/// Compares all places that lower a lint of Cargo.toml with a list. A place is a file, an
/// attribute, and the first line after it.
#[test]
fn what_cargo_toml_denies_is_allowed_in_tests_and_for_unsafe_code_alone() {
    let mut lowered = Vec::new();
    for (file, text) in sources() {
        for (attribute, rest) in attributes(&text) {
            let lowers = ["allow(", "warn(", "expect("].iter().any(|level| attribute.contains(level));
            // A crate's tests may panic and leave the program's code unused. The compiler does
            // not see that argh uses the fields of its structs.
            let fine = ["#![cfg_attr(test,allow(", "#[expect(dead_code,reason="];
            if lowers && !fine.iter().any(|begin| attribute.starts_with(begin)) {
                let item = rest.trim_start().lines().next().unwrap_or_default();
                lowered.push(format!("{file} {attribute} {item}"));
            }
        }
    }
    let wanted = [
        "src/host/mod.rs #[allow(unsafe_code)] pub mod sys;",
        "src/main.rs #[allow(unsafe_code)] mod start;",
        "src/main.rs #[allow(unsafe_code)] mod unwind;",
    ];
    assert_eq!(lowered, wanted);
    // They lie in host/sys/, although they are modules of main.rs.
    for name in ["start", "unwind"] {
        let lines = format!("#[path = \"host/sys/{name}.rs\"]\n#[allow(unsafe_code)]\nmod {name};");
        assert!(read("src/main.rs").contains(&lines), "{lines}");
    }
}

#[test]
fn what_can_panic_and_what_is_unsafe_is_denied() {
    let manifest = read("Cargo.toml");
    for lint in [
        "unsafe_code",
        "unsafe_op_in_unsafe_fn",
        "undocumented_unsafe_blocks",
        "unwrap_used",
        "expect_used",
        "panic",
        "indexing_slicing",
        "arithmetic_side_effects",
    ] {
        assert!(manifest.contains(&format!("\n{lint} = \"deny\"\n")), "{lint}\n{manifest}");
    }
}

/// The rooms of src/, each above those that may import it (docs/ARCHITECTURE.md). The last two
/// are the program's, which imports the library by its name.
const ROOMS: [&str; 18] = [
    "base", "image", "dump", "plan", "known", "failure", "host", "load", "jump", "status", "shutdown",
    "settings", "doctor", "say", "cli", "vmcore", "run", "main",
];

/// The rooms that a source text names in code, after `crate::` or the library's name.
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code: String = code.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for name in ["crate::", "rc_kexec::"] {
        for (at, _) in code.match_indices(name) {
            let rest = &code[at + name.len()..];
            // One name, or several in braces.
            let group = match rest.strip_prefix('{') {
                Some(inside) => inside.split('}').next().unwrap_or_default(),
                None => rest.split([';', '\n']).next().unwrap_or_default(),
            };
            let names = group.split(',').map(|part| {
                let part = part.trim();
                part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
            });
            let names: Vec<&str> =
                if rest.starts_with('{') { names.collect() } else { names.take(1).collect() };
            found.extend(names.into_iter().filter(|name| ROOMS.contains(name)).map(String::from));
        }
    }
    found
}

#[test]
fn each_room_imports_only_the_rooms_above_it() {
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut seen = 0;
    let mut upside_down = Vec::new();
    for (file, text) in sources() {
        let room = file.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_string();
        if room == "lib" {
            continue;
        }
        // These are modules of main.rs.
        let is_mains = ["src/host/sys/start.rs", "src/host/sys/unwind.rs"].contains(&file.as_str());
        let room = if is_mains { "main".to_string() } else { room };
        let own = place(&room).unwrap_or_else(|| panic!("{file}: {room} is not one of {ROOMS:?}"));
        // What a test needs is its own affair.
        let text = text.split("#[cfg(test)]").next().unwrap();
        if file.ends_with("/tests.rs") {
            continue;
        }
        for imported in imports(text) {
            seen += 1;
            if place(&imported).unwrap() > own {
                upside_down.push(format!("{file}: {room} imports {imported}"));
            }
        }
    }
    assert!(seen > 100, "{seen}: are the imports looked for where they are?");
    assert!(upside_down.is_empty(), "{upside_down:#?}");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use crate::base::bytes;\nuse crate::{image, plan::Plan};\nlet x = crate::host::calls();\n\
        // use crate::cli;\nuse rc_kexec::{\n    doctor,\n    say::report,\n};\nuse std::fmt;\n";
    assert_eq!(imports(text), ["base", "image", "plan", "host", "doctor", "say"]);
}
