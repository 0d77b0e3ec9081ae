//! The equality of two values, as in Kubernetes' semantic equality.
//!
//! Kubernetes compares with `apimachinery`'s `equality.Semantic`, after decoding into Go types: a member that is absent,
//! `null` or the type's zero is one and the same unless the struct holds a pointer, and two spellings of a quantity or a
//! time are one value. The guard has only the JSON, and [`Type`] for what the Go types add to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    amount::{Decimal, quantity},
    json::{Json, Kind},
};
use crate::{field::Type, policy::Equality};

impl Equality {
    /// True if a struct's member of that type and value equals an absent one.
    pub(super) fn is_absent(self, member: Json<'_>, of: Type) -> bool {
        self == Self::Semantic && is_zero(member, of)
    }

    /// True if two values that are there are the same without a look at what is in them: two scalars, or a `null` and
    /// what a `null` decodes to.
    pub(super) fn is_same(self, old: Json<'_>, new: Json<'_>, of: Type) -> bool {
        match self {
            Self::Strict => is_same_json(old, new),
            Self::Semantic => {
                is_same_scalar(old, new, of.pointee())
                    || (old.kind() != new.kind() && is_zero(old, of) && is_zero(new, of))
            }
        }
    }
}

/// True if the value decodes into the type's zero.
fn is_zero(value: Json<'_>, of: Type) -> bool {
    match (value.kind(), of) {
        (Kind::Null, _) => true,
        (Kind::List, _) | (Kind::Map, Type::Map(_)) => value.elements().next().is_none(),
        (Kind::Map, Type::Struct(_)) => {
            value.members().all(|(key, member)| is_zero(member, of.member(&key.string(), || holds_pods(member))))
        }
        (Kind::String, Type::String) => value.text() == b"\"\"",
        (Kind::Bool, Type::Bool) => value.text() == b"false",
        (Kind::String, Type::Time) => instant(value.text()).is_some_and(|it| instant(ZERO_TIME) == Some(it)),
        (Kind::Number, Type::Number | Type::IntOrString) => Decimal::parse(value.text()).is_some_and(|it| it.is_zero()),
        (Kind::Number | Kind::String, Type::Quantity) => quantity(&value.string()).is_some_and(|it| it.is_zero()),
        _ => false,
    }
}

/// True if the value looks like a `PodTemplateSpec`: its `spec` has a list of containers, or nothing that no pod has.
pub(super) fn holds_pods(value: Json<'_>) -> bool {
    let containers = value.get("spec").and_then(|spec| spec.get("containers"));
    if containers.is_some_and(|containers| containers.kind() == Kind::List) {
        return true;
    }
    let is_known = |of: Type| move |(key, _): (Json<'_>, Json<'_>)| of.member(&key.string(), || false) != Type::Unknown;
    let template = Type::pod_template();
    let spec = template.member(b"spec", || false);
    value.kind() == Kind::Map
        && value.members().all(is_known(template))
        && value.get("spec").is_none_or(|pods| pods.kind().is_scalar() || pods.members().all(is_known(spec)))
}

fn is_same_scalar(old: Json<'_>, new: Json<'_>, of: Type) -> bool {
    if old.text() == new.text() {
        return true;
    }
    if of == Type::Quantity
        && let (Some(old), Some(new)) = (quantity(&old.string()), quantity(&new.string()))
    {
        return old == new;
    }
    match (old.kind(), new.kind()) {
        (Kind::String, Kind::String) => {
            old.string() == new.string()
                || (of == Type::Time && instant(old.text()).is_some_and(|it| instant(new.text()) == Some(it)))
        }
        (Kind::Number, Kind::Number) => {
            Decimal::parse(old.text()).is_some_and(|it| Decimal::parse(new.text()) == Some(it))
        }
        _ => false,
    }
}

/// The zero of Go's `time.Time`.
const ZERO_TIME: &[u8] = b"\"0001-01-01T00:00:00Z\"";

/// The instant that a time of RFC 3339 names.
fn instant(time: &[u8]) -> Option<MicroTime> {
    serde_json::from_slice(time).ok()
}

/// True if two scalars are one JSON value; JSON numbers are as `serde_json` holds them: `1` and `1.0` are two.
fn is_same_json(old: Json<'_>, new: Json<'_>) -> bool {
    let number = |value: Json<'_>| serde_json::from_slice::<serde_json::Number>(value.text()).ok();
    match (old.kind(), new.kind()) {
        _ if old.text() == new.text() => true,
        (Kind::String, Kind::String) => old.string() == new.string(),
        (Kind::Number, Kind::Number) => number(old).is_some_and(|it| number(new) == Some(it)),
        _ => false,
    }
}
