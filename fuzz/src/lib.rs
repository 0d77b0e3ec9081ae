//! Shared by the fuzz targets.

mod memory;

use std::{fmt::Debug, sync::Once};

use pytorchjob_guard::{
    admission::{self, Answer, NotAReview},
    policy::Policy,
};

pub use self::memory::Counting;

/// A decision may hold this many bytes for each byte of the body. The body itself is not among them.
const PER_BYTE: usize = 11;
/// The bytes that every decision may hold besides, most of them for the answer.
const FIXED: usize = 64 << 10;

/// An update of a job that changes something of everything.
pub const REVIEW: &str = include_str!("../seeds/review.json");

/// Asks the guard, and shows that it takes no more memory than it says. Needs [`Counting`] to be the allocator.
///
/// # Panics
///
/// Panics if the decision takes more.
pub fn answer<'a>(body: &'a [u8], policy: &Policy) -> Result<Answer<'a>, NotAReview> {
    // The first decision of all makes tables that stay.
    static FIRST: Once = Once::new();
    FIRST.call_once(|| drop(admission::answer(REVIEW.as_bytes(), policy)));
    let (answer, held) = memory::most_held(|| admission::answer(body, policy));
    let most = PER_BYTE * body.len() + FIXED;
    assert!(held <= most, "a body of {} bytes takes {held} bytes more, {most} are the limit", body.len());
    answer
}

/// The deepest nesting of lists and maps in a text that is JSON.
#[must_use]
pub fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_text) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_text = !is_text,
            b'\\' if is_text => drop(bytes.next()),
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Shows that two ways to the same lead there.
///
/// # Panics
///
/// Panics if they do not.
pub fn assert_same<T: Debug + PartialEq>(one: &T, other: &T, what: &str) {
    assert!(one == other, "{what}\n{one:#?}\n{other:#?}");
}
