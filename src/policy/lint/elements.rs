//! Rules about elements of lists: which of them the comparison can match, and where the list counts as a whole.

use crate::{
    field::{Pattern, PatternToken},
    policy::file::PolicyFile,
    yaml::{Diagnostic, Positioned},
};

/// Lists of Kubernetes' own types whose elements have names.
const NAMED: [&str; 9] = [
    "containers",
    "env",
    "ephemeralContainers",
    "imagePullSecrets",
    "initContainers",
    "ports",
    "resourceClaims",
    "schedulingGates",
    "volumes",
];

/// Lists of Kubernetes' own types whose elements have none.
const NAMELESS: [&str; 5] = ["envFrom", "hostAliases", "managedFields", "tolerations", "topologySpreadConstraints"];

/// Lists of strings of Kubernetes' own types.
const STRINGS: [&str; 3] = ["args", "command", "finalizers"];

/// Remarks on the policy's rules about elements.
pub(super) fn lint(file: &PolicyFile) -> Vec<Diagnostic> {
    let lists = [
        ("mutableFields", &file.mutable_fields.value),
        ("immutableFields", &file.immutable_fields),
        ("serverManagedFields", &file.server_managed_fields.value),
    ];
    let lists = lists.map(|(list, fields)| (list.to_owned(), fields)).into_iter();
    let exempt = file
        .exemptions
        .value
        .iter()
        .map(|exemption| (format!("exemption {}: fields", exemption.name.value), &exemption.fields));
    lists
        .chain(exempt)
        .flat_map(|(list, fields)| fields.iter().filter_map(move |field| diagnostic(&list, field)))
        .collect()
}

/// The diagnostic about one field: the first of its elements that is wrong.
fn diagnostic(list: &str, Positioned { value: field, position }: &Positioned<Pattern>) -> Option<Diagnostic> {
    let mut named = None;
    for pair in field.tokens().windows(2) {
        let [PatternToken::Key(key), element] = pair else { continue };
        let is = |lists: &[&str]| lists.contains(&key.as_str());
        let problem = match element {
            _ if is(&STRINGS) => format!("a list of strings counts as a whole; write {key}"),
            PatternToken::Named(_) if is(&NAMELESS) => {
                format!("the elements of {key} have no names, so the list counts as a whole; write {key}[*] or {key}")
            }
            PatternToken::Named(_) => {
                named = named.or(Some(key));
                continue;
            }
            PatternToken::Key(index) if is(&NAMED) && index.parse::<usize>().is_ok() => format!(
                "the elements of {key} have names: where another one stands at [{index}] than before, the list counts as a \
                 whole; write {key}[name=\"…\"]"
            ),
            PatternToken::Key(_) | PatternToken::Any => continue,
        };
        return Some(Diagnostic::warning(*position, format!("{list}: {field}: {problem}")));
    }
    let message = |key| {
        format!(
            "{list}: {field}: {key} counts as a whole where an element has no name, or two have the same: then no change of \
             it is allowed unless every change is"
        )
    };
    named.map(|key| Diagnostic::note(*position, message(key)))
}
