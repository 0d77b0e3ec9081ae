//! Programs that some tests run and that not every machine has. Without them those tests are ignored, and say so.

use std::env;

/// The tests, and what they run. Debian has `promtool` in its package prometheus.
const NEEDED: [(&str, &str); 5] = [
    ("the_image_holds_the_program_and_its_sbom_and_nothing_else", "buildah"),
    ("the_static_program_serves_alone_in_an_empty_root", "setpriv"),
    ("replaces_a_job_with_the_client_in_python", "python3"),
    ("promtool_sees_each_alert_fire_and_be_silent", "promtool"),
    ("promtool_takes_every_query_of_the_dashboard", "promtool"),
];

/// The program that a test lacks here.
pub(crate) fn lacking(test: &str) -> Option<&'static str> {
    let (_, program) = NEEDED.into_iter().find(|(name, _)| test.ends_with(name))?;
    let there = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file());
    (!there).then_some(program)
}
