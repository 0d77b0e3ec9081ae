//! Reviews that are made to be expensive: a decision beside a bare `serde_json` pass over the same bytes, in the same run.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pytorchjob_guard::{admission::answer, policy::Policy};
use serde::de::IgnoredAny;
use support::reviews::hostile;

/// The size of one of two objects that fill an API server's 3 MiB together.
const BYTES: usize = 6 << 20;
const ROUNDS: usize = 5;

/// The median time of a few rounds.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn main() {
    let reaching = Policy::parse(hostile::REACHING).expect("a policy");
    let cci = Policy::builtin("cci").expect("cci is built in");
    println!("{:24} {:>12} {:10} {:>10} {:>10} {:>6}", "unit", "inside", "policy", "decision", "bare pass", "ratio");
    let inside = [(0, false, "nothing"), (45, false, "45 lists"), (95, true, "95 maps")];
    let shapes = (0..hostile::UNITS.len()).flat_map(|unit| inside.map(|inside| (unit, inside)));
    let reviews = shapes.map(|(unit, (depth, in_maps, inside))| {
        (hostile::UNITS[unit].0, inside, hostile::review(unit, depth, in_maps, BYTES))
    });
    let groups = std::iter::once(("groups of the user", "nothing", hostile::many_groups(BYTES)));
    for (name, inside, body) in reviews.chain(groups) {
        let bare = median(|| drop(black_box(serde_json::from_slice::<IgnoredAny>(black_box(&body)))));
        for policy in [&cci, &reaching] {
            let decided = median(|| drop(black_box(answer(black_box(&body), policy))));
            let ratio = decided.as_secs_f64() / bare.as_secs_f64();
            let (decided, bare) =
                (format!("{:.1} ms", decided.as_secs_f64() * 1e3), format!("{:.1} ms", bare.as_secs_f64() * 1e3));
            println!("{name:24} {inside:>12} {:10} {decided:>10} {bare:>10} {ratio:6.1}", policy.name());
        }
    }
}
