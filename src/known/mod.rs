//! Plain facts about the running machine, and the conclusions from them. Nothing here reads a file
//! or makes a system call: `host` gathers the facts, and `say` has words for the conclusions.

pub mod boot_loader;
pub mod boot_options;
pub mod call;
pub mod exposure;
pub mod init;
pub mod kernel_name;
pub mod refusal;
pub mod shutdown;
pub mod xen;
