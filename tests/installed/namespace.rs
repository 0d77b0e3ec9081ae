//! A network namespace of the test's own: pods have addresses in it, and nothing outside of it is reached or disturbed.
//!
//! This process replaces itself by `unshare`, which runs it anew. So there is one process all the while, and whoever
//! stops it stops the test.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

/// The variable that marks a process inside the namespace.
const INSIDE: &str = "PYTORCHJOB_GUARD_TEST_IS_INSIDE";

/// A network and mounts of our own. The user is root in there, and out here nothing more than before.
const UNSHARE: [&str; 6] = ["unshare", "--map-root-user", "--net", "--mount", "--propagation", "private"];

/// All that the tests do in there that could be forbidden, with what is needed to do it.
const REHEARSAL: &str = "ip link set lo up && ip address add 10.244.0.1/32 dev lo && unshare --mount mount -t tmpfs tmpfs /run && \
     setpriv --no-new-privs --bounding-set=-all true";

/// True if this process runs inside the namespace.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Goes inside: returns only where that is not possible, and then says why.
pub(crate) fn enter() -> io::Error {
    match rehearse() {
        Ok(()) => unshared().arg(env::current_exe().unwrap_or_default()).args(env::args_os().skip(1)).exec(),
        Err(error) => error,
    }
}

fn unshared() -> Command {
    let mut unshare = Command::new(UNSHARE[0]);
    unshare.args(&UNSHARE[1..]).env(INSIDE, "true");
    unshare
}

fn rehearse() -> io::Result<()> {
    let output = unshared()
        .args(["sh", "-c", REHEARSAL])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("cannot run unshare, which is in util-linux: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("no network namespace can be made here: {}", said.trim())))
}

/// Gives loopback these addresses.
pub(crate) fn add_addresses(addresses: impl IntoIterator<Item = std::net::Ipv4Addr>) -> io::Result<()> {
    let commands = addresses.into_iter().map(|address| format!("address add {address}/32 dev lo"));
    let commands: Vec<String> = std::iter::once("link set lo up".to_owned()).chain(commands).collect();
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        io::Write::write_all(&mut stdin, commands.join("\n").as_bytes())?;
    }
    if ip.wait()?.success() { Ok(()) } else { Err(io::Error::other("ip cannot give loopback addresses")) }
}
