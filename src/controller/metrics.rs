//! The metrics of the registration and of the CA. Without a registration none of them is shown.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use crate::certificates::Validity;

/// The metrics of the registration and of the CA.
#[derive(Clone)]
pub(crate) struct Metrics {
    registration_fits: Family<[(&'static str, String); 1], Gauge>,
    registration_updates: Family<[(&'static str, &'static str); 1], Counter>,
    ca_kept: Known,
    ca_start: Known,
    ca_expiry: Known,
    pub(crate) api_server_errors: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registration_fits: Family::default(),
            registration_updates: Family::default(),
            ca_kept: Known::of(
                "ca_kept",
                "1 while the Secret holds the CA that signs, 0 while it is gone or cannot be read",
            ),
            ca_start: Known::of(
                "ca_start_timestamp_seconds",
                "When the CA of the serving certificate begins, in seconds since 1970",
            ),
            ca_expiry: Known::of(
                "ca_expiry_timestamp_seconds",
                "When the CA of the serving certificate expires, in seconds since 1970",
            ),
            api_server_errors: Counter::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        for known in [&self.ca_kept, &self.ca_start, &self.ca_expiry] {
            registry.register_collector(Box::new(known.clone()));
        }
        registry.register(
            "registration_fits",
            "1 while the registration covers every update that the policy in effect denies, else 0, by policy",
            self.registration_fits.clone(),
        );
        registry.register(
            "registration_updates",
            "Attempts to bring registration and Secret in step, by result; a success is one that wrote the registration",
            self.registration_updates.clone(),
        );
        registry.register(
            "api_server_errors",
            "Reads, watches and writes that the API server did not answer well",
            self.api_server_errors.clone(),
        );
    }

    pub(crate) fn begin_at_zero(&self) {
        for result in ["success", "conflict", "error"] {
            drop(self.registration_updates.get_or_create(&[("result", result)]));
        }
    }

    /// Counts an attempt to write the registration or the Secret.
    pub(crate) fn registration_updated(&self, result: &'static str) {
        self.registration_updates.get_or_create(&[("result", result)]).inc();
    }

    pub(crate) fn registration_fits(&self, policy: &str, fits: bool) {
        self.registration_fits.get_or_create(&[("policy", policy.to_owned())]).set(i64::from(fits));
    }

    /// Forgets a policy that is served no more.
    pub(crate) fn policy_is_gone(&self, policy: &str) {
        self.registration_fits.remove(&[("policy", policy.to_owned())]);
    }

    pub(crate) fn ca_is(&self, validity: Validity) {
        self.ca_start.set(validity.not_before);
        self.ca_expiry.set(validity.not_after);
    }

    pub(crate) fn ca_is_stored(&self, is_stored: bool) {
        self.ca_kept.set(i64::from(is_stored));
    }
}

/// A gauge that is not shown before its value is known: a zero would be a lie.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    name: &'static str,
    help: &'static str,
    value: Arc<Mutex<Option<i64>>>,
}

impl Known {
    pub(crate) fn of(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: Arc::default() }
    }

    pub(crate) fn set(&self, value: i64) {
        // Nothing can fail while the lock is held, so a poisoned one holds a good value all the same.
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }
}

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(value) = *self.value.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let gauge = ConstGauge::new(value);
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?)
    }
}
