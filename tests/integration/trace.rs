//! A denial can be found from the trace of the request that it ended.

use serde_json::Value;
use support::{
    client::{Client, Client2, block_on, post},
    guard::Guard,
    reviews::{allowed, denied},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A denial of the job of this name, sent with these lines of headers.
fn denial(name: &str, headers: &str) -> Vec<u8> {
    let request = String::from_utf8(post(&denied().replace("\"train\"", &format!("{name:?}")))).expect("text");
    // The length of the name is that of the old one.
    request.replacen("host: guard\r\n", &format!("host: guard\r\n{headers}"), 1).into_bytes()
}

/// The line about the job of this name.
fn line(guard: &Guard, name: &str) -> Value {
    serde_json::from_str(&guard.await_log(&format!("\"name\":{name:?}"))).expect("a line of JSON")
}

#[test]
fn logs_the_trace_that_a_denial_belongs_to() {
    let guard = Guard::with(&["--log-format=json"]);
    let mut client = Client::to(&guard);
    client.ask(&denial("first", &format!("traceparent: 00-{TRACE}-{SPAN}-00\r\n"))).decides(false);
    // Without the header, on the same connection.
    client.ask(&denial("other", "")).decides(false);

    let first = line(&guard, "first");
    assert_eq!((&first["message"], &first["level"]), (&"denied".into(), &"INFO".into()), "{first}");
    assert_eq!((&first["trace_id"], &first["span_id"]), (&TRACE.into(), &SPAN.into()), "{first}");
    let other = line(&guard, "other");
    assert_eq!((other.get("trace_id"), other.get("span_id")), (None, None), "{other}");
    assert_eq!(other["message"], "denied", "{other}");
}

#[test]
fn logs_the_trace_in_the_text_format_and_over_http2() {
    let guard = Guard::start();
    block_on(async {
        let mut client = Client2::to(&guard).await;
        let request = hyper::Request::post("/validate")
            .header("content-type", "application/json")
            .header("traceparent", format!("00-{TRACE}-{SPAN}-01"))
            .body(http_body_util::Full::new(denied().into()))
            .expect("a request");
        assert_eq!(client.send(request).await.expect("an answer").status(), 200);
    });
    let line = guard.await_log("denied");
    assert!(line.contains(&format!(" trace_id=\"{TRACE}\" span_id=\"{SPAN}\"")), "{line}");
}

#[test]
fn answers_as_ever_where_the_trace_is_none() {
    let guard = Guard::with(&["--log-format=json"]);
    let mut client = Client::to(&guard);
    let good = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    for (name, headers) in [
        ("upper", format!("traceparent: 00-{}-{SPAN}-01\r\n", TRACE.to_uppercase())),
        ("zeros", format!("traceparent: 00-{}-{SPAN}-01\r\n", "0".repeat(32))),
        ("twice", good.repeat(2)),
        ("bytes", "traceparent: \u{fe}\u{ff}\r\n".to_owned()),
        ("empty", "traceparent:\r\n".to_owned()),
    ] {
        client.ask(&denial(name, &headers)).decides(false);
        let line = line(&guard, name);
        assert_eq!((line.get("trace_id"), line.get("span_id")), (None, None), "{line}");
    }
}

#[test]
fn logs_no_allowed_update_for_its_trace() {
    let guard = Guard::with(&["--log-format=json"]);
    let mut client = Client::to(&guard);
    let header = format!("host: guard\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n");
    let request = String::from_utf8(post(&allowed())).expect("text").replacen("host: guard\r\n", &header, 1);
    client.ask(request.as_bytes()).decides(true);
    client.ask(&denial("after", "")).decides(false);
    line(&guard, "after");
    assert!(!guard.log().contains(TRACE), "{}", guard.log());
}
