//! The guard is taken away as the documentation says.

use crate::{arena::Arenas, load::Load, overlay::Overlay, tests};

tests![loses_no_update_while_it_is_uninstalled];

fn loses_no_update_while_it_is_uninstalled(arenas: &Arenas, overlay: Overlay) {
    let arena = arenas.with(overlay);
    arena.forget_installation();
    let ledger = Load::of_allowed(arena, |load| {
        arena.uninstall(overlay);
        load.another_round();
    });
    eprintln!("{overlay}, uninstalled: {}", ledger.summary());
    ledger.lost_no_update();
}
