//! The guard before a real API server, driven by kubectl: what users, their tools and the cluster's controllers see.

mod cluster;
#[path = "../monitoring/mod.rs"]
mod dashboards;
#[allow(dead_code, unused_imports, reason = "the tests of an installed guard and those of an attack need more of it")]
mod harness;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../docs/mod.rs"]
mod pages;
mod rotation;
mod run;

mod api_server_options;
mod certificate_rotation;
mod clients;
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
mod needed;
mod operated;
mod outage;
mod policy_rotation;
mod scale_and_status;
mod secrecy;
mod semantic_equality;
mod tracing;
mod training_operator;
mod types;
mod validation_actions;
mod versions;

use std::{env, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use crate::cluster::Clusters;

/// A test: its name, and what it does.
type Test = (&'static str, fn(&Clusters));

/// The tests of a module; one that is left out is reported as dead code.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$((concat!(module_path!(), "::", stringify!($test)), $test)),+];
    };
}
pub(crate) use tests;

/// The modules whose tests depend on the API server or on kubectl: all that run where `KUBERNETES_VERSION` is set.
const OF_EVERY_VERSION: [&str; 10] = [
    "conditions",
    "deletion",
    "dry_run",
    "edit",
    "forbidden_changes",
    "install::applying",
    "mutable_fields",
    "scale_and_status",
    "validation_actions",
    "versions",
];

/// True if a test is one of those that this run is about.
fn is_wanted(name: &str) -> bool {
    let newest = env::var_os("KUBERNETES_VERSION").is_none_or(|version| version.is_empty());
    newest || name.rsplit_once("::").is_some_and(|(module, _)| OF_EVERY_VERSION.contains(&module))
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let clusters = Arc::new(Clusters::default());
    let trials = [
        mutable_fields::TESTS,
        semantic_equality::TESTS,
        forbidden_changes::TESTS,
        edit::TESTS,
        scale_and_status::TESTS,
        dry_run::TESTS,
        secrecy::TESTS,
        training_operator::TESTS,
        types::TESTS,
        deletion::TESTS,
        outage::TESTS,
        api_server_options::TESTS,
        certificate_rotation::TESTS,
        clients::TESTS,
        conditions::TESTS,
        conditions::hostile::TESTS,
        docs::TESTS,
        external_diff::TESTS,
        fields::TESTS,
        validation_actions::TESTS,
        policy_rotation::TESTS,
        operated::TESTS,
        kueue::TESTS,
        install::rendering::TESTS,
        install::applying::TESTS,
        install::permissions::TESTS,
        install::network::TESTS,
        install::pod_security::TESTS,
        install::uninstalling::TESTS,
        install::image::TESTS,
        managed::certificates::TESTS,
        managed::conditions::TESTS,
        tracing::TESTS,
        monitoring::TESTS,
        versions::TESTS,
    ]
    .concat()
    .into_iter()
    // Without the crate's name, as libtest has it.
    .map(|(name, test)| (name.split_once("::").map_or(name, |(_, name)| name), test))
    .filter(|(name, _)| is_wanted(name))
    .map(|(name, test)| {
        let clusters = Arc::clone(&clusters);
        let trial = Trial::test(name, move || {
            test(&clusters);
            Ok(())
        });
        let Some(program) = needed::lacking(name) else { return trial };
        if env::var_os("CI").is_none() {
            return trial.with_kind(format!("no {program} here")).with_ignored_flag(true);
        }
        // There nobody would see that it was left out.
        Trial::test(name, move || Err(format!("{program} is not here: install it").into()))
    })
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(clusters);
    conclusion.exit_code()
}
