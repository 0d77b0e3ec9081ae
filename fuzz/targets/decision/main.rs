//! The decision against the tests' reference: any two objects, whoever changes them, under any policy.
//!
//! An input is a JSON object with `user`, `subresource`, `old`, `new` and perhaps a `policy`: a person can read and write
//! it. The mutator knows this form, and edits the objects as the property tests do; one time in three libFuzzer edits the
//! bytes.

#![no_main]

mod input;
mod policies;

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use model::{
    reference::{Request, judge_under},
    review,
    tree::{Noise, Tree},
};
use pytorchjob_guard::policy::Policy;
use pytorchjob_guard_fuzz::{Counting, answer, assert_same};

use crate::input::Input;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One in so many mutations is libFuzzer's own.
const PLAIN: u32 = 3;
/// The most causes of a denial; after them the answer counts.
const MOST_CAUSES: usize = 32;
/// The longest path that is shown whole, in bytes.
const LONGEST_PATH: usize = 512;

fuzz_target!(|text: &str| -> Corpus {
    let Some(input) = Input::read(text) else { return Corpus::Reject };
    let under = input.policy();
    // One that cannot be used decides nothing; the target `policy` is about what can.
    let Ok(policy) = Policy::parse(&under.to_yaml()) else { return Corpus::Reject };
    let request = Request { user: &input.user, groups: &["system:authenticated"], subresource: input.subresource };
    let expected = judge_under(&under, &request, &input.old, &input.new);
    let review = input.review();
    // Noise means nothing; and which of the objects comes first does not matter.
    let noise = u64::try_from(text.len()).unwrap_or(1);
    for body in [review.to_json(Noise::NONE), review.to_json(Noise::seeded(noise)), swapped(&review)] {
        drop(answer(body.as_bytes(), &policy).expect("a review"));
        let answered = review::ask_policy(body.as_bytes(), &policy).expect("a review");
        assert_same(&answered.allowed(), &expected.is_empty(), "allowed, by the core and by the reference");
        let is_shown_whole = expected.len() <= MOST_CAUSES && expected.keys().all(|field| field.len() <= LONGEST_PATH);
        if is_shown_whole {
            let fields: Vec<String> = expected.keys().cloned().collect();
            assert_same(&answered.violations, &fields, "the fields, by the core and by the reference");
        }
        // A long response is shortened.
        if is_shown_whole && answered.causes().len() == expected.len() {
            assert_same(&answered.causes(), &expected, "the causes, by the core and by the reference");
        }
    }
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutated = if seed % PLAIN == 0 { None } else { Input::mutated(&data[..size], seed) };
    match mutated {
        Some(text) if text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// The review with `oldObject` first of all.
fn swapped(review: &review::Review) -> String {
    let text = review.to_json(Noise::NONE);
    let old = review.old.as_ref().unwrap_or(&Tree::Null).to_json(&mut Noise::seeded(0));
    let rest = text.replacen(&format!(",\"oldObject\":{old}"), "", 1);
    rest.replacen("\"request\":{", &format!("\"request\":{{\"oldObject\":{old},"), 1)
}
