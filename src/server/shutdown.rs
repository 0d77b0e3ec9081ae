//! The way from serving to stopped, and the signals that lead along it.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The phase of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// All is well.
    Serving,
    /// Asked to stop: not ready any more, but still answering while the world learns of it.
    Draining,
    /// The listener is closed; what is in flight may finish.
    Closing,
}

/// Waits until the server is at least this far along. A server that is gone is as far as can be.
pub(super) async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    // The error says that the sender is gone, and with it the server.
    let _ = phases.wait_for(|now| *now >= phase).await;
}

/// The signals that ask the server to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

/// A signal that asks the server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, what the kubelet sends.
    Terminate,
    /// SIGINT, what Ctrl-C sends.
    Interrupt,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            // The runtime no longer delivers signals: there is nothing to wait for.
            else => std::future::pending().await,
        }
    }
}

impl Signal {
    /// Its name, as logs and probes give it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a process that it ended, by the shells' custom: 128 and its number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
        }
    }
}
