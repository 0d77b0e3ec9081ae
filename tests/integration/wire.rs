//! The bytes on the wire: every protocol error beside its accepted twin.

use std::{io::Write as _, net::Shutdown, time::Duration};

use http_body_util::Full;
use hyper::{Request, body::Bytes};
use support::{
    Serves as _,
    client::{Client, Client2, block_on, post, post_to},
    eventually,
    reviews::{allowed, allowed_of, denied},
    still_serves,
};

use crate::in_process::Server;

const TWENTY_MEGABYTES: usize = 20 << 20;

fn with_header(header: &str) -> Vec<u8> {
    let request = String::from_utf8(post(&allowed())).expect("text");
    request.replacen("content-type: application/json", header, 1).into_bytes()
}

#[test]
fn accepts_reviews_one_after_another_on_one_connection() {
    let guard = Server::start();
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
    let guard = Server::start();
    let mut client = Client::to(&guard);
    client.send(&[post(&allowed()), post(&denied()), post(&allowed())].concat()).expect("the guard reads");
    for verdict in [true, false, true] {
        client.reply().expect("an answer each").decides(verdict);
    }
}

#[test]
fn accepts_a_body_in_chunks() {
    let guard = Server::start();
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
    let guard = Server::start();
    let mut client = Client::to(&guard);
    client.stream.conn.writer().write_all(&post(&allowed())).expect("room for a small request");
    client.stream.conn.send_close_notify();
    client.stream.flush().expect("the guard reads");
    client.stream.sock.shutdown(Shutdown::Write).expect("the connection is open");
    client.reply().expect("an answer").decides(true);
}

#[test]
fn rejects_another_path() {
    let guard = Server::start();
    for path in ["/", "/validate/", "/Validate", "/metrics", "//validate"] {
        Client::to(&guard).ask(&post_to(path, &allowed())).refuses(404, "reviews go to /validate");
    }
    Client::to(&guard).ask(&post_to("/validate?x=/", &allowed())).decides(true);
}

#[test]
fn rejects_another_method() {
    let guard = Server::start();
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
    let guard = Server::start();
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
    let guard = Server::start();
    for encoding in ["gzip", "br", "identity, gzip"] {
        let header = format!("content-type: application/json\r\ncontent-encoding: {encoding}");
        Client::to(&guard).ask(&with_header(&header)).refuses(415, "encoded");
    }
    Client::to(&guard).ask(&with_header("content-type: application/json\r\ncontent-encoding: identity")).decides(true);
}

#[test]
fn rejects_what_is_no_review() {
    let guard = Server::start();
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
    let guard = Server::start();
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
    let guard = Server::start();
    let mut client = Client::to(&guard);
    let head = b"POST /validate HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\n\
        content-length: 20000000\r\nexpect: 100-continue\r\n\r\n";
    client.ask(head).refuses(413, "larger than");
    still_serves(&guard);
}

#[test]
fn rejects_a_body_over_the_limit_that_comes_in_chunks() {
    let guard = Server::start();
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
    let guard = Server::with(|config| config.limits.body_bytes = body.len());
    Client::to(&guard).ask(&post(&body)).decides(true);
    Client::to(&guard).ask(&post(&format!("{body} "))).refuses(413, "larger than");
}

#[test]
fn accepts_a_body_whose_sender_waits_to_be_told() {
    let guard = Server::start();
    let mut client = Client::to(&guard);
    let request = with_header("content-type: application/json\r\nexpect: 100-continue");
    let body_begins = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let told = client.ask(&request[..body_begins]);
    assert_eq!(told.code, 100, "{told:?}");
    client.ask(&request[body_begins..]).decides(true);
}

#[test]
fn accepts_large_bodies_from_many_at_once() {
    let guard = Server::start();
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
    let guard = Server::start();
    let mut client = Client::to(&guard);
    for bytes in [3 << 20, 1 << 20, 200_000, 1 << 20, 70_000, 10, 300_000] {
        client.ask(&post(&allowed_of(bytes))).decides(true);
        client.ask(&post(&format!("{}x", allowed_of(bytes)))).refuses(400, "");
    }
}

#[test]
fn speaks_http2() {
    let guard = Server::start();
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
    let guard = Server::with(|config| config.deadlines.body = Duration::from_secs(2));
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
    let guard = Server::with(|config| config.deadlines.idle = Duration::from_millis(200));
    block_on(async {
        let mut client = Client2::to(&guard).await;
        client.post(allowed()).await.expect("an answer");
        client.ended.await.expect("no panic").expect("the guard says goodbye");
    });
    eventually("the connection is gone", || guard.metric("connections_open") < 0.5);
}
