//! Files: those a user names, and the small ones of /proc and /sys.

use super::syscalls::Mapping;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// No file of /proc or /sys that this program reads is longer.
const LONGEST_SMALL_FILE: u64 = 4 << 20;

/// A file of the user's, opened once: what is checked is what is loaded.
#[derive(Debug)]
pub struct Input {
    /// As the user named it, or as it was found.
    pub path: PathBuf,
    /// Open for reading.
    pub file: File,
    mapping: Option<Mapping>,
}

/// Why a file cannot be used at all.
#[derive(Debug)]
pub enum Unusable {
    /// open, stat or mmap said so.
    Io(io::Error),
    /// It is a directory.
    Directory,
    /// It is a device, a pipe or a socket.
    Special,
}

impl Input {
    /// Opens and maps a regular file.
    pub fn open(path: &Path) -> Result<Input, Unusable> {
        let file_type = std::fs::metadata(path).map_err(Unusable::Io)?.file_type();
        // Before open, which waits at a pipe without a writer.
        if file_type.is_fifo() || file_type.is_socket() || file_type.is_char_device() {
            return Err(Unusable::Special);
        }
        let file = File::open(path).map_err(Unusable::Io)?;
        let metadata = file.metadata().map_err(Unusable::Io)?;
        if metadata.is_dir() {
            return Err(Unusable::Directory);
        }
        if !metadata.is_file() {
            return Err(Unusable::Special);
        }
        let length = usize::try_from(metadata.len()).ok().and_then(NonZeroUsize::new);
        let mapping = match length {
            Some(length) => {
                Some(Mapping::new(&file, length).map_err(|errno| Unusable::Io(errno.into()))?)
            }
            None => None,
        };
        Ok(Input { path: path.to_path_buf(), file, mapping })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], Mapping::bytes)
    }
}

/// A small file of /proc, /sys or /etc, whole.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_SMALL_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`read`], where a file that cannot be read is as good as none.
pub fn read_optional(path: impl AsRef<Path>) -> Option<Vec<u8>> {
    read(path).ok()
}

/// The running kernel's command line, without the newline at its end.
pub fn command_line() -> io::Result<Vec<u8>> {
    let mut line = read("/proc/cmdline")?;
    while line.last().is_some_and(u8::is_ascii_whitespace) {
        line.pop();
    }
    Ok(line)
}

/// Writes to standard output. That nobody reads it is no failure of ours.
pub fn print(text: &str) {
    let _ = super::syscalls::write_all(std::io::stdout(), text.as_bytes());
}

/// Writes to standard error.
pub fn complain(text: &str) {
    let _ = super::syscalls::write_all(std::io::stderr(), text.as_bytes());
}
