//! What a policy says once it is read.

pub(crate) mod patterns;
