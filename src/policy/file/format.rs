//! The format of a policy file: its keys, and what each may hold.

use std::ops::RangeInclusive;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::selector::selector;
use crate::{
    field::Pattern,
    policy::{
        Condition, DenialReason, Digest, Equality, Exemption, FailurePolicy, Policy, Resource, SuspendField,
        ValidationAction, WebhookSettings,
    },
    yaml::{Map, Node, Position, Positioned, Reader},
};

/// The fields that the API server itself changes in an ordinary update, before it calls validating webhooks.
const SERVER_MANAGED: [&str; 4] =
    ["metadata.managedFields", "metadata.generation", "metadata.resourceVersion", "metadata.selfLink"];

const KEYS: [&str; 16] = [
    "apiVersion",
    "kind",
    "name",
    "resources",
    "namespaceSelector",
    "objectSelector",
    "failurePolicy",
    "timeoutSeconds",
    "suspendField",
    "mutableFields",
    "immutableFields",
    "serverManagedFields",
    "equality",
    "exemptions",
    "validationActions",
    "denial",
];
const RESOURCE_KEYS: [&str; 2] = ["group", "resource"];
const EXEMPTION_KEYS: [&str; 6] = ["name", "users", "groups", "when", "subresources", "fields"];
const DENIAL_KEYS: [&str; 1] = ["reason"];

const EQUALITIES: [(&str, Equality); 2] = [("Semantic", Equality::Semantic), ("Strict", Equality::Strict)];
const CONDITIONS: [(&str, Condition); 3] = [
    ("Deleting", Condition::Deleting),
    ("SuspendChanged", Condition::SuspendChanged),
    ("Suspended", Condition::Suspended),
];
const ACTIONS: [(&str, ValidationAction); 3] =
    [("Deny", ValidationAction::Deny), ("Warn", ValidationAction::Warn), ("Audit", ValidationAction::Audit)];
/// The lists of actions that go together, as messages name them.
pub(in crate::policy) const USABLE_ACTIONS: &str = "write [Deny], [Warn], [Audit], [Deny, Audit] or [Warn, Audit]";
const FAILURE_POLICIES: [(&str, FailurePolicy); 2] = [("Fail", FailurePolicy::Fail), ("Ignore", FailurePolicy::Ignore)];
/// The API server's own limits.
const TIMEOUT_SECONDS: RangeInclusive<i64> = 1..=30;
const REASONS: [(&str, DenialReason); 2] = [("Invalid", DenialReason::Invalid), ("Forbidden", DenialReason::Forbidden)];

/// A policy as it is written, each part with its position. Of one that cannot be used it is what could be read.
#[derive(Debug)]
pub(in crate::policy) struct PolicyFile {
    /// Empty where it could not be read.
    pub(in crate::policy) name: Positioned<String>,
    pub(in crate::policy) resources: Positioned<Vec<Positioned<Resource>>>,
    pub(in crate::policy) namespace_selector: Option<Positioned<LabelSelector>>,
    pub(in crate::policy) object_selector: Option<Positioned<LabelSelector>>,
    pub(in crate::policy) failure_policy: Option<Positioned<FailurePolicy>>,
    pub(in crate::policy) timeout_seconds: Option<Positioned<i64>>,
    pub(in crate::policy) suspend_field: SuspendField,
    /// The position is that of its key, or of the whole where it has none.
    pub(in crate::policy) mutable_fields: Positioned<Vec<Positioned<Pattern>>>,
    pub(in crate::policy) immutable_fields: Vec<Positioned<Pattern>>,
    /// The position is that of its key, or of the whole where it has none.
    pub(in crate::policy) server_managed_fields: Positioned<Vec<Positioned<Pattern>>>,
    pub(in crate::policy) equality: Option<Positioned<Equality>>,
    /// The position is that of its key, or of the whole where it has none.
    pub(in crate::policy) exemptions: Positioned<Vec<ExemptionFile>>,
    pub(in crate::policy) actions: Option<Positioned<Vec<ValidationAction>>>,
    pub(in crate::policy) reason: DenialReason,
}

/// An exemption as it is written, or what could be read of it.
#[derive(Debug)]
pub(in crate::policy) struct ExemptionFile {
    /// All of it could be read, so what it does not list is not there.
    pub(in crate::policy) whole: bool,
    /// Its position in the file where it has no name that could be read.
    pub(in crate::policy) name: Positioned<String>,
    pub(in crate::policy) users: Vec<Positioned<String>>,
    pub(in crate::policy) groups: Vec<Positioned<String>>,
    pub(in crate::policy) when: Option<Positioned<Condition>>,
    pub(in crate::policy) subresources: Vec<Positioned<String>>,
    pub(in crate::policy) fields: Vec<Positioned<Pattern>>,
}

impl PolicyFile {
    /// The policy that a file holds, or what of it can be read.
    pub(in crate::policy) fn from_node(reader: &mut Reader, node: &Node) -> Option<Self> {
        if node.is_nothing() {
            reader.wrong(node.position, "there is nothing here; begin with what `pytorchjob-guard policy show` prints");
            return None;
        }
        let map = reader.map(node, "", &KEYS)?;
        exactly(reader, &map, "apiVersion", Policy::API_VERSION);
        exactly(reader, &map, "kind", Policy::KIND);
        let name = reader.required(&map, "name", "my-policy").and_then(|node| reader.name(node, "name", "a name"));
        let resources =
            reader.required(&map, "resources", "[{group: kubeflow.org, resource: pytorchjobs}]").and_then(|node| {
                reader.not_empty(node, "resources", "list at least one group and resource");
                reader.list(node, "resources", "groups and resources", resource)
            });
        let failure_policy =
            map.get("failurePolicy").and_then(|node| reader.choice(node, "failurePolicy", &FAILURE_POLICIES));
        let timeout_seconds =
            map.get("timeoutSeconds").and_then(|node| reader.integer(node, "timeoutSeconds", TIMEOUT_SECONDS));
        let mutable_fields = fields(reader, &map, "mutableFields");
        let mutable_fields = Positioned {
            value: mutable_fields.map_or_else(Vec::new, |fields| fields.value),
            position: map.key_position("mutableFields"),
        };
        let immutable_fields = fields(reader, &map, "immutableFields").map_or_else(Vec::new, |fields| fields.value);
        let server_managed_fields = Positioned {
            value: match fields(reader, &map, "serverManagedFields") {
                Some(fields) => fields.value,
                None if map.get("serverManagedFields").is_some() => Vec::new(),
                None => server_managed(map.position),
            },
            position: map.key_position("serverManagedFields"),
        };
        let equality = map.get("equality").and_then(|node| reader.choice(node, "equality", &EQUALITIES));
        let exemptions = map.get("exemptions").and_then(|node| {
            reader.list(node, "exemptions", "exemptions, each with a name and fields", |reader, node, index| {
                ExemptionFile::from_node(reader, node, &format!("exemptions[{index}]"))
            })
        });
        let actions = map.get("validationActions").and_then(|node| {
            let path = "validationActions";
            reader.not_empty(node, path, USABLE_ACTIONS);
            reader.list(node, path, "actions, like [Deny]", |reader, node, _| reader.choice(node, path, &ACTIONS))
        });
        let actions = actions.map(|Positioned { value, position }| Positioned {
            value: value.into_iter().map(|action| action.value).collect(),
            position,
        });
        let denial = map.get("denial").and_then(|node| reader.map(node, "denial", &DENIAL_KEYS));
        let reason = denial
            .and_then(|denial| denial.get("reason"))
            .and_then(|node| reader.choice(node, "denial.reason", &REASONS))
            .map_or_else(DenialReason::default, |reason| reason.value);
        Some(Self {
            name: name.unwrap_or(Positioned { value: String::new(), position: map.position }),
            resources: resources.unwrap_or(Positioned { value: Vec::new(), position: map.position }),
            namespace_selector: selector(reader, &map, "namespaceSelector"),
            object_selector: selector(reader, &map, "objectSelector"),
            failure_policy,
            timeout_seconds,
            suspend_field: suspend_field(reader, &map).unwrap_or_default(),
            mutable_fields,
            immutable_fields,
            server_managed_fields,
            equality,
            exemptions: Positioned {
                value: exemptions.map_or_else(Vec::new, |exemptions| exemptions.value),
                position: map.key_position("exemptions"),
            },
            actions,
            reason,
        })
    }
}

impl ExemptionFile {
    fn from_node(reader: &mut Reader, node: &Node, path: &str) -> Option<Self> {
        let wrongs = reader.wrongs();
        let map = reader.map(node, path, &EXEMPTION_KEYS)?;
        let name = reader.required(&map, "name", "what-for");
        let name = name.and_then(|node| reader.name(node, &map.path("name"), "a name"));
        let users = names(reader, &map, "users", "a user's name");
        let groups = names(reader, &map, "groups", "a group's name");
        if ["users", "groups"].iter().all(|key| map.get(key).is_none_or(Node::is_empty_list)) {
            // Who takes the last name out of a list does not mean to let everyone in.
            for (key, names) in [("users", &users), ("groups", &groups)] {
                if let Some(Positioned { position, .. }) = names {
                    let path = map.path(key);
                    reader.wrong(
                        *position,
                        format!("{path}: the list is empty; leave {key} out for everyone, or list some"),
                    );
                }
            }
        }
        let when = map.get("when").and_then(|node| reader.choice(node, &map.path("when"), &CONDITIONS));
        let subresources =
            names(reader, &map, "subresources", "a subresource; leave subresources out for the object itself");
        if let Some(Positioned { value, position }) = &subresources
            && value.is_empty()
            && map.get("subresources").is_some_and(Node::is_empty_list)
        {
            let path = map.path("subresources");
            let instead = "leave subresources out for the object itself, or list some";
            reader.wrong(*position, format!("{path}: the list is empty; {instead}"));
        }
        if let Some(node) = reader.required(&map, "fields", "[metadata.finalizers]") {
            let list = name.as_ref().map(|name| format!("exemption {}: fields", name.value));
            reader.not_empty(node, &list.unwrap_or_else(|| map.path("fields")), "list at least one");
        }
        let fields = fields(reader, &map, "fields");
        Some(Self {
            whole: reader.wrongs() == wrongs,
            name: name.unwrap_or_else(|| Positioned { value: path.to_owned(), position: map.position }),
            users: users.map_or_else(Vec::new, |users| users.value),
            groups: groups.map_or_else(Vec::new, |groups| groups.value),
            when,
            subresources: subresources.map_or_else(Vec::new, |subresources| subresources.value),
            fields: fields.map_or_else(Vec::new, |fields| fields.value),
        })
    }
}

fn exactly(reader: &mut Reader, map: &Map<'_>, key: &str, only: &str) {
    if let Some(node) = reader.required(map, key, only) {
        let text = reader.text(node, key);
        if text.is_some_and(|text| text.value != only) {
            reader.wrong(node.position, format!("{key}: write {only}"));
        }
    }
}

fn resource(reader: &mut Reader, node: &Node, index: usize) -> Option<Positioned<Resource>> {
    let path = format!("resources[{index}]");
    let map = reader.map(node, &path, &RESOURCE_KEYS)?;
    let group = reader.required(&map, "group", "kubeflow.org");
    let group = group.and_then(|node| reader.text(node, &map.path("group")));
    let resource = reader.required(&map, "resource", "pytorchjobs");
    let resource = resource.and_then(|node| reader.name(node, &map.path("resource"), "a resource, like pytorchjobs"));
    Some(Positioned { value: Resource { group: group?.value, resource: resource?.value }, position: map.position })
}

fn suspend_field(reader: &mut Reader, map: &Map<'_>) -> Option<SuspendField> {
    let text = reader.text(map.get("suspendField")?, "suspendField")?;
    let field = SuspendField::parse(&text.value);
    if field.is_none() {
        let message = format!("suspendField: \"{}\" is not a path of keys in spec; write spec.suspend", text.value);
        reader.wrong(text.position, message);
    }
    field
}

fn names(reader: &mut Reader, map: &Map<'_>, key: &str, what: &str) -> Option<Positioned<Vec<Positioned<String>>>> {
    let path = map.path(key);
    reader.list(map.get(key)?, &path, "names", |reader, node, _| reader.name(node, &path, what))
}

fn fields(reader: &mut Reader, map: &Map<'_>, key: &str) -> Option<Positioned<Vec<Positioned<Pattern>>>> {
    let path = map.path(key);
    reader.list(map.get(key)?, &path, "field paths, like [metadata.labels]", |reader, node, _| {
        let Positioned { value: text, position } = reader.text(node, &path)?;
        match Pattern::parse(&text) {
            Ok(value) => Some(Positioned { value, position }),
            Err(error) => {
                let instead = in_our_notation(&text).map(|path| format!("; write {path}")).unwrap_or_default();
                reader.wrong(position, format!("{path}: \"{text}\" is no field path: {error}{instead}"));
                None
            }
        }
    })
}

/// A path in another notation, JSON Pointer or `JSONPath`, in ours.
fn in_our_notation(text: &str) -> Option<Pattern> {
    let ours = match text.strip_prefix('/') {
        Some(pointer) => pointer.split('/').fold(String::new(), |path, token| {
            let key = token.replace("~1", "/").replace("~0", "~");
            let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if Pattern::parse(&dotted).is_ok_and(|_| !key.contains(['.', '['])) {
                dotted
            } else {
                format!("{path}[{key}]")
            }
        }),
        None => text.trim().trim_start_matches('$').trim_start_matches('.').to_owned(),
    };
    Pattern::parse(&ours).ok()
}

fn server_managed(position: Position) -> Vec<Positioned<Pattern>> {
    SERVER_MANAGED
        .iter()
        .filter_map(|field| Pattern::parse(field).ok())
        .map(|value| Positioned { value, position })
        .collect()
}

impl From<PolicyFile> for Policy {
    fn from(file: PolicyFile) -> Self {
        Self {
            name: file.name.value,
            digest: Digest::default(),
            resources: values(file.resources.value),
            webhooks: WebhookSettings {
                namespaces: file.namespace_selector.map(|selector| selector.value),
                objects: file.object_selector.map(|selector| selector.value),
                failure_policy: file.failure_policy.map(|policy| policy.value),
                timeout_seconds: file.timeout_seconds.and_then(|seconds| seconds.value.try_into().ok()),
            },
            mutable_fields: values(file.mutable_fields.value),
            immutable_fields: values(file.immutable_fields),
            server_managed_fields: values(file.server_managed_fields.value),
            suspend_field: file.suspend_field,
            equality: file.equality.map_or_else(Equality::default, |equality| equality.value),
            exemptions: file.exemptions.value.into_iter().map(Exemption::from).collect(),
            actions: file.actions.map_or_else(|| vec![ValidationAction::Deny], |actions| actions.value),
            reason: file.reason,
        }
    }
}

impl From<ExemptionFile> for Exemption {
    fn from(file: ExemptionFile) -> Self {
        Self {
            name: file.name.value,
            users: values(file.users),
            groups: values(file.groups),
            when: file.when.map(|when| when.value),
            subresources: values(file.subresources),
            fields: values(file.fields),
        }
    }
}

fn values<T>(placed: Vec<Positioned<T>>) -> Vec<T> {
    placed.into_iter().map(|placed| placed.value).collect()
}
