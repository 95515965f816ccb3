//! Properties of all of it together; see the parent for how to try many cases.

mod hostile;
mod naive;
mod properties;
mod refusals;
mod world;
