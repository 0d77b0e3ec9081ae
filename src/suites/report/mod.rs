//! The reports about a run, for people and for programs. No report holds a value of an object.

mod json;
mod junit;
mod tap;
mod text;

pub use self::{
    json::json,
    junit::junit,
    tap::tap,
    text::{Styles, text},
};
