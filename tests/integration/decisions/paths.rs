//! The notation of field paths.

use serde_json::json;

use super::{POD, POD_PATH, from_to, set};

#[test]
fn identifiers_are_joined_by_dots() {
    for key in ["a", "_a", "A-1", "a_b", "z9", "-"].into_iter().take(5) {
        set(&format!("/spec/x/{key}"), json!(1))
            .was("/spec/x", json!({}))
            .rejects(&[(&format!("spec.x.{key}"), " (added)")]);
    }
    set("/spec/backoffLimit", json!(1)).accepts();
}

#[test]
fn other_keys_stand_in_brackets() {
    for key in ["example.com~1owner", "a.b", "1", "9a", "-a", "a b", "", "ключ", "a]", "a\"b"] {
        let shown = key.replace("~1", "/");
        set(&format!("/spec/x/{key}"), json!(1))
            .was("/spec/x", json!({}))
            .rejects(&[(&format!("spec.x[{shown}]"), " (added)")]);
        set(&format!("/metadata/labels/{key}"), json!("x")).accepts();
    }
    set("/spec/x~1y/z", json!(1)).was("/spec/x~1y", json!({})).rejects(&[("spec[x/y].z", " (added)")]);
}

#[test]
fn a_path_has_no_leading_dot() {
    set("/a.b", json!(1)).rejects(&[("[a.b]", " (added)")]);
    set("/a.b/c", json!(1)).was("/a.b", json!({})).rejects(&[("[a.b].c", " (added)")]);
    set("/ab", json!(1)).rejects(&[("ab", " (added)")]);
    set("/ab", json!([])).accepts();
}

#[test]
fn names_are_quoted_as_server_side_apply_does() {
    for (name, shown) in
        [("a", r#""a""#), ("a.b", r#""a.b""#), ("a\"b", r#""a\"b""#), ("a\\b", r#""a\\b""#), ("", r#""""#)]
    {
        let volumes = format!("{POD}/volumes");
        let with = |size: u64| json!([{"name": name, "emptyDir": {"x": size}}]);
        from_to(&volumes, with(1), with(2))
            .rejects(&[(&format!("{POD_PATH}.volumes[name={shown}].emptyDir.x"), " (was 1, now 2)")]);
        from_to(&volumes, with(1), with(1)).accepts();
    }
}

#[test]
fn violations_are_sorted_by_path() {
    let list = |value: u64| json!((0..11).map(|_| json!({"v": value})).collect::<Vec<_>>());
    let mut paths: Vec<String> = (0..11).map(|index| format!("spec.l[{index}].v")).collect();
    paths.sort();
    let expected: Vec<_> = paths.iter().map(|path| (path.as_str(), " (was 1, now 2)")).collect();
    from_to("/spec/l", list(1), list(2)).rejects(&expected);
    from_to("/spec/l", list(1), list(1)).accepts();
}

#[test]
fn control_characters_in_keys_are_escaped() {
    let update = set("/spec/x/a\nb\u{1b}[31m", json!(1)).was("/spec/x", json!({}));
    let answer = update.review().ask();
    let [field] = &answer.violations[..] else { panic!("one violation: {:?}", answer.violations) };
    assert!(field.starts_with("spec.x[a") && !field.contains(char::is_control), "{field:?}");
    assert!(!answer.text.contains("\\u001b"), "escaped once, and for the reader of the text: {}", answer.text);
}
