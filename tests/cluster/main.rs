//! The guard before a real API server, driven by kubectl: what users, their tools and the cluster's controllers see.

mod api_server_options;
mod autoscaler;
mod certificate_rotation;
mod clients;
mod cluster;
mod conditions;
mod deletion;
mod docs;
mod dry_run;
mod edit;
mod external_diff;
mod fields;
mod forbidden_changes;
mod install;
mod kueue;
mod managed;
mod monitoring;
mod mutable_fields;
mod operated;
mod outage;
mod policy_rotation;
mod ready_policies;
mod registry;
mod release;
mod rotation;
mod run;
mod scale_and_status;
mod secrecy;
mod semantic_equality;
mod several_policies;
mod tracing;
mod training_operator;
mod types;
mod validation_actions;
mod versions;
mod workflows;

use std::{env, process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use support::trial;

use crate::cluster::Clusters;

/// A test.
struct Test {
    /// Its path, with this crate's name in front.
    path: &'static str,
    run: fn(&Clusters),
    /// The programs that it runs and that not every machine has.
    programs: &'static [&'static str],
    /// True if it depends on the API server or on kubectl: it runs where `KUBERNETES_VERSION` is set, too.
    is_of_every_version: bool,
}

inventory::collect!(Test);

/// Registers the tests of a module. Above a test, `#[needs("program")]` names a program without which it is left out.
macro_rules! tests {
    ($($tests:tt)+) => { $crate::register! { false; $($tests)+ } };
}
pub(crate) use tests;

/// Likewise, where they depend on the API server or on kubectl.
macro_rules! tests_of_every_version {
    ($($tests:tt)+) => { $crate::register! { true; $($tests)+ } };
}
pub(crate) use tests_of_every_version;

macro_rules! register {
    ($is_of_every_version:literal; $($(#[needs($program:literal)])* $test:ident),+ $(,)?) => {$(
        inventory::submit! {
            $crate::Test {
                path: concat!(module_path!(), "::", stringify!($test)),
                run: $test,
                programs: &[$($program),*],
                is_of_every_version: $is_of_every_version,
            }
        }
    )+};
}
pub(crate) use register;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let clusters = Arc::new(Clusters::default());
    let is_newest = env::var_os("KUBERNETES_VERSION").is_none_or(|version| version.is_empty());
    let mut tests: Vec<&Test> =
        inventory::iter::<Test>().filter(|test| is_newest || test.is_of_every_version).collect();
    tests.sort_unstable_by_key(|test| test.path);
    let trials = tests.into_iter().map(|test| {
        let clusters = Arc::clone(&clusters);
        // Without the crate's name, as libtest has it.
        let name = test.path.split_once("::").map_or(test.path, |(_, name)| name);
        trial(name, test.programs, move || (test.run)(&clusters))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(clusters);
    conclusion.exit_code()
}
