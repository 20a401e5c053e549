//! Plain facts about the running machine, and what follows from them. Nothing here reads a file
//! or makes a call: [`crate::host`] gathers the facts, and [`crate::say`] puts the conclusions
//! into words.

pub mod boot_loader;
pub mod call;
pub mod exposure;
pub mod init;
pub mod refusal;
pub mod shutdown;
