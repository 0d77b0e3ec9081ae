//! The guard as its users run it: a child process on free ports, stopped and reaped however the test ends.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, PipeReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock},
    thread,
};

use crate::{
    Serves, eventually,
    session::{Process, Session},
    until,
};

static PATH: OnceLock<PathBuf> = OnceLock::new();

/// The file of the program under test, which cargo builds before the tests.
pub fn path() -> &'static Path {
    PATH.get_or_init(|| {
        // Cargo names it while it runs a test. A test that is run by hand finds it two folders up, where cargo puts it.
        let beside =
            || env::current_exe().expect("this executable").ancestors().nth(2).map(|dir| dir.join("pytorchjob-guard"));
        let named = env::var_os("CARGO_BIN_EXE_pytorchjob-guard").map(PathBuf::from);
        named.or_else(beside).expect("a folder of programs")
    })
}

/// Makes this the program under test, unless one has been started.
pub fn set_path(path: PathBuf) {
    let _ = PATH.set(path);
}

/// The program under test, without anything of the tester's environment that would configure it.
pub fn program() -> Command {
    let mut command = Command::new(path());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PYTORCHJOB_GUARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program to its end in this folder.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    program().args(args).current_dir(dir).stdin(Stdio::null()).output().expect("the program starts")
}

/// Has the guard make certificates for loopback in `folder`.
pub fn make_certificates(folder: &Path) -> io::Result<()> {
    let output = program().arg("certs").arg(folder).args(["--dns-name", "localhost", "--ip", "127.0.0.1"]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("pytorchjob-guard certs failed: {said}")))
}

/// A guard that is running.
#[derive(Debug)]
pub struct Guard {
    process: Process,
    /// Its standard error, where that is no file.
    pipe: Option<Arc<Pipe>>,
    /// Its working directory.
    dir: PathBuf,
    /// The folder of its certificates, which it makes unless it is told another.
    certs: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
}

/// A guard that is yet to be started.
pub struct Start {
    command: Command,
    session: Arc<Session>,
    dir: PathBuf,
    certs: PathBuf,
    is_piped: bool,
}

impl Start {
    /// A guard with a session of its own, on free ports, with short shutdown times.
    pub fn new() -> Self {
        Self::by(program(), &Session::start().expect("a session"))
    }

    /// Likewise, in a session that others share, and with JSON in its log.
    pub fn within(session: &Arc<Session>) -> Self {
        Self::by(program(), session).args(&["--log-format=json"])
    }

    /// A guard with no more than this many open files.
    pub fn with_open_files(limit: u32) -> Self {
        Self::after(&format!("ulimit -n {limit}"))
    }

    /// A guard in the process of a shell that ran this before.
    pub fn after(preparation: &str) -> Self {
        let mut shell = Command::new("sh");
        let guard = program();
        shell.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")]).arg(guard.get_program());
        for (name, _) in guard.get_envs() {
            shell.env_remove(name);
        }
        Self::by(shell, &Session::start().expect("a session"))
    }

    fn by(mut command: Command, session: &Arc<Session>) -> Self {
        let dir = session.fresh_folder().expect("a folder");
        command
            .arg("serve")
            .current_dir(&dir)
            .env("PYTORCHJOB_GUARD_LISTEN", "127.0.0.1:0")
            .env("PYTORCHJOB_GUARD_ADMIN_LISTEN", "127.0.0.1:0")
            .env("PYTORCHJOB_GUARD_SHUTDOWN_DELAY", "0s")
            .stdin(Stdio::null());
        let certs = dir.join("certs");
        Self { command, session: Arc::clone(session), dir, certs, is_piped: false }
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Changes the command in any other way.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Serves reviews at this address.
    pub fn listen(self, address: SocketAddr) -> Self {
        self.env("PYTORCHJOB_GUARD_LISTEN", &address.to_string())
    }

    /// Presents the certificate in this folder.
    pub fn certs(mut self, certs: &Path) -> Self {
        certs.clone_into(&mut self.certs);
        self.command.arg("--tls-cert").arg(certs.join("tls.crt")).arg("--tls-key").arg(certs.join("tls.key"));
        self
    }

    /// Writes the log to a pipe instead of a file, so that a test can stop reading it.
    pub fn piped(mut self) -> Self {
        self.is_piped = true;
        self
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file into the guard's folder.
    pub fn file(self, name: &str, contents: &str) -> Self {
        let file = self.dir.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder is made");
        fs::write(file, contents).expect("a file is written");
        self
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn serve(self) -> Guard {
        self.try_serve().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts it and waits until it serves. An error tells the end of its log.
    pub fn try_serve(mut self) -> io::Result<Guard> {
        let (process, pipe) = if self.is_piped {
            let (reader, writer) = io::pipe()?;
            (self.session.spawn_into(writer, &mut self.command)?, Some(Pipe::read(reader)))
        } else {
            (self.session.spawn(self.dir.with_extension("log"), &mut self.command)?, None)
        };
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut guard = Guard { process, pipe, dir: self.dir, certs: self.certs, address: unknown, admin: unknown };
        (guard.address, guard.admin) = until("the guard", || {
            guard.process.must_run()?;
            Ok(whole_lines(&guard.raw_log()).find_map(|line| value(line, "address").zip(value(line, "admin"))))
        })?;
        Ok(guard)
    }

    /// Starts it where it cannot start, and returns its exit code and its log.
    pub fn fail(self) -> (Option<i32>, String) {
        self.fail_and(|| ())
    }

    /// Likewise, with a look at its folder after that.
    pub fn fail_and(mut self, look: impl FnOnce()) -> (Option<i32>, String) {
        let output = self.command.output().expect("the guard starts");
        look();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines of a log but for the last one, if that is half written.
fn whole_lines(log: &str) -> impl Iterator<Item = &str> {
    log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The address in a field of a log line of either format.
fn value(line: &str, field: &str) -> Option<SocketAddr> {
    let (_, after) =
        [format!(" {field}="), format!("\"{field}\":\"")].iter().find_map(|start| line.split_once(start.as_str()))?;
    let end = after.find([' ', '"', ',']).unwrap_or(after.len());
    after[..end].parse().ok()
}

impl Guard {
    /// A guard with local certificates and no options but free ports.
    #[track_caller]
    pub fn start() -> Self {
        Start::new().serve()
    }

    #[track_caller]
    pub fn with(args: &[&str]) -> Self {
        Start::new().args(args).serve()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The file of its log, unless that goes into a pipe.
    pub fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// The log so far, without the end of its last line.
    pub fn log(&self) -> String {
        let log = self.raw_log();
        log.strip_suffix('\n').map(str::to_owned).unwrap_or(log)
    }

    fn raw_log(&self) -> String {
        self.pipe.as_ref().map_or_else(|| self.process.output().expect("its log"), |pipe| pipe.lock().text.clone())
    }

    /// The first log line with this text, once there is one.
    #[track_caller]
    pub fn await_log(&self, text: &str) -> String {
        let mut found = None;
        let has_line = || {
            let has_ended = !self.process.is_running();
            let log = self.raw_log();
            found = whole_lines(&log).find(|line| line.contains(text)).map(str::to_owned);
            assert!(found.is_some() || !has_ended, "the guard ended without {text:?} in its log:\n{log}");
            found.is_some()
        };
        eventually(&format!("{text:?} is in the guard's log"), has_line);
        found.expect("it was found")
    }

    /// Closes the other end of its standard error once it has written one more line. Only where that is a pipe.
    pub fn stop_reading_its_log(&self) {
        self.pipe().lock().is_closing = true;
    }

    /// Leaves what it writes to standard error in the pipe, or reads on. Only where that is a pipe.
    pub fn leave_its_log(&self, stuck: bool) {
        self.pipe().lock().is_stuck = stuck;
        self.pipe().changed.notify_all();
    }

    /// Waits until the other end of its standard error is closed. Only where that is a pipe.
    #[track_caller]
    pub fn await_closed_log(&self) {
        eventually("its log is closed", || self.pipe().lock().has_ended);
    }

    fn pipe(&self) -> &Pipe {
        self.pipe.as_ref().expect("a guard that was started with `piped`")
    }

    /// The memory it holds, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory it ever held, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the guard runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal: `TERM` or `INT`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        assert!(self.process.is_running(), "the guard is gone already");
        self.process.signal(name).expect("the signal is sent");
    }

    /// Waits for its end, and for the last of its log.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the guard ended", || {
            status = self.process.ending().expect("the guard is our child");
            status.is_some()
        });
        if self.pipe.is_some() {
            self.await_closed_log();
        }
        status.expect("it ended")
    }
}

impl Serves for Guard {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    fn ca(&self) -> String {
        fs::read_to_string(self.certs.join("ca.crt")).expect("a CA in PEM")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.pipe.is_some() {
            self.leave_its_log(false);
        }
        if thread::panicking() {
            eprintln!("the guard's log:\n{}", self.log());
        }
    }
}

/// Standard error as a pipe, which a thread reads.
#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    text: String,
    has_ended: bool,
    /// True if the reader is to close the pipe.
    is_closing: bool,
    /// True if the reader is to leave what comes in the pipe.
    is_stuck: bool,
}

impl Pipe {
    fn read(reader: PipeReader) -> Arc<Self> {
        let pipe = Arc::new(Self::default());
        let writer = Arc::clone(&pipe);
        thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                let state = writer.changed.wait_while(writer.lock(), |state| state.is_stuck);
                let mut state = state.expect("no test panics with the log");
                state.text.extend([&line, "\n"]);
                if state.is_closing {
                    break;
                }
            }
            writer.lock().has_ended = true;
        });
        pipe
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().expect("no test panics with the log")
    }
}
