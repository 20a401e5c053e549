//! What everything else is built from: fields of files, text, ranges of memory, the words of a
//! command line. It imports nothing of this crate.

pub mod bytes;
pub mod cmdline;
pub mod range;
pub mod table;
pub mod text;
