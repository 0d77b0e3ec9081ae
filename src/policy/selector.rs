//! Label selectors: reading them as kubectl does, and comparing them by what they require.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;

/// Reads a label selector as kubectl takes it: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
pub fn parse_selector(text: &str) -> Result<LabelSelector, String> {
    let mut selector = LabelSelector::default();
    let mut rest = text;
    while !rest.trim().is_empty() {
        // A comma in brackets separates values.
        let mut is_open = false;
        let ends = |c: char| {
            is_open = (is_open || c == '(') && c != ')';
            c == ',' && !is_open
        };
        let (requirement, after) = rest.split_once(ends).unwrap_or((rest, ""));
        let wrong = || {
            format!(
                "\"{}\" is no requirement of a label; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key",
                requirement.trim()
            )
        };
        parse_requirement(requirement.trim(), &mut selector).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(selector)
}

fn parse_requirement(text: &str, selector: &mut LabelSelector) -> Option<()> {
    let requirement = |key: &str, operator: &str, values: Option<Vec<String>>| {
        is_label_key(key).then(|| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values,
        })
    };
    let expression = if let Some(key) = text.strip_prefix('!') {
        requirement(key.trim(), "DoesNotExist", None)?
    } else if let Some(listed) = text.strip_suffix(')') {
        let (left, values) = listed.split_once('(')?;
        let (key, operator) = left.trim().rsplit_once(char::is_whitespace)?;
        let operator = match operator {
            "in" => "In",
            "notin" => "NotIn",
            _ => return None,
        };
        let values: Option<Vec<_>> = values.split(',').map(|value| label_value(value.trim())).collect();
        requirement(key.trim(), operator, Some(values?))?
    } else if let Some((key, value)) = text.split_once("!=") {
        requirement(key.trim(), "NotIn", Some(vec![label_value(value.trim())?]))?
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        let key = Some(key.trim()).filter(|key| is_label_key(key))?;
        let before = selector.match_labels.get_or_insert_default().insert(key.to_owned(), label_value(value.trim())?);
        // A label of two values selects nothing.
        return before.is_none().then_some(());
    } else {
        requirement(text, "Exists", None)?
    };
    selector.match_expressions.get_or_insert_default().push(expression);
    Some(())
}

/// True if the text is a label's key.
pub(super) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').unwrap_or(("x", text));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !prefix.is_empty() && !name.is_empty() && prefix.chars().chain(name.chars()).all(is_name)
}

pub(super) fn label_value(text: &str) -> Option<String> {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).then(|| text.to_owned())
}

/// True if the selector selects everything, or the same as the wanted one.
pub(crate) fn selects(selector: Option<&LabelSelector>, wanted: Option<&LabelSelector>) -> bool {
    let present = selector.map(requirements).unwrap_or_default();
    present.is_empty() || wanted.is_some_and(|wanted| requirements(wanted) == present)
}

/// True if labels, a JSON object or nothing, match the selector as `metav1.LabelSelectorAsSelector` takes it; none matches all.
pub(crate) fn matches(selector: Option<&LabelSelector>, labels: &Value) -> bool {
    selector.map(requirements).unwrap_or_default().into_iter().all(|(key, operator, values)| {
        let value = labels[key].as_str();
        match operator {
            "In" => value.is_some_and(|value| values.contains(value)),
            "NotIn" => value.is_none_or(|value| !values.contains(value)),
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    })
}

/// True if no labels match both selectors, as far as two requirements about one label tell.
pub(crate) fn are_disjoint(one: Option<&LabelSelector>, other: Option<&LabelSelector>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let (one, other) = (requirements(one), requirements(other));
    let contradict = |(key, operator, values): &Requirement<'_>, (key2, operator2, values2): &Requirement<'_>| {
        key == key2
            && match (*operator, *operator2) {
                ("In", "In") => values.is_disjoint(values2),
                ("In", "NotIn") => values.is_subset(values2),
                ("In" | "Exists", "DoesNotExist") => true,
                _ => false,
            }
    };
    one.iter().any(|one| other.iter().any(|other| contradict(one, other) || contradict(other, one)))
}

/// A label's key, an operator and values.
type Requirement<'s> = (&'s str, &'s str, BTreeSet<&'s str>);

/// A selector's requirements, however they are written.
fn requirements(selector: &LabelSelector) -> BTreeSet<Requirement<'_>> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| (key.as_str(), "In", BTreeSet::from([value.as_str()])));
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.iter().flatten().map(String::as_str).collect();
        (expression.key.as_str(), expression.operator.as_str(), values)
    });
    labels.chain(expressions).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_selectors_as_kubectl_does() {
        let text = "team=a, tier == gold,stage!=test,example.com/zone in (a, b),size notin (xl),guarded , !legacy";
        let selector = parse_selector(text).expect("a selector");
        let expected = json!({
            "matchLabels": {"team": "a", "tier": "gold"},
            "matchExpressions": [
                {"key": "stage", "operator": "NotIn", "values": ["test"]},
                {"key": "example.com/zone", "operator": "In", "values": ["a", "b"]},
                {"key": "size", "operator": "NotIn", "values": ["xl"]},
                {"key": "guarded", "operator": "Exists"},
                {"key": "legacy", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(json!(selector), expected);
        assert_eq!(parse_selector(" "), Ok(LabelSelector::default()));
    }

    #[test]
    fn rejects_what_is_no_selector() {
        for text in
            ["a b", "=b", "a=b,,c", "a in b", "a in (b", "in (b)", "a like (b)", "!", "a=é", "a=b,a=c", "/a", "a/"]
        {
            let error = parse_selector(text).expect_err(text);
            assert!(error.contains("write key=value"), "{error}");
        }
        parse_selector("a=b,a!=c").expect("the other notation");
    }

    #[test]
    fn compares_selectors_by_what_they_require() {
        let declared = parse_selector("a=b,c in (d,e)").expect("a selector");
        let same = parse_selector("c in (e,d),a in (b)").expect("a selector");
        let other = parse_selector("a=b").expect("a selector");
        assert!(selects(Some(&same), Some(&declared)));
        assert!(selects(None, Some(&declared)) && selects(Some(&LabelSelector::default()), None), "all");
        assert!(!selects(Some(&other), Some(&declared)) && !selects(Some(&other), None));
    }

    #[test]
    fn tells_selectors_that_exclude_each_other() {
        let selector = |text: &str| parse_selector(text).expect("a selector");
        let are_disjoint = |one: &str, other: &str| {
            let (one, other) = (selector(one), selector(other));
            let both = (super::are_disjoint(Some(&one), Some(&other)), super::are_disjoint(Some(&other), Some(&one)));
            assert_eq!(both.0, both.1, "whichever comes first");
            both.0
        };
        for (one, other) in
            [("t=a", "t in (b,c),x=y"), ("t=a", "t!=a"), ("t in (a,b)", "t notin (a,b,c)"), ("t", "!t"), ("t=a", "!t")]
        {
            assert!(are_disjoint(one, other), "{one} and {other}");
        }
        for (one, other) in
            [("t=a", "t in (a,b)"), ("t=a", "x=b"), ("t in (a,b)", "t!=a"), ("t!=a", "!t"), ("", "t=a"), ("!t", "!t")]
        {
            assert!(!are_disjoint(one, other), "{one} and {other}");
        }
        assert!(!super::are_disjoint(None, Some(&selector("t=a"))));
    }
}
