//! What a check finds.

use serde::Serialize;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it should be.
    Ok,
    /// Worth a look, or the check could not be made.
    Warning,
    /// Jobs or updates suffer from it, or the rule does not hold.
    Failed,
}

/// The address of the documentation, in a program that was built with one: a release's. Else it is a folder of the project.
const DOCS: &str = match option_env!("PYTORCHJOB_GUARD_DOCS") {
    Some(address) => address,
    None => "docs",
};

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The outcome.
    pub(crate) outcome: Outcome,
    /// The name of the check.
    pub(crate) check: &'static str,
    /// One sentence.
    pub(crate) message: String,
    /// The section of the documentation about it.
    pub(crate) page: String,
}

/// A check: its name, and the section about it, as a path in the project.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check(pub(super) &'static str, pub(super) &'static str);

impl Check {
    pub(super) fn ok(self, message: impl Into<String>) -> Finding {
        self.finding(Outcome::Ok, message)
    }

    pub(super) fn warning(self, message: impl Into<String>) -> Finding {
        self.finding(Outcome::Warning, message)
    }

    pub(super) fn failed(self, message: impl Into<String>) -> Finding {
        self.finding(Outcome::Failed, message)
    }

    fn finding(self, outcome: Outcome, message: impl Into<String>) -> Finding {
        let page = format!("{DOCS}{}", self.1.trim_start_matches("docs"));
        Finding { outcome, check: self.0, message: message.into(), page }
    }
}

/// The names of a few, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    const FEW: usize = 3;
    let shown = names.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > FEW { format!("{shown} and {} more", names.len() - FEW) } else { shown }
}
