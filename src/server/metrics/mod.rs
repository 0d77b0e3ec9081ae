//! What is counted. Every label comes from a fixed set, so that no peer can make the series grow.

mod cluster;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use cluster::ClusterMetrics;

use crate::{
    admission::{Decision, Outcome},
    certificates::Validity,
};

/// From 5 µs, a small update that is allowed, to 1 s, which no review should take.
const DECISION_SECONDS: [f64; 17] =
    [5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0];

/// Every status code the webhook answers with.
const CODES: [u16; 8] = [200, 400, 404, 405, 408, 413, 415, 503];
const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
const SUBRESOURCES: [&str; 3] = ["", "status", "scale"];
const TOP_LEVEL_FIELDS: [&str; 5] = ["metadata", "spec", "status", "apiVersion", "kind"];
const OTHER: &str = "other";

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The server's metrics. Cloned handles share their values.
pub(super) struct Metrics {
    registry: Registry,
    decisions: Family<Labels<3>, Counter>,
    decision_seconds: Histogram,
    violations: Family<Labels<1>, Counter>,
    responses: Family<[(&'static str, u16); 1], Counter>,
    policy_reloads: Family<Labels<1>, Counter>,
    policy: PolicyInForce,
    certificate_reloads: Family<Labels<1>, Counter>,
    certificate_start: Gauge,
    certificate_expiry: Gauge,
    pub(super) connections_open: Gauge,
    pub(super) in_flight: Gauge,
    handshake_failures: Family<Labels<1>, Counter>,
    pub(super) accept_errors: Counter,
    policy_file_in_force: Gauge,
    pub(super) ready: Gauge,
    pub(super) cluster: ClusterMetrics,
}

/// Why a connection never got to speak HTTP.
#[derive(Debug, Clone, Copy)]
pub(super) enum HandshakeFailure {
    /// The deadline passed.
    Timeout,
    /// The peer spoke plain HTTP.
    PlainHttp,
    /// TLS failed: versions, certificates, or no TLS at all.
    Tls,
}

impl Metrics {
    /// With a registration to look after there is more to tell.
    pub(super) fn new(policy: &str, looks_after_a_registration: bool) -> Self {
        let mut registry = Registry::with_prefix("pytorchjob_guard");
        let decisions = Family::default();
        registry.register("decisions", "Reviews decided, by operation, subresource and result", decisions.clone());
        let decision_seconds = Histogram::new(DECISION_SECONDS);
        registry.register(
            "decision_duration_seconds",
            "Time from a review's last byte to its answer",
            decision_seconds.clone(),
        );
        let violations = Family::default();
        registry.register("violations", "Forbidden changes found, by top-level field", violations.clone());
        let responses = Family::default();
        registry.register("http_responses", "HTTP responses of the webhook, by status code", responses.clone());
        let policy_reloads = Family::default();
        registry.register("policy_reloads", "Changed policy files that were taken or refused", policy_reloads.clone());
        let certificate_reloads = Family::default();
        registry.register(
            "certificate_reloads",
            "Serving certificates taken or refused: from files that changed, or signed by ourselves",
            certificate_reloads.clone(),
        );
        let certificate_start = Gauge::default();
        registry.register(
            "certificate_start_timestamp_seconds",
            "When the last certificate of the serving chain begins, in seconds since 1970",
            certificate_start.clone(),
        );
        let certificate_expiry = Gauge::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate of the serving chain expires, in seconds since 1970",
            certificate_expiry.clone(),
        );
        let connections_open = Gauge::default();
        registry.register("connections_open", "Connections to the webhook that are open", connections_open.clone());
        let in_flight = Gauge::default();
        registry.register("requests_in_flight", "Requests whose bodies are held", in_flight.clone());
        let handshake_failures = Family::default();
        registry.register(
            "handshake_failures",
            "Connections that never got to speak HTTP, by reason",
            handshake_failures.clone(),
        );
        let accept_errors = Counter::default();
        registry.register("accept_errors", "Connections that could not be accepted", accept_errors.clone());
        let policy_file_in_force = Gauge::default();
        policy_file_in_force.set(1);
        registry.register(
            "policy_file_in_force",
            "1 while the policy file says what is in force, 0 while it is refused and the one before goes on",
            policy_file_in_force.clone(),
        );
        let ready = Gauge::default();
        registry.register("ready", "1 while /readyz says ok, else 0", ready.clone());
        let cluster = ClusterMetrics::default();
        if looks_after_a_registration {
            cluster.register(&mut registry);
        }
        registry.register("build", "This program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let policy = PolicyInForce::new(policy);
        registry.register_collector(Box::new(policy.clone()));

        let metrics = Self {
            registry,
            decisions,
            decision_seconds,
            violations,
            responses,
            policy_reloads,
            policy,
            certificate_reloads,
            certificate_start,
            certificate_expiry,
            connections_open,
            in_flight,
            handshake_failures,
            accept_errors,
            policy_file_in_force,
            ready,
            cluster,
        };
        metrics.begin_at_zero();
        metrics
    }

    /// An alert on a counter needs its zero: a series that begins at 1 never rises.
    fn begin_at_zero(&self) {
        for result in ["success", "refused"] {
            drop(self.policy_reloads.get_or_create(&[("result", result)]));
            drop(self.certificate_reloads.get_or_create(&[("result", result)]));
        }
        self.cluster.begin_at_zero();
        for reason in [HandshakeFailure::Timeout, HandshakeFailure::PlainHttp, HandshakeFailure::Tls] {
            drop(self.handshake_failures.get_or_create(&[("reason", reason.label())]));
        }
        for code in CODES {
            drop(self.responses.get_or_create(&[("code", code)]));
        }
        for field in TOP_LEVEL_FIELDS.into_iter().chain([OTHER]) {
            drop(self.violations.get_or_create(&[("field", field)]));
        }
        for outcome in [Outcome::Allowed, Outcome::Denied] {
            drop(self.decisions.get_or_create(&decision_labels("UPDATE", "", outcome)));
        }
    }

    pub(super) fn decided(&self, decision: &Decision<'_>, took: Duration) {
        self.decision_seconds.observe(took.as_secs_f64());
        self.decisions
            .get_or_create(&decision_labels(&decision.operation, &decision.subresource, decision.outcome))
            .inc();
        for violation in &decision.violations {
            let field = violation.path.split(['.', '[']).next().unwrap_or_default();
            self.violations.get_or_create(&[("field", known(field, &TOP_LEVEL_FIELDS))]).inc();
        }
    }

    pub(super) fn responded(&self, code: u16) {
        self.responses.get_or_create(&[("code", code)]).inc();
    }

    pub(super) fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshake_failures.get_or_create(&[("reason", reason.label())]).inc();
    }

    pub(super) fn policy_reloaded(&self, name: &str) {
        self.policy.set(name);
        self.policy_file_in_force.set(1);
        self.policy_reloads.get_or_create(&[("result", "success")]).inc();
    }

    pub(super) fn policy_refused(&self) {
        self.policy_file_in_force.set(0);
        self.policy_reloads.get_or_create(&[("result", "refused")]).inc();
    }

    pub(super) fn certificate_reloaded(&self, validity: Validity) {
        self.serves(validity);
        self.certificate_reloads.get_or_create(&[("result", "success")]).inc();
    }

    pub(super) fn certificate_refused(&self) {
        self.certificate_reloads.get_or_create(&[("result", "refused")]).inc();
    }

    pub(super) fn serves(&self, validity: Validity) {
        self.certificate_start.set(validity.not_before);
        self.certificate_expiry.set(validity.not_after);
    }

    /// All of it in the OpenMetrics text form.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

impl HandshakeFailure {
    fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::PlainHttp => "plain_http",
            Self::Tls => "tls",
        }
    }
}

fn decision_labels(operation: &str, subresource: &str, outcome: Outcome) -> Labels<3> {
    let result = match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Tolerated => "tolerated",
        Outcome::NotApplicable => "not_applicable",
        Outcome::BadRequest => "bad_request",
    };
    [
        ("operation", known(operation, &OPERATIONS)),
        ("subresource", known(subresource, &SUBRESOURCES)),
        ("result", result),
    ]
}

/// The text if it is one of the known ones: what a peer makes up must not make a new series.
fn known(text: &str, all: &[&'static str]) -> &'static str {
    all.iter().find(|known| **known == text).copied().unwrap_or(OTHER)
}

/// The name of the policy in force: one series, whatever names there were before.
#[derive(Debug, Clone)]
struct PolicyInForce(Arc<Mutex<String>>);

impl PolicyInForce {
    fn new(name: &str) -> Self {
        Self(Arc::new(Mutex::new(name.to_owned())))
    }

    fn set(&self, name: &str) {
        // Nothing can fail while the lock is held, so a poisoned one holds a good name all the same.
        name.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Collector for PolicyInForce {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let info = Info::new([("name", name)]);
        info.encode(encoder.encode_descriptor("policy", "The policy in force", None, info.metric_type())?)
    }
}

/// Adds one for as long as it lives.
pub(super) struct Held(Gauge);

impl Held {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
