//! Reads a file as text, up to a limit.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The reason why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// There are more bytes than this.
    #[error("larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
    /// It is not text. The place is that of the first byte that is not, from 1.
    #[error("not UTF-8 at line {line}, column {column}")]
    NotUtf8 {
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
}

/// All bytes of a file.
pub(crate) fn of_file(path: &Path, limit: u64) -> Result<Vec<u8>, ContentsError> {
    of(File::open(path)?, limit)
}

/// All bytes there are.
pub(crate) fn of(from: impl Read, limit: u64) -> Result<Vec<u8>, ContentsError> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ContentsError::TooLarge(limit)) } else { Ok(bytes) }
}

/// The bytes as text, without the byte order mark that editors on Windows put first.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, ContentsError> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            Err(ContentsError::NotUtf8 { line, column: String::from_utf8_lossy(last).chars().count() + 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_no_more_than_it_may() {
        assert_eq!(of(&b"12345"[..], 5).ok(), Some(b"12345".to_vec()));
        assert!(matches!(of(&b"12345"[..], 4), Err(ContentsError::TooLarge(4))));
        assert!(matches!(of_file(Path::new("/"), 4), Err(ContentsError::Read(_))));
    }

    #[test]
    fn tells_where_it_is_not_text() {
        assert_eq!(text(b"\xef\xbb\xbfa").ok(), Some("a"));
        let error = text("a\né\u{fffd}".as_bytes()).map(|_| ());
        assert!(error.is_ok());
        let error = text(b"a\n\xc3\xa9\xff").map_err(|error| error.to_string());
        assert_eq!(error, Err("not UTF-8 at line 2, column 2".to_owned()));
    }
}
