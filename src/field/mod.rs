//! Fields of an object: how a path names one, and the Go type of its value.

mod path;
mod pattern;
mod types;

pub(crate) use self::{
    path::{FieldPath, Step},
    pattern::{Pattern, PatternToken},
    types::Type,
};
