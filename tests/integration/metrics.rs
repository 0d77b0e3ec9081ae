//! The metrics as Prometheus scrapes them.

use std::time::SystemTime;

use serde_json::json;
use support::{
    Serves as _,
    client::{Client, post},
    guard::Guard,
    reviews::{allowed, denied, update},
};

use crate::in_process::Server;

#[test]
fn counts_what_was_decided() {
    let guard = Server::start();
    let mut client = Client::to(&guard);
    for _ in 0..3 {
        client.ask(&post(&allowed())).decides(true);
    }
    client.ask(&post(&denied())).decides(false);
    let mut review = update(json!({ "a": 1, "b": 1 }), json!({ "a": 2, "b": 2 }));
    review["request"]["object"]["metadata"]["uid"] = json!("2");
    client.ask(&post(&review.to_string())).decides(false);
    client.ask(&post("{")).refuses(400, "");

    let updates = |result: &str| {
        guard.metric(&format!("decisions_total{{operation=\"UPDATE\",subresource=\"\",result=\"{result}\"}}"))
    };
    assert_eq!([updates("allowed"), updates("denied")].map(|count| count.to_string()), ["3", "2"]);
    assert_eq!(guard.metric("violations_total{field=\"spec\"}").to_string(), "3");
    assert_eq!(guard.metric("violations_total{field=\"metadata\"}").to_string(), "1");
    assert_eq!(guard.metric("decision_duration_seconds_count").to_string(), "5");
    assert_eq!(guard.metric("decision_duration_seconds_bucket{le=\"+Inf\"}").to_string(), "5");
    assert_eq!(guard.metric("http_responses_total{code=\"200\"}").to_string(), "5");
    assert_eq!(guard.metric("http_responses_total{code=\"400\"}").to_string(), "1");
    assert_eq!(guard.metric("connections_open").to_string(), "1");
    assert_eq!(guard.metric("requests_in_flight").to_string(), "0");
}

#[test]
fn counts_the_denials_of_dry_runs_apart() {
    let guard = Server::start();
    let mut client = Client::to(&guard);
    let mut review = update(json!({"a": 1}), json!({"a": 2}));
    for (dry_run, times) in [(true, 3), (false, 2)] {
        review["request"]["dryRun"] = json!(dry_run);
        for _ in 0..times {
            client.ask(&post(&review.to_string())).decides(false);
        }
    }
    // What is allowed is none.
    client.ask(&post(&allowed())).decides(true);
    let denials = |dry_run: &str| guard.metric(&format!("denials_total{{dry_run=\"{dry_run}\"}}")).to_string();
    assert_eq!([denials("true"), denials("false")], ["3", "2"]);
}

#[test]
fn makes_no_series_of_what_a_peer_makes_up() {
    let guard = Server::start();
    let mut client = Client::to(&guard);
    let series = |guard: &Server| guard.admin("/metrics").1.lines().filter(|line| !line.starts_with('#')).count();
    let ask = |client: &mut Client, n: usize| {
        let mut review = update(json!({}), json!({}));
        review["request"]["operation"] = json!(format!("OPERATION{n}"));
        review["request"]["subresource"] = json!(format!("subresource{n}"));
        review["request"]["object"][format!("field{n}")] = json!(1);
        let reply = client.ask(&post(&review.to_string()));
        assert_eq!(reply.code, 200, "{reply:?}");
        let mut review = update(json!({}), json!({}));
        review["request"]["object"][format!("field{n}")] = json!(1);
        client.ask(&post(&review.to_string())).decides(false);
    };
    ask(&mut client, 0);
    let before = series(&guard);
    for n in 1..20 {
        ask(&mut client, n);
    }
    assert_eq!(series(&guard), before, "{}", guard.admin("/metrics").1);
    assert_eq!(guard.metric("violations_total{field=\"other\"}").to_string(), "20");
}

#[test]
fn shows_all_there_is_from_the_start() {
    let guard = Server::start();
    let (code, page) = guard.admin("/metrics");
    assert_eq!(code, 200);
    for line in [
        "# TYPE pytorchjob_guard_decisions counter",
        "pytorchjob_guard_decisions_total{policy=\"cci\",operation=\"UPDATE\",subresource=\"\",result=\"denied\"} 0",
        "# TYPE pytorchjob_guard_decision_duration_seconds histogram",
        "pytorchjob_guard_violations_total{field=\"spec\"} 0",
        "pytorchjob_guard_http_responses_total{code=\"503\"} 0",
        "pytorchjob_guard_connections_open 0",
        "pytorchjob_guard_requests_open 0",
        "pytorchjob_guard_requests_in_flight 0",
        "pytorchjob_guard_buffered_bytes 0",
        "pytorchjob_guard_connections_closed_to_make_room_total{listener=\"webhook\",waiting_for=\"handshake\"} 0",
        "pytorchjob_guard_connections_closed_to_make_room_total{listener=\"admin\",waiting_for=\"head\"} 0",
        "pytorchjob_guard_handshake_failures_total{reason=\"tls\"} 0",
        "pytorchjob_guard_handshake_failures_total{reason=\"timeout\"} 0",
        "pytorchjob_guard_accept_errors_total 0",
        "pytorchjob_guard_certificate_reloads_total{result=\"success\"} 0",
        "pytorchjob_guard_certificate_reloads_total{result=\"refused\"} 0",
        "pytorchjob_guard_policy_reloads_total{result=\"success\"} 0",
        "pytorchjob_guard_policy_reloads_total{result=\"refused\"} 0",
        concat!("pytorchjob_guard_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# TYPE pytorchjob_guard_policy info",
        "pytorchjob_guard_denials_total{policy=\"cci\",dry_run=\"false\"} 0",
        "pytorchjob_guard_denials_total{policy=\"cci\",dry_run=\"true\"} 0",
        "# EOF",
    ] {
        assert!(page.lines().any(|there| there == line), "{line} is not in\n{page}");
    }
    for limit in ["connections\"} 512", "body_bytes\"} 8388608", "buffered_bytes\"} 33554432"] {
        assert!(page.contains(&format!("\npytorchjob_guard_limit{{limit=\"{limit}\n")), "{limit}: {page}");
    }
    assert!(page.contains("\npytorchjob_guard_policy_info{name=\"cci\",digest=\""), "{page}");
    assert!(guard.metric("certificate_expiry_timestamp_seconds") > 1.7e9, "{page}");
    for bound in ["0.000005", "1.0", "+Inf"] {
        assert!(page.contains(&format!("decision_duration_seconds_bucket{{le=\"{bound}\"}} 0")), "{page}");
    }
}

#[test]
fn the_process_has_the_metrics_that_every_process_has() {
    let guard = Guard::start();
    let page = guard.metrics();
    let value = |name: &str| -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().expect("a number")
    };
    let (resident, now) = (value("process_resident_memory_bytes"), SystemTime::now());
    assert!((1e6..1e9).contains(&resident), "{resident}");
    assert!(value("process_virtual_memory_bytes") >= resident);
    let (open, most) = (value("process_open_fds"), value("process_max_fds"));
    assert!((3.0..most).contains(&open), "{open} of {most}");
    let since =
        now.duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs_f64() - value("process_start_time_seconds");
    assert!((-2.0..300.0).contains(&since), "{since}");
    assert!(value("process_cpu_seconds_total") >= 0.0);
}
