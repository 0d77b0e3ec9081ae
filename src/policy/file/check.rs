//! The errors of a well-formed policy: rules that contradict each other, or never apply.

use std::collections::HashSet;

use super::{
    PolicyFile, exemption,
    findings::Findings,
    format::USABLE_ACTIONS,
    resources::{self, PLURAL},
};
use crate::{
    policy::{Resource, ValidationAction},
    yaml::{Diagnostic, Positioned},
};

/// The longest value of a label.
const MAX_NAME: usize = 63;

/// All that is wrong with a policy, or with what could be read of it.
pub(super) fn check(file: &PolicyFile) -> Vec<Diagnostic> {
    let mut check = Findings::new(file);
    check.name();
    check.resources();
    check.fields("mutableFields", &file.mutable_fields.value);
    check.fields("immutableFields", &file.immutable_fields);
    check.managed();
    check.actions();
    exemption::check(&mut check);
    check.diagnostics
}

impl Findings<'_> {
    /// Metrics, log lines and audit annotations carry the name, and people put it into labels.
    fn name(&mut self) {
        let Positioned { value: name, position } = &self.file.name;
        if !name.is_empty() && (name.len() > MAX_NAME || !is_label(name)) {
            let rule = "letters, digits, '-', '_' and '.', with a letter or digit at both ends";
            self.wrong(*position, format!("name: \"{name}\" is no label; write at most {MAX_NAME} {rule}"));
        }
    }

    fn resources(&mut self) {
        let mut seen = HashSet::new();
        for Positioned { value, position } in &self.file.resources.value {
            let Resource { group, resource } = value;
            if !seen.insert(value) {
                self.wrong(*position, format!("resources: {resource} of \"{group}\" is listed twice; take one away"));
            }
            if let Some((_, version)) = group.split_once('/') {
                let message = format!(
                    "resources: \"{group}\" is no group; write it without the version, a policy is for all: {}",
                    group.trim_end_matches(version).trim_end_matches('/')
                );
                self.wrong(*position, message);
            } else if !is_subdomain(group) {
                let message =
                    format!("resources: \"{group}\" is no group; write one like kubeflow.org, or \"\" for core");
                self.wrong(*position, message);
            }
            if let Some((resource, subresource)) = resource.split_once('/') {
                let message = format!(
                    "resources: {resource}/{subresource} is a subresource; write {resource}, its subresources are judged too"
                );
                self.wrong(*position, message);
            } else if resource == "*" {
                self.wrong(*position, "resources: * is no resource; list each of them by its name");
            } else if !is_dns_label(resource) {
                let message = match resources::closest(resource) {
                    Some(known) => {
                        format!("resources: \"{resource}\" is no resource (did you mean {known}?); {PLURAL}")
                    }
                    None => format!("resources: \"{resource}\" is no resource; {PLURAL}, like pytorchjobs"),
                };
                self.wrong(*position, message);
            }
        }
    }

    fn managed(&mut self) {
        let file = self.file;
        self.no_field_twice("serverManagedFields", &file.server_managed_fields.value);
    }

    fn actions(&mut self) {
        let Some(Positioned { value: actions, position }) = &self.file.actions else { return };
        let deny_and_warn = [ValidationAction::Deny, ValidationAction::Warn].iter().all(|one| actions.contains(one));
        let twice = actions.iter().enumerate().any(|(at, action)| actions[..at].contains(action));
        let problem = if deny_and_warn {
            "Deny and Warn do not go together: a denial says what a warning would"
        } else if twice {
            "an action is listed twice"
        } else {
            return;
        };
        self.wrong(*position, format!("validationActions: {problem}; {USABLE_ACTIONS}"));
    }
}

/// True if the text is fit for a label's value.
fn is_label(text: &str) -> bool {
    let ends = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_dns_label(text: &str) -> bool {
    is_label(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// True if the text is a group's name; core's is empty.
fn is_subdomain(text: &str) -> bool {
    text.is_empty() || text.split('.').all(is_dns_label)
}
