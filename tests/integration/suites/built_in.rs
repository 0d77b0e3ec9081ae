//! The suites of the built-in policies: that they pass, and that they hold every line of their policy.

use std::{fs, path::Path};

use super::Folder;

const POLICIES: [&str; 3] = ["cci", "training-operator", "kueue"];

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/built_in").join(name);
    fs::read_to_string(path).expect("a file")
}

/// A copy of the policy's suite, beside a policy file that stands in for the built-in one.
fn copy(policy: &str) -> Folder {
    let suite = source(&format!("{policy}.test.yaml"));
    let of_file = suite.replace(&format!("\npolicy: {policy}\n"), "\npolicy: policy.yaml\n");
    assert_ne!(of_file, suite, "the suite names its policy");
    let mut folder = Folder::new().with("suite.yaml", of_file);
    for job in ["testdata/cci-job.yaml", "testdata/operator-job.yaml"] {
        folder = folder.with(job, source(job));
    }
    folder
}

#[test]
fn pass_and_exercise_every_part_both_ways() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/built_in");
    let said = Folder::new().test(&[&folder.display().to_string(), "--require-coverage"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    for policy in POLICIES {
        assert!(said.contains(&format!("{policy}.test.yaml: ")), "{said}");
        assert!(said.contains(&format!("Coverage of {policy}: ")), "{said}");
    }
}

#[test]
fn no_line_can_be_taken_out_of_a_policy_unnoticed() {
    let mut survivors = Vec::new();
    for policy in POLICIES {
        let text = source(&format!("{policy}.yaml"));
        let folder = copy(policy).with("policy.yaml", &text);
        let said = folder.test(&["suite.yaml"]);
        assert!(said.starts_with("exit code 0\n"), "as it is, the policy passes: {said}");
        let lines: Vec<_> = text.lines().collect();
        let counts = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
        let mut taken = 0;
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| counts(line)) {
            let rest = [&lines[..at], &lines[at + 1..]].concat().join("\n");
            fs::write(folder.path().join("policy.yaml"), rest + "\n").expect("a file");
            let said = folder.test(&["suite.yaml"]);
            taken += 1;
            if said.starts_with("exit code 0\n") {
                survivors.push(format!("{policy}.yaml:{}: {line}", at + 1));
            }
        }
        assert!(taken > 20, "{policy}: {taken} lines were taken out");
    }
    assert!(survivors.is_empty(), "no case notices when these lines are gone:\n{}", survivors.join("\n"));
}
