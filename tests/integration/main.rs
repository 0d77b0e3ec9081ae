//! Tests without a cluster.

mod amounts;
mod certs;
mod cli;
mod decisions;
mod docs;
mod exempt_users;
mod floods;
mod in_process;
mod lifecycle;
mod links;
mod metrics;
mod monitoring;
mod peers;
mod policy_commands;
mod policy_files;
mod policy_reload;
mod properties;
mod purity;
mod report;
mod room;
mod several_policies;
mod suites;
mod tls;
mod trace;
mod wire;

use model::{amount, edits, jobs, reference, review, tree};
