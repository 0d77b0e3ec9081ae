//! Bad input and bad usage: exit code 2, and a message that names the file and the place in it.

use insta::assert_snapshot;
use support::guard::program;

use super::{Folder, JOB, edited};

/// The output of `check` for a file, beside a good one.
fn says(name: &str, contents: impl AsRef<[u8]>) -> String {
    Folder::new().with("old.yaml", JOB).with(name, contents).run(&["check", "old.yaml", name])
}

#[test]
fn a_file_that_is_not_there() {
    let folder = edited("3000", "60");
    assert_snapshot!(folder.run(&["check", "old.yaml", "nwe.yaml"]), @"
    exit code 2
    --- error output
    error: nwe.yaml: No such file or directory (os error 2)
    ");
    assert_snapshot!(folder.run(&["check", ".", "new.yaml"]), @"
    exit code 2
    --- error output
    error: .: Is a directory (os error 21)
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--policy", "cic"]), @"
    exit code 2
    --- error output
    error: --policy cic: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn broken_files() {
    assert_snapshot!(says("new.json", "{\n  \"a\": [1,\n  2,}\n}"), @"
    exit code 2
    --- error output
    error: new.json: expected value at line 3 column 5
    ");
    assert_snapshot!(says("new.json", "{}\n{}"), @"
    exit code 2
    --- error output
    error: new.json: trailing characters at line 2 column 1
    ");
    assert_snapshot!(says("new.yaml", "a: [1\nb: 2\n"), @"
    exit code 2
    --- error output
    error: new.yaml: illegal placement of ':' indicator at line 2, column 2
    ");
    assert_snapshot!(says("new.yaml", "a: 1\na: 2\n"), @"
    exit code 2
    --- error output
    error: new.yaml: duplicate mapping key `a` is not allowed here at line 2, column 1
    ");
    assert_snapshot!(says("new.yaml", b"kind: \xe9\n"), @"
    exit code 2
    --- error output
    error: new.yaml: not UTF-8 at line 1, column 7
    ");
    assert_snapshot!(says("new.yaml", ""), @"
    exit code 2
    --- error output
    error: new.yaml: holds no object
    ");
    assert_snapshot!(says("new.yaml", "- a\n"), @"
    exit code 2
    --- error output
    error: new.yaml: holds no object
    ");
    assert_snapshot!(says("new.yaml", "a: .nan\n"), @"
    exit code 2
    --- error output
    error: new.yaml: value `.nan` is not a finite number at line 1, column 4
    ");
}

#[test]
fn several_documents() {
    assert_snapshot!(says("new.yaml", format!("{JOB}---\n{JOB}")), @"
    exit code 2
    --- error output
    error: new.yaml: only single YAML document expected but multiple found at line 23, column 1
    ");
}

#[test]
fn an_anchor_bomb() {
    let tenfold = |(from, to): (char, char)| format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(","));
    let bomb: String = "abcdefgh".chars().zip("bcdefghi".chars()).map(tenfold).collect();
    let said = says("new.yaml", format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{bomb}"));
    assert!(said.starts_with("exit code 2\n--- error output\nerror: new.yaml: "), "{said}");
}

#[test]
fn a_file_without_end() {
    let said = Folder::new().with("new.yaml", JOB).run(&["check", "/dev/zero", "new.yaml"]);
    assert_snapshot!(said, @"
    exit code 2
    --- error output
    error: /dev/zero: larger than 64 MiB
    ");
}

#[test]
fn what_is_no_object() {
    assert_snapshot!(says("new.yaml", "a: 1\n"), @"
    exit code 2
    --- error output
    error: new.yaml: has no apiVersion
    ");
    assert_snapshot!(says("new.yaml", "apiVersion: kubeflow.org/v1\nkind: 7\n"), @"
    exit code 2
    --- error output
    error: new.yaml: its kind is not a string
    ");
    assert_snapshot!(says("new.yaml", "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata:\n"), @"
    exit code 2
    --- error output
    error: new.yaml: has no metadata.name
    ");
    assert_snapshot!(says("new.json", r#"{"apiVersion": "v1", "kind": "List", "items": []}"#), @"
    exit code 2
    --- error output
    error: new.json: holds a List; give one object
    ");
}

#[test]
fn two_different_objects() {
    for (from, to) in [
        ("PyTorchJob", "TFJob"),
        ("kubeflow.org/v1", "kubeflow.org/v2"),
        ("name: mnist", "name: other"),
        ("namespace: team-a", "namespace: team-b"),
    ] {
        let said = edited(from, to).run(&["check", "old.yaml", "new.yaml"]);
        assert!(
            said.starts_with("exit code 2\n--- error output\nerror: old.yaml and new.yaml are not the same object: ")
        );
    }
    assert_snapshot!(edited("name: mnist", "name: other").run(&["check", "old.yaml", "new.yaml"]), @r#"
    exit code 2
    --- error output
    error: old.yaml and new.yaml are not the same object: metadata.name is "mnist" in the one and "other" in the other
    "#);
    // kubectl fills in the namespace where there is none; what the guard then says is about the field.
    let said = edited("  namespace: team-a\n", "").run(&["check", "old.yaml", "new.yaml"]);
    assert!(said.contains("metadata.namespace: Forbidden: field is immutable (removed)"), "{said}");
}

#[test]
fn usage() {
    let folder = edited("3000", "60");
    assert_snapshot!(folder.run(&["check", "-", "-"]), @"
    exit code 2
    --- error output
    error: standard input can be OLD or NEW, not both
    ");
    assert_snapshot!(folder.run(&["check"]), @"
    exit code 2
    --- error output
    error: the following required arguments were not provided:
      <OLD>

    Usage: pytorchjob-guard check <OLD> [NEW]

    For more information, try '--help'.
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml"]), @"
    exit code 2
    --- error output
    error: the following required arguments were not provided:
      <NEW>

    Usage: pytorchjob-guard check <OLD> <NEW>

    For more information, try '--help'.
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--review", "x"]), @"
    exit code 2
    --- error output
    error: the argument '[OLD]' cannot be used with '--review <FILE>'

    Usage: pytorchjob-guard check <OLD> <NEW>

    For more information, try '--help'.
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "-o", "yaml"]), @"
    exit code 2
    --- error output
    error: invalid value 'yaml' for '--output <FORMAT>'
      [possible values: text, json]

    For more information, try '--help'.
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--subresource", "sacle"]), @"
    exit code 2
    --- error output
    error: --subresource sacle: only scale and status are known
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--subresource", "scale"]), @"
    exit code 2
    --- error output
    error: old.yaml: --subresource scale takes an autoscaling/v1 Scale; this is kind PyTorchJob of kubeflow.org/v1
    ");
}

#[test]
fn a_policy_that_is_none() {
    let folder = edited("3000", "60").with(
        "policy.yaml",
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: x\nresources: []\nmutableField: []\n",
    );
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--policy", "policy.yaml"]), @"
    exit code 2
    --- error output
    error: --policy policy.yaml: line 4, column 12: resources: the list is empty; list at least one group and resource (and 1 more)
    ");
}

/// Whoever closed the pipe need not be told, and nothing panics.
#[cfg(unix)]
#[test]
fn nobody_reads_what_is_said() {
    use std::{fs::File, process::Stdio};

    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("a full device"));
    for args in
        [&["check", "none", "none"][..], &["policy", "lint", "none"], &["test", "none"], &["certs", "/dev/null/x"]]
    {
        let status = program().args(args).stdout(Stdio::null()).stderr(full()).status().expect("it runs");
        assert_eq!(status.code(), Some(2), "{args:?}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let closed = program().args(["policy", "list"]).stdout(writer).stderr(Stdio::piped()).output().expect("it runs");
    assert_eq!((closed.status.code(), closed.stderr), (Some(2), Vec::new()));
}
