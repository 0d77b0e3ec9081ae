//! The exemption that lets the updates of one user through.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{fields, line::Denial};
use crate::field::Pattern;

/// The most fields of an exemption. One with more is no exemption, but another policy.
const MOST_FIELDS: usize = 1_000;

/// The exemption that lets through the updates of a user, as far as the log names their fields.
#[derive(Debug)]
pub struct ExemptionFor {
    user: String,
    updates: u64,
    /// By subresource, empty for the object itself.
    fields: BTreeMap<String, BTreeSet<String>>,
    /// The number of fields that the log only counts, cuts, or that are beyond the limit.
    unnamed: u64,
}

impl ExemptionFor {
    /// An exemption without fields.
    #[must_use]
    pub fn new(user: &str) -> Self {
        Self { user: user.to_owned(), updates: 0, fields: BTreeMap::new(), unnamed: 0 }
    }

    /// Adds the fields of an update, if it is the user's.
    pub fn add(&mut self, denial: &Denial<'_>) {
        if denial.user != self.user {
            return;
        }
        self.updates += 1;
        let (paths, more) = fields::split(&denial.fields);
        self.unnamed += more;
        let fields = self.fields.entry(denial.subresource.to_string()).or_default();
        for path in paths {
            if fields.contains(path) {
                continue;
            }
            // A path that is cut ends in dots, and is no path of a policy.
            if Pattern::parse(path).is_ok() && fields.len() < MOST_FIELDS {
                fields.insert(path.to_owned());
            } else {
                self.unnamed += 1;
            }
        }
    }

    /// True if no update was the user's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updates == 0
    }

    /// The name of the exemption: the last part of the user's name.
    fn name(&self) -> String {
        let last = self.user.rsplit([':', '/']).next().unwrap_or_default();
        let name: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        if name.is_empty() { "writer".to_owned() } else { name }
    }
}

/// As YAML, to paste into a policy.
impl fmt::Display for ExemptionFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.updates == 1 { "" } else { "s" };
        writeln!(
            f,
            "# For {} update{plural}, denied or tolerated. Take out the fields that the user should not change.",
            self.updates
        )?;
        if self.unnamed > 0 {
            writeln!(f, "# The log counts {} more fields, and does not name them.", self.unnamed)?;
        }
        writeln!(f, "exemptions:")?;
        for (subresource, fields) in &self.fields {
            let suffix = if subresource.is_empty() { String::new() } else { format!("-{subresource}") };
            writeln!(f, "  - name: {}{suffix}", self.name())?;
            // A JSON string is a YAML one too.
            writeln!(f, "    users:\n      - {}", Value::from(&*self.user))?;
            if !subresource.is_empty() {
                writeln!(f, "    subresources: [{subresource}]")?;
            }
            writeln!(f, "    fields:")?;
            for field in without_inner(fields) {
                let is_plain = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
                let field = if is_plain { field.to_owned() } else { Value::from(field).to_string() };
                writeln!(f, "      - {field}")?;
            }
        }
        Ok(())
    }
}

/// The fields without those that are inside others.
fn without_inner(fields: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    let patterns: Vec<_> = fields.iter().filter_map(|field| Pattern::parse(field).ok()).collect();
    let is_inner = move |field: &str| {
        let Ok(own) = Pattern::parse(field) else { return false };
        patterns.iter().any(|other| other.tokens() != own.tokens() && other.covers(&own))
    };
    fields.iter().map(String::as_str).filter(move |field| !is_inner(field))
}
