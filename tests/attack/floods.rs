//! Thousands of connections that are held open and send little. All deadlines are minutes long, so only making room helps.

use std::{io, net::SocketAddr, sync::Arc};

use futures_util::{StreamExt as _, stream};
use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use support::{
    Serves as _,
    client::{Client, Tls, post},
    guard::Guard,
    reviews,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{honest::Answers, memory};

const CONNECTIONS: usize = 2000;
/// The number of connections made at a time, after which an honest client asks.
const AT_A_TIME: usize = 50;
const HONEST: usize = 20;

const DEADLINES: [&str; 4] =
    ["--handshake-timeout=10m", "--header-timeout=10m", "--body-timeout=10m", "--idle-timeout=10m"];

/// The stage that each connection reaches.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Silent,
    Handshake,
    Head,
    Body,
    /// Answered in HTTP/2, with no room for the answer's body.
    Unread,
}

pub(crate) fn silent() {
    webhook_withstands(Flood::Silent);
}

pub(crate) fn half_handshakes() {
    webhook_withstands(Flood::Handshake);
}

pub(crate) fn half_heads() {
    webhook_withstands(Flood::Head);
}

pub(crate) fn half_bodies() {
    webhook_withstands(Flood::Body);
}

pub(crate) fn unread_answers() {
    webhook_withstands(Flood::Unread);
}

pub(crate) fn silent_to_admin() {
    let guard = Guard::with(&DEADLINES);
    withstands(&guard, Flood::Silent, guard.admin_address());
}

fn webhook_withstands(flood: Flood) {
    let guard = Guard::with(&DEADLINES);
    withstands(&guard, flood, guard.address());
}

fn withstands(guard: &Guard, flood: Flood, address: SocketAddr) {
    // One that has been answered before is still there afterwards.
    let mut regular = Client::to(guard);
    regular.ask(&post(&reviews::allowed())).decides(true);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let tls = Tls::trusting(&guard.ca());
    let plain = tls.config();
    let h2 = tls.offering(&["h2"]).config();
    let held = runtime.block_on(async {
        let peers = (0..CONNECTIONS).map(|_| Peer::open(flood, address, Arc::clone(&plain), Arc::clone(&h2)));
        stream::iter(peers).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await
    });
    // To make room the guard may close some of them at once, in the middle of what they do.
    let open = held.iter().filter(|peer| peer.is_ok()).count();
    assert!(open > CONNECTIONS / 2, "{open} got as far as they wanted");

    let mut answers = Answers::default();
    for _ in 0..HONEST {
        answers.one_more(guard);
    }
    answers.tell(&format!("{flood:?} × {CONNECTIONS}"), guard);
    regular.ask(&post(&reviews::denied())).decides(false);
    let (peak, limit) = (guard.peak_bytes(), memory::limit());
    assert!(peak < limit, "{peak} bytes, of {limit}");
    drop(held);
}

/// A connection that is held open.
enum Peer {
    Tcp(#[expect(dead_code, reason = "held")] TcpStream),
    Tls(#[expect(dead_code, reason = "held")] Box<TlsStream<TcpStream>>),
    Http2(#[expect(dead_code, reason = "held")] Box<dyn std::any::Any>),
}

impl Peer {
    async fn open(
        flood: Flood,
        address: SocketAddr,
        plain: Arc<ClientConfig>,
        h2: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        let name = ServerName::IpAddress(address.ip().into());
        let review = post(&reviews::allowed());
        let sent = match flood {
            Flood::Silent => return Ok(Self::Tcp(tcp)),
            Flood::Handshake => {
                let mut hello = Vec::new();
                ClientConnection::new(plain, name).map_err(io::Error::other)?.write_tls(&mut hello)?;
                tcp.write_all(&hello[..hello.len() / 2]).await?;
                return Ok(Self::Tcp(tcp));
            }
            Flood::Head => &review[..40],
            Flood::Body => &review[..review.len() - 40],
            Flood::Unread => return Self::unread(TlsConnector::from(h2).connect(name, tcp).await?).await,
        };
        let mut tls = TlsConnector::from(plain).connect(name, tcp).await?;
        tls.write_all(sent).await?;
        tls.flush().await?;
        Ok(Self::Tls(Box::new(tls)))
    }

    async fn unread(tls: TlsStream<TcpStream>) -> io::Result<Self> {
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) =
            client.initial_stream_window_size(0).handshake(TokioIo::new(tls)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let request = Request::get("https://guard/nothing").body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        Ok(Self::Http2(Box::new((sender, answer))))
    }
}
