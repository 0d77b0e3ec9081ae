//! The Go types behind the JSON: which members a struct holds by value and which by pointer, and what is a quantity, a
//! time or a map. Neither a CRD nor its schema tells that, so a program makes a table of it from the types themselves
//! (`tests/cluster/types`), which is read here.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

/// The Go type of a value, as far as equality depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Bool,
    Number,
    /// `resource.Quantity`
    Quantity,
    /// `metav1.Time` and `metav1.MicroTime`
    Time,
    /// `intstr.IntOrString`
    IntOrString,
    Struct(StructId),
    Pointer(TypeId),
    List(TypeId),
    Map(TypeId),
    /// A type that nothing is known of.
    Unknown,
    /// A part of a kind that the table does not know. It may hold a `PodTemplateSpec`.
    Foreign,
}

/// A struct of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StructId(u16);

/// A type that another one is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeId(u16);

/// The table as it is written.
#[derive(Deserialize)]
struct File {
    roots: Roots,
    types: HashMap<String, HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Roots {
    object_meta: String,
    pod_template_spec: String,
    /// By `resource.group`, and `scale`.
    kinds: HashMap<String, String>,
}

struct Table {
    /// The fields of each struct, sorted by name.
    structs: Vec<Vec<(Box<str>, Type)>>,
    /// The types that pointers, lists and maps hold.
    parts: Vec<Type>,
    kinds: Vec<(String, Type)>,
    /// A kind of which only its metadata is known.
    foreign: Type,
    pod_template: Type,
    /// The template of a kind that the table does not know, where it holds no containers: it has metadata all the same.
    template: Type,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("types.json")));

impl Table {
    /// Reads the table. What of it cannot be understood is unknown: then values compare as JSON does.
    fn read(text: &str) -> Self {
        let empty = || File {
            roots: Roots { object_meta: String::new(), pod_template_spec: String::new(), kinds: HashMap::new() },
            types: HashMap::new(),
        };
        let file: File = serde_json::from_str(text).unwrap_or_else(|_| empty());
        let ids: HashMap<&str, StructId> =
            file.types.keys().zip(0..).map(|(name, id)| (name.as_str(), StructId(id))).collect();
        let mut parts = Vec::new();
        let mut structs: Vec<Vec<(Box<str>, Type)>> = Vec::with_capacity(ids.len() + 1);
        for fields in file.types.values() {
            let field = |(name, word): (&String, &String)| (name.as_str().into(), type_of(word, &ids, &mut parts));
            let mut fields: Vec<_> = fields.iter().map(field).collect();
            fields.sort_by(|(one, _): &(Box<str>, Type), (other, _)| one.cmp(other));
            structs.push(fields);
        }
        let named = |name: &str| ids.get(name).map_or(Type::Unknown, |id| Type::Struct(*id));
        let kinds = file.roots.kinds.iter().map(|(kind, name)| (kind.clone(), named(name))).collect();
        let foreign = Type::Struct(StructId(u16::try_from(structs.len()).unwrap_or(u16::MAX)));
        structs.push(vec![("metadata".into(), named(&file.roots.object_meta))]);
        // As far as is known it is held by pointer: an empty one is a value.
        let template = u16::try_from(parts.len()).map_or(Type::Foreign, |id| Type::Pointer(TypeId(id)));
        parts.push(foreign);
        Self { structs, parts, kinds, foreign, pod_template: named(&file.roots.pod_template_spec), template }
    }

    fn part(&self, id: TypeId) -> Type {
        self.parts.get(id.0 as usize).copied().unwrap_or(Type::Unknown)
    }
}

/// The type that a word of the table means: `bool`, `*core/v1.Probe`, `map[]quantity`.
fn type_of(word: &str, ids: &HashMap<&str, StructId>, parts: &mut Vec<Type>) -> Type {
    let made_of: [fn(TypeId) -> Type; 3] = [Type::Pointer, Type::List, Type::Map];
    for (prefix, made_of) in ["*", "[]", "map[]"].into_iter().zip(made_of) {
        if let Some(rest) = word.strip_prefix(prefix) {
            let part = type_of(rest, ids, parts);
            let at = parts.iter().position(|other| *other == part).unwrap_or_else(|| {
                parts.push(part);
                parts.len() - 1
            });
            return u16::try_from(at).map_or(Type::Unknown, |at| made_of(TypeId(at)));
        }
    }
    match word {
        "string" | "bytes" => Type::String,
        "bool" => Type::Bool,
        "int" | "float" => Type::Number,
        "quantity" => Type::Quantity,
        "time" | "microtime" => Type::Time,
        "intOrString" => Type::IntOrString,
        name => ids.get(name).map_or(Type::Unknown, |id| Type::Struct(*id)),
    }
}

impl Type {
    /// The type of the objects of a resource, or of their `scale`.
    pub(crate) fn of(group: &str, resource: &str, subresource: &str) -> Self {
        let is_it = |kind: &str| match subresource {
            "scale" => kind == "scale",
            _ => kind.strip_prefix(resource).and_then(|rest| rest.strip_prefix('.')) == Some(group),
        };
        TABLE.kinds.iter().find(|(kind, _)| is_it(kind)).map_or(TABLE.foreign, |(_, of)| *of)
    }

    /// `core/v1.PodTemplateSpec`
    pub(crate) fn pod_template() -> Self {
        TABLE.pod_template
    }

    /// True if the table knows the type of this resource's objects, and not only that of their metadata.
    pub(crate) fn is_known(group: &str, resource: &str) -> bool {
        Self::of(group, resource, "") != TABLE.foreign
    }

    /// The type of a map's member. `holds_pods` tells of a value that could be a `PodTemplateSpec` whether it is one.
    pub(crate) fn member(self, key: &[u8], holds_pods: impl FnOnce() -> bool) -> Self {
        match self {
            Self::Pointer(id) => TABLE.part(id).member(key, holds_pods),
            Self::Map(id) => TABLE.part(id),
            Self::Foreign if key == b"template" => {
                if holds_pods() {
                    TABLE.pod_template
                } else {
                    TABLE.template
                }
            }
            Self::Foreign => Self::Foreign,
            Self::Struct(id) => {
                let fields = TABLE.structs.get(id.0 as usize).map_or(&[][..], Vec::as_slice);
                let field = fields.binary_search_by(|(name, _)| name.as_bytes().cmp(key));
                let unknown = if self == TABLE.foreign { Self::Foreign } else { Self::Unknown };
                field.ok().and_then(|at| fields.get(at)).map_or(unknown, |(_, field)| *field)
            }
            _ => Self::Unknown,
        }
    }

    /// The type of a list's elements.
    pub(crate) fn element(self) -> Self {
        match self {
            Self::Pointer(id) => TABLE.part(id).element(),
            Self::List(id) => TABLE.part(id),
            Self::Foreign => Self::Foreign,
            _ => Self::Unknown,
        }
    }

    /// The type that a pointer points to; any other type is itself.
    pub(crate) fn pointee(self) -> Self {
        match self {
            Self::Pointer(id) => TABLE.part(id).pointee(),
            other => other,
        }
    }

    /// True if this is a Go map: that a key is in it counts, whatever it holds.
    pub(crate) fn is_map(self) -> bool {
        matches!(self.pointee(), Self::Map(_))
    }

    /// True if a struct or a map that is held by value: an empty one equals an absent one.
    pub(crate) fn is_absent_when_empty(self) -> bool {
        matches!(self, Self::Struct(_) | Self::Map(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_word_of_the_table() {
        let file: File = serde_json::from_str(include_str!("types.json")).expect("the table");
        let words = ["string", "bytes", "bool", "int", "float", "quantity", "time", "microtime", "intOrString", "any"];
        for word in file.types.values().flat_map(HashMap::values) {
            let plain =
                word.trim_start_matches("map[]").trim_start_matches(['*', '[', ']']).trim_start_matches("map[]");
            let plain = plain.trim_start_matches(['*', '[', ']']);
            assert!(words.contains(&plain) || file.types.contains_key(plain), "{word}");
        }
        for root in
            [&file.roots.object_meta, &file.roots.pod_template_spec].into_iter().chain(file.roots.kinds.values())
        {
            assert!(file.types.contains_key(root), "{root}");
        }
    }

    #[test]
    fn follows_a_path_through_the_types() {
        let follow = |keys: &[&str]| {
            keys.iter().fold(Type::of("kubeflow.org", "pytorchjobs", ""), |at, key| match *key {
                "[]" => at.element(),
                key => at.member(key.as_bytes(), || false),
            })
        };
        let worker = ["spec", "pytorchReplicaSpecs", "Worker", "template", "spec"];
        let below = |keys: &[&str]| follow(&[&worker[..], keys].concat());
        assert_eq!(below(&["hostNetwork"]), Type::Bool);
        assert!(below(&["nodeSelector"]).is_map());
        assert_eq!(below(&["nodeSelector", "x"]), Type::String);
        assert_eq!(below(&["containers", "[]", "resources", "limits", "cpu"]), Type::Quantity);
        assert_eq!(below(&["securityContext", "runAsUser"]).pointee(), Type::Number);
        assert_ne!(below(&["securityContext", "runAsUser"]), Type::Number);
        assert_eq!(below(&["noSuchField", "x"]), Type::Unknown);
        let foreign = Type::of("example.com", "others", "");
        assert_eq!(foreign.member(b"spec", || false).member(b"x", || false), Type::Foreign);
        let pod = foreign.member(b"spec", || false).member(b"template", || true);
        assert_eq!(pod.member(b"spec", || false).member(b"hostNetwork", || false), Type::Bool);
    }
}
