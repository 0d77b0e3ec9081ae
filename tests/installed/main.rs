//! The guard as a cluster has it: the shipped manifests, applied by kubectl to a real control plane, with updates that go
//! on all the while. No update may get lost, whatever happens to the guard.

mod api;
mod handshakes;
mod kubelet;
mod load;
mod namespace;
mod overlay;
mod test_cluster;

mod killed;
mod operations;
mod outage;
mod policy;
mod renewal;
mod rollout;
mod uninstall;

use std::{env, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use support::programs::Programs;

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

/// The tests of each overlay, in an order in which little has to be installed anew.
const TESTS: [&[Test]; 6] =
    [rollout::TESTS, killed::TESTS, outage::TESTS, renewal::TESTS, policy::TESTS, uninstall::TESTS];
/// The tests of one overlay, for which the documentation is written.
const DOCUMENTED: (Overlay, &[Test]) = (Overlay::SelfManaged, operations::TESTS);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one cluster, and each wants the guard for itself.
    arguments.test_threads = Some(1);
    let reason = if namespace::is_inside() || arguments.list { None } else { Some(outside()) };
    if let Some(reason) = &reason {
        eprintln!("the tests of an installed guard cannot run: {reason}");
    }
    let clusters = Arc::new(TestClusters::default());
    let trials = Overlay::ALL.into_iter().flat_map(|overlay| {
        let (clusters, reason) = (&clusters, &reason);
        let (documented, once) = DOCUMENTED;
        let once = if overlay == documented { once } else { &[] };
        [&TESTS.concat(), once].concat().into_iter().map(move |(name, test)| {
            let name = name.split_once("::").map_or(name, |(_, name)| name);
            let (clusters, reason) = (Arc::clone(clusters), reason.clone());
            // In CI a test that shows nothing must not look like one that passed.
            let is_ignored = reason.is_some() && env::var_os("CI").is_none();
            Trial::test(format!("{overlay}::{name}"), move || {
                if let Some(reason) = reason {
                    return Err(Failed::from(reason));
                }
                test(&clusters, overlay);
                Ok(())
            })
            .with_ignored_flag(is_ignored)
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(clusters);
    conclusion.exit_code()
}

/// Goes inside the namespace, or says why that cannot be.
fn outside() -> String {
    // In there is no network to get a missing program's modules from. What is wrong with that is said by the tests.
    let _ = Programs::find_or_build();
    namespace::enter().to_string()
}
