//! Certificates: for local use a CA and a serving certificate in one folder, in a cluster a CA that is kept in a Secret.
//!
//! `certs` makes them in the folder that is named, `serve` makes and renews them in `certs/` when no others are named. The CA is
//! kept apart from the serving certificate so that a client goes on trusting the folder when only the latter is new.
//! `serve --manage-certs` goes by `stored_ca`: the CA that the Secret holds, and the one after it.

mod authority;
mod folder;
mod local;
mod names;
mod own_client;
pub(crate) mod pem;
mod serving;
mod store;
mod stored_ca;
mod validity;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use folder::Folder;
pub use local::{Local, ensure};
pub use names::Names;
pub(crate) use own_client::OwnClient;
pub(crate) use serving::ServingCertificate;
pub use stored_ca::Lifetimes;
pub(crate) use stored_ca::StoredCa;
pub use validity::{Expiry, Validity, ValidityError};

/// The reason why certificates could not be made or read; the message names the file or the name to mend.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A key or certificate is there already.
    #[error("{} exists already; remove it, name another folder, or give --force to replace the whole folder", .0.display())]
    Exists(PathBuf),
    /// One file of a pair is missing.
    #[error("{} is missing, but {} is there; put it back, or make both anew with `pytorchjob-guard certs --force {}`", .missing.display(), .present.display(), .missing.parent().unwrap_or(Path::new(".")).display())]
    HalfPair {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        present: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: cannot be {action}: {source}", .path.display())]
    File {
        /// `read` or `written`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file holds no certificate or key that can be read.
    #[error("{}: {problem}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A name that cannot stand in a certificate.
    #[error("--dns-name {name}: {problem}")]
    Name {
        /// The name as it was given.
        name: String,
        /// The problem.
        problem: &'static str,
    },
    /// The certificate could not be signed.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}
