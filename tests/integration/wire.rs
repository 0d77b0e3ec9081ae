//! What goes over the wire: every protocol error of the contract beside its accepted twin, and peers that are slow,
//! cut off, too many, or not speaking TLS at all.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    sync::Arc,
};

use http_body_util::Full;
use hyper::{Request, body::Bytes};
use rustls::{ClientConnection, pki_types::ServerName};

use crate::support::{
    client::{Client, Client2, Tls, block_on, post, post_to, tcp},
    eventually,
    guard::{Guard, Start},
    reviews::{allowed, allowed_of, denied},
};

const TWENTY_MEGABYTES: usize = 20 << 20;

/// Asserts that the guard still answers a newcomer.
#[track_caller]
fn still_serves(guard: &Guard) {
    Client::to(guard).ask(&post(&allowed())).decides(true);
}

fn with_header(header: &str) -> Vec<u8> {
    let request = String::from_utf8(post(&allowed())).expect("text");
    request.replacen("content-type: application/json", header, 1).into_bytes()
}

#[test]
fn accepts_reviews_one_after_another_on_one_connection() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    for _ in 0..3 {
        client.ask(&post(&allowed())).decides(true);
        let refused = client.ask(&post(&denied()));
        refused.decides(false);
        assert_eq!(refused.header("connection"), None, "a connection that goes on says nothing");
    }
    client.ask(&post_to("/validate?timeout=5s", &allowed())).decides(true);
    guard.await_metric("connections_open", 1.0);
}

#[test]
fn accepts_requests_sent_at_once() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    client.send(&[post(&allowed()), post(&denied()), post(&allowed())].concat()).expect("the guard reads");
    for verdict in [true, false, true] {
        client.reply().expect("an answer each").decides(verdict);
    }
}

#[test]
fn accepts_a_body_in_chunks() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    let body = allowed();
    client
        .send(b"POST /validate HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .expect("the guard reads");
    for piece in body.as_bytes().chunks(97) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes()).expect("the guard reads");
        client.send(piece).expect("the guard reads");
        client.send(b"\r\n").expect("the guard reads");
    }
    client.ask(b"0\r\n\r\n").decides(true);
}

#[test]
fn accepts_a_request_whose_sender_then_closes_its_side() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    client.stream.conn.writer().write_all(&post(&allowed())).expect("room for a small request");
    client.stream.conn.send_close_notify();
    client.stream.flush().expect("the guard reads");
    client.stream.sock.shutdown(Shutdown::Write).expect("the connection is open");
    client.reply().expect("an answer").decides(true);
}

#[test]
fn rejects_another_path() {
    let guard = Guard::start();
    for path in ["/", "/validate/", "/Validate", "/metrics", "//validate"] {
        Client::to(&guard).ask(&post_to(path, &allowed())).refuses(404, "reviews go to /validate");
    }
    Client::to(&guard).ask(&post_to("/validate?x=/", &allowed())).decides(true);
}

#[test]
fn rejects_another_method() {
    let guard = Guard::start();
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let mut client = Client::to(&guard);
        let reply = client.ask(format!("{method} /validate HTTP/1.1\r\nhost: guard\r\n\r\n").as_bytes());
        reply.refuses(405, "POST");
        assert_eq!(reply.header("allow"), Some("POST"), "{reply:?}");
        client.ask(&post(&allowed())).decides(true);
    }
}

#[test]
fn rejects_another_content_type() {
    let guard = Guard::start();
    for header in [
        "content-type: text/plain",
        "content-type: application/jsonp",
        "content-type: application/json-patch+json",
        "content-type: application/yaml",
        "content-type: ",
        "x: y",
    ] {
        Client::to(&guard).ask(&with_header(header)).refuses(415, "application/json");
    }
    for header in [
        "content-type: application/json; charset=utf-8",
        "Content-Type: Application/JSON",
        "content-type:application/json ;a=b",
    ] {
        Client::to(&guard).ask(&with_header(header)).decides(true);
    }
}

#[test]
fn rejects_an_encoded_body() {
    let guard = Guard::start();
    for encoding in ["gzip", "br", "identity, gzip"] {
        let header = format!("content-type: application/json\r\ncontent-encoding: {encoding}");
        Client::to(&guard).ask(&with_header(&header)).refuses(415, "encoded");
    }
    Client::to(&guard).ask(&with_header("content-type: application/json\r\ncontent-encoding: identity")).decides(true);
}

#[test]
fn rejects_what_is_no_review() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    for body in ["", "{", "null", "[]", "{}", "nonsense", "{\"kind\":\"AdmissionReview\"}", "\u{0}\r\nx"] {
        let reply = client.ask(&post(body));
        reply.refuses(400, "");
        assert!(reply.body.len() > 1, "a reason for {body:?}");
    }
    // All on the same connection, which goes on.
    client.ask(&post(&allowed())).decides(true);
}

#[test]
fn rejects_a_body_over_the_limit_that_declares_its_length() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    client.send(&post(&"x".repeat(TWENTY_MEGABYTES))).expect("the guard lets the sender finish");
    let reply = client.reply().expect("the sender reads why");
    reply.refuses(413, "larger than 8388608 bytes");
    assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
    client.is_closed();
    still_serves(&guard);
}

#[test]
fn rejects_a_body_over_the_limit_before_any_of_it_is_sent() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    let head = b"POST /validate HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\n\
        content-length: 20000000\r\nexpect: 100-continue\r\n\r\n";
    client.ask(head).refuses(413, "larger than");
    still_serves(&guard);
}

#[test]
fn rejects_a_body_over_the_limit_that_comes_in_chunks() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    client
        .send(b"POST /validate HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .expect("the guard reads");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for _ in 0..20 {
        client.send(chunk.as_bytes()).expect("the guard lets the sender finish");
    }
    client.send(b"0\r\n\r\n").expect("the guard lets the sender finish");
    client.reply().expect("the sender reads why").refuses(413, "larger than");
    client.is_closed();
    still_serves(&guard);
}

#[test]
fn accepts_a_body_at_the_limit_and_not_a_byte_more() {
    let body = allowed_of(100_000);
    let guard = Guard::with(&["--max-body-bytes", &body.len().to_string()]);
    Client::to(&guard).ask(&post(&body)).decides(true);
    Client::to(&guard).ask(&post(&format!("{body} "))).refuses(413, "larger than");
}

#[test]
fn accepts_a_body_whose_sender_waits_to_be_told() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    let request = with_header("content-type: application/json\r\nexpect: 100-continue");
    let body_begins = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let told = client.ask(&request[..body_begins]);
    assert_eq!(told.code, 100, "{told:?}");
    client.ask(&request[body_begins..]).decides(true);
}

#[test]
fn accepts_large_bodies_from_many_at_once() {
    let guard = Guard::start();
    let request = post(&allowed_of(1 << 20));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::to(&guard);
                for _ in 0..2 {
                    client.ask(&request).decides(true);
                }
            });
        }
    });
    guard.await_metric("connections_open", 0.0);
    guard.await_metric("requests_in_flight", 0.0);
}

#[test]
fn keeps_one_body_apart_from_the_next() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    for bytes in [3 << 20, 1 << 20, 200_000, 1 << 20, 70_000, 10, 300_000] {
        client.ask(&post(&allowed_of(bytes))).decides(true);
        client.ask(&post(&format!("{}x", allowed_of(bytes)))).refuses(400, "");
    }
}

#[test]
fn rejects_a_body_that_does_not_come() {
    let guard = Guard::with(&["--body-timeout", "200ms"]);
    let mut client = Client::to(&guard);
    let request = post(&allowed());
    client.send(&request[..request.len() - 1]).expect("the guard reads");
    let reply = client.reply().expect("the sender reads why");
    reply.refuses(408, "not sent within 200 ms");
    assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
    still_serves(&guard);
}

#[test]
fn rejects_a_body_that_does_not_come_within_the_time_that_was_asked_for() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    let request = post_to("/validate?timeout=150ms", &allowed());
    client.send(&request[..request.len() - 1]).expect("the guard reads");
    client.reply().expect("the sender reads why").refuses(408, "not sent within 150 ms");
    Client::to(&guard).ask(&post_to("/validate?timeout=30s", &allowed())).decides(true);
}

#[test]
fn rejects_headers_that_do_not_end() {
    let guard = Guard::with(&["--header-timeout", "200ms"]);
    let mut client = Client::to(&guard);
    client.send(b"POST /validate HTTP/1.1\r\nhost: gu").expect("the guard reads");
    assert_eq!(client.reply().expect("the sender reads why").code, 408);
    client.is_closed();

    // And no less when an answer came before.
    let mut client = Client::to(&guard);
    client.ask(&post(&allowed())).decides(true);
    client.send(b"P").expect("the guard reads");
    assert_eq!(client.reply().expect("the sender reads why").code, 408);
    client.is_closed();
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn rejects_headers_that_are_too_large() {
    let guard = Guard::start();
    let mut client = Client::to(&guard);
    // Whether the last of it is still taken is a race that does not matter.
    let _ =
        client.send(format!("POST /validate HTTP/1.1\r\nhost: guard\r\nx: {}\r\n\r\n", "y".repeat(200_000)).as_bytes());
    assert_eq!(client.reply().expect("the sender reads why").code, 431);
    still_serves(&guard);
}

#[test]
fn rejects_what_is_no_http() {
    let guard = Guard::start();
    for bytes in
        [&b"nonsense\r\n\r\n"[..], b"\x00\x01\x02\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"]
    {
        let mut client = Client::to(&guard);
        assert_eq!(client.ask(bytes).code, 400, "{}", String::from_utf8_lossy(bytes));
        client.is_closed();
    }
    still_serves(&guard);
}

#[test]
fn closes_connections_that_lie_idle() {
    let guard = Guard::with(&["--idle-timeout", "200ms"]);
    let mut used = Client::to(&guard);
    used.ask(&post(&allowed())).decides(true);
    used.is_closed();
    let mut never_used = Client::to(&guard);
    never_used.is_closed();
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn gives_up_on_a_handshake_that_does_not_come() {
    let guard = Guard::with(&["--max-connections", "1", "--handshake-timeout", "200ms"]);
    let silent = tcp(guard.address()).expect("the guard listens");
    // The only place is taken; this one is served once the deadline has freed it.
    still_serves(&guard);
    guard.await_metric("handshake_failures_total{reason=\"timeout\"}", 1.0);
    drop(silent);
}

#[test]
fn accepts_no_more_connections_than_it_has_places() {
    let guard = Guard::with(&["--max-connections", "2"]);
    let (mut first, mut second) = (Client::to(&guard), Client::to(&guard));
    let waiting = std::thread::scope(|scope| {
        let third = scope.spawn(|| Client::to(&guard).ask(&post(&allowed())));
        // Those who have a place are served as ever, and nobody else.
        for _ in 0..3 {
            first.ask(&post(&allowed())).decides(true);
            second.ask(&post(&denied())).decides(false);
        }
        guard.await_metric("connections_open", 2.0);
        assert!(!third.is_finished(), "there was no place for it");
        drop(first);
        third.join().expect("it gets the place that became free")
    });
    waiting.decides(true);
}

#[test]
fn recovers_when_the_system_has_no_more_files() {
    let guard = Start::with_open_files(40).serve();
    let held: Vec<_> = (0..60).map(|_| tcp(guard.address()).expect("the system queues it")).collect();
    guard.await_log("cannot accept connections");
    drop(held);
    still_serves(&guard);
    assert!(guard.metric("accept_errors_total") >= 1.0);
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn makes_room_by_closing_idle_connections_early() {
    let guard = Guard::with(&["--max-connections", "1", "--idle-timeout", "1h", "--header-timeout", "200ms"]);
    let mut idle = Client::to(&guard);
    idle.ask(&post(&allowed())).decides(true);
    still_serves(&guard);
    idle.is_closed();
}

#[test]
fn rejects_requests_over_the_limit_of_those_in_flight() {
    let guard = Guard::with(&["--max-in-flight", "1"]);
    let request = post(&allowed());
    let mut slow = Client::to(&guard);
    slow.send(&request[..request.len() - 1]).expect("the guard reads");
    guard.await_metric("requests_in_flight", 1.0);

    let reply = Client::to(&guard).ask(&request);
    reply.refuses(503, "try again");
    assert_eq!(reply.header("retry-after"), Some("1"), "{reply:?}");

    slow.ask(&request[request.len() - 1..]).decides(true);
    still_serves(&guard);
    assert!(guard.metric("http_responses_total{code=\"503\"}") >= 1.0);
}

#[test]
fn tells_plain_http_to_use_https() {
    let guard = Guard::start();
    for request in [&post(&allowed())[..], b"GET / HTTP/1.1\r\nhost: guard\r\n\r\n"] {
        let mut plain = tcp(guard.address()).expect("the guard listens");
        plain.write_all(request).expect("the guard reads");
        let mut reply = String::new();
        plain.read_to_string(&mut reply).expect("the guard answers");
        assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
        assert!(reply.ends_with("\r\n\r\nthis port speaks HTTPS; use https://\n"), "{reply}");
    }
    guard.await_metric("handshake_failures_total{reason=\"plain_http\"}", 2.0);
    still_serves(&guard);
}

#[test]
fn survives_a_request_cut_anywhere() {
    let guard = Guard::start();
    let request = post(&allowed());
    let tls = Tls::trusting(&guard.ca());
    for end in (0..request.len()).step_by(7) {
        let mut client = tls.connect(guard.address()).expect("the guard shakes hands");
        client.send(&request[..end]).expect("the guard reads");
        if end % 2 == 0 {
            client.stream.sock.shutdown(Shutdown::Both).expect("the connection is open");
        }
    }
    still_serves(&guard);
    guard.await_metric("connections_open", 0.0);
    guard.await_metric("requests_in_flight", 0.0);
}

#[test]
fn survives_a_handshake_cut_anywhere() {
    let guard = Guard::start();
    let name = ServerName::IpAddress(guard.address().ip().into());
    let mut hello = Vec::new();
    let config = Arc::clone(&Tls::trusting(&guard.ca()).config());
    ClientConnection::new(config, name).expect("a connection").write_tls(&mut hello).expect("a vector takes it");
    for end in (0..hello.len()).step_by(11) {
        tcp(guard.address()).and_then(|mut peer| peer.write_all(&hello[..end])).expect("the guard listens");
        // The same length of what begins like TLS and goes on as nonsense.
        let nonsense: Vec<u8> = hello.iter().take(end).enumerate().map(|(i, b)| if i > 4 { !b } else { *b }).collect();
        tcp(guard.address()).and_then(|mut peer| peer.write_all(&nonsense)).expect("the guard listens");
    }
    still_serves(&guard);
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn forgets_connections_that_are_gone() {
    let guard = Guard::start();
    let tls = Tls::trusting(&guard.ca());
    for _ in 0..5 {
        let clients: Vec<Client> =
            (0..20).map(|_| tls.connect(guard.address()).expect("the guard shakes hands")).collect();
        guard.await_metric("connections_open", 20.0);
        drop(clients);
        guard.await_metric("connections_open", 0.0);
    }
    // The main thread, the workers, and the one that reads files: none for a connection.
    let threads = std::fs::read_dir(format!("/proc/{}/task", guard.id())).expect("the guard runs").count();
    assert!(threads <= 6, "{threads} threads");
}

#[test]
fn speaks_http2() {
    let guard = Guard::start();
    block_on(async {
        let mut client = Client2::to(&guard).await;
        for (body, verdict) in [
            (allowed(), "\"allowed\":true"),
            (denied(), "\"allowed\":false"),
            (allowed_of(1 << 20), "\"allowed\":true"),
        ] {
            let reply = client.post(body).await.expect("an answer");
            assert_eq!(reply.status(), 200, "{reply:?}");
            assert_eq!(reply.headers()["content-type"], "application/json");
            assert!(reply.body().contains(verdict), "{reply:?}");
        }
    });
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn rejects_over_http2_as_over_http1() {
    let guard = Guard::with(&["--body-timeout", "2s"]);
    block_on(async {
        let mut client = Client2::to(&guard).await;
        let request = |method: &str, path: &str, content_type: &str, body: String| {
            Request::builder()
                .method(method)
                .uri(format!("https://guard{path}"))
                .header("content-type", content_type)
                .body(Full::new(Bytes::from(body)))
                .expect("a request")
        };
        for (asked, code, reason) in [
            (request("POST", "/", "application/json", allowed()), 404, "reviews go to /validate"),
            (request("GET", "/validate", "application/json", String::new()), 405, "POST"),
            (request("POST", "/validate", "text/plain", allowed()), 415, "application/json"),
            (request("POST", "/validate", "application/json", "x".repeat(TWENTY_MEGABYTES)), 413, "larger than"),
            (request("POST", "/validate", "application/json", "{".to_owned()), 400, ""),
        ] {
            let reply = client.send(asked).await.expect("an answer");
            assert_eq!(reply.status(), code, "{reply:?}");
            assert_eq!(reply.headers()["content-type"], "text/plain; charset=utf-8");
            assert!(reply.body().contains(reason), "{reply:?}");
        }
        let reply = client.post(allowed()).await.expect("the connection goes on");
        assert_eq!(reply.status(), 200, "{reply:?}");
    });
}

#[test]
fn closes_idle_http2_connections_with_a_goodbye() {
    let guard = Guard::with(&["--idle-timeout", "200ms"]);
    block_on(async {
        let mut client = Client2::to(&guard).await;
        client.post(allowed()).await.expect("an answer");
        client.ended.await.expect("no panic").expect("the guard says goodbye");
    });
    eventually("the connection is gone", || guard.metric("connections_open") < 0.5);
}
