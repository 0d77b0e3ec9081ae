//! A first suite, to go on from.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

const FILES: [(&str, &str); 2] =
    [("policy-test.yaml", include_str!("init/policy-test.yaml")), ("job.yaml", include_str!("init/job.yaml"))];

/// The reason why no first suite could be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file is there already.
    #[error("{0} is there already, and nothing was written; give --init another folder")]
    Exists(String),
    /// A file or folder cannot be written.
    #[error("{name}: {source}")]
    Write {
        /// The file or folder.
        name: String,
        /// The cause.
        source: io::Error,
    },
}

/// Writes a first suite of this built-in policy and its job into this folder, which is made where it is missing; gives their
/// paths.
pub fn init(folder: &Path, policy: &str) -> Result<Vec<PathBuf>, InitError> {
    let failed = |path: &Path, source| InitError::Write { name: path.display().to_string(), source };
    let paths: Vec<_> = FILES.iter().map(|(name, _)| folder.join(name)).collect();
    // Both or none.
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(InitError::Exists(there.display().to_string()));
    }
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    for (path, (_, text)) in paths.iter().zip(FILES) {
        File::create_new(path)
            .and_then(|mut file| file.write_all(of(policy, text).as_bytes()))
            .map_err(|source| failed(path, source))?;
    }
    Ok(paths)
}

/// The text for another policy than the default. The training operator's jobs have the TTL under `spec.runPolicy`.
fn of(policy: &str, text: &str) -> String {
    if policy == "cci" {
        return text.to_owned();
    }
    let text = text.replace("\npolicy: cci\n", &format!("\npolicy: {policy}\n"));
    text.replace("\n  ttlSecondsAfterFinished:", "\n  runPolicy:\n    ttlSecondsAfterFinished:")
}
