//! `--init`: a first suite that passes.

use std::fs;

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;

use super::Folder;

#[test]
fn writes_a_first_suite_that_passes() {
    let folder = Folder::new();
    assert_snapshot!(folder.test(&["--init", "tests/policy"]), @"
    exit code 0
    --- error output
    wrote tests/policy/policy-test.yaml
    wrote tests/policy/job.yaml
    next: pytorchjob-guard test tests/policy
    ");
    assert_snapshot!(folder.test(&["tests/policy"]), @"
    exit code 0
    --- output
    PASS  tests/policy/policy-test.yaml: 6 passed

    6 passed, 0 failed in T s
    ");
}

#[test]
fn writes_a_first_suite_of_each_built_in_policy() {
    for policy in Policy::builtin_names() {
        let folder = Folder::new();
        folder.test(&["--init", "tests", "--policy", policy]);
        assert!(folder.test(&["tests"]).contains("6 passed, 0 failed"), "{policy}");
        let suite = fs::read_to_string(folder.path().join("tests/policy-test.yaml")).expect("a suite");
        assert!(suite.contains(&format!("\npolicy: {policy}\n")), "{suite}");
    }
    let said = Folder::new().test(&["--init", "tests", "--policy", "keueue"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("a similar value exists: 'kueue'"), "{said}");
}

#[test]
fn overwrites_nothing() {
    for there in ["policy-test.yaml", "job.yaml"] {
        let folder = Folder::new().with(&format!("tests/{there}"), "mine");
        let said = folder.test(&["--init", "tests"]);
        assert!(said.starts_with("exit code 2\n"), "{said}");
        assert!(said.contains(&format!("tests/{there} is there already")), "{said}");
        let files: Vec<_> = fs::read_dir(folder.path().join("tests")).expect("the folder").collect();
        assert_eq!(files.len(), 1, "nothing else was written");
        assert_eq!(fs::read_to_string(folder.path().join("tests").join(there)).expect("the file"), "mine");
    }
}
