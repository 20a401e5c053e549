//! The checks, by what they look at.

pub mod files;
pub mod kernel;
pub mod services;
pub mod telling;
