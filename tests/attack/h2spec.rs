//! The public suite of tests of HTTP/2.

use std::{collections::BTreeMap, fs, process::Command};

use quick_xml::{Reader, events::Event};
use support::{Serves as _, guard::Guard, programs};

/// The number of cases: more or fewer would be another suite than the one that was looked at.
const CASES: usize = 145;
/// The number of runs: races do not happen each time.
const RUNS: usize = 3;

/// Cases that fail where the answer to the request was on its way when the violation arrived.
///
/// The guard answers what it does not want (another path, another content type) before it has read a body. In these cases
/// h2spec begins such a request, goes on with what it must not send, and expects an error as the next frame; the next
/// frame may be the answer's. By then the stream is over, and what still comes on it is ignored, as RFC 9113 has it for
/// a while after the end (5.1).
const RACES: [(&str, &str); 7] = [
    ("http2/5.1", "closed: Sends a DATA frame after sending RST_STREAM frame"),
    ("http2/5.1", "closed: Sends a HEADERS frame after sending RST_STREAM frame"),
    (
        "http2/6.9.1",
        "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
    ),
    ("http2/8.1", "Sends a second HEADERS frame without the END_STREAM flag"),
    ("http2/8.1.2.1", "Sends a HEADERS frame that contains a pseudo-header field as trailers"),
    (
        "http2/8.1.2.6",
        "Sends a HEADERS frame with the \"content-length\" header field which does not equal the DATA frame payload length",
    ),
    (
        "http2/8.1.2.6",
        "Sends a HEADERS frame with the \"content-length\" header field which does not equal the sum of the multiple DATA \
         frames payload length",
    ),
];

/// The frames of an early answer, as h2spec names what came instead. The last one is `RST_STREAM` with `NO_ERROR`: it asks the
/// client to send no more of a body that the server does not read (RFC 9113, 8.1).
const OF_THE_ANSWER: [&str; 3] = ["DATA Frame", "HEADERS Frame", "RST_STREAM Frame"];

pub(crate) fn fails_only_where_an_answer_was_on_its_way() {
    let program = programs::h2spec().expect("h2spec can be built");
    let guard = Guard::start();
    for run in 1..=RUNS {
        let report = guard.path("report.xml");
        let output = Command::new(&program)
            .args(["--host=127.0.0.1", &format!("--port={}", guard.address().port()), "--tls", "--insecure"])
            .arg("--path=/validate")
            .arg(format!("--junit-report={}", report.display()))
            .output()
            .expect("h2spec runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let cases = cases(&fs::read_to_string(&report).expect("h2spec writes a report"));
        assert_eq!(cases.len(), CASES, "{said}");
        let failed: Vec<_> = cases.iter().filter_map(|(case, instead)| Some((case, instead.as_ref()?))).collect();
        eprintln!("h2spec, run {run}: {} of {CASES} cases passed, {} were races", CASES - failed.len(), failed.len());
        for ((section, case), instead) in failed {
            let is_race = RACES.contains(&(section.as_str(), case.as_str()))
                && OF_THE_ANSWER.iter().any(|frame| instead.starts_with(frame));
            assert!(is_race, "{section}: {case}: got {instead}\n{said}");
        }
    }
    support::still_serves(&guard);
}

/// The cases by section and title, each with what came instead of what was expected, if it failed.
fn cases(report: &str) -> BTreeMap<(String, String), Option<String>> {
    let mut reader = Reader::from_str(report);
    let (mut cases, mut case, mut text) = (BTreeMap::new(), None, String::new());
    loop {
        match reader.read_event().expect("the report is XML") {
            Event::Start(tag) if tag.name().as_ref() == "testcase" => {
                let attribute = |name: &str| {
                    let value = tag.try_get_attribute(name).expect("good attributes").expect("it is there").value;
                    quick_xml::escape::unescape(&value).expect("good escapes").into_owned()
                };
                case = Some((attribute("package"), attribute("classname")));
                cases.extend(case.clone().map(|case| (case, None)));
            }
            Event::Start(tag) if matches!(tag.name().as_ref(), "error" | "failure") => text.clear(),
            Event::Text(part) => text += &part,
            Event::End(tag) if matches!(tag.name().as_ref(), "error" | "failure") => {
                let instead = text.trim().lines().last().unwrap_or_default().to_owned();
                cases.extend(case.clone().map(|case| (case, Some(instead))));
            }
            Event::Eof => return cases,
            _ => {}
        }
    }
}
