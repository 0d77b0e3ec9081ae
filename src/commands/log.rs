//! The log on standard error. A thread of its own writes it, so that no request waits for its reader.
//!
//! Lines that come close together are written together, and only a thread that sleeps is woken: to wake it for every
//! line, as `tracing-appender` does, costs as much as the decisions that the lines are about.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use tracing_subscriber::{
    filter::{LevelFilter, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::cli::LogFormat;

/// The most bytes that wait for a slow reader. Further lines are dropped and counted.
const MOST_WAITING: usize = 1 << 20;
/// The buffer that is kept from one write to the next, in bytes.
const ROOM_KEPT: usize = 64 << 10;
/// The time for which lines are gathered after a write.
const GATHERING: Duration = Duration::from_millis(5);
/// The time for which a stuck reader may keep the program from ending.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Logging, until it is dropped. Dropping it writes what is left.
pub(super) struct Logging(Lines);

/// The buffer of lines. Cloned handles share them.
#[derive(Clone, Default)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    /// The thread sleeps until it is called.
    asleep: bool,
    ending: bool,
    ended: bool,
}

impl Logging {
    /// Begins to log.
    pub(super) fn start(format: LogFormat) -> io::Result<Self> {
        let lines = Lines::default();
        let written = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || written.write_to(&mut io::stderr(), format))?;
        let logs =
            tracing_subscriber::fmt().with_writer(lines.clone()).with_max_level(LevelFilter::INFO).with_target(false);
        // Libraries log nothing: their errors come back as values, and are logged once.
        let ours = || filter_fn(|metadata| metadata.target().starts_with(env!("CARGO_CRATE_NAME")));
        match format {
            LogFormat::Text => logs.finish().with(ours()).init(),
            LogFormat::Json => logs.json().flatten_event(true).finish().with(ours()).init(),
        }
        Ok(Self(lines))
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.end(LAST_WORDS);
    }
}

impl Lines {
    fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if mem::take(&mut state.asleep) {
            self.0.changed.notify_all();
        }
    }

    /// Writes lines as they come, until the end is asked for.
    fn write_to(&self, reader: &mut impl Write, format: LogFormat) {
        let mut taken = Vec::new();
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() && state.lost == 0 && !state.ending {
                state.asleep = true;
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() && state.lost == 0 {
                state.ended = true;
                self.0.changed.notify_all();
                return;
            }
            mem::swap(&mut state.waiting, &mut taken);
            let lost = mem::take(&mut state.lost);
            let ending = state.ending;
            drop(state);
            // The reader of the log may be gone: that is no reason to stop answering.
            let _ = reader.write_all(&taken);
            if lost > 0 {
                let _ = reader.write_all(lost_lines(lost, SystemTime::now(), format).as_bytes());
            }
            taken.clear();
            taken.shrink_to(ROOM_KEPT);
            if !ending {
                thread::sleep(GATHERING);
            }
        }
    }

    /// Waits until all is written, but no longer than this.
    fn end(&self, patience: Duration) {
        let mut state = self.state();
        state.ending = true;
        state.asleep = false;
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(state, patience, |state| !state.ended));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can fail while the lock is held, so a poisoned one holds good lines all the same.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line that stands for lines that are lost, as the other lines are written.
fn lost_lines(lost: u64, now: SystemTime, format: LogFormat) -> String {
    let now = humantime::format_rfc3339_micros(now);
    let message = "log lines are lost: they were not read as fast as they came";
    match format {
        LogFormat::Text => format!("{now}  WARN {message} lost={lost}\n"),
        LogFormat::Json => {
            format!("{{\"timestamp\":\"{now}\",\"level\":\"WARN\",\"message\":\"{message}\",\"lost\":{lost}}}\n")
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that takes a write only when it is told to, and tells what it was.
    struct Slow {
        may_take: Receiver<()>,
        took: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.may_take.recv();
            let _ = self.took.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn waits_for_no_reader_and_says_what_it_lost() {
        let (take, may_take) = channel();
        let (took, taken) = channel();
        let lines = Lines::default();
        let written = lines.clone();
        let thread = thread::spawn(move || written.write_to(&mut Slow { may_take, took }, LogFormat::Json));

        // There is no reader yet.
        let line = [b'x'; 1023];
        for _ in 0..3 * MOST_WAITING / line.len() {
            lines.put(&line);
        }
        drop(take);
        lines.end(Duration::from_secs(10));
        thread.join().expect("it ends");
        let written: Vec<u8> = taken.iter().flatten().collect();
        let text = String::from_utf8(written).expect("text");
        let (kept, last) = text.split_once('{').expect("a line of JSON after what is kept");
        let kept = kept.len();
        assert!(kept <= 2 * MOST_WAITING, "{kept} bytes waited");
        let last: serde_json::Value = serde_json::from_str(&format!("{{{last}")).expect("a line of JSON");
        assert_eq!(last["level"], "WARN");
        let dropped = last["lost"].as_u64().and_then(|lost| usize::try_from(lost).ok()).expect("a number");
        assert_eq!(dropped + kept / line.len(), 3 * MOST_WAITING / line.len());
    }

    #[test]
    fn says_what_it_lost_as_the_other_lines_are_written() {
        let said = |format| lost_lines(7, SystemTime::UNIX_EPOCH, format);
        let json: serde_json::Value = serde_json::from_str(&said(LogFormat::Json)).expect("JSON");
        assert_eq!(json["timestamp"], "1970-01-01T00:00:00.000000Z");
        let message = "log lines are lost: they were not read as fast as they came";
        assert_eq!((&json["message"], &json["lost"]), (&message.into(), &7.into()));
        assert_eq!(said(LogFormat::Text), format!("1970-01-01T00:00:00.000000Z  WARN {message} lost=7\n"));
    }

    #[test]
    fn writes_what_is_left_at_its_end() {
        let (take, may_take) = channel();
        let (took, taken) = channel();
        drop(take);
        let lines = Lines::default();
        lines.put(b"a\n");
        lines.put(b"b\n");
        let written = lines.clone();
        let thread = thread::spawn(move || written.write_to(&mut Slow { may_take, took }, LogFormat::Json));
        lines.end(Duration::from_secs(10));
        thread.join().expect("it ends");
        assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), b"a\nb\n");
    }

    #[test]
    fn does_not_wait_for_a_stuck_reader_at_its_end() {
        let (take, may_take) = channel();
        let (took, _taken) = channel();
        let lines = Lines::default();
        lines.put(b"a\n");
        let written = lines.clone();
        let thread = thread::spawn(move || written.write_to(&mut Slow { may_take, took }, LogFormat::Json));
        lines.end(Duration::from_millis(10));
        drop(take);
        thread.join().expect("it ends");
    }
}
