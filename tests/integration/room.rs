//! Peers that hold what others need: an honest peer gets in at once, whatever their deadlines are. They are hours here, so that
//! nothing else can let it in.

use std::{io::Write as _, net::TcpStream};

use support::{
    Serves as _,
    client::{Client, post, tcp},
    eventually,
    frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, POST, frame, setting},
    guard::Guard,
    reviews::{allowed, allowed_of, denied},
    still_serves,
};

const PATIENT: [&str; 8] =
    ["--handshake-timeout", "1h", "--header-timeout", "1h", "--body-timeout", "1h", "--idle-timeout", "1h"];
const INITIAL_WINDOW_SIZE: u16 = 4;

fn patient(args: &[&str]) -> Guard {
    Guard::with(&[&PATIENT[..], args].concat())
}

/// The number of connections to the webhook that were closed to make room while this was waited for.
fn closed(guard: &Guard, waiting_for: &str) -> f64 {
    let labels = format!("{{listener=\"webhook\",waiting_for=\"{waiting_for}\"}}");
    guard.metric(&format!("connections_closed_to_make_room_total{labels}"))
}

/// The request without its last byte.
fn incomplete(request: &[u8]) -> &[u8] {
    &request[..request.len() - 1]
}

#[test]
fn answers_while_others_send_one_byte_of_a_body() {
    let guard = patient(&[]);
    let request = post(&allowed());
    let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let mut others: Vec<Client> = (0..40).map(|_| Client::to(&guard)).collect();
    for other in &mut others {
        other.send(&request[..=head]).expect("the guard reads");
    }
    guard.await_metric("requests_open", 40.0);
    for _ in 0..3 {
        still_serves(&guard);
    }
    assert_eq!(guard.metric("requests_in_flight").to_string(), "0", "none of them is complete");
    assert_eq!(guard.metric("http_responses_total{code=\"503\"}").to_string(), "0");
    // Once complete they are answered like any other.
    others[0].ask(&request[head + 1..]).decides(true);
}

#[test]
fn answers_while_every_stream_of_a_connection_waits_for_a_body() {
    let guard = patient(&[]);
    let mut other = Frames::to(&guard);
    for stream in (1..128).step_by(2) {
        other.send(&frame(HEADERS, END_HEADERS, stream, POST)).expect("the guard reads");
        other.send(&frame(DATA, 0, stream, b"{")).expect("the guard reads");
    }
    guard.await_metric("requests_open", 64.0);
    for _ in 0..3 {
        still_serves(&guard);
    }
    assert_eq!(guard.metric("requests_in_flight").to_string(), "0");
    other.send(&frame(DATA, END_STREAM, 127, &allowed().as_bytes()[1..])).expect("the guard reads");
    assert_eq!(other.await_frame(DATA, END_STREAM).stream, 127);
}

#[test]
fn answers_probes_while_others_hold_the_admin_port() {
    let guard = Guard::start();
    let others: Vec<TcpStream> = (0..300).map(|_| tcp(guard.admin_address()).expect("the system queues it")).collect();
    assert_eq!(guard.admin("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(guard.admin("/readyz").0, 200);
    let closed = guard.metric("connections_closed_to_make_room_total{listener=\"admin\",waiting_for=\"head\"}");
    assert!(closed > 0.0, "{}", guard.admin("/metrics").1);
    drop(others);
}

#[test]
fn answers_while_silent_connections_hold_every_place() {
    let guard = patient(&["--max-connections", "32"]);
    let others: Vec<TcpStream> = (0..100).map(|_| tcp(guard.address()).expect("the system queues it")).collect();
    for _ in 0..3 {
        still_serves(&guard);
    }
    assert!(closed(&guard, "handshake") >= 68.0, "{}", guard.admin("/metrics").1);
    let line = guard.await_log("closed a connection to make room");
    let peers: Vec<String> = others.iter().map(|other| other.local_addr().expect("an address").to_string()).collect();
    assert!(peers.iter().any(|peer| line.contains(&format!("peer={peer} "))), "{line}");
    assert!(line.contains("waiting_for=\"handshake\""), "{line}");
    // One line now, not one for each.
    assert_eq!(guard.log().matches("closed a connection to make room").count(), 1, "{}", guard.log());
}

#[test]
fn answers_while_endless_heads_and_bodies_hold_every_slot() {
    let guard = patient(&["--max-connections", "8"]);
    let request = post(&allowed());
    let mut others: Vec<Client> = (0..8).map(|_| Client::to(&guard)).collect();
    for (n, other) in others.iter_mut().enumerate() {
        other.send(if n % 2 == 0 { &request[..20] } else { incomplete(&request) }).expect("the guard reads");
    }
    guard.await_metric("requests_open", 4.0);
    // Each takes the place of the oldest; the last of them has its own.
    let newcomers: Vec<Client> = (0..8)
        .map(|_| {
            let mut newcomer = Client::to(&guard);
            newcomer.ask(&request).decides(true);
            newcomer
        })
        .collect();
    assert_eq!([closed(&guard, "head"), closed(&guard, "body")].map(|count| count.to_string()), ["4", "4"]);
    drop(newcomers);
}

#[test]
fn answers_while_peers_that_take_no_answer_hold_every_place() {
    let guard = patient(&["--max-connections", "4"]);
    let no_window = setting(INITIAL_WINDOW_SIZE, 0);
    let mut others: Vec<Frames> = (0..4).map(|_| Frames::with_settings(&guard, &no_window)).collect();
    for other in &mut others {
        other.send(&frame(HEADERS, END_HEADERS, 1, POST)).expect("the guard reads");
        other.send(&frame(DATA, END_STREAM, 1, allowed().as_bytes())).expect("the guard reads");
        other.await_frame(HEADERS, END_HEADERS);
    }
    guard.await_metric("requests_open", 4.0);
    still_serves(&guard);
    assert_eq!(closed(&guard, "response").to_string(), "1");
    assert_eq!(others[0].goodbye(), None);
}

#[test]
fn answers_while_a_peer_that_takes_no_answer_asks_on_and_on() {
    let guard = patient(&["--max-connections", "1"]);
    let mut other = Client::to(&guard);
    other.stream.sock.set_nonblocking(true).expect("a socket");
    let requests = post(&allowed()).repeat(20);
    // As many as the system takes: it is busy with them, or waits for its answers to be taken.
    let mut sent = 0;
    while let Ok(more) = other.stream.write(&requests[sent..]) {
        sent = (sent + more) % requests.len();
    }
    still_serves(&guard);
    guard.await_metric("connections_open", 0.0);
}

#[test]
fn keeps_answered_connections_before_those_never_answered() {
    let guard = patient(&["--max-connections", "3"]);
    let mut answered = Client::to(&guard);
    answered.ask(&post(&allowed())).decides(true);
    let mut oldest = Client::to(&guard);
    let mut second = Client::to(&guard);
    // The places are taken; two newcomers drive out those that never completed a request, the oldest first.
    let mut third = Client::to(&guard);
    third.ask(&post(&denied())).decides(false);
    oldest.is_closed();
    answered.ask(&post(&allowed())).decides(true);
    let mut fourth = Client::to(&guard);
    fourth.ask(&post(&denied())).decides(false);
    second.is_closed();
    answered.ask(&post(&allowed())).decides(true);
    // Now all have been answered: the one that is idle for longest goes, and is told so.
    still_serves(&guard);
    third.is_closed();
    fourth.ask(&post(&denied())).decides(false);
    answered.ask(&post(&allowed())).decides(true);
    assert_eq!([closed(&guard, "head"), closed(&guard, "idle")].map(|count| count.to_string()), ["2", "1"]);
}

#[test]
fn closes_an_idle_http2_connection_with_a_goodbye_to_make_room() {
    let guard = patient(&["--max-connections", "1"]);
    let mut idle = Frames::to(&guard);
    idle.send(&frame(HEADERS, END_HEADERS, 1, POST)).expect("the guard reads");
    idle.send(&frame(DATA, END_STREAM, 1, allowed().as_bytes())).expect("the guard reads");
    idle.await_frame(DATA, END_STREAM);
    still_serves(&guard);
    assert_eq!(idle.goodbye(), Some(0));
}

#[test]
fn answers_reviews_while_endless_bodies_hold_the_budget() {
    let guard = patient(&["--max-body-bytes", "1000000", "--max-buffered-bytes", "2000000"]);
    let large = post(&allowed_of(600_000));
    let mut others: Vec<Client> = (0..6).map(|_| Client::to(&guard)).collect();
    for (number, other) in others.iter_mut().enumerate() {
        other.send(&large[..500_000]).expect("the guard reads");
        // The first is the oldest only if the guard has read some of it before the others.
        if number == 0 {
            eventually("the first body arrives", || guard.metric("buffered_bytes") > 0.0);
        }
    }
    // The budget is for some of them only: the first give way to those after them.
    others[0].reply().expect("the sender reads why").refuses(503, "no room for the body; try again");
    for review in [allowed(), allowed_of(100_000), allowed_of(600_000)] {
        Client::to(&guard).ask(&post(&review)).decides(true);
    }
    assert!(guard.metric("buffered_bytes") <= 2e6, "{}", guard.admin("/metrics").1);
    assert!(closed(&guard, "body") >= 1.0);
    guard.await_log("gave up an incomplete body to make room");
    drop(others);
    guard.await_metric("buffered_bytes", 0.0);
}

#[test]
fn holds_what_came_and_not_what_was_promised() {
    let guard = patient(&[]);
    let head =
        b"POST /validate HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n{";
    let mut others: Vec<Client> = (0..20).map(|_| Client::to(&guard)).collect();
    for other in &mut others {
        other.send(head).expect("the guard reads");
        other.send(b"\"").expect("the guard reads");
    }
    eventually("some bytes are held", || guard.metric("buffered_bytes") > 0.0);
    guard.await_metric("requests_open", 20.0);
    assert!(guard.metric("buffered_bytes") < 1000.0, "{}", guard.admin("/metrics").1);
}

#[test]
fn closes_the_connection_with_the_most_streams_of_too_many() {
    let guard = patient(&[]);
    let streams: Vec<u8> = (1..128).step_by(2).flat_map(|stream| frame(HEADERS, END_HEADERS, stream, POST)).collect();
    let mut honest = Client::to(&guard);
    honest.ask(&post(&allowed())).decides(true);
    let others: Vec<Frames> = (0..66)
        .map(|_| {
            let mut other = Frames::to(&guard);
            other.send(&streams).expect("the guard reads");
            other
        })
        .collect();
    eventually("one of them is gone", || closed(&guard, "body") >= 1.0);
    eventually("there are no more than are allowed", || guard.metric("requests_open") <= 4096.0);
    honest.ask(&post(&denied())).decides(false);
    still_serves(&guard);
    drop(others);
    guard.await_metric("requests_open", 0.0);
}
