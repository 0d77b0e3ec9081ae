//! Policy files that are refused: each message names the place, the thing, and what to write instead. Beside each
//! stands one that is hardly different and good.

use std::fmt::Write as _;

use pytorchjob_guard::policy::Policy;

use crate::cli::Folder;

mod exemptions;
mod lists;
mod needless;
mod protection;
mod schema;
mod texts;
mod values;
mod warnings;

/// The first four lines of a policy.
const HEAD: &str = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
                    resources: [{group: kubeflow.org, resource: pytorchjobs}]\n";

/// The output of `policy lint` for this file, without the file's name.
fn lint(text: &str) -> String {
    let said = Folder::new().with("own.yaml", text).run(&["policy", "lint", "own.yaml"]);
    said.replace("own.yaml:", "").replace("--- output\n", "")
}

/// A policy with this after its head is refused with exactly these remarks; with that it is not.
#[track_caller]
fn rejects(bad: &str, errors: &[&str], good: &str) {
    rejects_text(&format!("{HEAD}{bad}"), errors, &format!("{HEAD}{good}"));
}

/// This text is refused with exactly these remarks; that is not.
#[track_caller]
fn rejects_text(bad: &str, errors: &[&str], good: &str) {
    let mut expected = "exit code 2\n".to_owned();
    for error in errors {
        let (place, message) = error.split_once(": ").expect("a place");
        writeln!(expected, "{place}: error: {message}").expect("a string");
    }
    assert_eq!(lint(bad), expected, "{bad}");
    accepts_text(good);
}

/// The text can be used.
#[track_caller]
fn accepts_text(good: &str) {
    let read = Policy::parse(good);
    assert!(read.is_ok(), "{good}{read:?}");
}

/// A policy with this after its head can be used, and gives exactly these remarks; with that it gives none like them.
#[track_caller]
fn remarks(odd: &str, remarks: &[&str], plain: &str) {
    let said = lint(&format!("{HEAD}{odd}"));
    let expected = [&["exit code 0"], remarks].concat().join("\n") + "\n";
    assert_eq!(said, expected, "{odd}");
    assert_eq!(Policy::lint(&format!("{HEAD}{plain}")), Ok(Vec::new()), "{plain}");
}
