//! What goes wrong: each system call of a load and of a jump in turn, the machine around
//! it, and who may do what. Whatever it is there is a message and an exit status, what was
//! loaded before stays loaded, and the ordinary reboot works. The tables that come out are
//! kept in tests/faults/README.md.

use crate::initrds::marked_archive;
use crate::machine::{Console, Kernel, Vm};
use crate::{SAY, SECOND, guest, table};

#[track_caller]
fn assert_table(name: &str, head: &str, rows: &[String], console: &Console) {
    table::assert("tests/faults/README.md", name, head, rows, &console.shown());
}

/// A machine in which one program runs a thousand times, at the same addresses each time
/// (norandmaps). QEMU keeps the code that it translated for each address, and looks through all
/// of a page's for every byte that is written to the page. With random addresses that was so
/// much that the next kernel could clear memory at ten bytes a second, and the jump never ended.
fn machine(kernel: Kernel) -> Vm {
    Vm::new(kernel).append("norandmaps").file("bin/injector", &guest("vm-injector"))
}

/// What the injector says of a run that must not be.
const BAD: [&str; 8] = ["CHANGED", "DIED", "SAYS so", "SILENT", "JUMPED", "UNKNOWN", "BAD", "panicked"];

/// The rows of each sweep: what was run, the call, what it is on, the errors, the outcome.
/// In a table those that end alike are one row.
fn rows(console: &Console) -> Vec<String> {
    let mut rows: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut of = String::new();
    for (_, line) in &console.lines {
        if let Some(command) = line.strip_prefix("SWEEP ") {
            of = command.into();
        }
        let Some(row) = line.strip_prefix("ROW ") else { continue };
        let fields: Vec<&str> = row.splitn(4, '|').collect();
        let [call, on, errors, outcome] = fields[..] else { panic!("{line}\n{}", console.shown()) };
        assert!(!BAD.iter().any(|bad| outcome.starts_with(bad)), "{of}: {line}\n{}", console.shown());
        let outcome = without_sizes(outcome);
        let on = if on.is_empty() { String::new() } else { format!(" {on}") };
        let errors = if errors == "each" { String::new() } else { format!(" ({errors})") };
        let what = format!("{call}{on}{errors}");
        match rows.iter_mut().find(|row| row.0 == of && row.1 == outcome) {
            Some(row) => row.2.push(what),
            None => rows.push((of.clone(), outcome, vec![what])),
        }
    }
    rows.into_iter()
        .map(|(of, outcome, what)| format!("| `{of}` | {} | {outcome} |", what.join("; ")))
        .collect()
}

/// What is swept, each as it is typed.
const SWEPT: &[&str] = &[
    "kexec-load /boot/vmlinuz --initrd /one --append x --syscall load",
    "kexec-load /boot/vmlinuz --initrd /one --initrd /two --append x --syscall file",
    "kexec-load",
    "kexec-load /boot/vmlinuz.gz --append x --add-file /one:/file --crypt-key /key --force",
    "kexec-load --unload",
    "kexec-load --status",
    "kexec-exec --now",
    "kexec-exec",
    "kexec /boot/vmlinuz --append x",
];

/// A machine on which an image is loaded, then everything fails, and then that image starts.
fn swept(how: &str) -> Vm {
    let mut first = format!(
        "pack\ngzip -c /boot/vmlinuz >/boot/vmlinuz.gz\ncp /boot/vmlinuz /boot/vmlinuz-virt\n\
         cp /one /boot/initramfs-virt\nchmod 400 /key\nexport RC_GOINGDOWN=YES RC_RUNLEVEL=shutdown RC_REBOOT=YES\n\
         run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line '{SECOND}'\n"
    );
    for command in SWEPT {
        // What this one does and others do not is at its end.
        let which = match *command {
            "kexec /boot/vmlinuz --append x" => "execve",
            "kexec-load --unload" | "kexec-load --status" | "kexec-exec --now" if how == "new" => "own",
            _ => how,
        };
        first.push_str(&format!("echo \"SWEEP {command}\"\nrun injector sweep {which} {command}\n"));
    }
    // Where there must be no jump, none is made whatever fails.
    first.push_str(
        r#"rc-kexec going-down --skip
echo "SWEEP kexec-exec, an ordinary reboot was asked for"
run injector sweep /run kexec-exec
rm -r /run/rc-kexec
unset RC_REBOOT
mount -t tracefs none /sys/kernel/tracing
trap : USR2
rc-kexec going-down --arm
kill -USR2 1
rc-kexec going-down
echo "SWEEP kexec-exec, at a poweroff"
run injector sweep /sys/kernel/tracing kexec-exec
export RC_REBOOT=YES
echo "SWEEP kexec-exec, at a poweroff, where inittab says reboot of everything"
run injector sweep /sys/kernel/tracing kexec-exec
run injector sweep /proc kexec-exec
echo LOADED $(cat /sys/kernel/kexec_loaded)
kexec -e
"#,
    );
    machine(Kernel::Alpine)
        .file("one", &marked_archive(1))
        .file("two", &marked_archive(2))
        .file("key", b"secret")
        .stage(1, &first)
        .stage(2, SAY)
}

/// The first image is still there, and starts.
#[track_caller]
fn assert_earlier_one_starts(console: &Console) {
    console.has("LOADED 1").has("STAGE 2 ENDS").has_not("panicked");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
}

#[test]
fn each_system_call_fails_in_turn() {
    let console = swept("new").run();
    assert_earlier_one_starts(&console);
    assert_swept(&console);
    console.has("poweroff: the first signal that init received is SIGUSR2");
    assert_table("calls", CALLS, &rows(&console), &console);
}

const CALLS: &str = "| command | what fails (with which errors) | outcome |";

/// Each sweep came to its end.
#[track_caller]
fn assert_swept(console: &Console) {
    let ended = console.text.matches("\nEXIT 0 of injector").count();
    assert_eq!(ended, SWEPT.len() + 4, "{}", console.shown());
}

/// Where EFI started the machine there is more to read, and more that must not be taken for
/// what is not there.
#[test]
fn each_reading_of_efis_files_fails_in_turn() {
    let command = SWEPT[0];
    let first = format!(
        "pack\nrun kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line '{SECOND}'\n\
         echo \"SWEEP {command}\"\nrun injector sweep /sys/firmware/efi {command}\n\
         echo LOADED $(cat /sys/kernel/kexec_loaded)\nkexec -e\n"
    );
    let console =
        machine(Kernel::Alpine).uefi().file("one", &marked_archive(1)).stage(1, &first).stage(2, SAY).run();
    assert_earlier_one_starts(&console);
    console.has("EXIT 0 of injector");
    assert_table("efi", CALLS, &rows(&console), &console);
}

/// Every error of every call, also of those that are alike; and with EFI, whose tables are
/// more to read.
#[test]
#[ignore = "long: make vm-test-long"]
fn each_system_call_fails_in_each_way() {
    for uefi in [false, true] {
        let vm = swept("all");
        let console = if uefi { vm.uefi() } else { vm }.run();
        assert_earlier_one_starts(&console);
        assert_swept(&console);
        println!("{}", rows(&console).join("\n"));
    }
}

/// fault NAME COMMAND...: what it says first, its exit status, and whether an image is loaded.
const FAULT: &str = r#"
before() { :; }
after() { :; }
fault() {
    name=$1; shift
    before
    "$@" >/dev/null 2>/tmp/said; status=$?
    after
    before() { :; }
    after() { :; }
    echo "FAULT $name|$status, $(grep -m 1 ': unable to ' /tmp/said || head -n 1 /tmp/said)|$(cat /sys/kernel/kexec_loaded)"
}
"#;

/// Without the numbers of bytes, which are the machine's and its kernel's, and its release.
fn without_sizes(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_size = |at: usize| {
        words[at].parse::<f64>().is_ok()
            && words.get(at + 1).is_some_and(|unit| unit.starts_with("MiB") || unit.starts_with("bytes"))
    };
    let is_release =
        |word: &str| word.strip_prefix("/boot/vmlinuz-").is_some_and(|name| name.starts_with('6'));
    let shown = |at: usize| match words[at] {
        _ if is_size(at) => "…",
        word if is_release(word) => "/boot/vmlinuz-…",
        word => word,
    };
    let words: Vec<&str> = (0..words.len()).map(shown).collect();
    words.join(" ")
}

/// The rows of `fault`, without numbers that are the machine's.
fn faults(console: &Console) -> Vec<String> {
    let rows = console.marked("FAULT").into_iter().map(|line| {
        let fields: Vec<&str> = line.split('|').collect();
        let [name, outcome, loaded] = fields[..] else { panic!("{line}\n{}", console.shown()) };
        assert_eq!(loaded, "1", "{line}\n{}", console.shown());
        format!("| {name} | {} |", without_sizes(outcome).trim_end_matches([' ', ',']))
    });
    rows.collect()
}

/// What is wrong with the machine, while an image is loaded.
#[test]
fn whatever_is_wrong_with_the_machine_the_earlier_image_starts() {
    let first = format!(
        r#"{FAULT}
pack
load="kexec-load /boot/vmlinuz --append x --syscall load"
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line '{SECOND}'
cp /boot/vmlinuz /tmp/copy
cp /one /tmp/one

echo CUTS the kernel; run injector cut /tmp/copy kexec-load /tmp/copy --append x --syscall load
gzip -c /boot/vmlinuz >/tmp/copy.gz
echo CUTS a compressed kernel; run injector cut /tmp/copy.gz kexec-load /tmp/copy.gz --append x --syscall load
echo CUTS the initrd; run injector cut /tmp/one kexec-load /boot/vmlinuz --initrd /tmp/one --append x --syscall load
echo ENDED; run injector signals $load

before() {{ umount /proc; }}
after() {{ mount -t proc proc /proc; }}
fault "no /proc" $load
before() {{ umount -l /sys; }}
after() {{ mount -t sysfs sysfs /sys; }}
fault "no /sys" $load
before() {{ umount -l /proc; umount -l /sys; }}
after() {{ mount -t proc proc /proc; mount -t sysfs sysfs /sys; }}
fault "neither" $load

mount -t tmpfs -o nr_inodes=1 none /run
fault "/run is full: skip" rc-kexec going-down --skip
mount -t tmpfs none /run
mkdir /run/rc-kexec
mount -t tmpfs -o nr_inodes=1 none /run/rc-kexec
mount -t tmpfs none /sys/kernel/tracing 2>/dev/null
fault "/run/rc-kexec is full: watching init" rc-kexec going-down --arm
umount /sys/kernel/tracing
umount /run/rc-kexec
mount -o remount,ro /run
fault "/run is read-only: skip" rc-kexec going-down --skip

head -c 3000000 /boot/vmlinuz >/tmp/short
fault "a kernel cut short" kexec-load /tmp/short --append x
head -c 200 /one >/tmp/short
fault "an initrd cut short" kexec-load /boot/vmlinuz --initrd /tmp/short --append x
fault "a command line that is too long" kexec-load /boot/vmlinuz --append "$(head -c 2048 /dev/zero | tr '\0' x)"

printf '\037\213\010\000' >/tmp/huge; truncate -s 500M /tmp/huge
fault "an initrd of more than half of the memory" $load --initrd /tmp/huge
fault "files to add that do not fit" $load --add-file /tmp/huge:/huge --add-file /tmp/huge:/more

fault "not at the end of a shutdown" kexec-exec
export RC_GOINGDOWN=YES RC_RUNLEVEL=shutdown RC_REBOOT=YES
fault "a jump without CAP_SYS_BOOT" injector drop 22 kexec-exec
fault "a load without CAP_SYS_BOOT" injector drop 22 $load
kexec-exec
"#
    );
    let console = machine(Kernel::Alpine)
        .file("one", &marked_archive(1))
        .stage(1, &first)
        // The ordinary reboot ends it.
        .stage(2, SAY)
        .run();
    console.has("EXIT 0 of kexec-load").has("STAGE 2 ENDS").has_not("BAD").has_not("panicked");
    assert_eq!(console.only("CMDLINE"), SECOND, "{}", console.shown());
    assert_eq!(console.text.matches("\nEXIT 0 of injector").count(), 4, "{}", console.shown());
    let mut rows: Vec<String> = Vec::new();
    let mut of = "";
    for (_, line) in &console.lines {
        if let Some(what) = line.strip_prefix("CUTS ") {
            of = what;
        }
        if let Some(outcome) = line.strip_prefix("CUT ") {
            rows.push(format!("| {of} is emptied after it was opened | {outcome} |"));
        }
        if let Some(signal) = line.strip_prefix("SIGNALS ") {
            let name = signal.split(' ').next().unwrap();
            assert!(signal.ends_with(" runs, 0 otherwise"), "{signal}\n{}", console.shown());
            rows.push(format!("| {name}, at any time | ends by it |"));
        }
    }
    rows.extend(faults(&console));
    assert_table("machine", "| what is wrong | outcome |", &rows, &console);
}

/// Loads at once and loads that are killed inside of the call; too little memory; the last
/// load that is allowed; and after all that, an ordinary reboot.
#[test]
fn loads_that_meet_each_other_or_an_end_leave_one_of_them_whole() {
    let killed = format!("{SECOND} killed");
    let first = format!(
        r#"pack
load() {{ kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall load "$@"; }}
run load --command-line '{SECOND}'
for i in 1 2 3 4 5 6; do
    (load --command-line '{SECOND}' >/tmp/said.$i 2>&1; echo $? >/tmp/status.$i) &
done
wait
for i in 1 2 3 4 5 6; do
    case $(cat /tmp/status.$i) in
    0) echo ATONCE loaded ;;
    1) echo ATONCE $(grep unable /tmp/said.$i) ;;
    *) echo BAD: $(cat /tmp/status.$i /tmp/said.$i) ;;
    esac
done
head -c 60000000 /dev/urandom >/tmp/noise
printf '\037\213\010\000' | cat - /tmp/noise >/tmp/large
rm /tmp/noise
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --initrd /tmp/large --syscall load         --command-line '{killed}' >/dev/null 2>&1 & one=$!
    usleep $((i * 20000))
    kill -9 $one
    wait $one
    echo ENDED $?
    [ "$(cat /sys/kernel/kexec_loaded)" = 1 ] || echo BAD: nothing is loaded
done 2>/dev/null
kexec -e
"#
    );
    let second = format!(
        r#"{FAULT}
echo CMDLINE $(cat /proc/cmdline)
load="kexec-load /boot/vmlinuz --append x"
run $load
mkdir /tmp/full
mount -t tmpfs -o size=100% none /tmp/full
head -c $(($(sed -n 's/^MemAvailable: *\([0-9]*\) .*/\1/p' /proc/meminfo) - 120000))k /dev/zero >/tmp/full/zeros
printf '\037\213\010\000' >/tmp/sparse
truncate -s 100M /tmp/sparse
fault "more than is available, by kexec_load" $load --initrd /tmp/sparse --syscall load
fault "more than is available, by kexec_file_load" $load --initrd /tmp/sparse --syscall file
rm /tmp/full/zeros
echo 1 >/proc/sys/kernel/kexec_load_limit_reboot
run $load --syscall load
fault "kexec_load_limit_reboot=1, the second load" $load --syscall load
fault "a jump without CAP_SYS_BOOT" injector drop 22 kexec-exec --now
dmesg -n 8
"#
    );
    let console = machine(Kernel::Debian).processors(2).stage(1, &first).stage(2, &second).run();
    console.has("EXIT 0 of load").has_not("BAD").has_not("panicked");
    let at_once = console.marked("ATONCE");
    assert!(at_once.contains(&"loaded"), "{}", console.shown());
    let busy = "kexec-load: unable to load /boot/vmlinuz with kexec_load: another load is running";
    assert!(at_once.iter().all(|line| [busy, "loaded"].contains(line)), "{}", console.shown());
    // All are killed, some of them inside the call, which lasts longer than the shortest wait.
    let ended = console.marked("ENDED");
    assert!(ended.contains(&"137"), "{}", console.shown());
    assert!(ended.iter().all(|status| ["137", "0"].contains(status)), "{}", console.shown());
    // Whichever was loaded last is whole: it starts.
    let started = console.only("CMDLINE");
    assert!([SECOND, &killed].contains(&started), "{started}\n{}", console.shown());
    assert_eq!(console.text.matches("\nEXIT 0 of kexec-load").count(), 2, "{}", console.shown());
    assert_table("meetings", "| what is wrong | outcome |", &faults(&console), &console);
    // A kernel is loaded, and the reboot is an ordinary one.
    console.has("STAGE 2 ENDS").has("reboot: Restarting system").has_not("STAGE 3");
}

/// Who may do what.
#[test]
fn without_the_privilege_nothing_is_loaded_and_nobody_gains_it() {
    let first = format!(
        r#"{FAULT}
pack
chmod 644 /tmp/next.cpio
echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
echo 'nobody:x:65534:' >/etc/group
chmod 755 /tmp; mount -t tmpfs none /mnt; mkdir /mnt/bin
load="/sbin/kexec-load /boot/vmlinuz --append x"
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --command-line '{SECOND}'
nobody() {{ su nobody -c "$*"; }}

fault "not root: a load" nobody $load --syscall load
fault "not root: a load by kexec_file_load" nobody $load --syscall file
fault "not root: a jump" nobody /sbin/kexec-exec --now
fault "not root: unloading" nobody /sbin/kexec-load --unload
fault "root without CAP_SYS_BOOT: a load" injector drop 22 $load --syscall load
fault "root without CAP_SYS_BOOT: a load by kexec_file_load" injector drop 22 $load --syscall file
fault "root without CAP_SYS_BOOT: a jump" injector drop 22 kexec-exec --now
fault "root without CAP_SYS_BOOT: unloading" injector drop 22 kexec-load --unload
fault "root of a user namespace: a load" unshare -U -r $load --syscall load
fault "root of a user namespace: a load by kexec_file_load" unshare -U -r $load --syscall file
fault "root of a user namespace: a jump" unshare -U -r kexec-exec --now
fault "a container (user, process and mount namespaces): a load" unshare -U -r -p -m -f $load
fault "a container with all privileges: a jump" unshare -p -f kexec-exec --now

for bits in 4755 2755; do
    cp /sbin/rc-kexec /mnt/bin/kexec-load; chmod $bits /mnt/bin/kexec-load
    fault "mode $bits, not root" nobody /mnt/bin/kexec-load --status
    fault "mode $bits, root" /mnt/bin/kexec-load --status
done
cp /sbin/rc-kexec /mnt/bin/kexec-load; chmod 755 /mnt/bin/kexec-load
injector setcap /mnt/bin/kexec-load
fault "file capabilities, not root" nobody /mnt/bin/kexec-load --status
fault "file capabilities, root" /mnt/bin/kexec-load --status

# What a user's environment could name: another reboot, another shell, a library.
mkdir /mnt/evil
for name in reboot sh sync mount cat; do
    printf '#!/bin/busybox sh\necho EVIL\n' >/mnt/evil/$name; chmod 755 /mnt/evil/$name
done
printf '#!/bin/busybox sh\necho ASKED BY $0; /bin/busybox env | /bin/busybox sed "s/^/ENV /"\n' >/sbin/reboot
chmod 755 /sbin/reboot
(export PATH=/mnt/evil IFS=/ ENV=/mnt/evil/sh BASH_ENV=/mnt/evil/sh LD_PRELOAD=/mnt/evil/sh LD_LIBRARY_PATH=/mnt/evil
 cd /mnt/evil; /sbin/kexec /boot/vmlinuz --initrd=/tmp/next.cpio --append='{SECOND}')

doctor() {{ rc-kexec doctor --append x "$@" --porcelain | grep -E '^(kernel|settings)-file' | sed "s/^/DOCTOR /"; }}
mkdir /boot/open /etc/conf.d; cp /boot/vmlinuz /boot/open/k; chmod 600 /boot/open/k
echo kexec_append=x >/etc/conf.d/kexec-load
doctor /boot/open/k
chmod 777 /boot/open; doctor /boot/open/k; chmod 755 /boot/open
chmod 666 /boot/open/k; doctor /boot/open/k; chmod 600 /boot/open/k
chown nobody /boot/open/k; doctor /boot/open/k; chown 0 /boot/open/k
ln -s boot/open/k /k; doctor /k
chmod 664 /boot/open/k; doctor /k; chmod 600 /boot/open/k
chmod 646 /etc/conf.d/kexec-load; doctor /boot/open/k
echo LOADED $(cat /sys/kernel/kexec_loaded)
kexec -e
"#
    );
    let console = machine(Kernel::Debian).stage(1, &first).stage(2, SAY).run();
    assert_earlier_one_starts(&console);
    console.has("ASKED BY /sbin/reboot").has_not("EVIL").has_not("ENV LD_").has_not("ENV PATH=/mnt");
    let rows = faults(&console);
    assert_table("privilege", "| who | outcome |", &rows, &console);
    let rows: Vec<String> =
        console.marked("DOCTOR").iter().map(|line| format!("| {} |", line.replace('\t', " | "))).collect();
    assert_table("doctor", "| check | is | says |", &rows, &console);
}
