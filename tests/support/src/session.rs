//! Everything a run starts and writes, so that it can be stopped and removed whatever becomes of the run.
//!
//! Children are stopped and the folder is removed when their owners are dropped. A run that is killed drops nothing:
//! for it there is the reaper, a shell that waits for the end of its standard input, which comes when this process
//! is gone, in whatever way.

use std::{
    fs::{self, File},
    io::{self, PipeWriter, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tempfile::TempDir;

/// Reads `start PID` and `stop PID` until the end, then kills what was not stopped and removes the folder `$1`.
const REAPER: &str = r#"
running=
while read -r what pid; do
  case $what in
    start) running="$running $pid" ;;
    stop) rest=; for other in $running; do [ "$other" = "$pid" ] || rest="$rest $other"; done; running=$rest ;;
  esac
done
[ -z "$running" ] || kill -9 $running
until rm -rf "$1"; do sleep 1; done
"#;

/// A folder, and the processes that run in it.
#[derive(Debug)]
pub struct Session {
    folder: Option<TempDir>,
    reaper: Child,
    orders: Mutex<Option<ChildStdin>>,
    folders: AtomicUsize,
}

impl Session {
    /// Makes the folder and starts the reaper.
    pub fn start() -> io::Result<Arc<Self>> {
        let folder = tempfile::Builder::new().prefix("pytorchjob-guard-").tempdir()?;
        let mut reaper = Command::new("sh")
            .args(["-c", REAPER, "reaper"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is for us, not for it.
            .process_group(0)
            .spawn()?;
        let orders = Mutex::new(reaper.stdin.take());
        Ok(Arc::new(Self { folder: Some(folder), reaper, orders, folders: AtomicUsize::default() }))
    }

    /// The session's folder.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder is there until drop").path()
    }

    /// A new folder in it.
    pub fn fresh_folder(&self) -> io::Result<PathBuf> {
        let folder = self.folder().join(format!("folder-{}", self.folders.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).map(|()| folder)
    }

    /// Starts a program whose output goes to a log file, and which does not outlive this process.
    pub fn spawn(self: &Arc<Self>, log: PathBuf, command: &mut Command) -> io::Result<Process> {
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        self.start_in_group(Some(log), command)
    }

    /// Starts a program whose standard error goes into a pipe, and which does not outlive this process.
    pub fn spawn_into(self: &Arc<Self>, stderr: PipeWriter, command: &mut Command) -> io::Result<Process> {
        command.stdout(Stdio::null()).stderr(stderr);
        self.start_in_group(None, command)
    }

    fn start_in_group(self: &Arc<Self>, log: Option<PathBuf>, command: &mut Command) -> io::Result<Process> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", command.get_program().display())))?;
        let name = command.get_program().into();
        let process = Process { name, id: child.id(), child: Mutex::new(child), log, session: Arc::clone(self) };
        self.tell_reaper("start", process.id)?;
        Ok(process)
    }

    fn tell_reaper(&self, what: &str, pid: u32) -> io::Result<()> {
        let mut orders = self.orders.lock().map_err(|error| io::Error::other(error.to_string()))?;
        orders.as_mut().map_or(Ok(()), |orders| writeln!(orders, "{what} {pid}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nothing can be done here about a failure; the reaper tries the folder once more.
        let _ = self.folder.take().map(TempDir::close);
        if let Ok(orders) = self.orders.get_mut() {
            *orders = None;
        }
        let _ = self.reaper.wait();
    }
}

/// A running program; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: PathBuf,
    id: u32,
    child: Mutex<Child>,
    log: Option<PathBuf>,
    session: Arc<Session>,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The contents of its log file.
    pub fn output(&self) -> io::Result<String> {
        let read = |log| fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        self.log.as_ref().map_or_else(|| Ok(String::new()), read)
    }

    /// Sends it a signal, named as `kill` names it. A process that has ended gets none.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        // Until it is waited for, its number cannot be another's.
        if !self.is_running() {
            return Ok(());
        }
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -\"$1\" \"$2\"", "kill", name]).arg(self.id.to_string());
        if kill.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("cannot send {name}"))) }
    }

    /// Its exit status, if it is no longer running.
    pub fn ending(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// True if it has not ended.
    pub fn is_running(&self) -> bool {
        matches!(self.ending(), Ok(None))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error with the end of its log, if it is no longer running.
    pub fn must_run(&self) -> io::Result<()> {
        let Some(status) = self.ending()? else { return Ok(()) };
        let output = self.output()?;
        let lines: Vec<&str> = output.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        Err(io::Error::other(format!("{} ended with {status}:\n{last}", self.name.display())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended by itself cannot be killed, which is as good.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
        let _ = self.session.tell_reaper("stop", self.id);
    }
}
