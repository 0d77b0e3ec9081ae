//! The servers as child processes, gone with the value that stands for them, and what the system says of them.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::constant;

/// More than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A server that is running.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The address of the guard's probes.
    admin: Option<SocketAddr>,
}

/// Makes what both servers present and the clients trust.
pub(crate) fn make_certificates(dir: &Path) {
    let output = guard(dir).arg("certs").output().expect("the guard starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn guard(dir: &Path) -> Command {
    let mut command = support::guard::program();
    command.current_dir(dir);
    command
}

impl Server {
    /// The guard, with the certificates it finds in the folder, and with these policies or the default.
    pub(crate) fn guard(dir: &Path, policies: &[PathBuf]) -> Self {
        let mut command = guard(dir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shutdown-delay", "0s"]);
        command.args(policies.iter().flat_map(|policy| [OsStr::new("--policy"), policy.as_os_str()]));
        Self::start(command)
    }

    /// The constant server: this executable under another argument.
    pub(crate) fn constant(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this executable"));
        command.args([constant::ARGUMENT.as_ref(), dir.as_os_str()]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        // Standard input closes with this process, however it ends, which the constant server looks for.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = child.stderr.take().expect("its standard error is a pipe");
        let (lines, addresses) = mpsc::channel();
        thread::spawn(move || {
            // Read to the end: a server whose log nobody reads would wait.
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some(address) = field(&line, "address=") {
                    // Nobody waits for a second one.
                    let _ = lines.send((address, field(&line, "admin=")));
                }
            }
        });
        let mut server = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), admin: None };
        (server.address, server.admin) = addresses.recv_timeout(PATIENCE).expect("the server names its address");
        server
    }

    /// Waits until the guard says that it is ready.
    pub(crate) fn await_ready(&self) {
        let reply = support::http::get(self.admin.expect("a guard"), "/readyz").expect("the guard answers");
        assert_eq!(reply.code, 200, "{reply:?}");
    }

    /// The CPU time of all its threads so far.
    pub(crate) fn cpu_nanoseconds(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server runs");
        threads
            .map(|thread| {
                let path = thread.expect("a thread").path().join("schedstat");
                let line = fs::read_to_string(path).expect("the system counts CPU time");
                line.split(' ').next().and_then(|first| first.parse::<u64>().ok()).expect("a number")
            })
            .sum()
    }

    /// Its memory: `VmRSS` now, `VmHWM` at most so far.
    pub(crate) fn resident_mib(&self, which: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')).expect("its memory");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; it is reaped either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a field in a log line.
fn field(line: &str, name: &str) -> Option<SocketAddr> {
    line.split(' ').find_map(|word| word.strip_prefix(name))?.parse().ok()
}
