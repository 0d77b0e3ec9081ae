//! Finds the suites that a command line names.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{file, load::Suite, problem::Problem};

/// Folders with other people's files.
const PASSED_OVER: [&str; 2] = ["target", "node_modules"];

/// The suites that can be run, and the problems of the others.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the paths, and in a folder by name.
    pub suites: Vec<Suite>,
    /// For each bad suite or unreadable file at least one.
    pub problems: Vec<Problem>,
}

/// Finds and loads the suites of these files and folders, each file once.
#[must_use]
pub fn find(paths: &[PathBuf]) -> Found {
    let mut search = Search::default();
    for path in paths {
        match fs::metadata(path) {
            _ if path == Path::new("-") => search.file(path, true),
            Ok(metadata) if metadata.is_dir() => search.folder(path),
            Ok(_) => search.file(path, true),
            Err(error) => search.unreadable(path, &error),
        }
    }
    search.found
}

#[derive(Default)]
struct Search {
    found: Found,
    /// The files seen already, by their canonical paths: links may lead in a circle.
    seen: HashSet<PathBuf>,
}

impl Search {
    fn folder(&mut self, path: &Path) {
        match self.entries(path) {
            Ok(entries) => {
                for entry in entries {
                    self.entry(&entry);
                }
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// The entries of a folder, sorted; none if it was read before.
    fn entries(&mut self, path: &Path) -> io::Result<Vec<PathBuf>> {
        if !self.seen.insert(path.canonicalize()?) {
            return Ok(Vec::new());
        }
        let mut entries = fs::read_dir(path)?
            .map(|entry| {
                let entry = entry?.path();
                // Of the folder one is in, names go without `./`.
                Ok(if path == Path::new(".") {
                    PathBuf::from(entry.strip_prefix(".").unwrap_or(&entry))
                } else {
                    entry
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn entry(&mut self, path: &Path) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // Hidden are also what an editor leaves, and the real folders of a mounted ConfigMap.
        if name.starts_with('.') {
            return;
        }
        let is_document =
            path.extension().and_then(OsStr::to_str).is_some_and(|end| ["yaml", "yml", "json"].contains(&end));
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if !PASSED_OVER.contains(&name) {
                    self.folder(path);
                }
            }
            Ok(metadata) if metadata.is_file() && is_document => self.file(path, false),
            Err(error) if is_document => self.unreadable(path, &error),
            Ok(_) | Err(_) => {}
        }
    }

    fn file(&mut self, path: &Path, named: bool) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.seen.insert(real) {
            let (suites, problems) = file::read(path, named, Suite::load);
            self.found.suites.extend(suites);
            self.found.problems.extend(problems);
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.found.problems.push(Problem::of_file(&path.display().to_string(), error));
    }
}
