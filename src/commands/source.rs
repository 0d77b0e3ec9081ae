//! Where a policy comes from: `NAME|FILE`, for every subcommand that takes one.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read as _},
};

use crate::admission::{Policy, PolicyError};

/// No policy that people read comes near this: what is larger is a mistake, like a device file.
const MAX_BYTES: u64 = 1 << 20;

/// Why `--policy` names no policy that can be used.
#[derive(Debug, thiserror::Error)]
#[error("--policy {0}")]
pub(super) struct LoadError(#[from] SourceError);

/// Why a name or a file is no policy that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("{name}: there is no built-in policy of that name, and the file cannot be read: {source}")]
    Nothing { name: String, source: io::Error },
    #[error("{name}: {source}")]
    File { name: String, source: io::Error },
    #[error("{name}: {source}")]
    Content { name: String, source: ContentError },
    #[error("{name}: {source}")]
    Policy { name: String, source: PolicyError },
}

/// Why a file that can be read holds no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    #[error("larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
    #[error("not UTF-8 at line {line}, column {column}")]
    NotUtf8 { line: usize, column: usize },
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// A policy's text, good or not.
#[derive(Debug)]
pub(super) struct Source {
    /// The built-in policy's name, or the file's.
    pub(super) name: String,
    pub(super) text: Cow<'static, str>,
}

impl Source {
    /// The built-in policy of that name, else the file of that name.
    pub(super) fn find(name_or_file: &str) -> Result<Self, SourceError> {
        match Policy::builtin_text(name_or_file) {
            Some(text) => Ok(Self { name: name_or_file.to_owned(), text: Cow::Borrowed(text) }),
            None => Self::read(name_or_file).map_err(|error| match error {
                SourceError::File { name, source } => SourceError::Nothing { name, source },
                error => error,
            }),
        }
    }

    /// The file of that name, whatever the built-in policies are called: what a reload reads again.
    pub(super) fn read(file: &str) -> Result<Self, SourceError> {
        let name = || file.to_owned();
        match File::open(file).map_err(TextError::from).and_then(|file| text(file, MAX_BYTES)) {
            Ok(text) => Ok(Self { name: name(), text: Cow::Owned(text) }),
            Err(TextError::Read(source)) => Err(SourceError::File { name: name(), source }),
            Err(TextError::Content(source)) => Err(SourceError::Content { name: name(), source }),
        }
    }

    /// The policy that the text is.
    pub(super) fn policy(&self) -> Result<Policy, SourceError> {
        Policy::parse(&self.text).map_err(|source| SourceError::Policy { name: self.name.clone(), source })
    }
}

/// The built-in policy of that name, else the one in the file of that name.
pub(super) fn load(name_or_file: &str) -> Result<Policy, LoadError> {
    Ok(Source::find(name_or_file)?.policy()?)
}

/// All of `from`, without the byte order mark that editors on Windows put first.
pub(super) fn text(from: impl io::Read, max_bytes: u64) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    from.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ContentError::TooLarge(max_bytes).into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        ContentError::NotUtf8 { line, column: String::from_utf8_lossy(last).chars().count() + 1 }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
