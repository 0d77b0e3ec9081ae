//! The way from serving to stopped, and the signals that lead along it.

use std::{future::pending, io};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
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
pub struct Signals(mpsc::Receiver<Signal>);

/// A signal that asks the server to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, what the kubelet sends.
    Terminate,
    /// SIGINT, what Ctrl-C sends.
    Interrupt,
}

impl Signals {
    /// Those of this process. From here on they no longer end it by themselves. Needs a tokio runtime.
    pub fn install() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (sender, signals) = Self::channel();
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = terminate.recv() => Signal::Terminate,
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    // The runtime no longer delivers signals: there is nothing to wait for.
                    else => return,
                };
                if sender.send(signal).await.is_err() {
                    return;
                }
            }
        });
        Ok(signals)
    }

    /// Those that whoever holds the other end sends, for a server that shares its process.
    #[must_use]
    pub fn channel() -> (mpsc::Sender<Signal>, Self) {
        // The first stops the server, the second cuts that short.
        let (sender, receiver) = mpsc::channel(2);
        (sender, Self(receiver))
    }

    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            // Nobody will send one.
            None => pending().await,
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
