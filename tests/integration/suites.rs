//! `pytorchjob-guard test` as its users see it: the real program, what it prints, and how it exits.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use insta::assert_snapshot;
use support::guard::program;
use tempfile::TempDir;

mod bad;
mod built_in;
mod cases;
mod coverage;
mod find;
mod init;
mod reports;
mod schema;

/// A small job with a secret that no report may show.
const JOB: &str = r#"apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: mnist, namespace: team-a, labels: {app: mnist}}
spec:
  ttlSecondsAfterFinished: 3000
  pytorchReplicaSpecs:
    Worker:
      replicas: 1
      template:
        spec:
          containers:
            - {name: pytorch, image: "registry.example.com/mnist:v1", args: ["--token", "s3cr3t"]}
"#;

/// A folder with suites; the program runs in it.
struct Folder {
    dir: TempDir,
}

/// A folder with the small job and this one suite of `cci`, whose cases these are.
fn suite(cases: &str) -> Folder {
    Folder::new().with("suite.yaml", format!("{HEAD}{cases}"))
}

/// The first five lines of a suite.
const HEAD: &str = "apiVersion: pytorchjob-guard/v1\nkind: PolicyTest\npolicy: cci\nbase: job.yaml\ncases:\n";

impl Folder {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a folder") }.with("job.yaml", JOB)
    }

    fn with(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, contents).expect("a file");
        self
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs `test`; gives its exit code and what it wrote, without the time it took.
    fn test(&self, args: &[&str]) -> String {
        self.test_with(args, &[])
    }

    fn test_with(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let Output { status, stdout, stderr } = program()
            .arg("test")
            .args(args)
            .env("COLUMNS", "100")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let code = status.code().expect("it ends by itself");
        let shown = |name: &str, text: Vec<u8>| {
            let text = timeless(&String::from_utf8(text).expect("UTF-8"));
            assert!(!text.contains("s3cr3t"), "a value is shown: {text}");
            if text.is_empty() { text } else { format!("--- {name}\n{text}") }
        };
        format!("exit code {code}\n{}{}", shown("output", stdout), shown("error output", stderr))
    }
}

/// The text with each time replaced by `T`.
fn timeless(text: &str) -> String {
    let mut timeless = text.to_owned();
    for (before, after) in [("in ", " s"), ("\"seconds\": ", "\n"), (" time=\"", "\"")] {
        let Some(start) = timeless.rfind(before).map(|at| at + before.len()) else { continue };
        let Some(length) = timeless[start..].find(after) else { continue };
        if timeless[start..start + length].parse::<f64>().is_ok() {
            timeless.replace_range(start..start + length, "T");
        }
    }
    timeless
}

/// One case that passes, and one that fails.
const PASSES_AND_FAILS: &str = "
  - name: a label may change
    patch: {metadata: {labels: {app: s3cr3t}}}
    expect: Allowed
  - name: replicas may not
    patch: {spec: {pytorchReplicaSpecs: {Worker: {replicas: 3}}, backoffLimit: 1}}
    expect: Denied
    fields: [spec.pytorchReplicaSpecs.Worker.replicas, spec.suspend]
";

#[test]
fn passes() {
    let folder = suite(
        "
  - name: a label may change
    patch: {metadata: {labels: {app: other}}}
    expect: Allowed
",
    );
    assert_snapshot!(folder.test(&["suite.yaml"]), @"
    exit code 0
    --- output
    PASS  suite.yaml: 1 passed

    1 passed, 0 failed in T s
    ");
}

#[test]
fn shows_what_was_expected_beside_what_came() {
    assert_snapshot!(suite(PASSES_AND_FAILS).test(&["suite.yaml"]), @"
    exit code 1
    --- output
    FAIL  suite.yaml: 1 passed, 1 failed
      FAIL  replicas may not (line 10)
              expected                                 | actual
              Denied                                   | Denied
            !                                          | spec.backoffLimit
              spec.pytorchReplicaSpecs.Worker.replicas | spec.pytorchReplicaSpecs.Worker.replicas
            ! spec.suspend                             |

    1 passed, 1 failed in T s
    ");
}

#[test]
fn colours_on_a_terminal_and_when_told_to() {
    let folder = suite(PASSES_AND_FAILS);
    let plain = folder.test(&["suite.yaml"]);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let colored = folder.test(&["suite.yaml", "--color", "always"]);
    assert_snapshot!(colored.replace('\u{1b}', "^"), @"
    exit code 1
    --- output
    ^[31mFAIL^[0m  suite.yaml: 1 passed, 1 failed
      ^[31mFAIL^[0m  replicas may not ^[2m(line 10)^[0m
              expected                                 | actual
              Denied                                   | Denied
            ^[31m!^[0m ^[32m                                        ^[0m | ^[31mspec.backoffLimit^[0m
              spec.pytorchReplicaSpecs.Worker.replicas | spec.pytorchReplicaSpecs.Worker.replicas
            ^[31m!^[0m ^[32mspec.suspend                            ^[0m |

    ^[32m1 passed^[0m, ^[31m1 failed^[0m ^[2min T s^[0m
    ");
    let forced = [("CLICOLOR_FORCE", "1")];
    assert_eq!(folder.test_with(&["suite.yaml"], &forced), colored);
    assert_eq!(folder.test_with(&["suite.yaml", "--color", "never"], &forced), plain);
    assert_eq!(folder.test_with(&["suite.yaml"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
    assert_eq!(folder.test_with(&["suite.yaml"], &[("CLICOLOR_FORCE", "0")]), plain);
}

#[test]
fn lists_and_filters() {
    let folder = suite(PASSES_AND_FAILS)
        .with("more/suite.yaml", format!("{}{PASSES_AND_FAILS}", HEAD.replace("base: job", "base: ../job")));
    assert_snapshot!(folder.test(&["--list", "."]), @"
    exit code 0
    --- output
    more/suite.yaml :: a label may change
    more/suite.yaml :: replicas may not
    suite.yaml :: a label may change
    suite.yaml :: replicas may not
    ");
    assert_snapshot!(folder.test(&["--list", ".", "--filter", "more/suite.yaml :: a"]), @"
    exit code 0
    --- output
    more/suite.yaml :: a label may change
    ");
    assert_snapshot!(folder.test(&[".", "--filter", "label"]), @"
    exit code 0
    --- output
    PASS  more/suite.yaml: 1 passed
    PASS  suite.yaml: 1 passed

    2 passed, 0 failed in T s
    ");
    assert_snapshot!(folder.test(&[".", "--filter", "lable"]), @"
    exit code 2
    --- error output
    error: --filter lable: no case is called so; --list shows their names
    ");
    assert_snapshot!(folder.test(&[".", "--list", "--filter", "lable"]), @"
    exit code 2
    --- error output
    error: --filter lable: no case is called so; --list shows their names
    ");
}

#[test]
fn stops_at_the_first_failure_when_told_to() {
    let more = "
  - name: not run any more
    patch: {}
    expect: Allowed
";
    let folder = suite(&format!("{PASSES_AND_FAILS}{more}"));
    assert_snapshot!(folder.test(&["suite.yaml", "--fail-fast", "--require-coverage"]), @"
    exit code 1
    --- output
    FAIL  suite.yaml: 1 passed, 1 failed, 1 not run
      FAIL  replicas may not (line 10)
              expected                                 | actual
              Denied                                   | Denied
            !                                          | spec.backoffLimit
              spec.pytorchReplicaSpecs.Worker.replicas | spec.pytorchReplicaSpecs.Worker.replicas
            ! spec.suspend                             |

    1 passed, 1 failed, 1 not run in T s
    ");
    assert_snapshot!(folder.test(&["suite.yaml", "--fail-fast", "-o", "tap"]), @r#"
    exit code 1
    --- output
    TAP version 14
    1..3
    ok 1 - suite.yaml :: a label may change
    not ok 2 - suite.yaml :: replicas may not
      ---
      expected: {"fields":["spec.pytorchReplicaSpecs.Worker.replicas","spec.suspend"],"outcome":"Denied"}
      actual: {"fields":["spec.backoffLimit","spec.pytorchReplicaSpecs.Worker.replicas"],"outcome":"Denied"}
      line: 10
      ...
    ok 3 - suite.yaml :: not run any more # SKIP a case before it failed
    "#);
}

#[test]
fn helps() {
    assert_snapshot!(Folder::new().test(&["-h"]), @"
    exit code 0
    --- output
    Run the tests of a policy

    Usage: pytorchjob-guard test [OPTIONS] [PATH]...

    Arguments:
      [PATH]...  Suites (kind PolicyTest), or folders in which to look for them: *.yaml, *.yml and
                 *.json; - is standard input

    Options:
      -o, --output <FORMAT>     The output format [default: text] [possible values: text, json, junit,
                                tap]
          --output-file <FILE>  Write the output into this file, and the text for people to standard
                                output
          --filter <TEXT>       Run only cases with this text in `SUITE PATH :: CASE NAME`
          --fail-fast           Stop at the first case that fails
          --list                Print the names of the cases, and run none
          --coverage            Name the parts of each policy that no case exercises both ways: fails
                                without, and shows where it ends. The exit code stays as it is
          --require-coverage    Like --coverage, and exit 1 where something is named
          --color <WHEN>        When to colour the text [default: auto] [possible values: auto, always,
                                never]
          --init <DIR>          Write a first suite and its job into this folder, to go on from
          --policy <NAME>       The built-in policy of the first suite [default: cci] [possible values:
                                cci, training-operator, kueue]
      -h, --help                Print help (see more with '--help')

    Exit codes: 0 every case passes, 1 some do not, 2 a suite or a policy is bad; good suites run all
    the same.
    ");
}

#[test]
fn usage() {
    assert_snapshot!(Folder::new().test(&[]), @"
    exit code 2
    --- error output
    error: the following required arguments were not provided:
      <PATH>...

    Usage: pytorchjob-guard test <PATH>...

    For more information, try '--help'.
    ");
    assert_snapshot!(Folder::new().test(&["--list", ".", "--coverage"]), @"
    exit code 2
    --- error output
    error: the argument '--list' cannot be used with '--coverage'

    Usage: pytorchjob-guard test --list <PATH>...

    For more information, try '--help'.
    ");
}
