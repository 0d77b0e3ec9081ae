//! HTTP/1.1: a response, and a GET over a plain connection, as probes and Prometheus send it.

use std::{
    io::{self, Read, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::PATIENCE;

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    /// The status line and the headers, with the empty line that ends them.
    pub head: String,
    pub body: String,
}

impl Reply {
    /// Reads one response from a connection.
    pub fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut reply = Self { code, head, body: String::new() };
        match reply.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(length) => {
                stream.take(length).read_to_string(&mut reply.body)?;
            }
            None if code >= 200 => {
                stream.read_to_string(&mut reply.body)?;
            }
            None => {}
        }
        Ok(reply)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// All of it, head and body.
    pub fn text(&self) -> String {
        format!("{}{}", self.head, self.body)
    }

    /// Asserts a protocol error: its code, and a reason of one line of plain text that holds this.
    #[track_caller]
    pub fn refuses(&self, code: u16, reason: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"), "{self:?}");
        assert!(self.body.contains(reason), "{reason:?} is not in {self:?}");
        assert_eq!(self.body.lines().count(), 1, "{self:?}");
        assert!(self.body.ends_with('\n'), "{self:?}");
    }

    /// Asserts that a review came back, with this verdict.
    #[track_caller]
    pub fn decides(&self, allowed: bool) {
        assert_eq!(self.code, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let review: serde_json::Value = serde_json::from_str(&self.body).expect("a review in JSON");
        assert_eq!(review["response"]["allowed"], allowed, "{self:?}");
    }
}

/// GETs a path over a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    get_within(address, path, PATIENCE)
}

/// GETs a path, where the server connects and sends within this time each.
pub fn get_within(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    Reply::read(&mut stream)
}
