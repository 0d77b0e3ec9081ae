//! The policies that come with the guard.

use super::Policy;

/// A built-in policy.
struct BuiltIn {
    name: &'static str,
    /// Its purpose, on one line.
    summary: &'static str,
    text: &'static str,
}

/// The built-in policies, the default first.
const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "cci",
        summary: "Cloud Container Instance's contract; deadline, TTL and clean-up policy stand under spec",
        text: include_str!("built_in/cci.yaml"),
    },
    BuiltIn {
        name: "training-operator",
        summary: "the same contract for the training operator 1.3 and later, which keeps them under spec.runPolicy",
        text: include_str!("built_in/training-operator.yaml"),
    },
    BuiltIn {
        name: "kueue",
        summary: "training-operator, for clusters where Kueue starts and stops the jobs",
        text: include_str!("built_in/kueue.yaml"),
    },
];

impl BuiltIn {
    fn find(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|built_in| built_in.name == name)
    }
}

impl Policy {
    /// The built-in policy of that name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        Self::parse(Self::builtin_text(name)?).ok()
    }

    /// The text of the built-in policy of that name.
    #[must_use]
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        BuiltIn::find(name).map(|built_in| built_in.text)
    }

    /// The purpose of the built-in policy of that name, on one line.
    #[must_use]
    pub fn builtin_summary(name: &str) -> Option<&'static str> {
        BuiltIn::find(name).map(|built_in| built_in.summary)
    }

    /// The names of the built-in policies, the default first.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|built_in| built_in.name)
    }
}
