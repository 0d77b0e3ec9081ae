//! What came of a run, in the words of people and of programs. No report holds a value of an object.

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
