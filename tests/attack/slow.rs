//! `slowhttptest`, the public tool for slow clients (Debian has a package of that name).

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use support::{Serves as _, client::Tls, guard::Guard};

use crate::honest::Answers;

pub(crate) const PROGRAM: &str = "slowhttptest";

/// 600 connections, 300 more each second, for 20 seconds; its probe waits for 5.
const LOAD: [&str; 8] = ["-c", "600", "-r", "300", "-l", "20", "-p", "5"];

pub(crate) fn headers() {
    withstands("slow headers", &["-H", "-i", "2"]);
}

pub(crate) fn bodies() {
    withstands("slow bodies", &["-B", "-i", "2", "-s", "4096", "-f", "application/json"]);
}

pub(crate) fn reading() {
    withstands("slow reading", &["-X", "-n", "2", "-w", "8", "-y", "16", "-z", "5", "-k", "5"]);
}

fn withstands(what: &str, mode: &[&str]) {
    let guard = Guard::start();
    let mut regular = Tls::trusting(&guard.ca()).connect(guard.address()).expect("the guard shakes hands");
    let mut attack = Command::new(PROGRAM)
        .args(mode)
        .args(LOAD)
        .args(["-u", &format!("https://{}/validate", guard.address())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("slowhttptest starts");
    let mut stdout = attack.stdout.take().expect("a pipe");
    // It says a lot, and must not wait for us to read it.
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        stdout.read_to_end(&mut said).map(|_| String::from_utf8_lossy(&said).into_owned())
    });
    let mut answers = Answers::default();
    while attack.try_wait().expect("it is our child").is_none() {
        answers.one_more(&guard);
        regular.ask(&support::client::post(&support::reviews::allowed())).decides(true);
    }
    answers.tell(what, &guard);
    let said = said.join().expect("no panic there").expect("it was read");
    let available: Vec<&str> = said.lines().filter(|line| line.contains("service available")).collect();
    assert!(!available.is_empty(), "slowhttptest says whether the service was available:\n{said}");
    assert!(available.iter().all(|line| line.contains("YES")), "the service was available throughout:\n{said}");
}
