//! JSON text, read once and compared before it is decoded.
//!
//! Most of a review is one object twice. The first of the two is scanned into a [`Tree`], which knows where each long
//! list and map begins and ends; the second is read beside it ([`second`]), and where their bytes agree it is not scanned
//! again: a complete JSON value followed by a delimiter reads the same wherever it stands. Keys and values are decoded,
//! by `serde_json`, only where they are asked for.

mod reader;
mod scan;
mod second;
mod skip;
mod tree;

pub(super) use self::{
    reader::Reader,
    scan::{MAX_DEPTH, NotJson},
    tree::{Json, Kind, Tree, unquote},
};
