//! Reviews that are made to be expensive: what a user with nothing but the right to edit jobs can have an API server send.

use std::fmt::Write as _;

/// A policy whose rules reach below everything, so that nothing can be judged by its root.
pub const REACHING: &str = "apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: reaching
resources: [{group: kubeflow.org, resource: pytorchjobs}]
mutableFields: [metadata.labels, 'spec.*.*.*.*.a', 'spec.*[*].b', 'spec.*[name=\"n1\"].c', 'spec.l[7]', '*.*.*.d']
immutableFields: ['spec.*.*.*.*.a.x', 'metadata.labels.y']
";

/// The units that a shape repeats: before, and after the change. `N` stands for the number of the repetition.
pub const UNITS: [(&str, &str, &str); 21] = [
    ("lists of one number", "[1]", "[2]"),
    ("short keys", "\"N\":1", "\"N\":2"),
    ("one key again and again", "\"k\":1", "\"k\":2"),
    ("escaped keys", "\"\\u0061N\":1", "\"a\\u004eN\":1"),
    ("renamed keys", "\"aN\":1", "\"bN\":1"),
    ("keys out of order", "\"xN\":1", "\"xN\":2"),
    ("long keys", "\"LN\":1", "\"LN\":2"),
    ("added keys", "", "\"N\":{\"a\":1}"),
    ("removed keys", "\"N\":[1]", ""),
    ("named elements", "{\"name\":\"nN\",\"v\":1}", "{\"name\":\"nN\",\"v\":2}"),
    ("renamed elements", "{\"name\":\"nN\"}", "{\"name\":\"mN\"}"),
    ("elements of one name", "{\"name\":\"n\",\"v\":1}", "{\"name\":\"n\",\"v\":2}"),
    ("added elements", "", "{\"name\":\"nN\",\"b\":1}"),
    ("removed elements", "{\"b\":[{\"d\":1}]}", ""),
    ("numbers spelled anew", "[N,[]]", "[N.0,[]]"),
    ("empty lists", "[]", "[[]]"),
    ("nothing", "{\"a\":null}", "{\"b\":[]}"),
    ("quantities", "{\"limits\":{\"cpu\":NKi}}", "{\"limits\":{\"cpu\":\"1\"}}"),
    ("strings", "\"s\"", "\"t\""),
    ("deep units", "D", "E"),
    ("reversed elements", "{\"name\":\"rN\"}", "{\"name\":\"rN\"}"),
];

/// A review of about `bytes` whose two objects repeat a unit, inside as many lists or maps as `depth` says.
pub fn review(unit: usize, depth: usize, in_maps: bool, bytes: usize) -> Vec<u8> {
    let (name, before, after) = UNITS[unit];
    let longest = expanded(before, 0, name).len().max(expanded(after, 0, name).len()).max(4) + 6;
    let count = (bytes / 2 / longest).max(1);
    let object = |unit: &str, is_new: bool| {
        let number = |at: usize| match name {
            // No key comes behind the one before it.
            "keys out of order" => count - at,
            "reversed elements" if is_new => count - at,
            _ => at,
        };
        let is_member = [before, after].iter().any(|unit| unit.starts_with('"') && unit.contains(':'));
        let mut inner = String::from(if is_member { "{" } else { "[" });
        for at in 0..if unit.is_empty() { 0 } else { count } {
            inner.push_str(if at == 0 { "" } else { "," });
            inner.push_str(&expanded(unit, number(at), name));
        }
        inner.push(if is_member { '}' } else { ']' });
        let (open, close) = if in_maps { ("{\"w\":", "}") } else { ("[", "]") };
        format!(
            "{{\"apiVersion\":\"kubeflow.org/v1\",\"kind\":\"PyTorchJob\",\"metadata\":{{\"name\":\"j\"}},\"spec\":{{\"l\":{}{inner}{}}}}}",
            open.repeat(depth),
            close.repeat(depth),
        )
    };
    review_of(&object(before, false), &object(after, true))
}

/// The review of an update by a user in many groups.
pub fn many_groups(bytes: usize) -> Vec<u8> {
    let groups = vec!["\"g\""; bytes / 4].join(",");
    let review = review_of("{\"spec\":{\"a\":1}}", "{\"spec\":{\"a\":2}}");
    String::from_utf8_lossy(&review).replace("\"groups\":[]", &format!("\"groups\":[{groups}]")).into_bytes()
}

fn expanded(unit: &str, number: usize, name: &str) -> String {
    let deep = |number: usize| format!("{}{number:064}{}", "[".repeat(40), "]".repeat(40)).replace("[00", "[100");
    match unit {
        "D" => deep(number),
        "E" => deep(number + 1),
        _ if name == "long keys" => unit.replace('L', &"k".repeat(900)).replace('N', &number.to_string()),
        _ if name == "quantities" => unit.replace("NKi", &format!("\"{number}Ki\"")),
        _ => unit.replace('N', &number.to_string()),
    }
}

fn review_of(old: &str, new: &str) -> Vec<u8> {
    let mut review = String::with_capacity(old.len() + new.len() + 512);
    // Writing to a string does not fail.
    let _ = write!(
        review,
        "{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{{\"uid\":\"u\",\"operation\":\"UPDATE\",\
         \"kind\":{{\"group\":\"kubeflow.org\",\"version\":\"v1\",\"kind\":\"PyTorchJob\"}},\
         \"resource\":{{\"group\":\"kubeflow.org\",\"version\":\"v1\",\"resource\":\"pytorchjobs\"}},\"name\":\"j\",\
         \"userInfo\":{{\"username\":\"mallory\",\"groups\":[]}},\"object\":{new},\"oldObject\":{old}}}}}"
    );
    review.into_bytes()
}
