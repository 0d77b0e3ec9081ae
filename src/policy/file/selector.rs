//! Label selectors in policy files, as Kubernetes writes them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::{
    policy::selector::{is_label_key, label_value},
    yaml::{Map, Node, Positioned, Reader},
};

const KEYS: [&str; 2] = ["matchLabels", "matchExpressions"];
const REQUIREMENT_KEYS: [&str; 3] = ["key", "operator", "values"];
const OPERATORS: [(&str, &str); 4] =
    [("In", "In"), ("NotIn", "NotIn"), ("Exists", "Exists"), ("DoesNotExist", "DoesNotExist")];

/// The selector under that key of a policy.
pub(super) fn selector(reader: &mut Reader, map: &Map<'_>, key: &str) -> Option<Positioned<LabelSelector>> {
    let (node, path) = (map.get(key)?, map.path(key));
    let selector = reader.map(node, &path, &KEYS)?;
    let match_labels = selector.get("matchLabels").and_then(|node| {
        let path = selector.path("matchLabels");
        let members = reader.entries(node, &path, "a label and its value, like team: a")?;
        let labels = members.iter().filter_map(|member| {
            let path = format!("{path}.{}", member.key);
            let is_key = is_label_key(&member.key);
            if !is_key {
                reader.wrong(member.position, format!("{path}: this is not the key of a label"));
            }
            value(reader, &member.node, &path).filter(|_| is_key).map(|value| (member.key.clone(), value))
        });
        Some(labels.collect())
    });
    let match_expressions = selector.get("matchExpressions").and_then(|node| {
        let path = selector.path("matchExpressions");
        let what = "requirements, like {key: team, operator: In, values: [a]}";
        reader.list(node, &path, what, |reader, node, index| requirement(reader, node, &format!("{path}[{index}]")))
    });
    let match_expressions = match_expressions.map(|requirements| requirements.value);
    Some(Positioned { value: LabelSelector { match_labels, match_expressions }, position: map.key_position(key) })
}

fn requirement(reader: &mut Reader, node: &Node, path: &str) -> Option<LabelSelectorRequirement> {
    let map = reader.map(node, path, &REQUIREMENT_KEYS)?;
    let key = reader.required(&map, "key", "team").and_then(|node| reader.text(node, &map.path("key")));
    if let Some(Positioned { value, position }) = key.as_ref().filter(|key| !is_label_key(&key.value)) {
        reader.wrong(*position, format!("{}: \"{value}\" is not the key of a label", map.path("key")));
    }
    let operator = reader.required(&map, "operator", "In");
    let operator = operator.and_then(|node| reader.choice(node, &map.path("operator"), &OPERATORS));
    let values = map.get("values").and_then(|node| {
        let path = map.path("values");
        reader.list(node, &path, "values of a label", |reader, node, _| value(reader, node, &path))
    });
    let values = values.map(|values| values.value).filter(|values| !values.is_empty());
    let operator = operator?;
    match (operator.value, &values) {
        ("In" | "NotIn", None) => {
            let message = format!("{}: {} needs values; write values: [a]", map.path("values"), operator.value);
            reader.wrong(operator.position, message);
        }
        ("Exists" | "DoesNotExist", Some(_)) => {
            let message = format!("{}: {} takes no values; leave them out", map.path("values"), operator.value);
            reader.wrong(operator.position, message);
        }
        _ => {}
    }
    Some(LabelSelectorRequirement { key: key?.value, operator: operator.value.to_owned(), values })
}

/// The value of a label.
fn value(reader: &mut Reader, node: &Node, path: &str) -> Option<String> {
    let text = reader.text(node, path)?;
    let value = label_value(&text.value);
    if value.is_none() {
        reader.wrong(node.position, format!("{path}: \"{}\" is not the value of a label", text.value));
    }
    value
}
