//! The standard output and error of the program. No verb of the library writes to them.

use super::sys::file::write_standard;
use core::fmt::{self, Write};
use nix::errno::Errno;

/// A buffered standard stream. After an error the work goes on: nobody may be reading.
struct Stream {
    number: i32,
    pending: heapless::Vec<u8, 512>,
    /// How the writing went.
    result: Result<(), Errno>,
}

impl Stream {
    fn flush(&mut self) {
        self.result = self.result.and(write_standard(self.number, &self.pending));
        self.pending.clear();
    }
}

impl Write for Stream {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.pending.extend_from_slice(text.as_bytes()).is_err() {
            self.flush();
            self.result = self.result.and(write_standard(self.number, text.as_bytes()));
        }
        Ok(())
    }
}

fn stream(number: i32, with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) -> Result<(), Errno> {
    let mut stream = Stream { number, pending: heapless::Vec::new(), result: Ok(()) };
    let _ = with(&mut stream);
    stream.flush();
    stream.result
}

/// Writes to standard output.
pub fn print(text: fmt::Arguments) {
    let _ = stream(1, &mut |out| out.write_fmt(text));
}

/// Writes to standard error.
pub fn eprint(text: fmt::Arguments) {
    let _ = stream(2, &mut |out| out.write_fmt(text));
}

/// Writes all of it to standard output, for a reader that must not miss a part.
pub fn print_whole(bytes: &[u8]) -> Result<(), Errno> {
    write_standard(1, bytes)
}

/// Lets `with` write to standard output, piece by piece, for a reader that must not miss a part.
pub fn print_whole_with(with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) -> Result<(), Errno> {
    stream(1, with)
}

/// Lets `with` write to standard output, piece by piece.
pub fn print_with(with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) {
    let _ = stream(1, with);
}

/// Lets `with` write to standard error, piece by piece.
pub fn eprint_with(with: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) {
    let _ = stream(2, with);
}
