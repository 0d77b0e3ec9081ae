//! The guard's reader of JSON against `serde_json`: bodies of any bytes, and any bytes where the two objects are.
//!
//! An input is a body, or the bytes of `object` and `oldObject`, separated by RS (0x1e) as RFC 7464 separates JSON texts.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pytorchjob_guard::{admission::NotAReview, policy::Policy};
use pytorchjob_guard_fuzz::{Counting, answer, assert_same, nesting};
use serde_json::{Map, Value, value::RawValue};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::builtin("cci").expect("the default policy"));

/// The depth below which the guard may reject a nesting; `serde_json` passes over any nesting.
const DEEP: usize = 64;

fuzz_target!(|input: &[u8]| {
    let Some(separator) = input.iter().position(|byte| *byte == 0x1e) else {
        let decided = decide(input);
        if is_map(input) {
            // The second object is read against the first, which it equals here.
            assert!(
                decide(&review(input, input)).is_some_and(|response| response["allowed"] == true),
                "nothing changed"
            );
        }
        return drop(decided);
    };
    let (first, second) = (&input[..separator], &input[separator + 1..]);
    let (forth, back) = (decide(&review(first, second)), decide(&swapped(first, second)));
    // Bytes that are no value can end the objects early.
    if is_map(first) && is_map(second) {
        assert_same(&forth, &back, "whichever object is read first");
    }
});

/// Asks the guard, and shows that it reads what `serde_json` reads. Gives the response, if there is one.
fn decide(body: &[u8]) -> Option<Value> {
    // Unlike `IgnoredAny` it must be UTF-8.
    let json = serde_json::from_slice::<&RawValue>(body).is_ok();
    match answer(body, &POLICY) {
        Err(NotAReview::NotJson(error)) => {
            assert!(!json || nesting(body) > DEEP, "serde_json reads it: {error}");
            None
        }
        Err(_) => {
            assert!(json, "serde_json does not read it");
            None
        }
        Ok(answer) => {
            assert!(json, "serde_json does not read it");
            let reply: Map<String, Value> = serde_json::from_slice(&answer.body).expect("the answer is JSON");
            assert!(reply["response"]["allowed"].is_boolean(), "{reply:?}");
            Some(reply["response"].clone())
        }
    }
}

fn is_map(bytes: &[u8]) -> bool {
    let read = serde_json::from_slice::<&RawValue>(bytes);
    read.is_ok_and(|value| value.get().starts_with('{') && nesting(bytes) <= DEEP - 2)
}

fn review(object: &[u8], old_object: &[u8]) -> Vec<u8> {
    request(&[b"\"object\":", object, b",\"oldObject\":", old_object])
}

fn swapped(object: &[u8], old_object: &[u8]) -> Vec<u8> {
    request(&[b"\"oldObject\":", old_object, b",\"object\":", object])
}

fn request(objects: &[&[u8]]) -> Vec<u8> {
    let head =
        br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"UPDATE",
        "resource":{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"},"#;
    [&head[..], &objects.concat(), b"}}"].concat()
}
