//! From the command line to the exit code: starting, logging, and stopping as Kubernetes stops a pod.

use std::net::TcpListener;

use serde_json::{Value, json};
use support::{
    Serves as _,
    client::{Client, Client2, Tls, block_on, post, tcp},
    eventually,
    guard::{Guard, Start, program},
    reviews::{allowed, denied, update},
};

#[test]
fn starts_without_any_option() {
    let guard = Guard::start();
    assert_ne!(guard.address().port(), 0, "the log names the real port");
    assert_ne!(guard.admin_address().port(), 0, "the log names the real port");
    Client::to(&guard).ask(&post(&allowed())).decides(true);
    assert_eq!(guard.admin("/livez"), (200, "ok\n".to_owned()));
    let (code, said) = guard.admin("/readyz");
    assert!(code == 200 && said.starts_with("ok\npolicy cci, digest ") && said.lines().count() == 2, "{said}");
    assert_eq!(guard.admin("/nothing").0, 404);
}

#[test]
fn logs_a_curl_line_that_works() {
    let guard = Guard::start();
    let line = guard.await_log("try it: ");
    let command = line.split_once("try it: ").expect("it was awaited").1;
    // The same words a shell would see, for the quotes hold no quotes.
    let body = command.split('\'').find(|part| part.starts_with('{')).expect("a body");
    let reply = Client::to(&guard).ask(&post(body));
    reply.decides(false);
    assert!(reply.body.contains("spec.nprocPerNode"), "{reply:?}");
    assert!(command.ends_with(&format!("https://{}/validate", guard.address())), "{command}");
    assert!(command.contains("--cacert certs/ca.crt -H 'content-type: application/json'"), "{command}");
}

#[test]
fn reads_every_option_from_the_environment_too() {
    let help = program().args(["serve", "--help"]).output().expect("the program starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let options: Vec<&str> = help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|option| !matches!(*option, "help" | "") && option.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    assert!(options.len() >= 16, "{options:?}");
    for option in options {
        let variable = format!("PYTORCHJOB_GUARD_{}", option.replace('-', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable} is not in the help of --{option}");
    }

    let guard = Start::new().env("PYTORCHJOB_GUARD_MAX_BODY_BYTES", "10").serve();
    Client::to(&guard).ask(&post(&allowed())).refuses(413, "larger than 10 bytes");
    let guard = Start::new().env("PYTORCHJOB_GUARD_MAX_BODY_BYTES", "10").args(&["--max-body-bytes", "100000"]).serve();
    Client::to(&guard).ask(&post(&allowed())).decides(true);
}

#[test]
fn refuses_to_start_and_names_what_to_mend() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("a port").to_string();
    for (args, named) in [
        (vec!["--listen", address.as_str()], format!("--listen {address}: ")),
        (vec!["--admin-listen", address.as_str()], format!("--admin-listen {address}: ")),
        (vec!["--policy", "no-such-policy"], "--policy no-such-policy: ".to_owned()),
        (vec!["--policy", "broken.yaml"], "--policy broken.yaml: ".to_owned()),
        (vec!["--tls-cert", "a.crt"], "--tls-key".to_owned()),
        (vec!["--tls-cert", "a.crt", "--tls-key", "a.key"], "a.crt: cannot be read".to_owned()),
        (vec!["--client-ca", "none.crt"], "none.crt: cannot be read".to_owned()),
        (vec!["--client-ca", "broken.yaml"], "broken.yaml: there is no PEM certificate in it".to_owned()),
        (vec!["--body-timeout", "0s"], "--body-timeout".to_owned()),
        (vec!["--body-timeout", "5"], "5s".to_owned()),
        (vec!["--max-buffered-bytes", "100"], "--max-buffered-bytes 100: expected at least twice".to_owned()),
        (vec!["--max-connections", "0"], "--max-connections".to_owned()),
    ] {
        let (code, said) = Start::new().file("broken.yaml", "- : - nonsense").args(&args).fail();
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(&named), "{named:?} is not in what {args:?} says: {said}");
    }
}

#[test]
fn keeps_serving_after_the_first_signal() {
    for signal in ["TERM", "INT"] {
        let guard = Guard::with(&["--shutdown-delay", "1h"]);
        let mut before = Client::to(&guard);
        before.ask(&post(&allowed())).decides(true);
        guard.signal(signal);
        guard.await_log("not ready any more");

        let (code, reason) = guard.admin("/readyz");
        assert_eq!(code, 503);
        assert!(reason.contains("shutting down"), "{reason}");
        assert_eq!(guard.admin("/livez").0, 200, "it is alive and must not be killed for it");
        // Connections that were there, and new ones, are answered and told not to come back.
        let reply = before.ask(&post(&denied()));
        reply.decides(false);
        assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
        before.is_closed();
        let reply = Client::to(&guard).ask(&post(&allowed()));
        reply.decides(true);
        assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
        let reply = Client::to(&guard).ask(&post("{"));
        reply.refuses(400, "");
        assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
    }
}

#[test]
fn ends_well_after_the_delay() {
    for signal in ["TERM", "INT"] {
        let mut guard = Guard::with(&["--shutdown-delay", "100ms"]);
        Client::to(&guard).ask(&post(&allowed())).decides(true);
        guard.signal(signal);
        guard.await_log("not ready any more");
        guard.await_log("the listener is closed");
        assert_eq!(guard.wait().code(), Some(0));
        assert!(guard.log().ends_with("stopped"), "{}", guard.log());
        assert!(tcp(guard.address()).is_err(), "nobody gets in any more");
    }
}

#[test]
fn finishes_what_is_in_flight_after_the_listener_is_closed() {
    let mut guard = Guard::start();
    let request = post(&allowed());
    let mut slow = Client::to(&guard);
    let mut idle = Client::to(&guard);
    idle.ask(&request).decides(true);
    slow.send(&request[..request.len() - 1]).expect("the guard reads");
    guard.await_metric("requests_open", 1.0);
    guard.signal("TERM");
    guard.await_log("the listener is closed");
    idle.is_closed();
    eventually("nobody gets in any more", || tcp(guard.address()).is_err());

    let reply = slow.ask(&request[request.len() - 1..]);
    reply.decides(true);
    assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
    drop(slow);
    assert_eq!(guard.wait().code(), Some(0));
    assert!(guard.log().contains("stopped"), "{}", guard.log());
    assert!(!guard.log().contains("before all connections were done"), "{}", guard.log());
}

#[test]
fn answers_connections_accepted_before_the_listener_closed() {
    let mut guard = Guard::with(&["--drain-timeout", "1h"]);
    let tls = Tls::trusting(&guard.ca());
    // One that has not even begun its handshake, and one that has ended it.
    let bare = tcp(guard.address()).expect("the guard listens");
    let mut shaken = Client::to(&guard);
    guard.signal("TERM");
    guard.await_log("the listener is closed");
    eventually("nobody gets in any more", || tcp(guard.address()).is_err());

    let mut bare = tls.over(bare).expect("the guard shakes hands");
    for client in [&mut bare, &mut shaken] {
        let reply = client.ask(&post(&allowed()));
        reply.decides(true);
        assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
        client.is_closed();
    }
    drop((bare, shaken));
    assert_eq!(guard.wait().code(), Some(0));
    assert!(!guard.log().contains("before all connections were done"), "{}", guard.log());
}

#[test]
fn answers_the_accept_queue_of_a_closing_listener() {
    let mut guard = Guard::with(&["--drain-timeout", "1h"]);
    let tls = Tls::trusting(&guard.ca());
    // While the process is stopped, the system accepts connections for it.
    guard.signal("STOP");
    let waiting: Vec<_> = (0..100).map(|_| tcp(guard.address()).expect("the system accepts")).collect();
    guard.signal("TERM");
    guard.signal("CONT");
    for waiting in waiting {
        let mut client = tls.over(waiting).expect("the guard shakes hands");
        client.ask(&post(&allowed())).decides(true);
    }
    assert_eq!(guard.wait().code(), Some(0));
}

#[test]
fn answers_http2_connections_accepted_before_closing() {
    let mut guard = Guard::with(&["--drain-timeout", "1h"]);
    block_on(async {
        let mut client = Client2::to(&guard).await;
        guard.signal("TERM");
        guard.await_log("the listener is closed");
        assert_eq!(client.post(allowed()).await.expect("an answer").status(), 200);
        client.ended.await.expect("no panic").expect("the guard says goodbye");
    });
    assert_eq!(guard.wait().code(), Some(0));
}

#[test]
fn gives_up_on_what_is_in_flight_at_the_drain_timeout() {
    let mut guard = Guard::with(&["--drain-timeout", "100ms"]);
    let mut slow = Client::to(&guard);
    slow.send(&post(&allowed())[..50]).expect("the guard reads");
    let request = post(&allowed());
    let mut body = Client::to(&guard);
    body.send(&request[..request.len() - 1]).expect("the guard reads");
    guard.await_metric("requests_open", 1.0);
    guard.signal("TERM");
    assert_eq!(guard.wait().code(), Some(0));
    assert!(guard.log().contains("before all connections were done"), "{}", guard.log());
}

#[test]
fn ends_at_once_on_a_second_signal() {
    for (first, second, code) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        // During the delay.
        let mut guard = Guard::with(&["--shutdown-delay", "1h"]);
        guard.signal(first);
        guard.await_log("not ready any more");
        guard.signal(second);
        assert_eq!(guard.wait().code(), Some(code));

        // While it drains.
        let mut guard = Guard::with(&["--drain-timeout", "1h", "--body-timeout", "1h"]);
        let mut slow = Client::to(&guard);
        let request = post(&allowed());
        slow.send(&request[..request.len() - 1]).expect("the guard reads");
        guard.await_metric("requests_open", 1.0);
        guard.signal(first);
        guard.await_log("the listener is closed");
        guard.signal(second);
        assert_eq!(guard.wait().code(), Some(code));
    }
}

#[test]
fn says_goodbye_to_http2_connections_when_it_drains() {
    let mut guard = Guard::with(&["--shutdown-delay", "5s"]);
    block_on(async {
        let mut before = Client2::to(&guard).await;
        before.post(allowed()).await.expect("an answer");
        guard.signal("TERM");
        before.ended.await.expect("no panic").expect("the guard says goodbye");
        // Whoever comes during the delay is served, and goes with the listener.
        let mut late = Client2::to(&guard).await;
        assert_eq!(late.post(allowed()).await.expect("an answer").status(), 200);
        late.ended.await.expect("no panic").expect("the guard says goodbye");
    });
    assert_eq!(guard.wait().code(), Some(0));
}

#[test]
fn logs_one_line_for_a_denial_as_text() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    client.ask(&post(&allowed())).decides(true);
    client.ask(&post(&two_secrets().to_string())).decides(false);
    let line = guard.await_log("denied");
    for part in [
        "INFO denied",
        "uid=\"705ab4f5-6393-11e8-b7cc-42010a800002\"",
        "user=\"alice\"",
        "namespace=\"team-a\"",
        "name=\"train\"",
        "operation=\"UPDATE\"",
        "subresource=\"\"",
        "dry_run=false",
        "fields=\"spec.nprocPerNode,spec.token\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!guard.log().contains("swordfish"), "no value of an object is logged: {}", guard.log());
    assert_eq!(guard.log().matches("denied").count(), 1, "{}", guard.log());
}

#[test]
fn logs_one_line_for_a_denial_as_json() {
    let guard = Guard::with(&["--log-format", "json"]);
    let mut review = two_secrets();
    review["request"]["dryRun"] = json!(true);
    Client::to(&guard).ask(&post(&review.to_string())).decides(false);
    let line: Value = serde_json::from_str(&guard.await_log("\"denied\"")).expect("a line of JSON");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "denied");
    assert_eq!(line["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(line["user"], "alice");
    assert_eq!(line["namespace"], "team-a");
    assert_eq!(line["name"], "train");
    assert_eq!(line["operation"], "UPDATE");
    assert_eq!(line["dry_run"], true);
    assert_eq!(line["fields"], "spec.nprocPerNode,spec.token");
    for line in guard.log().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "every line is JSON: {line}");
    }
}

#[test]
fn logs_what_the_policy_does_not_list() {
    let guard = Guard::start();
    let mut review = two_secrets();
    review["request"]["resource"]["resource"] = json!("tfjobs");
    let mut client = Client::to(&guard);
    for _ in 0..20 {
        client.ask(&post(&review.to_string())).decides(true);
    }
    let line = guard.await_log("not applicable");
    assert!(line.contains("name=\"train\"") && line.contains("peer=127.0.0.1:") && line.contains("count=1"), "{line}");
    guard.await_metric("decisions_total{operation=\"UPDATE\",subresource=\"\",result=\"not_applicable\"}", 20.0);
    // Any peer can send reviews that API servers do not send: they do not fill the log.
    assert!(guard.log().matches("not applicable").count() <= 2, "{}", guard.log());
}

#[test]
fn lets_nobody_forge_a_log_line() {
    for (format, escaped) in [("text", "\\nINFO forged"), ("json", "\\nINFO forged")] {
        let guard = Guard::with(&["--log-format", format]);
        let mut review = two_secrets();
        review["request"]["userInfo"]["username"] = json!("eve\nINFO forged\u{1b}[31m");
        review["request"]["name"] = json!("x\"} forged");
        Client::to(&guard).ask(&post(&review.to_string())).decides(false);
        let line = guard.await_log("denied");
        assert!(line.contains(escaped), "{line}");
        assert!(!guard.log().contains('\u{1b}'), "{line}");
        assert!(!guard.log().lines().any(|line| line.starts_with("INFO forged")), "{}", guard.log());
    }
}

#[test]
fn goes_on_when_nobody_reads_its_log() {
    let guard = Start::new().piped().serve();
    let mut client = Client::to(&guard);
    guard.stop_reading_its_log();
    client.ask(&post(&denied())).decides(false);
    guard.await_closed_log();
    for _ in 0..3 {
        client.ask(&post(&denied())).decides(false);
    }
}

#[test]
fn goes_on_when_its_log_is_stuck() {
    let guard = Start::new().piped().serve();
    let mut client = Client::to(&guard);
    guard.leave_its_log(true);
    // More than a pipe holds.
    for _ in 0..800 {
        client.ask(&post(&denied())).decides(false);
    }
    guard.leave_its_log(false);
    eventually("every line is there", || guard.log().matches("denied").count() == 800);
}

/// A denied update of two fields that hold what nobody should read in a log.
fn two_secrets() -> Value {
    update(
        json!({ "nprocPerNode": "swordfish-1", "token": "swordfish-2" }),
        json!({ "nprocPerNode": "swordfish-3", "token": "swordfish-4" }),
    )
}
