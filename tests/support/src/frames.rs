//! An HTTP/2 client that sends one frame at a time, also such as no honest client sends.

use std::io::{self, Read as _};

use crate::{
    Serves,
    client::{Client, Tls},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The headers of `POST /validate` in HPACK: static names, and no text that is compressed or kept.
pub const POST: &[u8] = b"\x83\x87\x04\x09/validate\x01\x05guard\x0f\x10\x10application/json";

/// A connection after both prefaces were sent.
pub struct Frames {
    client: Client,
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The bytes of a setting.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

impl Frames {
    pub fn to(guard: &impl Serves) -> Self {
        Self::with_settings(guard, &[])
    }

    pub fn with_settings(guard: &impl Serves, settings: &[u8]) -> Self {
        let tls = Tls::trusting(&guard.ca()).offering(&["h2"]);
        let mut client = tls.connect(guard.address()).expect("the guard shakes hands");
        let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, settings)].concat();
        client.send(&preface).expect("the guard reads");
        Self { client }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.send(bytes)
    }

    pub fn read_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.client.stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.client.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until a frame of this kind and these flags comes.
    #[track_caller]
    pub fn await_frame(&mut self, kind: u8, flags: u8) -> Frame {
        loop {
            let frame = self.read_frame().expect("the guard goes on");
            if frame.kind == kind && frame.flags & flags == flags {
                return frame;
            }
        }
    }

    /// The error code of the GOAWAY that comes before the end; none where the connection only ends.
    #[track_caller]
    pub fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        loop {
            match self.read_frame() {
                Ok(frame) if frame.kind == GOAWAY => {
                    code = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes);
                }
                Ok(_) => {}
                Err(error) => {
                    let stays = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                    assert!(!stays, "it stayed open");
                    return code;
                }
            }
        }
    }
}
