//! The guard under attack: public tools, floods of connections and hostile bodies, while an honest client is answered.

mod floods;
mod h2spec;
#[allow(dead_code, unused_imports, reason = "the cluster tests need more of it")]
#[path = "../cluster/harness/mod.rs"]
mod harness;
mod honest;
mod hostile;
mod memory;
mod slow;
#[allow(dead_code, reason = "the integration tests need more of it")]
#[path = "../integration/support/mod.rs"]
mod support;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

/// A test: its name, what it does, and the program without which it cannot.
type Test = (&'static str, fn(), Option<&'static str>);

const TESTS: [Test; 11] = [
    ("h2spec_fails_only_where_an_answer_was_on_its_way", h2spec::fails_only_where_an_answer_was_on_its_way, Some("go")),
    ("slow_headers_keep_nobody_waiting", slow::headers, Some(slow::PROGRAM)),
    ("slow_bodies_keep_nobody_waiting", slow::bodies, Some(slow::PROGRAM)),
    ("slow_reading_keeps_nobody_waiting", slow::reading, Some(slow::PROGRAM)),
    ("silent_connections_make_room", floods::silent, None),
    ("half_handshakes_make_room", floods::half_handshakes, None),
    ("half_heads_make_room", floods::half_heads, None),
    ("half_bodies_make_room", floods::half_bodies, None),
    ("unread_answers_make_room", floods::unread_answers, None),
    ("silent_connections_to_the_admin_port_make_room", floods::silent_to_admin, None),
    ("hostile_bodies_stay_under_the_memory_limit", memory::hostile_bodies_stay_under_the_limit, None),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = TESTS.map(|(name, test, program)| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        let Some(program) = program.filter(|program| !is_here(program)) else { return trial };
        if env::var_os("CI").is_none() {
            return trial.with_kind(format!("no {program} here")).with_ignored_flag(true);
        }
        // There a test that is left out would look like one that passed.
        Trial::test(name, move || Err(format!("{program} is not here: install it").into()))
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn is_here(program: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}
