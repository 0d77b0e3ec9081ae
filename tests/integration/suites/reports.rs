//! The reports for programs. Two suites, one of them with a case that fails, and a bad one.

use std::fs;

use insta::assert_snapshot;

use super::{Folder, HEAD, PASSES_AND_FAILS, suite};

fn folder() -> Folder {
    suite(PASSES_AND_FAILS)
        .with("bad.yaml", "kind: PolicyTest\npolicy: cci\n")
        .with("odd #1 \\ <&>.yaml", format!("{HEAD}  - {{name: 'a # \\ <b> & \"c\"', patch: {{}}, expect: Allowed}}\n"))
}

#[test]
fn json() {
    assert_snapshot!(folder().test(&[".", "-o", "json"]), @r#"
    exit code 2
    --- output
    {
      "apiVersion": "pytorchjob-guard/v1",
      "kind": "PolicyTestReport",
      "summary": {
        "passed": 2,
        "failed": 1,
        "notRun": 0,
        "badFiles": 1,
        "seconds": T
      },
      "suites": [
        {
          "name": "odd #1 \\ <&>.yaml",
          "policy": "cci",
          "passed": 1,
          "failed": 0,
          "notRun": 0,
          "cases": [
            {
              "name": "a # \\ <b> & \"c\"",
              "line": 6,
              "result": "Passed",
              "expected": {
                "outcome": "Allowed",
                "fields": []
              },
              "actual": {
                "outcome": "Allowed",
                "fields": [],
                "applicable": true
              }
            }
          ]
        },
        {
          "name": "suite.yaml",
          "policy": "cci",
          "passed": 1,
          "failed": 1,
          "notRun": 0,
          "cases": [
            {
              "name": "a label may change",
              "line": 7,
              "result": "Passed",
              "expected": {
                "outcome": "Allowed",
                "fields": []
              },
              "actual": {
                "outcome": "Allowed",
                "fields": [],
                "applicable": true
              }
            },
            {
              "name": "replicas may not",
              "line": 10,
              "result": "Failed",
              "expected": {
                "outcome": "Denied",
                "fields": [
                  "spec.pytorchReplicaSpecs.Worker.replicas",
                  "spec.suspend"
                ]
              },
              "actual": {
                "outcome": "Denied",
                "fields": [
                  "spec.backoffLimit",
                  "spec.pytorchReplicaSpecs.Worker.replicas"
                ],
                "applicable": true
              }
            }
          ]
        }
      ],
      "errors": [
        {
          "file": "bad.yaml",
          "line": 1,
          "column": 1,
          "message": "apiVersion is missing; write apiVersion: pytorchjob-guard/v1"
        },
        {
          "file": "bad.yaml",
          "line": 1,
          "column": 1,
          "message": "cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]"
        }
      ]
    }
    --- error output
    error: bad.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1
    error: bad.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]
    "#);
}

#[test]
fn a_file_holds_the_report_beside_the_text_on_the_console() {
    let folder = folder();
    let text = folder.test(&["."]);
    let report = folder.test(&[".", "-o", "tap"]);
    assert_eq!(folder.test(&[".", "-o", "tap", "--output-file", "report.tap"]), text);
    let file = fs::read_to_string(folder.path().join("report.tap")).expect("the report");
    assert!(report.contains(&file), "{file}");
    let said = folder.test(&[".", "--output-file", "none/report"]);
    assert!(said.starts_with("exit code 2\n"), "{said}");
    assert!(said.contains("error: --output-file none/report: No such file or directory"), "{said}");
}

#[test]
fn junit() {
    assert_snapshot!(folder().test(&[".", "-o", "junit"]), @r#"
    exit code 2
    --- output
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="pytorchjob-guard" tests="5" failures="1" errors="2" skipped="0" time="T">
      <testsuite name="odd #1 \ &lt;&amp;&gt;.yaml" tests="1" failures="0" errors="0" skipped="0">
        <testcase name="a # \ &lt;b&gt; &amp; &quot;c&quot;" classname="odd #1 \ &lt;&amp;&gt;.yaml" file="odd #1 \ &lt;&amp;&gt;.yaml" line="6"/>
      </testsuite>
      <testsuite name="suite.yaml" tests="2" failures="1" errors="0" skipped="0">
        <testcase name="a label may change" classname="suite.yaml" file="suite.yaml" line="7"/>
        <testcase name="replicas may not" classname="suite.yaml" file="suite.yaml" line="10">
          <failure type="Denied" message="Denied, but for other fields than expected">expected: Denied [spec.pytorchReplicaSpecs.Worker.replicas, spec.suspend]
    actual:   Denied [spec.backoffLimit, spec.pytorchReplicaSpecs.Worker.replicas]
    </failure>
        </testcase>
      </testsuite>
      <testsuite name="bad.yaml" tests="2" failures="0" errors="2" skipped="0">
        <testcase name="bad.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1" classname="bad.yaml" file="bad.yaml" line="1">
          <error type="BadSuite" message="apiVersion is missing; write apiVersion: pytorchjob-guard/v1"/>
        </testcase>
        <testcase name="bad.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]" classname="bad.yaml" file="bad.yaml" line="1">
          <error type="BadSuite" message="cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]"/>
        </testcase>
      </testsuite>
    </testsuites>
    --- error output
    error: bad.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1
    error: bad.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]
    "#);
}

#[test]
fn tap() {
    assert_snapshot!(folder().test(&[".", "-o", "tap"]), @r#"
    exit code 2
    --- output
    TAP version 14
    1..5
    ok 1 - odd \#1 \\ <&>.yaml :: a \# \\ <b> & "c"
    ok 2 - suite.yaml :: a label may change
    not ok 3 - suite.yaml :: replicas may not
      ---
      expected: {"fields":["spec.pytorchReplicaSpecs.Worker.replicas","spec.suspend"],"outcome":"Denied"}
      actual: {"fields":["spec.backoffLimit","spec.pytorchReplicaSpecs.Worker.replicas"],"outcome":"Denied"}
      line: 10
      ...
    not ok 4 - bad.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1
    not ok 5 - bad.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]
    --- error output
    error: bad.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1
    error: bad.yaml: line 1, column 1: cases is missing; write cases: [{name: …, patch: …, expect: Allowed}]
    "#);
}

#[test]
fn reports_that_are_not_for_people_are_never_coloured() {
    for output in ["json", "junit", "tap"] {
        let said = folder().test(&[".", "-o", output, "--color", "always"]);
        assert!(!said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn coverage_is_in_each_of_them() {
    let folder = suite("  - {name: a, patch: {}, expect: Allowed}\n");
    for output in ["text", "json", "junit", "tap"] {
        let said = folder.test(&["suite.yaml", "-o", output, "--coverage"]);
        assert!(said.starts_with("exit code 0\n"), "{said}");
        assert!(said.contains("no case fails without it"), "{said}");
    }
}
