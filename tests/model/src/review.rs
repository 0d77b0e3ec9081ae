//! Reviews for the tests, and what the core answers to them.

use std::sync::LazyLock;

use pytorchjob_guard::{
    admission::{self, NotAReview, Outcome},
    policy::Policy,
};
use serde_json::Value;

use crate::{
    reference::Violations,
    tree::{Noise, Tree},
};

pub const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A request, without its objects.
#[derive(Debug, Clone)]
pub struct Review {
    pub api_version: &'static str,
    pub operation: &'static str,
    pub resource: (&'static str, &'static str),
    pub subresource: &'static str,
    pub user: String,
    pub old: Option<Tree>,
    pub new: Option<Tree>,
}

impl Review {
    /// An update of a PyTorchJob by an ordinary user.
    pub fn update(old: Tree, new: Tree) -> Self {
        Self {
            api_version: "admission.k8s.io/v1",
            operation: "UPDATE",
            resource: ("kubeflow.org", "pytorchjobs"),
            subresource: "",
            user: "alice".to_owned(),
            old: Some(old),
            new: Some(new),
        }
    }

    /// The review as an API server sends it, and with noise as it might.
    pub fn to_json(&self, mut noise: Noise) -> String {
        let (group, resource) = self.resource;
        let (kind_group, kind_version, kind) =
            if self.subresource == "scale" { ("autoscaling", "v1", "Scale") } else { (group, "v1", "PyTorchJob") };
        let kind = Tree::map([
            ("group", Tree::text(kind_group)),
            ("version", Tree::text(kind_version)),
            ("kind", Tree::text(kind)),
        ]);
        let resource = Tree::map([
            ("group", Tree::text(group)),
            ("version", Tree::text("v1")),
            ("resource", Tree::text(resource)),
        ]);
        let user = Tree::map([
            ("username", Tree::text(&self.user)),
            ("groups", Tree::List(vec![Tree::text("system:authenticated")])),
        ]);
        let mut request = vec![
            ("uid", Tree::text(UID)),
            ("kind", kind.clone()),
            ("requestKind", kind),
            ("resource", resource.clone()),
            ("requestResource", resource),
            ("name", Tree::text("mnist")),
            ("namespace", Tree::text("team-a")),
            ("operation", Tree::text(self.operation)),
            ("userInfo", user),
            ("object", self.new.clone().unwrap_or(Tree::Null)),
            ("oldObject", self.old.clone().unwrap_or(Tree::Null)),
            ("dryRun", Tree::Bool(false)),
            ("options", Tree::map([("kind", Tree::text("UpdateOptions"))])),
        ];
        if !self.subresource.is_empty() {
            request.push(("subResource", Tree::text(self.subresource)));
            request.push(("requestSubResource", Tree::text(self.subresource)));
        }
        Tree::map([
            ("apiVersion", Tree::text(self.api_version)),
            ("kind", Tree::text("AdmissionReview")),
            ("request", Tree::map(request)),
        ])
        .to_json(&mut noise)
    }

    /// The core's answer to the review without noise.
    pub fn ask(&self) -> Answered {
        ask(self.to_json(Noise::NONE).as_bytes()).expect("a review with a uid")
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answered {
    pub outcome: Outcome,
    pub violations: Vec<String>,
    pub text: String,
    pub json: Value,
}

impl Answered {
    pub fn allowed(&self) -> bool {
        self.json["response"]["allowed"].as_bool().expect("allowed")
    }

    pub fn status(&self) -> &Value {
        &self.json["response"]["status"]
    }

    /// Field to message, as the causes have it.
    pub fn causes(&self) -> Violations {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let causes = self.status()["details"]["causes"].as_array().cloned().unwrap_or_default();
        causes.iter().map(|cause| (text(&cause["field"]), text(&cause["message"]))).collect()
    }
}

/// Asks the core under the default policy and checks what every answer must hold.
pub fn ask(body: &[u8]) -> Result<Answered, NotAReview> {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::builtin("cci").expect("the default policy"));
    ask_policy(body, &POLICY)
}

/// Asks the core under a policy and checks what every answer must hold.
pub fn ask_policy(body: &[u8], policy: &Policy) -> Result<Answered, NotAReview> {
    let answer = admission::answer(body, policy)?;
    let text = String::from_utf8(answer.body).expect("the answer is UTF-8");
    assert!(text.len() < 16 << 10, "an answer of {} bytes", text.len());
    let json: Value = serde_json::from_str(&text).expect("the answer is JSON");
    let decision = answer.decision;
    let allowed = json["response"]["allowed"].as_bool().expect("allowed is a boolean");
    assert_eq!(allowed, !matches!(decision.outcome, Outcome::Denied | Outcome::BadRequest), "{text}");
    assert_eq!(allowed, json["response"]["status"].is_null(), "a status on a denial and only there: {text}");
    assert_eq!(json["kind"], "AdmissionReview");
    assert_eq!(json["response"]["uid"], *decision.uid);
    let violations = decision.violations.first.into_iter().map(|violation| violation.path).collect();
    Ok(Answered { outcome: decision.outcome, violations, text, json })
}
