//! What follows from a policy for the API server: the registration of the webhook, with the conditions under which it
//! is asked at all, and the nearest policy for clusters that cannot run a webhook.
//!
//! ```text
//!              ┌─ same (what changed?) ──┐
//! Policy ──────┤                         ├─▶ conditions ─▶ webhook: ValidatingWebhookConfiguration
//!              └─ who and when? ─────────┘         ├─────▶ vap: ValidatingAdmissionPolicy and its binding
//!                                                  └─────▶ fit: does the one in the cluster still fit?
//! ```

mod cel;
mod conditions;
mod cost;
mod declared;
mod fit;
mod same;
mod vap;
mod webhook;

pub(crate) use self::fit::{exact, misfits, tightened, webhooks_of};
pub use self::{
    conditions::{Part, match_conditions},
    declared::{Declared, parse_selector},
    fit::ServiceName,
    vap::admission_policy,
    webhook::{Address, Registration},
};
