//! Shared by the tests and the benchmarks: the guard as a child process, clients that speak to it, certificates and
//! reviews to send, a control plane to register it with, and readers of what the project ships.

pub mod cert_manager;
pub mod client;
pub mod control_plane;
pub mod frames;
pub mod guard;
pub mod http;
pub mod kueue;
pub mod metrics;
pub mod monitoring;
pub mod operator;
pub mod pages;
pub mod pki;
pub mod programs;
pub mod registration;
pub mod reviews;
mod serves;
pub mod session;

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;

pub use serves::Serves;

/// The interval at which a condition is checked again.
const POLL: Duration = Duration::from_millis(10);
/// A deadline far beyond what anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is two folders down")
}

/// The folder where cargo builds.
pub fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The job in the documentation of the API, as a user would create it.
pub fn example_job() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../examples/pytorch-test.json")).expect("the example is JSON")
}

/// Runs a program that must succeed, and returns what it printed.
fn succeeds(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Waits until `probe` has an answer. An error of the probe ends the wait at once.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
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

/// Waits until the condition holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // Not by `expect`: a panic must name the caller's line.
    if let Err(error) = until(what, || Ok(holds().then_some(()))) {
        panic!("{error}");
    }
}

/// Asserts that the guard answers a new client.
#[track_caller]
pub fn still_serves(guard: &impl Serves) {
    client::Client::to(guard).ask(&client::post(&reviews::allowed())).decides(true);
}

/// A test of a binary with a main of its own. Where one of these programs is missing it is ignored, but it fails in CI, where
/// nobody would see that it was left out.
pub fn trial(name: impl Into<String>, programs: &[&str], run: impl FnOnce() + Send + 'static) -> Trial {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let is_installed = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let missing = programs.iter().find(|program| !is_installed(program)).map(ToString::to_string);
    let Some(program) = missing else {
        return Trial::test(name, move || {
            run();
            Ok(())
        });
    };
    let kind = format!("no {program} here");
    let trial = Trial::test(name, move || Err(format!("{program} is not here: install it").into()));
    if env::var_os("CI").is_some() { trial } else { trial.with_kind(kind).with_ignored_flag(true) }
}

/// An address on loopback that a server can be told to listen on.
///
/// Its port is below those that the kernel gives to outgoing connections, one of which could take it meanwhile.
pub fn free_address() -> io::Result<SocketAddr> {
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    (0..1000_u16)
        .map(|attempt| 20_000 + RandomState::new().hash_one(attempt) % 10_000)
        .filter_map(|port| u16::try_from(port).ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(is_free)
        .ok_or_else(|| io::Error::other("no port from 20000 to 29999 is free"))
}
