//! Questions put to a whole history.

pub mod judge;
pub mod report;
