//! `report`: who was, or would be, denied what, by the guard's log or the API server's audit log.

use std::{
    cell::Cell,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
    rc::Rc,
    time::Instant,
};

use flate2::bufread::MultiGzDecoder;

use super::{Ended, Exit, progress::Progress, say};
use crate::{
    cli::{ReportArgs, ReportOutput},
    denials::{self, Denial, ExemptionFor, Line, Report},
};

/// The longest line that is read: an audit event may hold a request and an answer, each of an API server's 3 MiB.
const LONGEST_LINE: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

/// The reason why there is no report.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error(
        "{}: no line is of the guard's log or of an audit log; the guard's needs --log-format json",
        file.display()
    )]
    NoLog { file: PathBuf },
    #[error(
        "--exemption {user}: no update of this user was denied or tolerated; without the option report lists the users"
    )]
    NoUpdate { user: String },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Exit 0: the logs were read, 2: one cannot be.
pub(super) fn run(args: &ReportArgs) -> Ended {
    report(args)?;
    Ok(Exit::Yes)
}

fn report(args: &ReportArgs) -> Result<(), ReportError> {
    let mut out = BufWriter::new(io::stdout().lock());
    if let Some(user) = &args.exemption {
        let mut exemption = ExemptionFor::new(user);
        read(&args.files, |denial| exemption.add(denial))?;
        if exemption.is_empty() {
            return Err(ReportError::NoUpdate { user: user.clone() });
        }
        write!(out, "{exemption}")?;
    } else {
        let mut report = Report::default();
        read(&args.files, |denial| report.add(denial))?;
        match args.output {
            ReportOutput::Text => denials::text(&report, &mut out)?,
            ReportOutput::Markdown => denials::markdown(&report, &mut out)?,
            ReportOutput::Json => denials::json(&report, &mut out)?,
        }
    }
    Ok(out.flush()?)
}

/// Reads the logs line by line.
fn read(files: &[PathBuf], mut each: impl FnMut(&Denial<'_>)) -> Result<(), ReportError> {
    let size = |file: &PathBuf| fs::metadata(file).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
    let total: Option<u64> = files.iter().map(size).sum();
    let template = if total.is_some() { "{bar:40} {bytes}/{total_bytes}, {eta} left" } else { "{bytes} read" };
    let progress = Progress::new(total, template, Instant::now());
    for file in files {
        let (known, unknown) =
            read_one(file, &progress, &mut each).map_err(|source| ReportError::Read { file: file.clone(), source })?;
        if known == 0 && unknown > 0 {
            progress.end();
            return Err(ReportError::NoLog { file: file.clone() });
        }
        if unknown > 0 {
            let note = format_args!("{}: {unknown} lines are of neither log, and were passed over", file.display());
            progress.bar.suspend(|| say(note));
        }
    }
    progress.end();
    Ok(())
}

/// Reads one log. Gives the number of its lines, and of lines that are of no log.
fn read_one(file: &Path, progress: &Progress, each: &mut impl FnMut(&Denial<'_>)) -> io::Result<(u64, u64)> {
    let bytes: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { bytes, taken: Rc::clone(&taken) };
    let mut plain = BufReader::with_capacity(BUFFER, counted);
    let is_gzip = plain.fill_buf()?.starts_with(b"\x1f\x8b");
    let mut lines: Box<dyn BufRead> =
        if is_gzip { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain))) } else { Box::new(plain) };
    let (mut known, mut unknown, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let length = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok((known, unknown));
        }
        progress.step(taken.take());
        if length as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            unknown += 1;
            lines.skip_until(b'\n')?;
            continue;
        }
        match Line::read(&line) {
            Line::Denials(denials) => {
                known += 1;
                denials.iter().for_each(&mut *each);
            }
            Line::Other => known += 1,
            Line::Unknown if line.trim_ascii().is_empty() => {}
            Line::Unknown => unknown += 1,
        }
    }
}

/// Counts the bytes that were read since somebody looked.
struct Counted {
    bytes: Box<dyn Read>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}
