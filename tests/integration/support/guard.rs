//! The guard as its users run it: a child process on free ports, stopped and reaped however the test ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// The program under test, without anything of the tester's environment that would configure it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pytorchjob-guard"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYTORCHJOB_GUARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program to its end in this folder.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    program().args(args).current_dir(dir).stdin(Stdio::null()).output().expect("the program starts")
}

/// A guard that is running.
pub(crate) struct Guard {
    child: Child,
    log: Arc<Log>,
    /// Where it runs, and where its certificates are.
    dir: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

/// How a guard is started.
pub(crate) struct Start {
    command: Command,
    dir: TempDir,
}

/// What it wrote so far.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    grew: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    ended: bool,
    /// Nobody wants to read on.
    deaf: bool,
    /// Nobody reads for now.
    stuck: bool,
}

impl Start {
    /// With no more than this many open files.
    pub(crate) fn with_open_files(limit: u32) -> Self {
        Self::after(&format!("ulimit -n {limit}"))
    }

    /// As the process that ran this in a shell before.
    pub(crate) fn after(preparation: &str) -> Self {
        let mut shell = Command::new("sh");
        let guard = program();
        shell.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")]).arg(guard.get_program());
        for (name, _) in guard.get_envs() {
            shell.env_remove(name);
        }
        Self::by(shell)
    }

    /// In a folder of its own, on free ports, with short shutdown times.
    pub(crate) fn new() -> Self {
        Self::by(program())
    }

    fn by(mut command: Command) -> Self {
        let dir = TempDir::new().expect("a folder");
        command
            .arg("serve")
            .current_dir(dir.path())
            .env("PYTORCHJOB_GUARD_LISTEN", "127.0.0.1:0")
            .env("PYTORCHJOB_GUARD_ADMIN_LISTEN", "127.0.0.1:0")
            .env("PYTORCHJOB_GUARD_SHUTDOWN_DELAY", "0s")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self { command, dir }
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into the guard's folder.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        fs::write(self.dir.path().join(name), contents).expect("a file is written");
        self
    }

    /// Starts it and waits until it serves.
    pub(crate) fn serve(mut self) -> Guard {
        let mut child = self.command.spawn().expect("the guard starts");
        let stderr = child.stderr.take().expect("its standard error is a pipe");
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let state = writer.state.lock().expect("no test panics with the log");
                let mut state =
                    writer.grew.wait_while(state, |state| state.stuck).expect("no test panics with the log");
                state.lines.push(line);
                writer.grew.notify_all();
                if state.deaf {
                    break;
                }
            }
            writer.state.lock().expect("no test panics with the log").ended = true;
            writer.grew.notify_all();
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut guard = Guard { child, log, dir: self.dir, address: unknown, admin: unknown };
        let line = guard.await_log("admin");
        guard.address = value(&line, "address");
        guard.admin = value(&line, "admin");
        guard
    }

    /// Starts it where it cannot start, and returns its exit code and what it said.
    pub(crate) fn fail(self) -> (Option<i32>, String) {
        self.fail_and(|| ())
    }

    /// Likewise, with a look at its folder after that.
    pub(crate) fn fail_and(mut self, look: impl FnOnce()) -> (Option<i32>, String) {
        let output = self.command.output().expect("the guard starts");
        look();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The value of a field in a log line of either format.
fn value(line: &str, field: &str) -> SocketAddr {
    let after = [format!("{field}="), format!("\"{field}\":\"")]
        .iter()
        .find_map(|start| line.split_once(start.as_str()))
        .unwrap_or_else(|| panic!("no {field} in {line}"))
        .1;
    let end = after.find([' ', '"', ',']).unwrap_or(after.len());
    after[..end].parse().unwrap_or_else(|error| panic!("{field} in {line}: {error}"))
}

impl Guard {
    /// With local certificates and no options but free ports.
    pub(crate) fn start() -> Self {
        Start::new().serve()
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Start::new().args(args).serve()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The CA that its local certificate is from.
    pub(crate) fn ca(&self) -> String {
        fs::read_to_string(self.path("certs/ca.crt")).expect("the guard made a CA")
    }

    /// The first log line with this text, once there is one.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str) -> String {
        let mut state = self.log.state.lock().expect("no test panics with the log");
        loop {
            if let Some(line) = state.lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(!state.ended, "the guard ended without saying {text:?}:\n{}", state.lines.join("\n"));
            let (next, waited) = self.log.grew.wait_timeout(state, PATIENCE).expect("no test panics with the log");
            state = next;
            assert!(!waited.timed_out(), "waited in vain for {text:?}:\n{}", state.lines.join("\n"));
        }
    }

    /// All it wrote so far.
    pub(crate) fn log(&self) -> String {
        self.log.state.lock().expect("no test panics with the log").lines.join("\n")
    }

    /// Closes the other end of its standard error once it has written one more line.
    pub(crate) fn stop_reading_its_log(&self) {
        self.log.state.lock().expect("no test panics with the log").deaf = true;
    }

    /// Leaves what it writes to standard error where it is, or takes it again.
    pub(crate) fn leave_its_log(&self, stuck: bool) {
        self.log.state.lock().expect("no test panics with the log").stuck = stuck;
        self.log.grew.notify_all();
    }

    /// Whether the other end of its standard error is closed.
    #[track_caller]
    pub(crate) fn await_deaf(&self) {
        eventually("its log is closed", || self.log.state.lock().expect("no test panics with the log").ended);
    }

    /// Asks the admin port, and gives the status code and the body.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        self.try_admin(path).expect("the admin port answers")
    }

    pub(crate) fn try_admin(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: guard\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        code.zip(body).ok_or_else(|| std::io::Error::other(format!("no response: {text:?}")))
    }

    /// The value of a metric, named with its labels and without the prefix; 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (code, page) = self.admin("/metrics");
        assert_eq!(code, 200, "{page}");
        page.lines()
            .find_map(|line| line.strip_prefix("pytorchjob_guard_")?.strip_prefix(name)?.strip_prefix(' '))
            .map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub(crate) fn await_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} is {value}"), || (self.metric(name) - value).abs() < f64::EPSILON);
    }

    /// The memory it holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the guard runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM` or `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("a shell").success(), "the guard is gone already");
    }

    /// Waits for its end, and for the last of its log.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the guard ended", || {
            status = self.child.try_wait().expect("the guard is our child");
            status.is_some()
        });
        self.await_deaf();
        status.expect("it ended")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.leave_its_log(false);
        if thread::panicking() {
            eprintln!("the guard's log:\n{}", self.log());
        }
    }
}
