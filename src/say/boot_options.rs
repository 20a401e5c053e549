//! The boot options of rc-kexec-init: as that script reads them, and what is wrong with them.

use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::known::boot_options::{BootOptions, Problem};
use std::fmt::{self, Display, Formatter};

impl Display for Problem<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoValue(name) => write!(f, "unable to use {}: it has no value", name.shown()),
            Problem::NoDevice(value) => {
                let value = value.shown();
                write!(
                    f,
                    "unable to use rckexec.dev={value}: it is LABEL=, UUID=, PARTUUID= or a path in /dev"
                )
            }
            Problem::NoNumber(option) => {
                write!(f, "unable to use {}: it is a number of seconds", option.shown())
            }
            Problem::ForInit(word) => write!(
                f,
                "unable to use {0} between the quotes of rckexec.append=: after a failure the ordinary /init would act on it\n  give it an option of its own: rckexec.append={0}",
                word.shown()
            ),
            Problem::Unknown(name) => {
                let name = name.shown();
                write!(
                    f,
                    "unable to use {name}: it is none of dev, wait, fstype, kernel, dir, initrd, append, dump, dump-limit and dump-keep"
                )
            }
            Problem::NotOneKernel => {
                f.write_str("unable to choose a kernel: give rckexec.kernel= or rckexec.dir=, one of them")
            }
        }
    }
}

/// One assignment per line. sh(1) reads back every byte: nothing is special between
/// single quotes.
pub fn assignments(options: &BootOptions) -> Vec<u8> {
    let (wait, initrds) = (options.wait.to_string(), options.initrds.join(&b','));
    let (limit, dumps) = (options.dump_limit.to_string(), options.dumps.join(&b'\n'));
    let table: [(&str, &[u8]); 11] = [
        ("asked", if options.asked { b"yes" } else { b"" }),
        ("dev", options.dev),
        ("wait", wait.as_bytes()),
        ("fstype", options.fstype),
        ("kernel", options.kernel),
        ("dir", options.dir),
        ("initrds", &initrds),
        ("dumps", &dumps),
        ("dump_limit", limit.as_bytes()),
        ("dump_keep", options.dump_keep),
        ("line", &options.line),
    ];
    let mut text = Vec::new();
    for (name, value) in table {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"='");
        for (index, part) in parts(value, b'\'').enumerate() {
            text.extend_from_slice(if index > 0 { b"'\\''" } else { b"" });
            text.extend_from_slice(part);
        }
        text.extend_from_slice(b"'\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::boot_options::parse;

    #[test]
    fn assignments_are_quoted() {
        let options = parse(b"rckexec.dir=/it's rckexec.initrd=a,b rckexec.wait=07 $x '").unwrap();
        let wanted = "asked='yes'\ndev=''\nwait='7'\nfstype=''\nkernel=''\ndir='/it'\\''s'\ninitrds='a,b'\ndumps=''\ndump_limit='900'\ndump_keep='none'\nline='$x '\\'''\n";
        assert_eq!(String::from_utf8(assignments(&options)).unwrap(), wanted);
        let nothing = assignments(&BootOptions::default());
        assert!(nothing.starts_with(b"asked=''\ndev=''\nwait='30'\n"), "{nothing:?}");
    }
}
