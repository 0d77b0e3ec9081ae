//! The documentation holds: every command and file in it, but for those that need an API server, which the cluster
//! tests run.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use pytorchjob_guard::policy::Policy;
use serde_json::Value;
use support::{
    Serves as _,
    guard::Guard,
    pages::{DOCS, pages, path_with, shell},
};
use tempfile::TempDir;

#[test]
fn every_page_that_needs_no_cluster_holds() {
    let program = support::guard::path();
    let path = path_with(&[program.parent().expect("a folder")]);
    let mut names = Vec::new();
    for page in pages().iter().filter(|page| !page.needs_a_cluster() && !page.needs_an_installation()) {
        let folder = TempDir::new().expect("a folder");
        page.run(folder.path(), &|command| {
            command.env("PATH", &path);
        });
        names.push(page.name());
    }
    assert!(!names.is_empty());
}

#[test]
fn the_suites_of_the_ready_policies_cover_them() {
    let suites = ["training-jobs", "trainjob", "jobset"].map(|policy| format!("examples/{policy}.test.yaml"));
    let mut test = support::guard::program();
    let output = test.args(["test", "--require-coverage"]).args(suites).current_dir(DOCS).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// A page that watches a metric that does not exist shows nothing, for ever.
#[test]
fn every_metric_that_the_documentation_names_exists() {
    let guard = Guard::start();
    let metrics = guard.admin("/metrics").1;
    let mut names = BTreeSet::new();
    for page in pages() {
        let text = page.text();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with("pytorchjob_guard_")).map(str::to_owned));
    }
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let family = name.trim_end_matches("_total");
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} is in no metrics:\n{metrics}");
    }
}

fn example(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(DOCS).join("examples").join(file)).expect("an example");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The commands that CI would run, without the installation: `cargo` here is one that does nothing.
#[test]
fn the_pipelines_for_ci_pass() {
    let github = example("ci/github-actions.yaml");
    let steps = github["jobs"]["test"]["steps"].as_array().expect("steps").iter();
    let gitlab = &example("ci/gitlab-ci.yaml")["policies"];
    let lines = ["before_script", "script"].map(|part| gitlab[part].as_array().expect("a script").iter());
    for commands in [
        steps.filter_map(|step| step["run"].as_str()).collect::<Vec<_>>(),
        lines.into_iter().flatten().filter_map(Value::as_str).collect(),
    ] {
        let folder = TempDir::new().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("cargo"), "#!/bin/sh\n").expect("a file");
        fs::set_permissions(folder.join("cargo"), fs::Permissions::from_mode(0o755)).expect("a program");
        let policies = folder.join("policies");
        fs::create_dir(&policies).expect("a folder");
        fs::write(policies.join("jobs.yaml"), Policy::builtin_text("cci").expect("a policy")).expect("a file");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/built_in");
        let suite = fs::read_to_string(source.join("cci.test.yaml")).expect("a suite");
        fs::write(policies.join("jobs.test.yaml"), suite.replace("policy: cci\n", "policy: jobs.yaml\n"))
            .expect("a file");
        fs::create_dir(policies.join("testdata")).expect("a folder");
        for file in fs::read_dir(source.join("testdata")).expect("a folder") {
            let file = file.expect("a file").path();
            fs::copy(&file, policies.join("testdata").join(file.file_name().expect("a name"))).expect("a copy");
        }
        let program = support::guard::path();
        let path = path_with(&[folder, program.parent().expect("a folder")]);
        let prepare = |command: &mut Command| {
            command.env("PATH", &path);
        };
        let [_, _, tests] = commands[..] else { panic!("{commands:?}") };
        for command in commands {
            let (success, said) = shell(command, folder, &prepare);
            assert!(success, "{command}: {said}");
        }
        let report = fs::read_to_string(folder.join("policies.xml")).expect("a report");
        assert!(report.contains("<testsuite ") && report.contains("failures=\"0\""), "{report}");
        fs::write(policies.join("jobs.yaml"), Policy::builtin_text("kueue").expect("a policy")).expect("a file");
        let (success, said) = shell(tests, folder, &prepare);
        assert!(!success, "another policy does not pass the suite: {said}");
    }
}

#[test]
fn the_suites_among_the_examples_pass() {
    let examples = Path::new(DOCS).join("examples");
    let path = path_with(&[support::guard::path().parent().expect("a folder")]);
    let (success, said) = shell("pytorchjob-guard test .", &examples, &|command| {
        command.env("PATH", &path);
    });
    assert!(success && said.contains("3 passed"), "{said}");
}
