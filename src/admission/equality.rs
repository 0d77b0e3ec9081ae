//! When two values are the same, as Kubernetes' semantic equality has it.
//!
//! Kubernetes compares with `apimachinery`'s `equality.Semantic`: after decoding into Go types, an empty list and an
//! absent one are the same, and so are two spellings of one quantity. The guard has only the JSON, so the places where
//! the Go types make a difference are named here.

use super::{
    amount::{self, Decimal},
    field::Token,
    json::{Json, Kind},
    policy::Equality,
};

/// Where the Go types hold a struct or a map by value, and so write `{}` where there was nothing. `*` is one token.
const BY_VALUE: [&[&str]; 7] = [
    &["metadata", "labels"],
    &["metadata", "annotations"],
    &["spec", "runPolicy"],
    &["spec", "*", "*", "template", "metadata"],
    &["spec", "*", "*", "template", "spec", "containers", "*", "resources"],
    &["spec", "*", "*", "template", "spec", "initContainers", "*", "resources"],
    &["spec", "*", "*", "template", "spec", "ephemeralContainers", "*", "resources"],
];

/// What a container's resources hold quantities in.
const QUANTITIES: [&str; 2] = ["limits", "requests"];

fn is_shaped(path: &[Token<'_>], shape: &[&str]) -> bool {
    path.len() == shape.len()
        && path.iter().zip(shape).all(|(token, &name)| name == "*" || matches!(token, Token::Key(key) if key == name))
}

fn is_by_value(path: &[Token<'_>]) -> bool {
    BY_VALUE.iter().any(|shape| is_shaped(path, shape))
}

fn is_quantity(path: &[Token<'_>]) -> bool {
    let [resources @ .., Token::Key(list), _] = path else { return false };
    QUANTITIES.contains(&list.as_ref()) && resources.len() == 8 && is_by_value(resources)
}

impl Equality {
    /// Whether a value is as good as none. `path` is where it stands; it comes back as it was.
    pub(super) fn is_absent<'t>(self, value: Json<'t>, path: &mut Vec<Token<'t>>) -> bool {
        if self == Self::Strict {
            return false;
        }
        match value.kind() {
            Kind::Null => true,
            Kind::List => value.elements().next().is_none(),
            Kind::Map => {
                is_by_value(path)
                    && value.members().all(|(key, member)| {
                        path.push(Token::Key(key.string()));
                        let absent = self.is_absent(member, path);
                        path.pop();
                        absent
                    })
            }
            Kind::Bool | Kind::Number | Kind::String => false,
        }
    }

    /// Whether a list or map at `path` from which all is taken away is as good as none.
    pub(crate) fn is_absent_when_empty(self, path: &[Token<'_>], is_list: bool) -> bool {
        self == Self::Semantic && (is_list || is_by_value(path))
    }

    /// Whether two scalars at `path` are the same.
    pub(super) fn same_scalar(self, old: Json<'_>, new: Json<'_>, path: &[Token<'_>]) -> bool {
        let semantic = self == Self::Semantic;
        if semantic && is_quantity(path) {
            let amount = |value: Json<'_>| match value.kind() {
                Kind::String | Kind::Number => amount::quantity(&value.string()),
                _ => None,
            };
            if let (Some(old), Some(new)) = (amount(old), amount(new)) {
                return old == new;
            }
        }
        match (old.kind(), new.kind()) {
            (Kind::String, Kind::String) => old.string() == new.string(),
            (Kind::Number, Kind::Number) if semantic => {
                let number = |value: Json<'_>| Decimal::parse(&value.string());
                old.text() == new.text() || (number(old).is_some() && number(old) == number(new))
            }
            (Kind::Number, Kind::Number) => same_json_number(old.text(), new.text()),
            _ => old.text() == new.text(),
        }
    }
}

/// JSON numbers as `serde_json` holds them: `1` and `1.0` are two.
fn same_json_number(old: &[u8], new: &[u8]) -> bool {
    let number = |text: &[u8]| serde_json::from_slice::<serde_json::Number>(text).ok();
    old == new || (number(old).is_some() && number(old) == number(new))
}
