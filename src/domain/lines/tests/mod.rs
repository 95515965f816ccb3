//! Properties of all of it together; see the parent for how to try many cases.

mod hostile;
pub(crate) mod naive;
mod properties;
mod refusals;
pub(crate) mod world;
