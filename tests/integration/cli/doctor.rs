//! `doctor` where there is no cluster to look at. What it says of clusters is in `src/doctor/tests.rs`, and of real ones in
//! `tests/installed/`.

use insta::assert_snapshot;
use support::free_address;

use super::Folder;

#[test]
fn says_why_there_is_nothing_to_look_at() {
    assert_snapshot!(Folder::new().run(&["doctor", "--kubeconfig", "none.yaml"]), @r#"
    exit code 2
    --- error output
    error: there is no cluster to look at: failed to read kubeconfig from '"none.yaml"': No such file or directory (os error 2)
    "#);
    let kubeconfig = |server: &str| {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
             clusters: [{{name: a, cluster: {{server: \"{server}\"}}}}], users: [{{name: a, user: {{}}}}]}}"
        )
    };
    let closed = format!("https://{}", free_address().expect("an address"));
    let folder = Folder::new().with("kubeconfig", kubeconfig(&closed));
    let said = folder.run(&["doctor", "--kubeconfig", "kubeconfig"]);
    assert!(said.starts_with("exit code 2") && said.contains("error: the API server gave no answer: "), "{said}");
    let said = folder.run(&["doctor", "--kubeconfig", "kubeconfig", "--context", "b"]);
    assert!(said.starts_with("exit code 2") && said.contains("error: there is no cluster to look at: "), "{said}");
    // It looks again, and no longer than it may.
    let said = folder.run(&["doctor", "--kubeconfig", "kubeconfig", "--wait", "1ms"]);
    assert!(said.starts_with("exit code 2") && said.contains("error: the API server gave no answer: "), "{said}");
}

#[test]
fn options_that_contradict_each_other() {
    for options in [["--before", "--proof"], ["--print-policy", "--proof"], ["--print-policy", "--wait=1s"]] {
        let said = Folder::new().run(&[&["doctor"], &options[..]].concat());
        assert!(said.starts_with("exit code 2") && said.contains("cannot be used with"), "{said}");
    }
}

#[test]
fn helps() {
    assert_snapshot!(Folder::new().run(&["doctor", "-h"]), @"
    exit code 0
    --- output
    Look at a live cluster: does the guard fit it, and does it hold the rule there?

    Usage: pytorchjob-guard doctor [OPTIONS]

    Options:
          --kubeconfig <FILE>  The kubeconfig; without it the one that kubectl takes, or a pod's own
                               account
          --context <NAME>     The context of the kubeconfig; without it the current one
          --before             Look at the cluster only, before the guard is installed
          --print-policy       Print the policy to take as a file, and nothing else
          --proof              Try two updates of a job as dry runs: one that must be allowed, one that
                               must be denied
          --wait <DURATION>    Look again until nothing fails, for this time at most
      -o, --output <FORMAT>    The output format [default: text] [possible values: text, json]
      -h, --help               Print help (see more with '--help')

    Nothing is changed: it reads, and --proof sends dry runs.

    Exit code 0: nothing failed. 1: something did. 2: there is no cluster to look at.
    ");
}
