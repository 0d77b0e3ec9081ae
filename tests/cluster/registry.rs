//! A registry of images on loopback.

use std::{net::SocketAddr, process::Command, sync::Arc};

use support::{
    free_address,
    programs::crane,
    session::{Process, Session},
    until,
};

/// It runs until it is dropped.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    _serving: Process,
}

impl Registry {
    pub(crate) fn start(session: &Arc<Session>) -> Self {
        let address = free_address().expect("an address");
        let mut serve = Command::new(crane().expect("crane"));
        serve.args(["registry", "serve", "--address", &address.to_string()]);
        let serving = session.spawn(session.folder().join("registry.log"), &mut serve).expect("it starts");
        until("the registry", || {
            serving.must_run()?;
            Ok(serving.output()?.contains("serving on port").then_some(()))
        })
        .expect("a registry");
        Self { address, _serving: serving }
    }
}
