//! Shared by tests of rotation: a folder as the kubelet mounts it, and updates that continue all the while.

use std::{
    fs,
    io::{self},
    os::unix::fs::symlink,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use rustls::pki_types::CertificateDer;
use support::{Serves as _, client::Tls, guard::Guard, until};

use crate::cluster::Job;

/// Calls the guard by that name as somebody who trusts these CAs; gives the certificate that a new connection is shown.
pub(crate) fn served(
    guard: &Guard,
    name: &str,
    trusted: &[CertificateDer<'static>],
) -> io::Result<CertificateDer<'static>> {
    let client = Tls::trusting_each(trusted.iter().cloned()).named(name).connect(guard.address())?;
    let chain = client.stream.conn.peer_certificates().unwrap_or_default();
    Ok(chain.first().expect("a server shows its certificate").clone().into_owned())
}

/// A folder as a Secret or a `ConfigMap` is mounted: its files lead through the link `..data`, which is replaced as a whole.
pub(crate) struct Mounted {
    pub(crate) folder: PathBuf,
}

impl Mounted {
    /// Mounts these files of `content`.
    pub(crate) fn new(folder: PathBuf, content: &Path, files: &[&str]) -> Self {
        fs::create_dir(&folder).expect("the folder can be made");
        for file in files {
            symlink(Path::new("..data").join(file), folder.join(file)).expect("a link can be made");
        }
        let mounted = Self { folder };
        mounted.swap(content);
        mounted
    }

    /// Puts others in their place.
    pub(crate) fn swap(&self, content: &Path) {
        let link = self.folder.join("..data_tmp");
        symlink(content, &link).expect("a link can be made");
        fs::rename(link, self.folder.join("..data")).expect("a link can be replaced");
    }
}

/// The updates that go on.
pub(crate) struct Load {
    stop: AtomicBool,
    rounds: AtomicUsize,
}

impl Load {
    /// Labels all jobs of the namespace again and again while `during` runs, and shows that no update fails.
    pub(crate) fn on(job: &Job, during: impl FnOnce(&Self)) {
        let load = Self { stop: AtomicBool::new(false), rounds: AtomicUsize::new(0) };
        thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| load.label_without_pause(job)));
            // Whatever comes of it, the load ends with it.
            let outcome = catch_unwind(AssertUnwindSafe(|| during(&load)));
            load.stop.store(true, Ordering::Relaxed);
            for thread in threads {
                thread.join().expect("no update fails");
            }
            outcome.unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    fn label_without_pause(&self, job: &Job) {
        while !self.stop.load(Ordering::Relaxed) {
            let label = format!("round={}", self.rounds.fetch_add(1, Ordering::Relaxed));
            job.kubectl(&["label", "pytorchjob", "--all", "--overwrite", &label]).accepted();
        }
    }

    /// Waits for one more round, all of it after this.
    pub(crate) fn another_round(&self) {
        let begun = self.rounds.load(Ordering::Relaxed);
        until("another round", || Ok((self.rounds.load(Ordering::Relaxed) > begun + 2).then_some(())))
            .expect("the load goes on");
    }
}
