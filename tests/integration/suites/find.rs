//! Which files are suites.

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;

use super::{Folder, HEAD};

fn good() -> String {
    format!("{HEAD}  - {{name: a, patch: {{}}, expect: Allowed}}\n")
        .replace("base: job.yaml", "base: {apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: a}}")
}

#[test]
fn looks_through_folders() {
    let good = good();
    let folder = Folder::new()
        .with("b.yaml", &good)
        .with("a/c.yml", &good)
        .with("a/d.json", good.replace('#', ""))
        .with("a/e.txt", &good)
        .with("a/.hidden.yaml", &good)
        .with(".git/f.yaml", &good)
        .with("target/g.yaml", &good)
        .with("a/node_modules/h.yaml", &good)
        .with("other/helm.yaml", "{{ if .Values.x }}\nPolicyTest: 1\n")
        .with("other/latin1.yaml", b"a: \xe9\n")
        .with("other/elsewhere.yaml", good.replace("pytorchjob-guard/v1", "example.com/v1"))
        .with(
            "other/mixed.yaml",
            format!("kind: ConfigMap\n---\n{good}---\nkind: Secret\nstringData: {{kind: PolicyTest}}\n"),
        );
    assert_snapshot!(folder.test(&["--list", "."]), @"
    exit code 0
    --- output
    a/c.yml :: a
    a/d.json :: a
    b.yaml :: a
    other/mixed.yaml#2 :: a
    ");
    assert_snapshot!(folder.test(&["--list", "a", "b.yaml", "a/c.yml", "./b.yaml", "target"]), @"
    exit code 0
    --- output
    a/c.yml :: a
    a/d.json :: a
    b.yaml :: a
    target/g.yaml :: a
    ");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let folder = Folder::new().with("a/b.yaml", good());
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).expect("a link");
    std::os::unix::fs::symlink("b.yaml", folder.path().join("a/c.yaml")).expect("a link");
    assert_snapshot!(folder.test(&["--list", "."]), @"
    exit code 0
    --- output
    a/b.yaml :: a
    ");
}

#[test]
fn a_file_that_is_named_must_be_a_suite() {
    let folder =
        Folder::new().with("empty.yaml", "# nothing\n").with("no.yaml", "a: 1\n").with("broken.yaml", "a: [\n");
    assert_snapshot!(folder.test(&["job.yaml", "empty.yaml", "no.yaml", "broken.yaml", "missing.yaml"]), @"
    exit code 2
    --- output
    0 passed, 0 failed, 5 bad files in T s
    --- error output
    error: job.yaml: line 2, column 7: kind: PyTorchJob is no suite; write PolicyTest
    error: empty.yaml: holds no PolicyTest
    error: no.yaml: line 1, column 1: there is no key a; the keys are apiVersion, kind, policy, base and cases
    error: no.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1
    error: no.yaml: line 1, column 1: kind is missing; write kind: PolicyTest
    error: no.yaml: line 1, column 1: policy is missing; write policy: cci
    error: no.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]
    error: broken.yaml: line 1, column 4: unclosed bracket '['
    error: missing.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn no_suite_at_all() {
    assert_snapshot!(Folder::new().test(&[".", "."]), @"
    exit code 2
    --- error output
    error: no suite in ., .: a suite is a YAML or JSON file of kind PolicyTest; --init DIR writes a first one
    ");
}

/// A slip that makes a suite no suite would take all its cases out of a run, and nobody would notice.
#[test]
fn a_slip_does_not_hide_a_suite_in_a_folder() {
    let broken = "\ncases: [\n";
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(good().bytes().flat_map(|byte| [byte, 0])).collect();
    for (name, contents) in [
        ("a.yaml", format!("kind: PolicyTest # ours{broken}").into_bytes()),
        ("a.yaml", format!("kind:   !!str \"PolicyTest\"{broken}").into_bytes()),
        ("a.json", br#"{"apiVersion":"pytorchjob-guard/v1","kind":"PolicyTest","policy":"cci","cases":["#.to_vec()),
        ("a.yaml", good().replace("PolicyTest", "PolicyTests").into_bytes()),
        ("a.yaml", good().replace("PolicyTest", "policyTest").into_bytes()),
        ("a.yaml", good().replace("kind: PolicyTest\n", "").into_bytes()),
        ("a.yaml", good().replace("pytorchjob-guard/v1", "pytorchjobguard/v1").into_bytes()),
        ("a.yaml", utf16),
    ] {
        let folder = Folder::new().with("good.yaml", good()).with(name, &contents);
        let said = folder.test(&["."]);
        let contents = String::from_utf8_lossy(&contents);
        assert!(said.starts_with("exit code 2\n") && said.contains(&format!("error: {name}: ")), "{contents}{said}");
        assert!(said.contains("PASS  good.yaml: 1 passed"), "{said}");
    }
    // A policy beside its suite is none.
    let folder =
        Folder::new().with("good.yaml", good()).with("cci.yaml", Policy::builtin_text("cci").expect("a policy"));
    assert!(folder.test(&["."]).starts_with("exit code 0\n"));
}
