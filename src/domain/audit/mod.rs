//! Questions put to a whole history.

pub mod report;
