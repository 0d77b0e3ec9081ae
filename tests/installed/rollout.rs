//! A rolling restart of all replicas.

use crate::{
    arena::{Arenas, GUARD},
    load::Load,
    overlay::{Overlay, REPLICAS},
    tests,
};

tests![loses_no_update_in_a_rolling_restart];

fn loses_no_update_in_a_rolling_restart(arenas: &Arenas, overlay: Overlay) {
    let arena = arenas.with(overlay);
    let old: Vec<String> = arena.kubelet.pods().into_keys().collect();
    let before: f64 = arena.decisions().values().sum();
    let ledger = Load::on(arena, |load| {
        load.another_round();
        assert!(arena.decisions().values().sum::<f64>() > before, "the old replicas answer");
        arena.kubectl(&["rollout", "restart", "deployment", GUARD]);
        arena.await_rollout(REPLICAS);
        let new = arena.kubelet.pods();
        assert!(old.iter().all(|pod| !new.contains_key(pod)), "{new:?} replaced {old:?}");
        let before: f64 = arena.decisions().values().sum();
        load.another_round();
        assert!(arena.decisions().values().sum::<f64>() > before, "the new replicas answer");
    });
    eprintln!("{overlay}, a rolling restart: {}", ledger.summary());
    ledger.lost_nothing();
}
