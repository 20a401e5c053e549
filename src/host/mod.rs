//! The machine we stand on: all reading of files, /proc and /sys, all system calls, and in
//! [`sys`] the only unsafe code of the program.

pub mod examination;
pub mod facts;
pub mod files;
pub mod init;
pub mod refusal;
pub mod storage;
#[allow(unsafe_code)]
pub mod sys;
