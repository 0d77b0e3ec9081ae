//! Options from environment variables, and what documents them all.

use std::{fs, process::Command};

use support::{
    Serves as _,
    guard::{Start, program},
};

/// The error of `serve` with this variable and these options.
fn error(variable: &str, value: &str, args: &[&str]) -> String {
    let output = program().arg("serve").args(args).env(variable, value).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn an_error_names_the_variable_that_a_value_is_from() {
    for (variable, value) in [
        ("PYTORCHJOB_GUARD_MAX_BODY_BYTES", "many"),
        ("PYTORCHJOB_GUARD_IDLE_TIMEOUT", "0s"),
        ("PYTORCHJOB_GUARD_LOG_FORMAT", "xml"),
        ("PYTORCHJOB_GUARD_EXEMPT", "kueue=a,kueue"),
        ("PYTORCHJOB_GUARD_LISTEN", "localhost:1"),
    ] {
        let said = error(variable, value, &[]);
        assert!(said.ends_with(&format!("\nThe value is the environment variable {variable}'s.\n")), "{said}");
    }
    // An option counts before its variable.
    let given = error("PYTORCHJOB_GUARD_MAX_BODY_BYTES", "10", &["--max-body-bytes=many"]);
    assert!(given.contains("'--max-body-bytes") && !given.contains("environment"), "{given}");
    let same = error("PYTORCHJOB_GUARD_MAX_BODY_BYTES", "many", &["--max-body-bytes=many"]);
    assert!(!same.contains("environment"), "{same}");
}

#[test]
fn a_port_alone_is_that_port_of_all_addresses() {
    let guard = Start::new().args(&["--listen=:0", "--admin-listen=:0"]).serve();
    assert!(guard.address().ip().is_unspecified() && guard.admin_address().ip().is_unspecified());
    assert_ne!(guard.address().port(), 0);
    let said = error("PYTORCHJOB_GUARD_LISTEN", "8443", &[]);
    assert!(said.contains("write ADDRESS:PORT, like 127.0.0.1:8443, or :8443 for all addresses"), "{said}");
}

#[test]
fn completions_are_a_script_of_the_shell() {
    let output = program().args(["completions", "bash"]).output().expect("it runs");
    let script = String::from_utf8(output.stdout).expect("UTF-8");
    let completed = "COMP_WORDS=(pytorchjob-guard policy sh); COMP_CWORD=2; _pytorchjob__guard pytorchjob-guard sh policy; echo ${COMPREPLY[@]}";
    let output = Command::new("bash").args(["-c", &format!("{script}\n{completed}")]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "show\n", "{}", String::from_utf8_lossy(&output.stderr));
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let output = program().args(["completions", shell]).output().expect("it runs");
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program().arg("man").arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for page in ["", "-serve", "-check", "-test", "-report", "-policy-show", "-registration"] {
        let text = fs::read_to_string(folder.path().join(format!("pytorchjob-guard{page}.1"))).expect("a page");
        assert!(text.contains(".TH pytorchjob"), "{page}: {text}");
    }
    let output = program().arg("man").arg(folder.path().join("none")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none: No such file or directory"));
}
