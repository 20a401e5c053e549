//! Every sentence that a user can see, but for the help and the doctor's findings, which stand with
//! their options and their checks. Each type that is put into words has its `Display` here.

pub mod defect;
pub mod draw;
pub mod failure;
pub mod load;
pub mod refusal;
pub mod report;
pub mod shutdown;
