//! Strings that hold half of a surrogate pair: JSON can write them, UTF-8 cannot.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

use super::from_to;
use crate::{
    properties::cases,
    review::{Answered, ask},
    tree::Noise,
};

/// The two strings, as JSON writes them between the quotes, as values of a field, as keys, and as names of elements.
fn answers(old: &str, new: &str) -> [Answered; 3] {
    let ask = |old_value: serde_json::Value, new_value: serde_json::Value| {
        let review = from_to("/spec/x", old_value, new_value).review().to_json(Noise::NONE);
        ask(review.replace("<old>", old).replace("<new>", new).as_bytes()).expect("a review")
    };
    [
        ask(json!("<old>"), json!("<new>")),
        ask(json!({"<old>": 1}), json!({"<new>": 1})),
        ask(json!([{"name": "<old>", "v": 1}]), json!([{"name": "<new>", "v": 1}])),
    ]
}

#[test]
fn half_a_pair_is_not_its_own_escape_written_out() {
    for (one, other) in [
        (r"\ud800", r"\\ud800"),
        (r"\ud800", r#"\"\\ud800\""#),
        (r"a\udfffb", r"a\\udfffb"),
        (r"a\udfffb", r#"\"a\\udfffb\""#),
        (r"\ud800\ud800", r"\ud800\\ud800"),
    ] {
        for (old, new) in [(one, other), (other, one)] {
            for answer in answers(old, new) {
                assert!(!answer.allowed() && !answer.violations.is_empty(), "{old} {new}");
                assert_eq!((&answer.status()["code"], &answer.status()["reason"]), (&json!(422), &json!("Invalid")));
            }
        }
        for text in [one, other] {
            assert!(answers(text, text).iter().all(Answered::allowed), "{text}");
        }
    }
}

#[test]
fn keys_and_names_of_both_spellings_are_two() {
    let ask = |old: &str, new: &str| {
        let review = from_to("/spec/x", json!("<old>"), json!("<new>")).review().to_json(Noise::NONE);
        ask(review.replace("\"<old>\"", old).replace("\"<new>\"", new).as_bytes()).expect("a review")
    };
    for other in [r"\\ud800", r#"\"\\ud800\""#] {
        for (old, new) in [
            (r#"{"\ud800":1,"other":2}"#, r#"{"\ud800":2,"other":1}"#),
            (r#"{"\ud800":1,"other":2}"#, r#"{"other":2}"#),
            (
                r#"[{"name":"\ud800","v":1},{"name":"other","v":2}]"#,
                r#"[{"name":"\ud800","v":2},{"name":"other","v":1}]"#,
            ),
            (r#"[{"name":"\ud800","v":1},{"name":"other","v":2}]"#, r#"[{"name":"other","v":2}]"#),
        ] {
            assert!(!ask(&old.replace("other", other), &new.replace("other", other)).allowed(), "{old} {new} {other}");
        }
        let same = [r#"{"\ud800":1,"other":2}"#, r#"{"other":2,"\ud800":1}"#].map(|map| map.replace("other", other));
        assert!(ask(&same[0], &same[1]).allowed(), "the order of keys means nothing");
    }
}

/// As Go reads it: half a pair becomes U+FFFD.
fn decoded(text: &str) -> String {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match (first, rest.as_bytes().get(1)) {
            ('\\', Some(b'u')) => {
                units.push(u16::from_str_radix(&rest[2..6], 16).expect("four digits"));
                6
            }
            ('\\', _) => {
                units.push(u16::from(rest.as_bytes()[1]));
                2
            }
            _ => {
                units.extend(first.encode_utf16(&mut [0; 2]).iter());
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    String::from_utf16_lossy(&units)
}

fn text() -> impl Strategy<Value = String> {
    let piece =
        select(vec![r"\ud800", r"\udc00", r"\\ud800", r"\\udc00", r"\\", "ud800", "a", "𐀀", r"\u005c", r#"\""#]);
    vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// The text with its escapes written out, and with quotes around it as a part of it.
fn written_out(text: &str, quotes: &str) -> String {
    format!("{quotes}{}{quotes}", text.replace('\\', r"\\").replace('"', r#"\""#))
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn strings_that_go_tells_apart_are_two(old in text(), other in text(), way in 0..4) {
        let new = match way {
            0 => written_out(&old, ""),
            1 => written_out(&old, r#"\""#),
            2 => old.clone(),
            _ => other,
        };
        for answer in answers(&old, &new) {
            if decoded(&old) != decoded(&new) {
                prop_assert!(!answer.allowed(), "{}", answer.text);
            } else if old == new {
                prop_assert!(answer.allowed(), "{}", answer.text);
            }
        }
    }
}
