//! One replica and what it observes, with objects as an API server would hold them.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use crate::{
    certificates::{Lifetimes, Names, StoredCa},
    controller::{
        Config, ManagedCertificates, Metrics,
        action::{Action, Done, RequestError},
        lane::Turn,
        now::Now,
        observed::{Observed, Policies},
        plan::{Plan, plan},
        self_call::Outcome,
    },
    policy::{Policy, PolicySet},
    registration::{Address, Registration, ServiceName},
};

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const LIFETIMES: Lifetimes = Lifetimes { leaf: Duration::from_hours(24), ca: Duration::from_hours(24 * 30) };
pub(super) const SETTLE: Duration = Duration::from_mins(2);

/// The built-in policy, with this field of the spec mutable in place of another one.
pub(super) fn policy(field: &str) -> Arc<PolicySet> {
    let cci = Policy::builtin_text("cci").expect("a policy");
    let text = cci.replace("  - spec.cleanPodPolicy\n", &format!("  - spec.{field}\n"));
    Arc::new(PolicySet::of(Policy::parse(&text).expect("a policy")))
}

pub(super) fn service(name: &str) -> ServiceName {
    ServiceName { namespace: "ops".to_owned(), name: name.to_owned() }
}

/// The registration of a Service with the conditions of a policy, or without conditions.
pub(super) fn registration(
    service: &ServiceName,
    policies: &PolicySet,
    bundle: Option<String>,
    has_conditions: bool,
) -> ValidatingWebhookConfiguration {
    let (namespace, name) = (service.namespace.clone(), service.name.clone());
    let registration = Registration {
        name: "guard".to_owned(),
        address: Address::Service { namespace, name, port: None },
        ca_bundle: bundle.map(String::into_bytes),
        always_ask: !has_conditions,
    };
    registration.configuration(policies)
}

/// A Secret that holds this CA, or none.
pub(super) fn secret(stored: Option<&StoredCa>) -> Secret {
    let data = stored.map(StoredCa::data).unwrap_or_default();
    let data = data.into_iter().filter_map(|(key, value)| Some((key.to_owned(), ByteString(value?.into()))));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

/// The object in that version.
pub(super) fn versioned<K: k8s_openapi::Metadata<Ty = ObjectMeta>>(mut object: K, version: u32) -> K {
    object.metadata_mut().resource_version = Some(version.to_string());
    object
}

/// A request that the API server refused with this code.
pub(super) fn refused(code: u16) -> RequestError {
    kube::Error::Api(kube::core::Status::failure("refused", "Refused").with_code(code).boxed()).into()
}

/// A replica: what it observed, and the actions that it has under way.
pub(super) struct Replica {
    pub(super) observed: Observed,
    pub(super) policies: Policies,
    pub(super) under_way: Vec<(Turn, Action)>,
    pub(super) handed_over: bool,
    names: Names,
    metrics: Metrics,
}

impl Replica {
    /// A replica under the policy `cci`, with a CA in a Secret or with a certificate of another origin.
    pub(super) fn new(has_ca: bool) -> Self {
        let config = Config { registration: "guard".to_owned(), service: Some(service("guard")), settle: Some(SETTLE) };
        let certificates = has_ca.then(|| ManagedCertificates {
            service: service("guard"),
            secret: "ca".to_owned(),
            lifetimes: LIFETIMES,
        });
        let policy = policy("cleanPodPolicy");
        Self {
            observed: Observed::new(config, certificates, Arc::clone(&policy)),
            policies: Policies { in_effect: policy, waiting: None },
            under_way: Vec::new(),
            handed_over: false,
            names: Names::new(vec![service("guard").host()], Vec::new()).expect("a name"),
            metrics: Metrics::default(),
        }
    }

    /// Has the plan of this moment carried out, as the reconciler does; actions stay under way until they are taken. Gives
    /// the names of what begins.
    pub(super) fn reconcile(&mut self, now: Now) -> Vec<&'static str> {
        let mut begun = Vec::new();
        self.observed.refresh(self.policies.clone(), now);
        let mut next = plan(&self.observed, now);
        if let (Some(signer), Some(ca)) = (next.sign.take(), &mut self.observed.ca) {
            let serving = signer.sign(&self.names, LIFETIMES, now.wall).expect("a certificate");
            ca.serves(Arc::new(serving), signer);
            self.observed.serves_anew();
            begun.push("sign");
            next = plan(&self.observed, now);
        }
        let Plan { actions, ends_update, hand_over, status, look_again_at, .. } = next;
        assert!(look_again_at > now.instant, "it would look again at once");
        for action in actions {
            begun.push(name(&action));
            let turn = self.observed.begin(&action, now);
            self.under_way.push((turn, action));
        }
        if ends_update {
            self.observed.end_update(now);
        }
        if hand_over.is_some() {
            self.handed_over = true;
            begun.push("hand over");
        }
        self.observed.status = status;
        begun
    }

    /// Takes the result of an action.
    pub(super) fn take(&mut self, done: Done, now: Now) {
        self.observed.take(done, &self.metrics, now);
    }

    /// The action of that name that is under way, with its turn.
    pub(super) fn remove(&mut self, action: &str) -> (Turn, Action) {
        let at = self.under_way.iter().position(|(_, other)| name(other) == action);
        self.under_way.remove(at.unwrap_or_else(|| panic!("{action} is not under way")))
    }

    /// Ends a self-call with this outcome for each caller.
    pub(super) fn called(&mut self, outcome: &Outcome, now: Now) {
        let (turn, _) = self.remove("call ourselves");
        let callers = self.observed.callers().len();
        self.take(Done::Called(turn, vec![outcome.clone(); callers]), now);
    }

    /// An API server that fails.
    pub(super) fn fails(&mut self) {
        self.observed.failed(&std::io::Error::other("connection refused"), &self.metrics);
    }

    /// The CA of the certificate that is served, PEM.
    pub(super) fn served(&self) -> Option<String> {
        Some(self.observed.ca.as_ref()?.served()?.ca.clone())
    }
}

/// The name of an action.
pub(super) fn name(action: &Action) -> &'static str {
    match action {
        Action::ReadRegistration => "read the registration",
        Action::ReadSecret => "read the Secret",
        Action::WriteConditions(_) => "write the conditions",
        Action::ReadSecretToWrite => "read the Secret to write",
        Action::WriteSecret(..) => "write the Secret",
        Action::WriteBundle(_) => "write the bundle",
        Action::CallOurselves(_) => "call ourselves",
    }
}

/// The conditions of each webhook that a patch writes. None where it leaves them as they are.
pub(super) fn conditions_of(patch: &Value) -> Vec<Option<Vec<Value>>> {
    let conditions = |webhook: &Value| match webhook.get("matchConditions")? {
        Value::Array(list) => Some(list.iter().filter(|one| one.get("$patch").is_none()).cloned().collect()),
        _ => Some(Vec::new()),
    };
    patch["webhooks"].as_array().map(|webhooks| webhooks.iter().map(conditions).collect()).unwrap_or_default()
}
