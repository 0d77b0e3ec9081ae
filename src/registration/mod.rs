//! The objects that follow from a policy for the API server: the registration of the webhook, with the conditions under
//! which it is asked at all, and the nearest policy for clusters that cannot run a webhook.
//!
//! ```text
//!              ┌─ unchanged ─────────────┐
//! Policy ──────┤                         ├─▶ conditions ─▶ webhook: ValidatingWebhookConfiguration
//!              └─ who and when? ─────────┘         ├─────▶ vap: ValidatingAdmissionPolicy and its binding
//!                                                  └─────▶ drift: does the one in the cluster match?
//! ```

mod cel;
mod conditions;
mod cost;
mod drift;
mod service;
mod unchanged;
mod vap;
mod webhook;

pub use self::{
    conditions::{Part, match_conditions},
    service::ServiceName,
    vap::admission_policy,
    webhook::{Address, Registration},
};
pub(crate) use self::{
    drift::{Drift, drift, exact, tightened},
    service::{path_of, webhooks_of},
};
