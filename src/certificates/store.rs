//! Reading and writing the folder's files. No reader sees half a file, and no key is readable by others, not even
//! between its creation and a chmod.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::CertificateError;

/// The users who may read a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// Its owner: a key.
    Private,
    /// Everyone: a certificate.
    Public,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(failed("read", path))
}

/// Writes a file that must not exist yet.
pub(super) fn write_new(path: &Path, contents: &[u8], mode: Mode) -> Result<(), CertificateError> {
    let draft = draft(path, contents, mode)?;
    // A hard link fails where the name is taken, so a file that appeared meanwhile is not overwritten either.
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CertificateError::Exists(path.to_owned())),
        other => other.and(removed).map_err(failed("written", path)),
    }
}

/// Writes a file in place of the one that may be there.
pub(super) fn replace(path: &Path, contents: &[u8], mode: Mode) -> Result<(), CertificateError> {
    let draft = draft(path, contents, mode)?;
    fs::rename(&draft, path).map_err(failed("written", path))
}

/// Writes the contents to a new file beside the one they are meant for.
fn draft(path: &Path, contents: &[u8], mode: Mode) -> Result<PathBuf, CertificateError> {
    if let Some(dir) = path.parent() {
        make_dir(dir)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode.bits())
        .open(&draft)
        .and_then(|mut file: File| file.write_all(contents).and_then(|()| file.sync_all()));
    if let Err(error) = written {
        // Best effort: what stopped the write is what the user has to hear of.
        let _ = fs::remove_file(&draft);
        return Err(failed("written", path)(error));
    }
    Ok(draft)
}

/// Makes the folder, and has git leave out all that will be in it.
fn make_dir(dir: &Path) -> Result<(), CertificateError> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(failed("written", dir))?;
    let ignore = dir.join(".gitignore");
    fs::write(&ignore, "# Private keys are in here.\n*\n").map_err(failed("written", &ignore))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CertificateError {
    move |source| CertificateError::File { action, path: path.to_owned(), source }
}
