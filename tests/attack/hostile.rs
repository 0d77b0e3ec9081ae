//! Bodies that are as expensive as their size allows.

use std::fmt::Write as _;

/// A policy with wildcards that reach below what a client adds.
pub(crate) const POLICY: &str = "\
apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: wildcards
resources: [{group: kubeflow.org, resource: pytorchjobs}]
mutableFields:
  - metadata.labels
  - spec.ttlSecondsAfterFinished
  - spec.*.*.template.metadata.labels
  - spec.added.*.*.labels
immutableFields:
  - metadata.labels[example.com/queue]
";

/// The largest body that the manifests let in.
const LARGEST: usize = 4 << 20;

/// The shapes, each under [`LARGEST`].
pub(crate) fn bodies() -> Vec<(&'static str, String)> {
    let wide = |element: &str, count: usize| vec![element; count].join(",");
    let (ones, twos) = (wide("[1]", 340_000), wide("[2]", 340_000));
    let below = |depth: usize, open: &str, close: &str, elements: &str| {
        format!("{{\"spec\":{{\"deep\":{}[{elements}]{}}}}}", open.repeat(depth), close.repeat(depth))
    };
    let keys = |count: usize, value: &str| {
        let mut keys = String::new();
        for number in 0..count {
            let _ = write!(keys, "{}\"{number:x}\":{value}", if number > 0 { "," } else { "" });
        }
        keys
    };
    let spec = |members: &str| format!("{{\"spec\":{{{members}}}}}");
    let (few, many) = (spec("\"a\":1"), wide("\"a\":1", 400_000));
    let bodies = vec![
        ("lists under 45 lists", review(&below(45, "[", "]", &ones), &below(45, "[", "]", &twos))),
        ("lists under 95 lists", review(&below(95, "[", "]", &ones), &below(95, "[", "]", &twos))),
        ("lists under 45 maps", review(&below(45, "{\"k\":", "}", &ones), &below(45, "{\"k\":", "}", &twos))),
        ("lists under 95 maps", review(&below(95, "{\"k\":", "}", &ones), &below(95, "{\"k\":", "}", &twos))),
        ("lists beside each other", review(&below(0, "", "", &ones), &below(0, "", "", &twos))),
        ("short keys", review(&few, &spec(&keys(400_000, "1")))),
        ("short keys taken away", review(&spec(&keys(400_000, "1")), &few)),
        ("one key again and again", review(&few, &spec(&many))),
        ("added below wildcards", review(&few, &spec(&format!("\"added\":{{\"x\":{{{}}}}}", keys(300_000, "{}"))))),
    ];
    for (name, body) in &bodies {
        assert!(body.len() <= LARGEST, "{name}: {} bytes", body.len());
    }
    bodies
}

fn review(old: &str, new: &str) -> String {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","operation":"UPDATE","kind":{{"group":"kubeflow.org","version":"v1","kind":"PyTorchJob"}},"resource":{{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"}},"name":"hostile","namespace":"team-a","userInfo":{{"username":"mallory"}},"object":{new},"oldObject":{old}}}}}"#
    )
}
