//! The leaves of a CRD's schema, and objects that have all of them.

use serde_json::{Map, Value, json};

/// A key that every map without names for its keys gets.
const KEY: &str = "Worker";

/// A step of the way to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// The one element of a list.
    Element,
}

/// The way to a field, from the object's root.
pub(super) type Path = Vec<Step>;

/// A field without fields of its own, or a list of scalars.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) path: Path,
    /// A value.
    pub(super) first: Value,
    /// Another value.
    pub(super) second: Value,
    /// True if the schema requires it, also where its parent is otherwise empty.
    pub(super) is_required: bool,
    /// The number of steps to the nearest field on the way that is not required.
    pub(super) removable: usize,
}

/// All leaves of a schema below `path`.
pub(super) fn leaves(schema: &Value, path: &Path) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    collect(schema, path, None, &mut leaves);
    leaves
}

/// `required` is where the nearest field is that is not required, if this one is.
fn collect(schema: &Value, path: &Path, required: Option<usize>, leaves: &mut Vec<Leaf>) {
    let removable = required.unwrap_or(path.len());
    let below = |step| path.iter().cloned().chain([step]).collect::<Path>();
    if let Some(properties) = schema["properties"].as_object() {
        let names = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in properties {
            let required = names.contains(&json!(name)).then_some(removable);
            collect(schema, &below(Step::Key(name.clone())), required, leaves);
        }
    } else if has_fields(&schema["items"]) {
        // An element goes with its list.
        collect(&schema["items"], &below(Step::Element), Some(removable), leaves);
    } else if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &below(Step::Key(KEY.to_owned())), None, leaves);
    } else {
        let (first, second) = values(schema);
        leaves.push(Leaf { path: path.clone(), first, second, is_required: required.is_some(), removable });
    }
}

fn has_fields(schema: &Value) -> bool {
    ["properties", "items", "additionalProperties"].iter().any(|key| schema[key].is_object())
}

/// Two values that are plainly different, none of which is Go's zero or a default where that can be helped.
fn values(schema: &Value) -> (Value, Value) {
    // A keyword that limits values in another way would need thought here.
    for limit in ["enum", "minimum", "maximum", "minLength", "maxLength", "multipleOf", "not", "oneOf"] {
        assert!(schema.get(limit).is_none(), "no values are known for {schema}");
    }
    if schema["items"].is_object() {
        let (first, second) = values(&schema["items"]);
        return (json!([first]), json!([second]));
    }
    let is_quantity = schema.get("pattern").is_some();
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => (json!("2026-01-01T00:00:00Z"), json!("2027-01-01T00:00:00Z")),
        (Some("string"), None) => (json!("a"), json!("b")),
        (Some("integer"), _) => (json!(1), json!(2)),
        (Some("boolean"), _) => (json!(true), json!(false)),
        (None, _) if schema["x-kubernetes-int-or-string"] == true && is_quantity => (json!("1Gi"), json!("3Gi")),
        (None, _) if schema["x-kubernetes-int-or-string"] == true => (json!(1), json!("b")),
        _ => panic!("no values are known for {schema}"),
    }
}

/// Sets the value at that path, and makes what is not there yet on the way.
pub(super) fn set(object: &mut Value, path: &[Step], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    let next = match step {
        Step::Key(key) => {
            if !object.is_object() {
                *object = json!({});
            }
            &mut object[key.as_str()]
        }
        Step::Element => {
            if object.as_array().is_none_or(Vec::is_empty) {
                *object = json!([null]);
            }
            &mut object[0]
        }
    };
    set(next, rest, value);
}

/// The value at that path.
pub(super) fn at<'v>(object: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Key(key) => value.get(key.as_str()),
        Step::Element => value.get(0),
    })
}

/// Removes what is at that path: of a list of one element the list, which would be empty.
pub(super) fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, parents)) = path.split_last() else { return };
    if *last == Step::Element {
        return remove(object, parents);
    }
    let mut place = object;
    for step in parents {
        place = match step {
            Step::Key(key) => &mut place[key.as_str()],
            Step::Element => &mut place[0],
        };
    }
    if let (Step::Key(key), Some(map)) = (last, place.as_object_mut()) {
        map.remove(key);
    }
}

/// An object with these leaves: all, or only the required ones in parents that are all there.
pub(super) fn object(leaves: &[Leaf], all: bool) -> Value {
    let mut object = Value::Object(Map::new());
    for leaf in leaves {
        set(&mut object, &leaf.path, leaf.first.clone());
    }
    for leaf in leaves.iter().filter(|leaf| !all && !leaf.is_required) {
        remove(&mut object, &leaf.path);
    }
    object
}

/// The path as a denial names it, without the names and positions of elements.
pub(super) fn parsed(field: &str) -> Path {
    let mut path = Path::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (inside, after) = bracket.split_once(']').expect("a bracket is closed");
            let is_element = inside.starts_with("name=") || inside.chars().all(|c| c.is_ascii_digit());
            path.push(if is_element { Step::Element } else { Step::Key(inside.to_owned()) });
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            path.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    path
}
