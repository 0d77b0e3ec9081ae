//! A real control plane on this machine with the guard registered. The cluster tests and the playground share it.

mod control_plane;
mod guard;
mod kubernetes;
mod operator;
mod programs;
mod session;

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

pub(crate) use self::{
    control_plane::{ADMIN, ControlPlane, OPERATOR, OWN_GUARD, PERSON},
    guard::{Guard, Registration, make_certificates},
    operator::Operator,
    programs::{Programs, go_missing, h2spec, helm, judges, kubectl, python_client, training_operator, typed_client},
    session::{Process, Session},
};

/// The job in the documentation of the API, as a user would create it.
pub(crate) fn example_job() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../examples/pytorch-test.json")).expect("the example is JSON")
}

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(20);
/// When a condition is given up: far beyond what a slow machine needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `probe` has an answer; an error of the probe ends the waiting at once.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("gave up waiting for {what}")));
        }
        thread::sleep(POLL);
    }
}

/// An address on loopback that a server can be told to listen on.
///
/// Its port is below those that the kernel gives to outgoing connections, one of which could take it meanwhile.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    (0..1000_u16)
        .map(|attempt| 20_000 + RandomState::new().hash_one(attempt) % 10_000)
        .filter_map(|port| u16::try_from(port).ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(is_free)
        .ok_or_else(|| io::Error::other("no port from 20000 to 29999 is free"))
}
