//! The manual pages and the completions say what the program's help says, option by
//! option, and no more. The documents link to what exists, `make help` lists every target,
//! and the change log is about this version.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An option: its letter, its name, and the name of its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flag {
    letter: Option<String>,
    name: String,
    value: Option<String>,
}

impl Flag {
    /// What is typed for it.
    fn spellings(&self) -> impl Iterator<Item = String> {
        self.letter.iter().cloned().chain([self.name.clone()])
    }
}

fn run(args: &[&str]) -> Output {
    let program =
        std::env::var_os("RC_KEXEC").map_or_else(|| env!("CARGO_BIN_EXE_rc-kexec").into(), PathBuf::from);
    Command::new(program).args(args).output().unwrap()
}

fn said(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn applets() -> Vec<String> {
    let help = said(&["--help"]);
    let names = help.lines().filter_map(|line| line.strip_prefix("  rc-kexec ")?.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_string).collect();
    assert!(names.len() >= 6, "{help}");
    names
}

/// The options of an applet by its help: `  -d, --debug FILE  what it does`.
fn of_help(applet: &str) -> BTreeSet<Flag> {
    let help = said(&[applet, "--help"]);
    let flags = help.lines().filter_map(|line| {
        let words = line.strip_prefix("  -")?;
        let (letter, words) = match words.split_once(", ") {
            Some((letter, rest)) if letter.len() == 1 => {
                (Some(format!("-{letter}")), rest.strip_prefix('-')?)
            }
            _ => (None, words),
        };
        let mut words = words.split(' ');
        let name = format!("-{}", words.next()?);
        let is_value = |word: &&str| !word.is_empty() && !word.contains(|c: char| c.is_ascii_lowercase());
        let value = words.next().filter(is_value).map(str::to_string);
        Some(Flag { letter, name, value })
    });
    let flags: BTreeSet<Flag> = flags.collect();
    assert!(flags.iter().any(|flag| flag.name == "--help"), "{help}\n{flags:?}");
    flags
}

/// The part of the manual that is about an applet, and where it is.
fn page_of(applet: &str) -> (String, String) {
    if applet.starts_with("kexec-") {
        let path = format!("man/{applet}.8");
        return (file(&path), path);
    }
    let page = file("man/rc-kexec.8");
    let (_, section) = page
        .split_once(&format!("\n.Ss {applet}\n"))
        .unwrap_or_else(|| panic!("man/rc-kexec.8 has no .Ss {applet}"));
    let end = ["\n.Ss ", "\n.Sh "].iter().filter_map(|next| section.find(next)).min().unwrap();
    (section.split_at(end).0.to_string(), format!("man/rc-kexec.8, {applet}"))
}

/// The options of a part of the manual, each with the text that it has, alone or with
/// those beside it: `.It Fl d , Fl -debug Ar FILE`.
fn of_page(page: &str) -> Vec<(Flag, String)> {
    let mut flags: Vec<(Flag, String)> = Vec::new();
    // From where on they have the text that follows.
    let mut group = 0;
    let mut before = "";
    for line in page.lines() {
        if let Some(names) = line.strip_prefix(".It Fl ") {
            let words: Vec<&str> = names.split(' ').collect();
            let (letter, words) = match words.as_slice() {
                [letter, ",", "Fl", rest @ ..] => (Some(format!("-{letter}")), rest),
                rest => (None, rest),
            };
            let (name, value) = match words {
                [name] => (name, None),
                [name, "Ar", value] => (name, Some(value.to_string())),
                _ => panic!("no item as expected: {line}"),
            };
            if !before.starts_with(".It ") {
                group = flags.len();
            }
            flags.push((Flag { letter, name: format!("-{name}"), value }, String::new()));
        } else if [".It ", ".El", ".Sh ", ".Ss "].iter().any(|end| line.starts_with(end)) {
            group = flags.len();
        } else {
            for (_, text) in flags.iter_mut().skip(group) {
                text.push_str(line);
                text.push('\n');
            }
        }
        before = line;
    }
    flags
}

#[test]
fn every_option_of_the_help_is_on_its_page_and_no_other() {
    for applet in applets() {
        let (page, place) = page_of(&applet);
        let documented = of_page(&page);
        let names: BTreeSet<Flag> = documented.iter().map(|(flag, _)| flag.clone()).collect();
        assert_eq!(names.len(), documented.len(), "{place}: an option is there twice");
        let help = of_help(&applet);
        let missing: Vec<_> = help.difference(&names).collect();
        let made_up: Vec<_> = names.difference(&help).collect();
        assert!(
            missing.is_empty() && made_up.is_empty(),
            "{place}\n  not on the page: {missing:?}\n  not in the help: {made_up:?}"
        );
        for (flag, text) in documented {
            assert!(text.len() > 10, "{place}: {} has no text", flag.name);
            let says_default = text.to_lowercase().contains("default");
            assert!(says_default || flag.value.is_none(), "{place}: {} has no default\n{text}", flag.name);
        }
    }
}

#[test]
fn every_page_has_its_parts_and_this_version() {
    // The last one is process 1, and exits only when it is not.
    let pages = [("rc-kexec", 0..=2), ("kexec-load", 0..=2), ("kexec-exec", 0..=2), ("rc-kexec-init", 2..=2)];
    for (name, exits) in pages {
        let page = file(&format!("man/{name}.8"));
        let version = concat!(".Os \"rc-kexec ", env!("CARGO_PKG_VERSION"), "\"\n");
        let sections =
            "NAME,SYNOPSIS,DESCRIPTION,OPTIONS,ENVIRONMENT,FILES,EXIT STATUS,EXAMPLES,DIAGNOSTICS,SEE ALSO";
        let sections = sections.split(',').map(|section| format!("\n.Sh {section}\n"));
        let head = format!(".Dt {} 8\n", name.to_uppercase());
        for wanted in sections.chain([version.to_string(), head, format!("\n.Nm {name}\n.Nd ")]) {
            assert!(page.contains(&wanted), "man/{name}.8 lacks {wanted:?}");
        }
        let (_, statuses) = page.split_once("\n.Sh EXIT STATUS\n").unwrap();
        let (statuses, _) = statuses.split_once("\n.Sh ").unwrap();
        for status in exits {
            assert!(statuses.contains(&format!("\n.It {status}\n")), "man/{name}.8: exit status {status}");
        }
    }
}

/// What bash's function offers for these words, the last of which is being typed.
fn bash_offers(words: &[&str]) -> BTreeSet<String> {
    let script = r#"
        . completion/rc-kexec.bash || exit
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$*
        COMP_POINT=${#COMP_LINE}
        _rc_kexec "$1" "${@: -1}" "${@: -2:1}"
        [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("bash: {error}\n  run: sh tests/toolchain.sh check"));
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn bash_offers_every_option_and_no_other() {
    for applet in applets() {
        let wanted: BTreeSet<String> = of_help(&applet).iter().flat_map(Flag::spellings).collect();
        assert_eq!(bash_offers(&["/usr/sbin/rc-kexec", &applet, "-"]), wanted, "{applet}");
        if applet.starts_with("kexec") {
            assert_eq!(bash_offers(&[&applet, "-"]), wanted, "{applet}");
        }
        let beginning: BTreeSet<String> = wanted.into_iter().filter(|name| name.starts_with("--w")).collect();
        assert_eq!(bash_offers(&["rc-kexec", &applet, "--w"]), beginning, "{applet}");
    }
    let first: BTreeSet<String> = applets().into_iter().collect();
    let offered = bash_offers(&["rc-kexec", ""]);
    let applets: BTreeSet<String> = offered.into_iter().filter(|word| !word.starts_with('-')).collect();
    assert_eq!(applets, first);
}

#[test]
fn bash_offers_values_that_are_taken() {
    let table = [
        (&["kexec-load", "--syscall"][..], &["/nowhere"][..]),
        (&["kexec-exec", "--when-unknown"], &[]),
        (&["doctor", "--when-unknown"], &[]),
        (&["going-down", "--when-unknown"], &[]),
    ];
    for (words, operands) in table {
        let mut typed = vec!["rc-kexec"];
        typed.extend(words);
        let offered = bash_offers(&[&typed[..], &[""]].concat());
        assert!(offered.len() >= 2, "{words:?}: {offered:?}");
        // bash makes three words of --option=value.
        assert_eq!(bash_offers(&[&typed[..], &["=", ""]].concat()), offered, "{words:?}");
        for value in &offered {
            let output = run(&[words, &[value.as_str()], operands].concat());
            assert_ne!(output.status.code(), Some(2), "{words:?} {value}: {output:?}");
        }
    }
    // What is a line or an address is not guessed; files and folders are.
    let folders = bash_offers(&["kexec-load", "--boot", "./ma"]);
    assert_eq!(folders, BTreeSet::from(["./man".to_string()]));
    let files = bash_offers(&["kexec-load", "--initrd", "./Makef"]);
    assert_eq!(files, BTreeSet::from(["./Makefile".to_string()]));
    assert_eq!(bash_offers(&["kexec-load", "./Makef"]), files);
    let dumps = bash_offers(&["rc-kexec", "vmcore", "dmesg", "./Makef"]);
    assert_eq!(dumps, files);
    let actions = bash_offers(&["rc-kexec", "vmcore", ""]);
    assert_eq!(actions, BTreeSet::from(["dmesg", "info", "place", "save"].map(String::from)));
    for nothing in [
        &["kexec-load", "--append", ""][..],
        &["kexec-exec", ""],
        &["rc-kexec", "going-down", ""],
        &["rc-kexec", "boot-options", ""],
    ] {
        assert_eq!(bash_offers(nothing), BTreeSet::new(), "{nothing:?}");
    }
}

#[test]
fn a_shell_without_completion_reads_the_file_and_does_nothing() {
    let script = "sh -n completion/rc-kexec.bash && set -eu && . ./completion/rc-kexec.bash && echo done";
    let output = Command::new("sh").args(["-c", script]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap();
    assert!(output.stdout == b"done\n" && output.stderr.is_empty(), "{output:?}");
}

/// The options of an applet's function for zsh: what stands before the first bracket of
/// a specification, `'(-d --debug)'{-d,--debug}'[text]'`, and whether it takes a value.
fn of_zsh(applet: &str) -> BTreeSet<(String, bool)> {
    let functions = file("completion/_rc-kexec");
    let (_, function) = functions
        .split_once(&format!("\n_rc-kexec-{applet}() {{\n"))
        .unwrap_or_else(|| panic!("completion/_rc-kexec has no function for {applet}"));
    let (function, _) = function.split_once("\n}\n").unwrap();
    let specifications = function.lines().filter_map(|line| line.split_once('['));
    specifications
        .flat_map(|(before, after)| {
            let names = before.rsplit(')').next().unwrap_or_default();
            let names = names.split(|c: char| "'\"*{}, ".contains(c)).filter(|name| name.starts_with('-'));
            let value = after.contains("]:");
            names.map(move |name| (name.trim_end_matches(['=', '+']).to_string(), value)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn zsh_offers_every_option_and_no_other() {
    for applet in applets() {
        let help = of_help(&applet);
        let wanted: BTreeSet<(String, bool)> =
            help.iter().flat_map(|flag| flag.spellings().map(|name| (name, flag.value.is_some()))).collect();
        assert_eq!(of_zsh(&applet), wanted, "{applet}");
        assert!(file("completion/_rc-kexec").contains(&format!("\n        '{applet}:")), "{applet}");
    }
}

/// The names of the boot options in these lines: `rckexec.dev=` is `dev`.
fn boot_options<'t>(lines: impl Iterator<Item = &'t str>) -> BTreeSet<String> {
    let after = lines.flat_map(|line| line.split("rckexec.").skip(1));
    let name = after.filter_map(|rest| rest.split_once('=').map(|(name, _)| name));
    name.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .map(str::to_string)
        .collect()
}

#[test]
fn the_boot_options_of_the_page_are_those_of_the_document_and_of_the_program() {
    let beginning =
        |text: &str, start: &str| boot_options(text.lines().filter(|line| line.starts_with(start)));
    let page = file("man/rc-kexec-init.8");
    let on_page = beginning(&page, ".It Cm rckexec.");
    assert!(on_page.len() >= 7, "{on_page:?}");
    assert_eq!(on_page, boot_options(page.lines()), "man/rc-kexec-init.8: its items and its text");
    assert_eq!(on_page, beginning(&file("docs/initramfs.md"), "| `rckexec."), "docs/initramfs.md");
    let refusal = |name: &str| {
        let output = run(&["boot-options", &format!("rckexec.{name}=1")]);
        String::from_utf8(output.stderr).unwrap()
    };
    let unknown = refusal("unknown");
    let (_, names) = unknown.trim_end().split_once("it is none of ").unwrap();
    let names: BTreeSet<String> = names.replace(" and ", ", ").split(", ").map(str::to_string).collect();
    assert_eq!(on_page, names, "rc-kexec boot-options");
    for name in names {
        assert!(!refusal(&name).contains("none of"), "rc-kexec boot-options rckexec.{name}=1");
    }
    let (_, items) = page.split_once("\n.Sh OPTIONS\n").unwrap();
    for item in items.split("\n.It Cm ").skip(1) {
        assert!(item.contains("\nDefault: "), "man/rc-kexec-init.8: an option has no default\n{item}");
    }
}

/// The documents: those of the top folder, of docs/, and the tables of the tests.
fn documents() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs", "tests/faults", "tests/oracle"];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(top.join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The headings of a document, as the fragments that link to them.
fn fragments(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let fragment = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(fragment).collect()
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let links_of = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.starts_with("https://"));
        links.map(|link| (path.clone(), link.to_string())).collect::<Vec<_>>()
    };
    let links: Vec<(PathBuf, String)> = documents().into_iter().flat_map(links_of).collect();
    assert!(links.len() > 20, "{links:?}: is this how they are written?");
    for (path, link) in links {
        let (name, fragment) = link.split_once('#').unwrap_or((&link, ""));
        let target = if name.is_empty() { path.clone() } else { path.parent().unwrap().join(name) };
        assert!(target.exists(), "{}: {link} does not exist", path.display());
        if !fragment.is_empty() {
            let headings = fragments(&std::fs::read_to_string(target).unwrap());
            assert!(headings.contains(fragment), "{}: {link} is none of {headings:?}", path.display());
        }
    }
}

#[test]
fn the_readme_is_short_and_names_every_document() {
    let readme = file("README.md");
    assert!(readme.lines().count() <= 150, "README.md has {} lines", readme.lines().count());
    for name in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("(docs/{name})")), "README.md does not link to docs/{name}");
    }
}

#[test]
fn make_help_lists_every_target_and_no_other() {
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--no-print-directory", "help"])
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = help
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            assert_eq!(words.next(), Some("make"), "{help}");
            let name = words.next().unwrap();
            assert!(words.count() > 1, "{name} has no text\n{help}");
            name
        })
        .collect();
    let makefile = file("Makefile").replace("\\\n", " ");
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    let targets: BTreeSet<&str> = phony.split_whitespace().collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), targets, "{help}");
    assert_eq!(listed.len(), targets.len(), "{help}");
}

#[test]
fn the_change_log_begins_with_this_version() {
    let log = file("CHANGELOG.md");
    let first = log.lines().find(|line| line.starts_with("## ")).unwrap_or_default();
    assert!(first.starts_with(concat!("## ", env!("CARGO_PKG_VERSION"), " - ")), "{first}");
}
