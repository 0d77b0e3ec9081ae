//! The metrics. Every label comes from a fixed set, so that no peer can make the series grow.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, text},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

#[cfg(target_os = "linux")]
mod process;

use super::{config::Limits, progress::Waiting};
use crate::{
    admission::{Decision, Outcome},
    certificates::Validity,
    controller::{self, Known},
    policy::{Policy, PolicySet},
};

/// From 5 µs, a small update that is allowed, to 1 s, which no review should take.
const DECISION_SECONDS: [f64; 17] =
    [5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0];

/// Every status code the webhook answers with.
const CODES: [u16; 8] = [200, 400, 404, 405, 408, 413, 415, 503];
const LISTENERS: [&str; 2] = [WEBHOOK, ADMIN];
const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
const SUBRESOURCES: [&str; 3] = ["", "status", "scale"];
const TOP_LEVEL_FIELDS: [&str; 5] = ["metadata", "spec", "status", "apiVersion", "kind"];
const OTHER: &str = "other";

/// The names of the listeners.
pub(super) const WEBHOOK: &str = "webhook";
pub(super) const ADMIN: &str = "admin";

type Labels<const N: usize> = [(&'static str, &'static str); N];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    policy: String,
    operation: &'static str,
    subresource: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenialLabels {
    policy: String,
    dry_run: &'static str,
}

/// The server's metrics. Cloned handles share their values.
pub(super) struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    denials: Family<DenialLabels, Counter>,
    decision_seconds: Histogram,
    violations: Family<Labels<1>, Counter>,
    responses: Family<[(&'static str, u16); 1], Counter>,
    policy_reloads: Family<Labels<1>, Counter>,
    policy: PolicyInfo,
    certificate_reloads: Family<Labels<1>, Counter>,
    certificate_start: Known,
    certificate_expiry: Known,
    pub(super) connections_open: Gauge,
    connections_closed: Family<Labels<2>, Counter>,
    /// Also what keeps their number down.
    pub(super) requests_open: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) buffered_bytes: Gauge,
    handshake_failures: Family<Labels<1>, Counter>,
    pub(super) accept_errors: Counter,
    policy_file_in_force: Gauge,
    pub(super) ready: Gauge,
    pub(super) controller: controller::Metrics,
}

/// The reason why a connection never got to speak HTTP.
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
    /// With a registration to reconcile there are more.
    pub(super) fn new(policies: &PolicySet, limits: &Limits, has_registration: bool) -> Self {
        let mut all = Registry::default();
        #[cfg(target_os = "linux")]
        all.register_collector(Box::new(process::ProcessCollector));
        let registry = all.sub_registry_with_prefix("pytorchjob_guard");
        let decisions = metric(registry, "decisions", "Reviews decided, by policy, operation, subresource and result");
        let denials = metric(registry, "denials", "Updates denied, by policy and whether they were dry runs");
        let decision_seconds = Histogram::new(DECISION_SECONDS);
        registry.register(
            "decision_duration_seconds",
            "Time from a review's last byte to its answer",
            decision_seconds.clone(),
        );
        let violations = metric(
            registry,
            "violations",
            "Forbidden changes found, by top-level field; of one review those beyond the first 128 are under other",
        );
        let responses = metric(registry, "http_responses", "HTTP responses of the webhook, by status code");
        let policy_reloads = metric(registry, "policy_reloads", "Changed policy files, by result");
        let certificate_reloads = metric(
            registry,
            "certificate_reloads",
            "Serving certificates from changed files or signed by ourselves, by result",
        );
        let certificate_start = Known::of(
            "certificate_start_timestamp_seconds",
            "When the last certificate of the serving chain begins, in seconds since 1970",
        );
        let certificate_expiry = Known::of(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate of the serving chain expires, in seconds since 1970",
        );
        for known in [&certificate_start, &certificate_expiry] {
            registry.register_collector(Box::new(known.clone()));
        }
        let connections_open = metric(registry, "connections_open", "Connections to the webhook that are open");
        let connections_closed = metric(
            registry,
            "connections_closed_to_make_room",
            "Connections closed, and incomplete bodies given up, to make room, by listener and what was waited for",
        );
        let requests_open =
            metric(registry, "requests_open", "Requests from the end of their headers until their answer is taken");
        let in_flight =
            metric(registry, "requests_in_flight", "Requests whose bodies are complete and that are not decided yet");
        let buffered_bytes = metric(registry, "buffered_bytes", "Memory of bodies that came in pieces, in bytes");
        let handshake_failures =
            metric(registry, "handshake_failures", "Connections that never got to speak HTTP, by reason");
        let accept_errors = metric(registry, "accept_errors", "Connections that could not be accepted");
        let policy_file_in_force: Gauge = metric(
            registry,
            "policy_file_in_force",
            "1 while the policy of every file is in effect, 0 while a file is invalid and the policy before it stays in effect",
        );
        let limit: Family<Labels<1>, Gauge> =
            metric(registry, "limit", "The limits of connections, of one body and of all bodies");
        for (name, value) in [
            ("connections", i64::from(limits.connections)),
            ("body_bytes", clamped(limits.body_bytes)),
            ("buffered_bytes", clamped(limits.buffered_bytes)),
        ] {
            limit.get_or_create(&[("limit", name)]).set(value);
        }
        let ready = metric(registry, "ready", "1 while /readyz says ok, else 0");
        let controller = controller::Metrics::default();
        if has_registration {
            controller.register(registry);
        }
        registry.register("build", "This program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let policy = PolicyInfo::default();
        registry.register_collector(Box::new(policy.clone()));

        let metrics = Self {
            registry: all,
            decisions,
            denials,
            decision_seconds,
            violations,
            responses,
            policy_reloads,
            policy,
            certificate_reloads,
            certificate_start,
            certificate_expiry,
            connections_open,
            connections_closed,
            requests_open,
            in_flight,
            buffered_bytes,
            handshake_failures,
            accept_errors,
            policy_file_in_force,
            ready,
            controller,
        };
        metrics.begin_at_zero();
        metrics.policies_are(policies);
        metrics
    }

    /// An alert on a counter needs its zero: a series that begins at 1 never rises.
    fn begin_at_zero(&self) {
        for result in ["success", "refused"] {
            drop(self.policy_reloads.get_or_create(&[("result", result)]));
            drop(self.certificate_reloads.get_or_create(&[("result", result)]));
        }
        self.controller.begin_at_zero();
        for reason in [HandshakeFailure::Timeout, HandshakeFailure::PlainHttp, HandshakeFailure::Tls] {
            drop(self.handshake_failures.get_or_create(&[("reason", reason.label())]));
        }
        for waiting in Waiting::ALL {
            for listener in LISTENERS {
                drop(self.connections_closed.get_or_create(&closed_labels(listener, waiting)));
            }
        }
        for code in CODES {
            drop(self.responses.get_or_create(&[("code", code)]));
        }
        for field in TOP_LEVEL_FIELDS.into_iter().chain([OTHER]) {
            drop(self.violations.get_or_create(&[("field", field)]));
        }
    }

    pub(super) fn decided(&self, policy: &Policy, decision: &Decision<'_>, took: Duration) {
        self.decision_seconds.observe(took.as_secs_f64());
        self.decisions
            .get_or_create(&decision_labels(policy, &decision.operation, &decision.subresource, decision.outcome))
            .inc();
        if decision.outcome == Outcome::Denied {
            let dry_run = if decision.dry_run { "true" } else { "false" };
            self.denials.get_or_create(&DenialLabels { policy: policy.name().to_owned(), dry_run }).inc();
        }
        for violation in &decision.violations.first {
            let field = violation.path.split(['.', '[']).next().unwrap_or_default();
            self.violations.get_or_create(&[("field", known(field, &TOP_LEVEL_FIELDS))]).inc();
        }
        if decision.violations.more > 0 {
            self.violations.get_or_create(&[("field", OTHER)]).inc_by(decision.violations.more as u64);
        }
    }

    pub(super) fn responded(&self, code: u16) {
        self.responses.get_or_create(&[("code", code)]).inc();
    }

    pub(super) fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshake_failures.get_or_create(&[("reason", reason.label())]).inc();
    }

    pub(super) fn closed_to_make_room(&self, listener: &'static str, waiting: Waiting) {
        self.connections_closed.get_or_create(&closed_labels(listener, waiting)).inc();
    }

    /// Notes the policies in effect, and begins their series.
    pub(super) fn policies_are(&self, policies: &PolicySet) {
        self.policy.set(policies);
        self.policy_file_in_force.set(i64::from(policies.problems().next().is_none()));
        for policy in policies.policies() {
            for outcome in [Outcome::Allowed, Outcome::Denied] {
                drop(self.decisions.get_or_create(&decision_labels(policy, "UPDATE", "", outcome)));
            }
            for dry_run in ["false", "true"] {
                drop(self.denials.get_or_create(&DenialLabels { policy: policy.name().to_owned(), dry_run }));
            }
        }
    }

    pub(super) fn policy_reloaded(&self, result: &'static str) {
        self.policy_reloads.get_or_create(&[("result", result)]).inc();
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
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::PlainHttp => "plain_http",
            Self::Tls => "tls",
        }
    }
}

impl Waiting {
    const ALL: [Self; 5] = [Self::Handshake, Self::Head, Self::Body, Self::Response, Self::Idle];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Head => "head",
            Self::Body => "body",
            Self::Response => "response",
            Self::Idle => "idle",
        }
    }
}

fn closed_labels(listener: &'static str, waiting: Waiting) -> Labels<2> {
    [("listener", listener), ("waiting_for", waiting.label())]
}

fn clamped(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Registers a metric of the type that is asked for.
fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn decision_labels(policy: &Policy, operation: &str, subresource: &str, outcome: Outcome) -> DecisionLabels {
    let result = match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Tolerated => "tolerated",
        Outcome::NotApplicable => "not_applicable",
        Outcome::BadRequest => "bad_request",
    };
    DecisionLabels {
        policy: policy.name().to_owned(),
        operation: known(operation, &OPERATIONS),
        subresource: known(subresource, &SUBRESOURCES),
        result,
    }
}

/// The text if it is one of the known ones: what a peer makes up must not make a new series.
fn known(text: &str, all: &[&'static str]) -> &'static str {
    all.iter().find(|known| **known == text).copied().unwrap_or(OTHER)
}

/// The names and digests of the policies in effect: one series for each, whatever there was before.
#[derive(Debug, Clone, Default)]
struct PolicyInfo(Arc<Mutex<Vec<PolicyLabels>>>);

type PolicyLabels = [(&'static str, String); 2];

impl PolicyInfo {
    fn set(&self, policies: &PolicySet) {
        let labels =
            |policy: &Arc<Policy>| [("name", policy.name().to_owned()), ("digest", policy.digest().to_owned())];
        // Nothing can fail while the lock is held, so a poisoned one holds good labels all the same.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = policies.policies().map(labels).collect();
    }
}

impl Collector for PolicyInfo {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut metric = encoder.encode_descriptor("policy", "The policies in effect", None, MetricType::Info)?;
        all.iter().try_for_each(|labels| metric.encode_info(labels))
    }
}

/// Adds one for as long as it lives.
pub(super) struct GaugeGuard(Gauge);

impl GaugeGuard {
    pub(super) fn new(gauge: &Gauge) -> Self {
        Self::counted(gauge).0
    }

    /// The same, and the number with this one.
    pub(super) fn counted(gauge: &Gauge) -> (Self, i64) {
        let before = gauge.inc();
        (Self(gauge.clone()), before + 1)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
