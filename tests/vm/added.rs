//! Files that are added to the next kernel's initramfs (--add-file), as that kernel
//! finds them, and the key that may not be (--crypt-key).

use crate::machine::{Kernel, Vm};
use crate::script::LoadAndJump;
use crate::{SAY, SECOND, assert_second};

/// What is added, and where it is looked at by the second kernel. The initramfs has
/// /etc/replaced, /mnt with a mode of its own, and /lib, which is a link.
const ADD: &str = r#"
rmdir /mnt && mkdir -m 700 /mnt
mkdir -p /usr/lib
ln -s usr/lib /lib
echo old >/etc/replaced
ln /etc/replaced /etc/other-name
echo text >/tmp/file
chmod 640 /tmp/file
chown 12:34 /tmp/file
head -c 5001 /dev/zero | tr '\0' x >/tmp/large
: >/tmp/empty
"#;
const LOOK: &str = r#"
for file in /new/dir/file /etc/replaced /lib/under-a-link /usr/lib/under-a-link /large /empty /mnt/file /strange*; do
    echo "FILE $(stat -c '%a %u:%g %h %s' "$file") $(head -c 4 "$file") $(echo "$file" | tr '\n' '|')"
done
echo "LINK $(readlink /lib)"
echo "ABOVE $(stat -c '%a %u' /mnt)"
echo "OTHER $(cat /etc/other-name)"
echo "LENGTH $(tr -d x </large | wc -c)"
"#;

fn added_by(kernel: Kernel, call: &str) {
    let options = "--add-file /tmp/file:/new/dir/file --add-file /tmp/file:etc/replaced:4755 \
        --add-file /tmp/large:/large --add-file /tmp/file:lib/under-a-link --add-file /tmp/empty:empty:0 \
        --add-file /tmp/file:/mnt/file --add-file \"$(printf '/tmp/file:/strange\nname|')\"";
    let first = LoadAndJump::by(call).before(ADD).options(options);
    let console = Vm::new(kernel).stage(1, first).stage(2, format!("{SAY}{LOOK}")).run();
    assert_second(&console);
    let wanted = [
        "640 0:0 1 5 text /new/dir/file|",
        "4755 0:0 1 5 text /etc/replaced|",
        "640 0:0 1 5 text /lib/under-a-link|",
        "640 0:0 1 5 text /usr/lib/under-a-link|",
        "644 0:0 1 5001 xxxx /large|",
        "0 0:0 1 0  /empty|",
        "640 0:0 1 5 text /mnt/file|",
        "640 0:0 1 5 text /strange|name||",
    ];
    assert_eq!(console.marked("FILE"), wanted, "{}", console.shown());
    assert_eq!(console.only("LINK"), "usr/lib", "{}", console.shown());
    assert_eq!(console.only("LENGTH"), "0", "{}", console.shown());
    // A directory that is there becomes as those that are made.
    assert_eq!(console.only("ABOVE"), "755 0", "{}", console.shown());
    // Another name of the file that was replaced is another file now.
    assert_eq!(console.only("OTHER"), "old", "{}", console.shown());
}

#[test]
fn added_files_arrive_by_the_load_call() {
    added_by(Kernel::Alpine, "load");
}

#[test]
fn added_files_arrive_by_the_file_call() {
    added_by(Kernel::Debian, "file");
}

/// Without any initrd: all that the next kernel finds was added.
#[test]
fn added_files_alone_are_an_initramfs() {
    let init = "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n\
        /bin/busybox mkdir /proc\n/bin/busybox mount -t proc proc /proc\n\
        exec >/dev/console\necho ALONE $(/bin/busybox cat /proc/cmdline)\n/bin/busybox reboot -f\n";
    for (kernel, call) in [(Kernel::Alpine, "load"), (Kernel::Debian, "file")] {
        let first = format!(
            "run kexec-load /boot/vmlinuz --syscall {call} --command-line 'console=ttyS0 panic=-1 x' \
             --add-file /bin/busybox:/bin/busybox --add-file /alone:/init:755\nkexec -e\n"
        );
        let console = Vm::new(kernel).file("alone", init.as_bytes()).stage(1, first).run();
        assert_eq!(console.only("ALONE"), "console=ttyS0 panic=-1 x", "{}", console.shown());
    }
}

/// At the end of the last initrd it would be hidden by the archive that follows.
#[test]
fn a_bootconfig_stays_at_the_end() {
    let text = b"answer = 42\n\0";
    let mut config = text.to_vec();
    config.resize(text.len().next_multiple_of(4), 0);
    let sum: u32 = config.iter().map(|&byte| u32::from(byte)).sum();
    let size = config.len() as u32;
    config.extend_from_slice(&size.to_le_bytes());
    config.extend_from_slice(&sum.to_le_bytes());
    config.extend_from_slice(b"#BOOTCONFIG\n");
    let first = LoadAndJump::by("load")
        .packed("cat /bootconfig >>/tmp/next.cpio")
        .options("--add-file /bootconfig:/copied")
        .line(&format!("{SECOND} bootconfig"));
    let look = "echo CONFIG $(cat /proc/bootconfig)\ncmp /bootconfig /copied && echo SAME 1\n";
    let console = Vm::new(Kernel::Alpine).file("bootconfig", &config).stage(1, first).stage(2, look).run();
    assert_eq!(console.only("CONFIG"), "answer = \"42\"", "{}", console.shown());
    assert_eq!(console.only("SAME"), "1", "{}", console.shown());
}

/// A file system in memory is none that is encrypted; and by the file call the kernel
/// would keep copies.
#[test]
fn a_key_is_refused_where_it_is_not_safe() {
    let stage = "
        echo secret >/etc/key
        load() { run kexec-load /boot/vmlinuz --append \"$@\" 2>&1 | sed \"s/^/$mark /\"; run kexec-load --status; }
        mark=OTHERS; chmod 644 /etc/key; load x --crypt-key /etc/key --force
        mark=OWNER; chmod 400 /etc/key; chown 5 /etc/key; load x --crypt-key /etc/key --force
        mark=BARE; chown 0 /etc/key; load x --crypt-key /etc/key
        mark=EMPTY; : >/etc/empty; chmod 400 /etc/empty; load x --crypt-key /etc/empty --force
        mark=CALL; load x --crypt-key /etc/key --force --syscall file
        mark=FORCED; load cryptroot=x --crypt-key /etc/key --force
    ";
    let console = Vm::new(Kernel::Debian).stage(1, stage).run();
    let refused = [
        ("OTHERS", "users other than root can read it (mode 0644, owner 0)"),
        ("OWNER", "users other than root can read it (mode 0400, owner 5)"),
        ("BARE", "its file system is not known to be encrypted: whoever has the disk could read the key"),
        ("EMPTY", "the file is empty"),
        ("CALL", "kexec_file_load leaves copies of the key in memory"),
    ];
    for (mark, why) in refused {
        let object = if mark == "CALL" { "use --crypt-key: " } else { "pass on the key " };
        console.has(&format!("{mark} kexec-load: unable to {object}")).has(why);
        console.has(&format!("{mark} EXIT 1 of kexec-load"));
    }
    console.has("FORCED loaded with kexec_load").has("FORCED EXIT 0 of kexec-load");
    assert_eq!(console.text.matches("\nEXIT 1 of kexec-load").count(), 5, "{}", console.shown());
    assert_eq!(console.text.matches("\nEXIT 0 of kexec-load").count(), 1, "{}", console.shown());
}
