//! Peers that are slow, cut off, too many, or not speaking TLS at all.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    sync::Arc,
};

use rustls::{ClientConnection, pki_types::ServerName};
use support::{
    Serves as _,
    client::{Client, Tls, post, post_to, tcp},
    guard::{Guard, Start},
    reviews::allowed,
    still_serves,
};

#[test]
fn rejects_a_body_that_does_not_come() {
    let guard = Guard::with(&["--body-timeout", "200ms"]);
    let mut client = Client::to(&guard);
    let request = post(&allowed());
    client.send(&request[..request.len() - 1]).expect("the guard reads");
    let reply = client.reply().expect("the sender reads why");
    reply.refuses(408, "not sent within 200 ms");
    assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
    let line = guard.await_log("rejected a request that is no review");
    let peer = client.stream.sock.local_addr().expect("an address");
    for part in [format!("peer={peer}"), "code=408".to_owned(), "reason=\"the body was not sent".to_owned()] {
        assert!(line.contains(&part), "{part} is not in {line}");
    }
    still_serves(&guard);
}

#[test]
fn rejects_a_body_that_misses_the_requests_timeout() {
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
    guard.await_metric("handshake_failures_total{reason=\"timeout\"}", 1.0);
    let line = guard.await_log("TLS handshake failed");
    assert!(line.contains(&format!("peer={}", silent.local_addr().expect("an address"))), "{line}");
    still_serves(&guard);
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
