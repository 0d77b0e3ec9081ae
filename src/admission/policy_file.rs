//! A policy file's text into a [`Policy`], or where and why it is none.

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::{
    field::Pattern,
    policy::{Condition, DenialReason, Equality, Exemption, Policy, PolicyError, Resource, ValidationAction},
};

/// What the API server itself changes in an ordinary update, before validating webhooks are asked.
const SERVER_MANAGED: [&str; 4] =
    ["metadata.managedFields", "metadata.generation", "metadata.resourceVersion", "metadata.selfLink"];

/// A policy as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PolicyFile {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    name: Spanned<String>,
    resources: Spanned<Vec<Resource>>,
    #[serde(default)]
    mutable_fields: Vec<Spanned<Field>>,
    #[serde(default)]
    immutable_fields: Vec<Spanned<Field>>,
    server_managed_fields: Option<Vec<Spanned<Field>>>,
    #[serde(default)]
    equality: Equality,
    #[serde(default)]
    exemptions: Vec<Spanned<ExemptionFile>>,
    validation_actions: Option<Spanned<Vec<ValidationAction>>>,
    #[serde(default)]
    denial: DenialFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ExemptionFile {
    name: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    when: Option<Condition>,
    #[serde(default)]
    subresources: Vec<String>,
    fields: Vec<Spanned<Field>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DenialFile {
    #[serde(default)]
    reason: DenialReason,
}

/// A field path, read with the file so that an error knows its line.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Field(Pattern);

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Pattern::try_from(text).map(Self)
    }
}

/// Reads a policy, YAML or JSON.
pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let file: PolicyFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(|location| (location.line(), location.column()));
        PolicyError { message: message(&error), at }
    })?;
    file.check()?;
    let server_managed_fields = file.server_managed();
    let patterns = |fields: Vec<Spanned<Field>>| fields.into_iter().map(|field| field.value.0).collect();
    Ok(Policy {
        name: file.name.value,
        resources: file.resources.value,
        mutable_fields: patterns(file.mutable_fields),
        immutable_fields: patterns(file.immutable_fields),
        server_managed_fields,
        equality: file.equality,
        exemptions: file
            .exemptions
            .into_iter()
            .map(|Spanned { value, .. }| Exemption {
                name: value.name,
                users: value.users,
                groups: value.groups,
                when: value.when,
                subresources: value.subresources,
                fields: patterns(value.fields),
            })
            .collect(),
        actions: file.validation_actions.map_or_else(|| vec![ValidationAction::Deny], |actions| actions.value),
        reason: file.denial.reason,
    })
}

/// The reader's message without the place, which stands before it.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    text.rsplit_once(" at line ").map_or(text, |(message, _)| message).to_owned()
}

fn wrong<T>(at: Location, message: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { message: message.into(), at: Some((at.line(), at.column())) })
}

impl PolicyFile {
    fn server_managed(&self) -> Vec<Pattern> {
        match &self.server_managed_fields {
            Some(fields) => fields.iter().map(|field| field.value.0.clone()).collect(),
            None => SERVER_MANAGED.iter().filter_map(|field| Pattern::parse(field).ok()).collect(),
        }
    }

    /// What the types do not say.
    fn check(&self) -> Result<(), PolicyError> {
        if self.api_version.value != "pytorchjob-guard/v1" {
            return wrong(self.api_version.referenced, "apiVersion: write pytorchjob-guard/v1");
        }
        if self.kind.value != "UpdatePolicy" {
            return wrong(self.kind.referenced, "kind: write UpdatePolicy");
        }
        if self.name.value.is_empty() || self.name.value.len() > 63 {
            return wrong(self.name.referenced, "name: write a name of 1 to 63 characters");
        }
        if self.resources.value.is_empty() {
            return wrong(self.resources.referenced, "resources: list at least one group and resource");
        }
        for (list, fields) in [("mutableFields", &self.mutable_fields), ("immutableFields", &self.immutable_fields)] {
            self.check_fields(list, fields)?;
        }
        for (at, Spanned { value: exemption, referenced, .. }) in self.exemptions.iter().enumerate() {
            if self.exemptions[..at].iter().any(|other| other.value.name == exemption.name) {
                return wrong(*referenced, format!("exemptions: a second one is named {}; rename it", exemption.name));
            }
            if exemption.fields.is_empty() {
                return wrong(*referenced, format!("exemptions: {} names no fields", exemption.name));
            }
            self.check_fields("fields", &exemption.fields)?;
        }
        if let Some(Spanned { value: actions, referenced, .. }) = &self.validation_actions {
            let deny_and_warn =
                [ValidationAction::Deny, ValidationAction::Warn].iter().all(|one| actions.contains(one));
            let twice = actions.iter().enumerate().any(|(at, action)| actions[..at].contains(action));
            if actions.is_empty() || deny_and_warn || twice {
                return wrong(
                    *referenced,
                    "validationActions: write [Deny], [Warn], [Audit], [Deny, Audit] or [Warn, Audit]",
                );
            }
        }
        Ok(())
    }

    /// No field twice, none inside a server-managed one.
    fn check_fields(&self, list: &str, fields: &[Spanned<Field>]) -> Result<(), PolicyError> {
        let managed = self.server_managed();
        for (at, Spanned { value: Field(field), referenced, .. }) in fields.iter().enumerate() {
            let same = |other: &Spanned<Field>| other.value.0.covers(field) && field.covers(&other.value.0);
            if fields[..at].iter().any(same) {
                return wrong(*referenced, format!("{list}: {field} is listed twice; take one away"));
            }
            if managed.iter().any(|managed| managed.covers(field)) {
                let message =
                    format!("{list}: {field} is server-managed, so nobody needs leave to change it; take it away");
                return wrong(*referenced, message);
            }
        }
        Ok(())
    }
}
