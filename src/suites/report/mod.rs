//! The reports about a run, for people and for programs. No report holds a value of an object.

mod json;
mod junit;
mod tap;
mod text;

/// The text on one line, and with nothing in it that a terminal or a CI system takes for more than text.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

pub use self::{
    json::json,
    junit::junit,
    tap::tap,
    text::{Styles, text},
};
