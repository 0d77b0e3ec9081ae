//! A policy file that changes while the guard serves.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};
use support::{
    Serves as _,
    client::{Client, post},
    eventually,
    guard::{Guard, Start},
    reviews::update,
};

const SUCCESS: &str = "policy_reloads_total{result=\"success\"}";
const REFUSED: &str = "policy_reloads_total{result=\"refused\"}";

/// A policy of this name under which these fields may change.
fn policy(name: &str, fields: &[&str]) -> String {
    format!(
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: {name}\n\
         resources: [{{group: kubeflow.org, resource: pytorchjobs}}]\nmutableFields: {fields:?}\n"
    )
}

/// A policy of this name under which `spec.{name}` may change, and nothing else.
fn only(name: &str) -> String {
    policy(name, &[&format!("spec.{name}")])
}

/// An update of `spec.a`, `spec.b` and `spec.c`.
fn of_all() -> Vec<u8> {
    post(&update(json!({"a": 1, "b": 1, "c": 1}), json!({"a": 2, "b": 2, "c": 2})).to_string())
}

/// Which policy an answer says it was made under, and the fields it denies.
fn told(answer: &str) -> (String, String) {
    let answer: Value = serde_json::from_str(answer).expect("a review");
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    let told = |annotation: &str| answer["response"]["auditAnnotations"][annotation].as_str().expect("text").to_owned();
    (told("policy"), told("violations"))
}

/// The result of `told` for a policy made by `only`.
fn under(name: &str) -> (String, String) {
    let denied = ["a", "b", "c"].into_iter().filter(|field| *field != name).map(|field| format!("spec.{field}"));
    (name.to_owned(), denied.collect::<Vec<_>>().join(","))
}

/// Asks the guard about an update of all three fields.
fn ask(guard: &Guard) -> (String, String) {
    told(&Client::to(guard).ask(&of_all()).body)
}

/// The metric of a policy of this name and text.
fn policy_info(name: &str, text: &str) -> String {
    format!("policy_info{{name=\"{name}\",digest=\"{}\"}}", digest(text))
}

/// As `sha256sum | cut -c 1-12` has it.
fn digest(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex: Vec<_> = digest.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

/// Waits until the metrics name this policy, and no other.
#[track_caller]
fn await_policy(guard: &Guard, name: &str) {
    guard.await_metric(&policy_info(name, &only(name)), 1.0);
    let page = guard.admin("/metrics").1;
    assert_eq!(page.matches("pytorchjob_guard_policy_info{").count(), 1, "one policy is in force: {page}");
}

/// A `ConfigMap` as the kubelet mounts it: `policy.yaml` is a link into `..data`, which is a link that is swapped.
struct Mounted {
    dir: PathBuf,
    versions: u32,
}

impl Mounted {
    fn new(dir: &Path, policy: &str) -> Self {
        fs::create_dir(dir).expect("a folder");
        let mut mounted = Self { dir: dir.to_owned(), versions: 0 };
        mounted.swap(policy);
        symlink("..data/policy.yaml", dir.join("policy.yaml")).expect("a link");
        mounted
    }

    fn swap(&mut self, policy: &str) {
        self.versions += 1;
        let version = self.dir.join(format!("..version{}", self.versions));
        fs::create_dir(&version).expect("a folder");
        fs::write(version.join("policy.yaml"), policy).expect("a file");
        let draft = self.dir.join("..data_tmp");
        symlink(format!("..version{}", self.versions), &draft).expect("a link");
        fs::rename(&draft, self.dir.join("..data")).expect("a swap");
        if self.versions > 1 {
            let old = self.dir.join(format!("..version{}", self.versions - 1));
            fs::remove_dir_all(old).expect("the old one goes");
        }
    }
}

/// A guard whose policy is mounted, and allows `spec.a`.
fn mounted() -> (Guard, Mounted) {
    let start = Start::new();
    let mounted = Mounted::new(&start.dir().join("policy"), &only("a"));
    (start.args(&["--policy", "policy/policy.yaml"]).serve(), mounted)
}

#[test]
fn takes_a_new_policy_from_a_mounted_config_map_again_and_again() {
    let (guard, mut mounted) = mounted();
    assert!(guard.await_log("INFO serving").contains("policy=\"a\""));
    assert_eq!(guard.metric(SUCCESS).to_string(), "0", "the first one is no change");
    // A connection that was there before is under the new policy too.
    let mut open = Client::to(&guard);
    assert_eq!(told(&open.ask(&of_all()).body), under("a"));

    for (taken, name) in [(1.0, "b"), (2.0, "c")] {
        mounted.swap(&only(name));
        guard.await_metric(SUCCESS, taken);
        await_policy(&guard, name);
        assert_eq!(told(&open.ask(&of_all()).body), under(name));
        assert_eq!(ask(&guard), under(name));
        let line = guard.await_log(&format!("the policy file changed and is in effect policy=\"{name}\""));
        assert!(line.contains("file=policy/policy.yaml"), "{line}");
    }
    assert_eq!(guard.metric(REFUSED).to_string(), "0");
    assert!(!guard.log().contains("WARN"), "{}", guard.log());
}

#[test]
fn refuses_a_bad_policy_and_keeps_the_one_in_force() {
    let (guard, mut mounted) = mounted();
    let mut refused = 0_u8;
    let large = format!("{}#{}\n", only("b"), "x".repeat(1 << 20));
    let logged = || guard.log().matches("cannot be used").count();
    for (bad, reason) in [
        (
            only("b").replace("mutableFields", "mutableField"),
            "line 5, column 1: there is no key mutableField (did you mean mutableFields?)",
        ),
        (only("b").replace("UpdatePolicy", "Policy"), "line 2, column 7: kind: write UpdatePolicy"),
        (only("b").replace("spec.b", "spec..b"), "line 5, column 17: "),
        (only("b")[..60].to_owned(), "line "),
        (String::new(), "line 1, column 1: there is nothing here"),
        (large, "policy.yaml: larger than 1 MiB"),
    ] {
        mounted.swap(&bad);
        refused += 1;
        guard.await_metric(REFUSED, f64::from(refused));
        assert_eq!(ask(&guard), under("a"), "the old policy stays in force");
        assert_eq!(guard.metric("policy_file_in_force").to_string(), "0");
        await_policy(&guard, "a");
        eventually("it is logged", || logged() == usize::from(refused));
        let log = guard.log();
        let line = log.lines().rfind(|line| line.contains("cannot be used")).expect("it is logged");
        assert!(line.contains("WARN") && line.contains("policy=\"a\""), "{line}");
        assert!(line.contains("reason=\"policy/policy.yaml: "), "{line}");
        assert!(line.contains(reason), "{reason} is not in {line}");
    }
    // The old one again is a change as well, and a good one; then comes the twin of the bad ones.
    mounted.swap(&only("a"));
    guard.await_metric(SUCCESS, 1.0);
    assert_eq!(ask(&guard), under("a"));
    mounted.swap(&only("b"));
    guard.await_metric(SUCCESS, 2.0);
    assert_eq!(ask(&guard), under("b"));
    assert_eq!(logged(), usize::from(refused), "each is refused once: {}", guard.log());
}

#[test]
fn tells_two_files_of_one_name_apart() {
    let (guard, mut mounted) = mounted();
    let line = guard.await_log("INFO serving");
    assert!(line.contains(&format!("policy=\"a\" digest=\"{}\"", digest(&only("a")))), "{line}");
    let other = policy("a", &["spec.a", "spec.b"]);
    mounted.swap(&other);
    guard.await_metric(SUCCESS, 1.0);
    assert_ne!(digest(&other), digest(&only("a")));
    guard.await_metric(&policy_info("a", &other), 1.0);
    let line = guard.await_log("the policy file changed and is in effect");
    assert!(line.contains(&format!("policy=\"a\" digest=\"{}\"", digest(&other))), "{line}");
    assert_eq!(guard.admin("/readyz"), (200, format!("ok\npolicy a, digest {}\n", digest(&other))));
    let answer: Value = serde_json::from_str(&Client::to(&guard).ask(&of_all()).body).expect("a review");
    let annotations = json!({"policy": "a", "policy-digest": digest(&other), "violations": "spec.c"});
    assert_eq!(answer["response"]["auditAnnotations"], annotations);
}

#[test]
fn warns_on_readyz_while_the_file_cannot_be_used() {
    let (guard, mut mounted) = mounted();
    let ok = format!("ok\npolicy a, digest {}\n", digest(&only("a")));
    assert_eq!(guard.admin("/readyz"), (200, ok.clone()));
    mounted.swap(&only("b").replace("mutableFields", "mutableField"));
    guard.await_metric(REFUSED, 1.0);
    eventually("it warns", || guard.admin("/readyz").1 != ok);
    let (code, said) = guard.admin("/readyz");
    let warning = "warning: the policy file cannot be used, and the policy before stays in effect: policy/policy.yaml: \
                   line 5, column 1: there is no key mutableField";
    assert_eq!(code, 200, "to take the replica away would help nobody");
    assert!(said.starts_with(&ok) && said.contains(warning), "{said}");
    // Its twin.
    mounted.swap(&only("b"));
    guard.await_metric(SUCCESS, 1.0);
    assert_eq!(guard.admin("/readyz"), (200, format!("ok\npolicy b, digest {}\n", digest(&only("b")))));
}

#[test]
fn keeps_the_policy_of_a_file_that_is_gone_until_it_is_back() {
    let (guard, mut mounted) = mounted();
    fs::rename(guard.path("policy/..data"), guard.path("policy/gone")).expect("a rename");
    guard.await_metric(REFUSED, 1.0);
    let line = guard.await_log("cannot be used");
    assert!(line.contains("policy/policy.yaml: No such file"), "{line}");
    assert_eq!(ask(&guard), under("a"));

    fs::rename(guard.path("policy/gone"), guard.path("policy/..data")).expect("a rename");
    guard.await_metric(SUCCESS, 1.0);
    assert_eq!(ask(&guard), under("a"));
    mounted.swap(&only("b"));
    guard.await_metric(SUCCESS, 2.0);
    assert_eq!(ask(&guard), under("b"));
    assert_eq!(guard.metric(REFUSED).to_string(), "1");
    assert_eq!(guard.metric("policy_file_in_force").to_string(), "1");
}

#[test]
fn takes_a_plain_file_that_is_written_in_place() {
    let guard = Start::new().file("own.yaml", &only("a")).args(&["--policy", "own.yaml"]).serve();
    assert_eq!(ask(&guard), under("a"));
    fs::write(guard.path("own.yaml"), only("b")).expect("a file");
    guard.await_metric(SUCCESS, 1.0);
    assert_eq!(ask(&guard), under("b"));
    // As Notepad saves it.
    fs::write(guard.path("own.yaml"), format!("\u{feff}{}", only("c"))).expect("a file");
    guard.await_metric(SUCCESS, 2.0);
    assert_eq!(ask(&guard), under("c"));
    // In another encoding it is no text.
    fs::write(guard.path("own.yaml"), b"# caf\xe9\n").expect("a file");
    guard.await_metric(REFUSED, 1.0);
    assert!(guard.await_log("cannot be used").contains("own.yaml: not UTF-8 at line 1, column 6"));
    assert_eq!(ask(&guard), under("c"));
}

#[test]
fn does_not_look_for_a_file_named_like_a_built_in_policy() {
    let guard = Start::new().file("cci", "- nonsense").args(&["--policy", "cci"]).serve();
    let cci = policy_info("cci", include_str!("../../src/policy/built_in/cci.yaml"));
    guard.await_metric(&cci, 1.0);
    let guard = Start::new().file("other", &only("a")).args(&["--policy", "other"]).serve();
    await_policy(&guard, "a");
}

#[test]
fn refuses_to_start_with_a_policy_that_cannot_be_used() {
    let large = format!("{}#{}\n", only("b"), "x".repeat(1 << 20));
    for (name, contents, said) in [
        (
            "own.yaml",
            only("b").replace("mutableFields", "mutableField"),
            "--policy own.yaml: line 5, column 1: there is no key mutableField",
        ),
        ("own.yaml", large, "--policy own.yaml: larger than 1 MiB"),
        (
            "none",
            String::new(),
            "--policy own.yaml: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file",
        ),
    ] {
        let start = Start::new().file(name, &contents).args(&["--policy", "own.yaml"]);
        let folder = start.dir().to_owned();
        let (code, log) = start.fail_and(|| assert!(!folder.join("certs").exists(), "keys were made for nothing"));
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(said), "{said:?} is not in {log}");
    }
    Start::new().file("own.yaml", &only("b")).args(&["--policy", "own.yaml"]).serve();
}

/// Asks without pause until told to stop; gives how many answers were under which policy.
fn load(guard: &Guard, stop: &AtomicBool, answers: &AtomicUsize) -> [usize; 2] {
    let mut client = Client::to(guard);
    let request = of_all();
    let mut counts = [0, 0];
    while !stop.load(Ordering::Relaxed) {
        let reply = client.ask(&request);
        assert_eq!(reply.code, 200, "{reply:?}");
        let told = told(&reply.body);
        let name = ["a", "b"].into_iter().position(|name| told == under(name));
        counts[name.unwrap_or_else(|| panic!("half under one policy, half under another: {told:?}"))] += 1;
        answers.fetch_add(1, Ordering::Relaxed);
    }
    counts
}

#[test]
fn decides_under_one_policy_or_the_other_while_they_are_swapped() {
    let (guard, mut mounted) = mounted();
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let counts = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| load(&guard, &stop, &answers)));
        // Whatever comes of it, the load ends with it.
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 1..=4 {
                let before = answers.load(Ordering::Relaxed);
                eventually("there are answers before it", || answers.load(Ordering::Relaxed) > before + 20);
                mounted.swap(&only(if round % 2 == 1 { "b" } else { "a" }));
                guard.await_metric(SUCCESS, f64::from(round));
                let before = answers.load(Ordering::Relaxed);
                eventually("there are answers after it", || answers.load(Ordering::Relaxed) > before + 20);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let counts = threads.map(|thread| thread.join().expect("no answer fails"));
        swapped.expect("the policies are swapped");
        counts
    });
    for name in 0..2 {
        assert!(counts.iter().any(|counts| counts[name] > 0), "{counts:?}");
    }
    let asked: usize = counts.iter().flatten().sum();
    assert_eq!(guard.metric("http_responses_total{code=\"200\"}").to_string(), asked.to_string());
}
