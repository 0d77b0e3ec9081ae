//! The source of a policy, `NAME|FILE`: for the command line, for suites, and for a server that reads it again.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use super::{ExemptUser, Policy, PolicyError, exempt_users};
use crate::{
    contents::{self, ContentsError},
    yaml::did_you_mean,
};

/// No policy that people read comes near this: what is larger is a mistake, like a device file.
const MAX_BYTES: u64 = 1 << 20;

/// The reason why a name or a file is no policy that can be used. Every message names it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is neither.
    #[error(
        "{name}: it is none of the built-in policies ({built_in}){hint}, and as a file it cannot be read: {source}",
        built_in = Policy::builtin_names().collect::<Vec<_>>().join(", "),
        hint = did_you_mean(name, &Policy::builtin_names().collect::<Vec<_>>())
    )]
    Nothing {
        /// The name that was looked up.
        name: String,
        /// The reason why there is no such file.
        source: io::Error,
    },
    /// The file holds no text.
    #[error("{}: {source}", file.display())]
    Contents {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: ContentsError,
    },
    /// Among several sources, one cannot be used. The text names it.
    #[error("{0}")]
    Unusable(String),
    /// The text is no policy.
    #[error("{name}: {source}")]
    Policy {
        /// The built-in policy's name, or the file's.
        name: String,
        /// The problem and its position.
        source: PolicyError,
    },
}

/// A policy's text, good or not.
#[derive(Debug)]
pub(crate) struct Source {
    /// The built-in policy's name, or the file's.
    pub(crate) name: String,
    pub(crate) text: Cow<'static, str>,
    /// None where it is built in.
    file: Option<PathBuf>,
}

impl Source {
    /// The identity of the source: a file's canonical path, or a built-in policy's name, which is no such path.
    pub(crate) fn id(&self) -> PathBuf {
        let Some(file) = &self.file else { return PathBuf::from(&self.name) };
        file.canonicalize().unwrap_or_else(|_| file.clone())
    }

    /// The built-in policy of that name, else the file of that name.
    pub(crate) fn find(name_or_file: &str) -> Result<Self, SourceError> {
        Self::find_beside(Path::new(""), name_or_file)
    }

    /// The built-in policy of that name, else the file of that name in this folder.
    pub(crate) fn find_beside(folder: &Path, name_or_file: &str) -> Result<Self, SourceError> {
        if let Some(source) = Self::built_in(name_or_file, &[]) {
            return Ok(source);
        }
        let file = folder.join(name_or_file);
        let bytes = read(&file).map_err(SourceError::may_have_meant_a_name)?;
        let text = text(&file, &bytes)?.to_owned();
        Ok(Self { name: file.display().to_string(), text: Cow::Owned(text), file: Some(file) })
    }

    /// The same with these users in place of those that exemptions of a built-in policy name.
    pub(crate) fn with_users(self, users: &[ExemptUser]) -> Result<Self, SourceError> {
        exempt_users::check(users, std::slice::from_ref(&self.name))?;
        Ok(Self::built_in(&self.name, users).unwrap_or(self))
    }

    /// The built-in policy of that name, with these users in place of those that its exemptions name.
    pub(super) fn built_in(name: &str, users: &[ExemptUser]) -> Option<Self> {
        let text = exempt_users::text_with(users, Policy::builtin_text(name)?);
        Some(Self { name: name.to_owned(), text, file: None })
    }

    /// The policy that the text is.
    pub(crate) fn policy(&self) -> Result<Policy, SourceError> {
        policy(&self.name, &self.text)
    }
}

impl SourceError {
    /// The error of a file that was given where a name could have been.
    pub(crate) fn may_have_meant_a_name(self) -> Self {
        match self {
            Self::Contents { file, source: ContentsError::Read(source) } => {
                Self::Nothing { name: file.display().to_string(), source }
            }
            other => other,
        }
    }
}

/// Reads a policy file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, SourceError> {
    contents::of_file(file, MAX_BYTES).map_err(|source| SourceError::Contents { file: file.to_owned(), source })
}

/// The policy that these contents of a file are.
pub(crate) fn of_file(file: &Path, contents: &[u8]) -> Result<Policy, SourceError> {
    policy(&file.display().to_string(), text(file, contents)?)
}

fn text<'c>(file: &Path, contents: &'c [u8]) -> Result<&'c str, SourceError> {
    contents::text(contents).map_err(|source| SourceError::Contents { file: file.to_owned(), source })
}

fn policy(name: &str, text: &str) -> Result<Policy, SourceError> {
    Policy::parse(text).map_err(|source| SourceError::Policy { name: name.to_owned(), source })
}
