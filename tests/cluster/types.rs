//! Equality by types: the guard's table of Go's types is what Go's types give, and what the guard calls a change is what
//! apimachinery's `equality.Semantic` calls one, by the judgement of a program that shares nothing with the guard.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pytorchjob_guard::{admission::answer, policy::Policy};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use support::programs::judges;

use crate::{cluster::Clusters, tests};

tests![
    the_table_is_what_the_go_types_give,
    decides_as_semantic_equality_does_at_every_place,
    decides_as_semantic_equality_does_on_random_jobs,
];

const TABLE: &str = include_str!("../../src/field/types.json");

/// Run in `tests/cluster/types`, this writes the table anew.
const RENEW: &str = "go run -modfile=kubernetes-1.30.mod . table > 1.30.json
    go run -modfile=kubernetes-1.35.mod . table > 1.35.json
    go run . table 1.35.json 1.30.json > ../../../src/field/types.json
    rm 1.30.json 1.35.json";

/// Every change is a violation.
const POLICY: &str = "
apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: nothing-changes
resources:
  - group: kubeflow.org
    resource: pytorchjobs
  - group: apps
    resource: deployments
mutableFields: []
";

/// Random jobs for each layout and each version of Kubernetes that is judged by.
const RANDOM_JOBS: usize = 5000;

/// A kind of object that the judge knows, and what a review says of it.
struct Layout {
    name: &'static str,
    kind: &'static str,
    resource: &'static str,
    subresource: &'static str,
}

const JOBS: [Layout; 2] = [
    Layout {
        name: "training-operator",
        kind: r#"{"group":"kubeflow.org","version":"v1","kind":"PyTorchJob"}"#,
        resource: r#"{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"}"#,
        subresource: "",
    },
    Layout {
        name: "cci",
        kind: r#"{"group":"kubeflow.org","version":"v1","kind":"PyTorchJob"}"#,
        resource: r#"{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"}"#,
        subresource: "",
    },
];

const OTHERS: [Layout; 2] = [
    Layout {
        name: "scale",
        kind: r#"{"group":"autoscaling","version":"v1","kind":"Scale"}"#,
        resource: r#"{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"}"#,
        subresource: "scale",
    },
    Layout {
        name: "deployment",
        kind: r#"{"group":"apps","version":"v1","kind":"Deployment"}"#,
        resource: r#"{"group":"apps","version":"v1","resource":"deployments"}"#,
        subresource: "",
    },
];

/// Two objects, and what `equality.Semantic` says of them.
#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    old: &'a RawValue,
    #[serde(borrow)]
    new: &'a RawValue,
    equal: bool,
    /// The smallest fields that differ.
    #[serde(default)]
    paths: Vec<String>,
}

fn the_table_is_what_the_go_types_give(_: &Clusters) {
    let judges = judges().expect("the judges are built");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (newest, others) = judges.split_first().expect("there is a newest");
    let mut table = Command::new(newest);
    table.arg("table");
    for (number, judge) in others.iter().enumerate() {
        let file = folder.path().join(format!("types-{number}.json"));
        std::fs::write(&file, output(Command::new(judge).arg("table"))).expect("the file can be written");
        table.arg(file);
    }
    let made = output(&mut table);
    assert!(
        made == TABLE,
        "src/field/types.json is not what the Go types give; in tests/cluster/types run\n    {RENEW}"
    );
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

fn decides_as_semantic_equality_does_at_every_place(_: &Clusters) {
    let mut judged = Judged::new();
    let [newest, oldest] = newest_and_oldest();
    for layout in JOBS.iter().chain(&OTHERS) {
        judged.by(Command::new(&newest).args(["sweep", layout.name]), layout).expect("the judge runs");
    }
    // The places that only one of them has are the same in every layout.
    let layout = &JOBS[0];
    judged.by(Command::new(&oldest).args(["sweep", layout.name]), layout).expect("the judge runs");
    judged.holds();
}

fn decides_as_semantic_equality_does_on_random_jobs(_: &Clusters) {
    let mut judged = Judged::new();
    for judge in newest_and_oldest() {
        for layout in &JOBS {
            let mut command = Command::new(&judge);
            command.args(["random", layout.name, &RANDOM_JOBS.to_string()]);
            judged.by(&mut command, layout).expect("the judge runs");
        }
    }
    judged.holds();
}

/// The newest types, and the oldest that are supported.
fn newest_and_oldest() -> [PathBuf; 2] {
    let judges = judges().expect("the judges are built");
    [judges.first(), judges.last()].map(|judge| judge.expect("there are several").clone())
}

/// The guard beside the judge.
struct Judged {
    policy: Policy,
    /// The number of equal pairs, and of different ones.
    same: usize,
    different: usize,
    /// The first few disagreements, and how many there are.
    shown: String,
    disagreements: usize,
}

impl Judged {
    fn new() -> Self {
        let policy = Policy::parse(POLICY).expect("the policy is valid");
        Self { policy, same: 0, different: 0, shown: String::new(), disagreements: 0 }
    }

    /// Puts every pair that the judge prints to the guard, both ways.
    fn by(&mut self, judge: &mut Command, layout: &Layout) -> io::Result<()> {
        let (same, different) = (self.same, self.different);
        let mut child = judge.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::with_capacity(1 << 20, child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        while output.read_line(&mut line)? > 0 {
            let pair: Pair = serde_json::from_str(&line)?;
            *if pair.equal { &mut self.same } else { &mut self.different } += 1;
            self.put(layout, pair.old, pair.new, &pair);
            self.put(layout, pair.new, pair.old, &pair);
            line.clear();
        }
        assert!(child.wait()?.success(), "{judge:?} failed");
        let (same, different) = (self.same - same, self.different - different);
        let program = Path::new(judge.get_program()).parent().and_then(Path::file_name).unwrap_or_default();
        let arguments: Vec<_> = judge.get_args().collect();
        println!("types {} {arguments:?}: {same} pairs are the same, {different} are not", program.display());
        assert!(same > 0 && different > 0, "the judge found both");
        Ok(())
    }

    fn put(&mut self, layout: &Layout, old: &RawValue, new: &RawValue, pair: &Pair) {
        let Layout { name, kind, resource, subresource } = layout;
        let mut review = Vec::new();
        write!(
            review,
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","kind":{kind},"resource":{resource},"subResource":"{subresource}","name":"n","namespace":"n","operation":"UPDATE","userInfo":{{"username":"jane"}},"oldObject":{old},"object":{new}}}}}"#
        )
        .expect("a vector takes all");
        let body = answer(&review, &self.policy).expect("it is a review").body;
        let answer: Value = serde_json::from_slice(&body).expect("the answer is JSON");
        let causes = answer.pointer("/response/status/details/causes").and_then(Value::as_array);
        let causes: Vec<_> = causes.into_iter().flatten().filter_map(|cause| cause["field"].as_str()).collect();
        let wrong = match answer["response"]["allowed"].as_bool() {
            Some(true) if pair.equal => return,
            Some(true) => "false allow",
            _ if pair.equal => "false denial",
            _ if names_what_differs(&causes, &pair.paths) => return,
            _ => "other causes",
        };
        self.disagreements += 1;
        if self.disagreements <= 20 {
            let differing = &pair.paths;
            let said = format!("{wrong} ({name}): causes {causes:?}, differing in Go {differing:?}\n  {old}\n  {new}");
            self.shown.extend(["\n", &said]);
        }
    }

    /// Shows that there is no disagreement.
    fn holds(self) {
        assert!(self.disagreements == 0, "{} disagreements, the first of them:{}", self.disagreements, self.shown);
    }
}

/// True if each field that differs is at or below a cause, and each cause at or above one that differs.
fn names_what_differs(causes: &[&str], differing: &[String]) -> bool {
    // Of what Go holds as raw bytes, or aligns as a whole list, the guard names the field that differs in it.
    let below = |path: &str, cause: &str| {
        is_at_or_below(path, cause) || is_at_or_below(cause, path) || is_aligned_otherwise(path, cause)
    };
    differing.iter().all(|path| causes.iter().any(|cause| below(path, cause)))
        && causes.iter().all(|cause| differing.iter().any(|path| below(path, cause)))
}

fn is_at_or_below(path: &str, cause: &str) -> bool {
    path.strip_prefix(cause).is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
}

/// True if both are in one list that the guard aligns by name and the judge by index, or the other way around. JSON tells an
/// empty name from none, and Go does not.
fn is_aligned_otherwise(path: &str, cause: &str) -> bool {
    let common = path.bytes().zip(cause.bytes()).take_while(|(one, other)| one == other).count();
    let named = |text: &str| text.get(common..).is_some_and(|rest| rest.starts_with("name="));
    let indexed = |text: &str| text.get(common..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    path.get(..common).is_some_and(|list| list.ends_with('['))
        && (named(path) && indexed(cause) || indexed(path) && named(cause))
}
