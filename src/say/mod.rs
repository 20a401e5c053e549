//! The words for what the program reports: each type has its `Display` here. The help stands with its
//! options, and the doctor's findings stand with their checks.

pub mod defect;
pub mod draw;
pub mod failure;
pub mod load;
pub mod refusal;
pub mod report;
pub mod shutdown;
