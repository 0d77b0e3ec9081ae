//! JSON text, read once and compared before it is decoded.
//!
//! Most of a review is one object twice. The first of the two is scanned into a [`Tree`], which knows where each value
//! begins and ends; the second is held against it ([`twin`]), and where their bytes agree it is not scanned again: a
//! complete JSON value followed by a delimiter reads the same wherever it stands. Keys and values are decoded, by
//! `serde_json`, only where somebody asks for them.

mod reader;
mod scan;
mod tree;
mod twin;

pub(super) use self::{
    reader::Reader,
    scan::NotJson,
    tree::{Json, Kind, Tree, unquote, unquote_bytes},
    twin::MAX_DEPTH,
};
