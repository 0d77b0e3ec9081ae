//! HTTP/2 peers that send much that costs them little: it ends in GOAWAY or in nothing.

use std::io;

use support::{
    Serves as _,
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, POST, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, frame, setting,
    },
    guard::Guard,
    reviews::allowed,
    still_serves,
};

const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const FLOW_CONTROL_ERROR: u32 = 3;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
/// Far more than it holds after any of these, and far less than what they send if it were kept.
const MEMORY: u64 = 64 << 20;

/// Asserts that the guard holds little, still answers others, and then nothing of this.
#[track_caller]
fn is_unharmed(guard: &Guard, peer: Frames) {
    still_serves(guard);
    assert!(guard.resident_bytes() < MEMORY, "{} bytes", guard.resident_bytes());
    drop(peer);
    guard.await_metric("requests_open", 0.0);
    guard.await_metric("connections_open", 0.0);
}

/// Sends the same many times, until it is enough or the guard has had enough.
fn flood(peer: &mut Frames, bytes: &[u8], times: usize) -> io::Result<()> {
    (0..times).try_for_each(|_| peer.send(bytes))
}

#[test]
fn survives_streams_that_are_reset_as_soon_as_they_begin() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    for first in (1..20_000_u32).step_by(200) {
        let burst: Vec<u8> = (first..first + 200)
            .step_by(2)
            .flat_map(|stream| {
                [frame(HEADERS, END_HEADERS, stream, POST), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
            })
            .collect();
        // It may end the connection at any time.
        if peer.send(&burst).is_err() {
            break;
        }
    }
    is_unharmed(&guard, peer);
}

#[test]
fn ends_a_connection_whose_headers_do_not_end() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    peer.send(&frame(HEADERS, 0, 1, POST)).expect("the guard reads");
    // A header that is never indexed, again and again, and none of the frames is the last.
    let header = [&b"\x00\x01x\x7f\x00"[..], &[b'y'; 127]].concat();
    let block = header.repeat(100);
    let _ = flood(&mut peer, &frame(CONTINUATION, 0, 1, &block), 2_000);
    peer.goodbye();
    is_unharmed(&guard, peer);

    // The same, empty.
    let mut peer = Frames::to(&guard);
    peer.send(&frame(HEADERS, 0, 1, POST)).expect("the guard reads");
    let _ = flood(&mut peer, &frame(CONTINUATION, 0, 1, b"").repeat(100), 1_000);
    peer.goodbye();
    is_unharmed(&guard, peer);
}

#[test]
fn rejects_headers_over_http2_that_are_too_large() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    let header = [&b"\x00\x01x\x7f\x00"[..], &[b'y'; 127]].concat();
    let block = [POST, &header.repeat(130)].concat();
    let (first, last) = block.split_at(16_000);
    peer.send(&frame(HEADERS, END_STREAM, 1, first)).expect("the guard reads");
    peer.send(&frame(CONTINUATION, END_HEADERS, 1, last)).expect("the guard reads");
    // The stream ends, the connection goes on.
    peer.send(&frame(HEADERS, END_HEADERS, 3, POST)).expect("the guard reads");
    peer.send(&frame(DATA, END_STREAM, 3, allowed().as_bytes())).expect("the guard reads");
    assert_eq!(peer.await_frame(DATA, END_STREAM).stream, 3);
    is_unharmed(&guard, peer);
}

#[test]
fn survives_settings_and_pings_without_end() {
    let guard = Guard::start();
    for one in [
        frame(SETTINGS, 0, 0, &setting(HEADER_TABLE_SIZE, 0)),
        frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 1)),
        frame(PING, 0, 0, b"12345678"),
        frame(PING, ACK, 0, b"12345678"),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
    ] {
        let mut peer = Frames::to(&guard);
        // Not all of these are answered, and no answer is read: at some time the guard reads no more.
        let kind = one[3];
        let times = if kind == WINDOW_UPDATE || one[4] == ACK { 1_000 } else { 200 };
        let _ = flood(&mut peer, &one.repeat(50), times);
        is_unharmed(&guard, peer);
    }
}

#[test]
fn survives_frames_of_nothing() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    peer.send(&frame(HEADERS, END_HEADERS, 1, POST)).expect("the guard reads");
    let _ = flood(&mut peer, &frame(DATA, 0, 1, b"").repeat(100), 500);
    is_unharmed(&guard, peer);
}

#[test]
fn survives_a_peer_that_opens_no_window() {
    let guard = Guard::start();
    for window in [0, 1] {
        let mut peer = Frames::with_settings(&guard, &setting(INITIAL_WINDOW_SIZE, window));
        for stream in (1..128).step_by(2) {
            peer.send(&frame(HEADERS, END_HEADERS, stream, POST)).expect("the guard reads");
            peer.send(&frame(DATA, END_STREAM, stream, allowed().as_bytes())).expect("the guard reads");
        }
        for _ in 0..64 {
            peer.await_frame(HEADERS, END_HEADERS);
        }
        // Their answers are there, and count until they are taken.
        guard.await_metric("requests_open", 64.0);
        is_unharmed(&guard, peer);
    }
}

#[test]
fn ends_a_connection_whose_window_overflows() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    peer.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())).expect("the guard reads");
    assert_eq!(peer.goodbye(), Some(FLOW_CONTROL_ERROR));
    is_unharmed(&guard, peer);
}

#[test]
fn refuses_one_stream_too_many_and_goes_on() {
    let guard = Guard::start();
    let mut peer = Frames::to(&guard);
    for stream in (1..130).step_by(2) {
        peer.send(&frame(HEADERS, END_HEADERS, stream, POST)).expect("the guard reads");
    }
    assert_eq!(peer.await_frame(RST_STREAM, 0).stream, 129);
    peer.send(&frame(DATA, END_STREAM, 1, allowed().as_bytes())).expect("the guard reads");
    assert_eq!(peer.await_frame(DATA, END_STREAM).stream, 1);
    is_unharmed(&guard, peer);
}
