//! `serve` beside a server that is the same hyper and rustls and answers a constant: the CPU time of each request, in
//! one run and under the same load. Then the time to ready and the memory.
//!
//! CPU time, not requests per second: with small reviews the load generator is the limit. Both servers run all the
//! time and are loaded in turns, so that what else the machine does hits both alike.

mod constant;
mod load;
mod process;
mod table;

use std::{
    ffi::OsString,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use load::Clients;
use process::Server;
use pytorchjob_guard::policy::{PATH, Policy};
use support::reviews::realistic::{Edit, review};
use table::{Row, median};
use tempfile::TempDir;

/// Turns of each server in each case.
const ROUNDS: usize = 25;
const TURN: Duration = Duration::from_millis(160);
/// Connections that each send one request after the other.
const CLIENTS: usize = 2;
const STARTS: usize = 15;
/// The load under which the memory is measured.
const CROWD: usize = 16;
const CROWD_TIME: Duration = Duration::from_secs(4);

const ALLOWED: &str = "\"allowed\":true";
const TEN: &str = "4KB/label of ten policies";

const SMALL: usize = 4 << 10;
const MEDIUM: usize = 30 << 10;
const LARGE: usize = 1 << 20;

struct Case {
    name: &'static str,
    bytes: usize,
    edit: Edit,
    /// The verdict that the answer must hold.
    allowed: bool,
    /// The most CPU time, in times that of the constant server.
    aim: f64,
}

const CASES: [Case; 6] = [
    Case { name: "4KB/label", bytes: SMALL, edit: Edit::Label, allowed: true, aim: 1.7 },
    Case { name: "4KB/ttl", bytes: SMALL, edit: Edit::Ttl, allowed: true, aim: 1.7 },
    Case { name: "4KB/image", bytes: SMALL, edit: Edit::Image, allowed: false, aim: 2.7 },
    Case { name: "30KB/label", bytes: MEDIUM, edit: Edit::Label, allowed: true, aim: 2.4 },
    Case { name: "30KB/ttl", bytes: MEDIUM, edit: Edit::Ttl, allowed: true, aim: 2.4 },
    Case { name: "1MB/label", bytes: LARGE, edit: Edit::Label, allowed: true, aim: 2.2 },
];

fn main() {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [hidden, dir] = args.as_slice()
        && hidden == constant::ARGUMENT
    {
        return constant::serve(Path::new(dir));
    }
    // As criterion's: `cargo test` runs it to see that it starts, `cargo bench` to measure.
    if args.iter().any(|arg| arg == "--bench") {
        let names: Vec<String> =
            args.iter().map(|arg| arg.to_string_lossy().into_owned()).filter(|arg| !arg.starts_with('-')).collect();
        measure(&|name| names.is_empty() || names.iter().any(|part| name.contains(part.as_str())));
    }
}

/// Measures what is wanted: all of it, unless the command line names a part.
fn measure(wanted: &dyn Fn(&str) -> bool) {
    let dir = TempDir::new().expect("a folder");
    process::make_certificates(dir.path());
    let cases: Vec<_> = CASES.iter().filter(|case| wanted(case.name)).collect();
    if !cases.is_empty() {
        println!("{}", table::HEAD);
        cpu(dir.path(), &cases);
        println!();
    }
    if wanted(TEN) {
        ten_policies(dir.path());
    }
    if wanted("ready") {
        time_to_ready(dir.path());
    }
    if wanted("resident") {
        memory(dir.path());
    }
}

fn cpu(dir: &Path, cases: &[&Case]) {
    let guard = Server::guard(dir, &[]);
    let constant = Server::constant(dir);
    for case in cases {
        let body = review(case.bytes, case.edit);
        let answer = if case.allowed { ALLOWED } else { "\"allowed\":false" };
        let ours = Clients::connect(CLIENTS, (guard.address, PATH), dir, &body, answer);
        let theirs = Clients::connect(CLIENTS, (constant.address, PATH), dir, &body, ALLOWED);
        println!("{}", in_turns(Row::new(case.name, case.aim), (&guard, ours), (&constant, theirs)));
    }
}

/// The last of ten policies beside the guard that serves one.
fn ten_policies(dir: &Path) {
    let policies: Vec<_> = (0..10).map(|number| dir.join(format!("policy-{number}.yaml"))).collect();
    let text = Policy::builtin_text("cci").expect("a policy");
    for (number, policy) in policies.iter().enumerate() {
        fs::write(policy, text.replace("name: cci", &format!("name: policy-{number}"))).expect("a file");
    }
    let (ten, one) = (Server::guard(dir, &policies), Server::guard(dir, &policies[9..]));
    let body = review(SMALL, Edit::Label);
    let ours = Clients::connect(CLIENTS, (ten.address, "/validate/policy-9"), dir, &body, ALLOWED);
    let theirs = Clients::connect(CLIENTS, (one.address, PATH), dir, &body, ALLOWED);
    println!(
        "{}\n{}\n",
        table::HEAD.replace("constant", "one"),
        in_turns(Row::new(TEN, 1.05), (&ten, ours), (&one, theirs))
    );
}

fn in_turns(mut row: Row, (one, mut ours): (&Server, Clients), (other, mut theirs): (&Server, Clients)) -> Row {
    for round in 0..=ROUNDS {
        let (ours, theirs) = if round % 2 == 0 {
            let ours = turn(one, &mut ours);
            (ours, turn(other, &mut theirs))
        } else {
            let theirs = turn(other, &mut theirs);
            (turn(one, &mut ours), theirs)
        };
        // The first warms up.
        if round > 0 {
            row.push(ours, theirs);
        }
    }
    row
}

/// The CPU time of one request, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "a turn has less than 2^52 nanoseconds and requests")]
fn turn(server: &Server, clients: &mut Clients) -> f64 {
    let before = server.cpu_nanoseconds();
    let requests = clients.ask_for(TURN);
    (server.cpu_nanoseconds() - before) as f64 / requests as f64 / 1e3
}

fn time_to_ready(dir: &Path) {
    let times = (0..STARTS)
        .map(|_| {
            let begun = Instant::now();
            let server = Server::guard(dir, &[]);
            server.await_ready();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    table::line("ready after exec, median", median(times), "ms", 50.0);
}

fn memory(dir: &Path) {
    let guard = Server::guard(dir, &[]);
    guard.await_ready();
    table::line("resident, idle after the start", guard.resident_mib("VmRSS"), "MiB", 12.0);
    let body = review(LARGE, Edit::Label);
    let mut crowd = Clients::connect(CROWD, (guard.address, PATH), dir, &body, ALLOWED);
    crowd.ask_for(CROWD_TIME);
    let most = format!("resident, at most while {CROWD} clients send 1 MB");
    table::line(&most, guard.resident_mib("VmHWM"), "MiB", 64.0);
    table::line("resident, idle after that, connections open", guard.resident_mib("VmRSS"), "MiB", f64::INFINITY);
    drop(crowd);
    guard.await_ready();
    table::line("resident, idle after that, connections closed", guard.resident_mib("VmRSS"), "MiB", f64::INFINITY);
}
