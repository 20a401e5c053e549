//! Tables in documents that tests make again and compare.

use std::path::Path;

/// Fails unless the table between the marks of this name in a document is this one; `seen` is what led
/// to it. With RC_KEXEC_TABLES set, writes it there.
#[track_caller]
pub fn assert(document: &str, name: &str, head: &str, rows: &[String], seen: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let columns = head.matches('|').count() - 1;
    let new = format!("{head}\n|{}\n{}\n", "---|".repeat(columns), rows.join("\n"));
    let text = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let at = text.find(&begin).unwrap_or_else(|| panic!("no {begin} in {document}")) + begin.len();
    let length = text[at..].find(&end).unwrap_or_else(|| panic!("no {end} in {document}"));
    let old = &text[at..at + length];
    println!("{new}");
    if old == new {
        return;
    }
    if std::env::var_os("RC_KEXEC_TABLES").is_some() {
        std::fs::write(&file, format!("{}{new}{}", &text[..at], &text[at + length..])).unwrap();
        return;
    }
    let is_in = |table: &str, row: &&str| table.lines().any(|line| line == *row);
    let gone: Vec<&str> = old.lines().filter(|row| !is_in(&new, row)).collect();
    let come: Vec<&str> = new.lines().filter(|row| !is_in(old, row)).collect();
    panic!(
        "the table \"{name}\" is another one than in {document}\n  RC_KEXEC_TABLES=1 writes it there\n\
         no longer:\n{}\nnow:\n{}\n{seen}",
        gone.join("\n"),
        come.join("\n"),
    );
}
