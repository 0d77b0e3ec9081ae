//! The guard under attack: public tools, floods of connections and hostile bodies, while an honest client is answered.

mod floods;
mod h2spec;
mod honest;
mod hostile;
mod memory;
mod slow;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use support::trial;

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
    let trials = TESTS.map(|(name, run, program)| trial(name, program.as_slice(), run));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
