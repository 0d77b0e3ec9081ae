//! Counts of denied and tolerated updates, in bounded memory.

use std::collections::HashMap;

use serde::Serialize;

use super::{fields, line::Denial};

/// The most names that are counted one by one in each table. Users and namespaces are in logs, and logs are long.
const MOST_NAMES: usize = 2_000;
/// The most fields that an example names.
const MOST_FIELDS: usize = 8;

/// A report of denied and tolerated updates.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The time of the first and of the last update.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Dry runs change nothing, and are not counted.
    pub(super) dry_runs: u64,
    pub(super) users: Table,
    pub(super) fields: Table,
    pub(super) namespaces: Table,
    pub(super) policies: Table,
    pub(super) days: Table,
}

/// The numbers of updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Those that were rejected.
    pub(super) denied: u64,
    /// Those that the policy's actions let through: with Deny they are rejected.
    pub(super) tolerated: u64,
}

/// Counts by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: HashMap<String, Row>,
    /// The counts of all names beyond the limit.
    pub(super) others: Counts,
}

/// A name, its counts, and the first update of that name.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) example: Example,
}

/// One update.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Example {
    pub(super) time: String,
    pub(super) user: String,
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) subresource: String,
    pub(super) policy: String,
    pub(super) fields: Vec<String>,
}

impl Report {
    /// Counts an update.
    pub fn add(&mut self, denial: &Denial<'_>) {
        if denial.is_dry_run {
            self.dry_runs += 1;
            return;
        }
        if self.from.as_deref().is_none_or(|from| *denial.time < *from) {
            self.from = Some(denial.time.to_string());
        }
        if self.to.as_deref().is_none_or(|to| *denial.time > *to) {
            self.to = Some(denial.time.to_string());
        }
        self.counts.add(denial);
        let day = denial.time.split('T').next().unwrap_or_default();
        let tables = [
            (&mut self.users, &*denial.user),
            (&mut self.namespaces, &*denial.namespace),
            (&mut self.policies, &*denial.policy),
            (&mut self.days, day),
        ];
        for (table, name) in tables {
            table.add(name, denial);
        }
        for field in fields::split(&denial.fields).0 {
            self.fields.add(field, denial);
        }
    }
}

impl Counts {
    fn add(&mut self, denial: &Denial<'_>) {
        let count = if denial.is_denied { &mut self.denied } else { &mut self.tolerated };
        *count += 1;
    }

    pub(super) fn sum(self) -> u64 {
        self.denied + self.tolerated
    }
}

impl Table {
    fn add(&mut self, name: &str, denial: &Denial<'_>) {
        if let Some(row) = self.rows.get_mut(name) {
            return row.counts.add(denial);
        }
        if self.rows.len() >= MOST_NAMES {
            return self.others.add(denial);
        }
        let mut counts = Counts::default();
        counts.add(denial);
        let row = Row { name: name.to_owned(), counts, example: Example::from(denial) };
        self.rows.insert(name.to_owned(), row);
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, the largest first.
    pub(super) fn sorted(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_by(|one, other| other.counts.sum().cmp(&one.counts.sum()).then_with(|| one.name.cmp(&other.name)));
        rows
    }
}

impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.sorted())
    }
}

impl From<&Denial<'_>> for Example {
    fn from(denial: &Denial<'_>) -> Self {
        let fields = fields::split(&denial.fields).0;
        Self {
            time: denial.time.to_string(),
            user: denial.user.to_string(),
            namespace: denial.namespace.to_string(),
            name: denial.name.to_string(),
            subresource: denial.subresource.to_string(),
            policy: denial.policy.to_string(),
            fields: fields.into_iter().take(MOST_FIELDS).map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_names_beyond_the_limit_together() {
        let mut table = Table::default();
        let denial = |is_denied| Denial {
            time: "2026-11-28T12:00:00Z".into(),
            policy: "cci".into(),
            user: "jane".into(),
            namespace: "a".into(),
            name: "b".into(),
            subresource: "".into(),
            fields: "spec.x".into(),
            is_denied,
            is_dry_run: false,
        };
        for number in 0..MOST_NAMES + 3 {
            table.add(&number.to_string(), &denial(number % 2 == 0));
        }
        table.add("0", &denial(true));
        assert_eq!((table.rows.len(), table.others), (MOST_NAMES, Counts { denied: 2, tolerated: 1 }));
        assert_eq!(table.sorted()[0].name, "0");
    }
}
