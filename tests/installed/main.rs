//! The guard as a cluster has it: the shipped manifests, applied by kubectl to a real control plane, with updates that go
//! on all the while. No update may get lost, whatever happens to the guard.

mod api;
mod handshakes;
mod kubelet;
mod load;
mod namespace;
mod overlay;
mod test_cluster;

mod cert_manager;
mod chart;
mod killed;
mod kueue;
mod operations;
mod outage;
mod policy;
mod renewal;
mod rollout;
mod uninstall;

use std::{env, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use support::programs::{
    Programs, cert_manager, cert_manager_module, helm, helm_3, kueue, kueue_module, training_operator_module,
};

use crate::{overlay::Overlay, test_cluster::TestClusters};

/// A test: its name, and what it does under an overlay.
type Test = (&'static str, fn(&TestClusters, Overlay));

/// The tests of a module; one that is left out is reported as dead code.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$((concat!(module_path!(), "::", stringify!($test)), $test)),+];
    };
}
pub(crate) use tests;

/// The tests of each overlay without cert-manager, in an order in which little has to be installed anew.
const TESTS: [&[Test]; 6] =
    [rollout::TESTS, killed::TESTS, outage::TESTS, renewal::TESTS, policy::TESTS, uninstall::TESTS];
/// The tests of one overlay, for which the documentation is written.
const DOCUMENTED: (Overlay, [&[Test]; 2]) = (Overlay::SelfManaged, [operations::TESTS, kueue::TESTS]);
/// The tests with cert-manager; in the last one it and the guard write to the registration at the same time.
const CERT_MANAGER: (Overlay, [&[Test]; 3]) =
    (Overlay::CertManager, [chart::TESTS, cert_manager::TESTS, policy::TESTS]);

/// The tests of all overlays by their full names, in the order in which they run.
fn all_tests() -> Vec<(String, Overlay, Test)> {
    let (documented, once) = DOCUMENTED;
    let self_managed = Overlay::SELF_MANAGED.into_iter().map(|overlay| {
        let once = if overlay == documented { once.concat() } else { Vec::new() };
        (overlay, [TESTS.concat(), once].concat())
    });
    let (overlay, with_cert_manager) = CERT_MANAGER;
    let all = self_managed.chain([(overlay, with_cert_manager.concat())]);
    all.flat_map(|(overlay, tests)| {
        tests.into_iter().map(move |test| {
            let name = test.0.split_once("::").map_or(test.0, |(_, name)| name);
            (format!("{overlay}::{name}"), overlay, test)
        })
    })
    .collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one cluster, and each wants the guard for itself.
    arguments.test_threads = Some(1);
    let tests = all_tests();
    let reason = if namespace::is_inside() || arguments.list { None } else { Some(outside(&arguments, &tests)) };
    if let Some(reason) = &reason {
        eprintln!("the tests of an installed guard cannot run: {reason}");
    }
    let clusters = Arc::new(TestClusters::default());
    let trials = tests.into_iter().map(|(name, overlay, (_, test))| {
        let (clusters, reason) = (Arc::clone(&clusters), reason.clone());
        // In CI a test that shows nothing must not look like one that passed.
        let is_ignored = reason.is_some() && env::var_os("CI").is_none();
        Trial::test(name, move || {
            if let Some(reason) = reason {
                return Err(Failed::from(reason));
            }
            test(&clusters, overlay);
            Ok(())
        })
        .with_ignored_flag(is_ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(clusters);
    conclusion.exit_code()
}

/// Goes inside the namespace, or says why that cannot be.
fn outside(arguments: &Arguments, tests: &[(String, Overlay, Test)]) -> String {
    // In there is no network to get a missing program's modules from. What is wrong with that is said by the tests.
    let _ = Programs::find_or_build();
    let _ = helm().and(helm_3()).and(kueue()).and(kueue_module()).and(training_operator_module());
    let is_asked_for = |name: &str| arguments.filter.as_deref().is_none_or(|filter| name.contains(filter));
    if tests.iter().any(|(name, overlay, _)| *overlay == CERT_MANAGER.0 && is_asked_for(name)) {
        let _ = cert_manager().and(cert_manager_module());
    }
    namespace::enter().to_string()
}
