//! What speaks for a commit: receipts bound to it, and lines that give exactly its tree. For whoever judges commits, and
//! for whoever asks where lines come from.

mod brought;
mod carried;
mod ground;
mod known;
mod search;

pub use brought::{add_lines_brought, plausible, without_end};
pub use carried::{CarriedFrom, CarriedOver, Carriers};
pub use ground::{Ground, Operations, Put, files_met};
pub use known::{Known, Parent};
pub use search::{Found, Part, Search, Way};
