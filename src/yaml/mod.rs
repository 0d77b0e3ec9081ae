//! YAML and JSON files that people write, read so that all their errors are reported at once, each with its position.

mod diagnostic;
mod reader;
mod tree;

pub(crate) use self::{
    reader::{Map, Positioned, Reader, all, closest, did_you_mean},
    tree::{Format, Node},
};
pub use diagnostic::{Diagnostic, Position, Severity};
