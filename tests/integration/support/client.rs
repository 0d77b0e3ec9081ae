//! Clients: HTTP/1.1 byte by byte, so that a test can stop anywhere, and HTTP/2 by hyper.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use super::{PATIENCE, guard::Guard, pki::Pair};

/// What a client trusts and offers.
pub(crate) struct Tls {
    ca: String,
    identity: Option<(String, String)>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
}

impl Tls {
    pub(crate) fn trusting(ca: &str) -> Self {
        Self { ca: ca.to_owned(), identity: None, versions: rustls::ALL_VERSIONS.to_vec(), alpn: Vec::new() }
    }

    pub(crate) fn with_identity(mut self, pair: &Pair) -> Self {
        self.identity = Some((pair.cert.clone(), pair.key.clone()));
        self
    }

    pub(crate) fn only(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.ca.as_bytes()) {
            roots.add(certificate.expect("a CA in PEM")).expect("a CA");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .expect("versions that ring has")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).map(|cert| cert.expect("PEM")).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key in PEM");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    /// Connects and shakes hands. In TLS 1.3 a server that refuses the client says so only at the first read.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<Client> {
        self.over(tcp(address)?)
    }

    /// Shakes hands over a connection that is there.
    pub(crate) fn over(&self, tcp: TcpStream) -> io::Result<Client> {
        let address = tcp.peer_addr()?;
        let name = ServerName::IpAddress(address.ip().into());
        let connection = ClientConnection::new(self.config(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Client { stream })
    }
}

/// A bare connection.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// An HTTP/1.1 connection over TLS.
pub(crate) struct Client {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
}

/// An HTTP/1.1 response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Asserts a protocol error: its code, and a reason of one line of plain text that holds this.
    #[track_caller]
    pub(crate) fn refuses(&self, code: u16, reason: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"), "{self:?}");
        assert!(self.body.contains(reason), "{reason:?} is not in {self:?}");
        assert_eq!(self.body.lines().count(), 1, "{self:?}");
        assert!(self.body.ends_with('\n'), "{self:?}");
    }

    /// Asserts that a review came back, with this verdict.
    #[track_caller]
    pub(crate) fn decides(&self, allowed: bool) {
        assert_eq!(self.code, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let review: serde_json::Value = serde_json::from_str(&self.body).expect("a review in JSON");
        assert_eq!(review["response"]["allowed"], allowed, "{self:?}");
    }
}

/// The bytes of a `POST /validate` with this body.
pub(crate) fn post(body: &str) -> Vec<u8> {
    post_to("/validate", body)
}

pub(crate) fn post_to(target: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Client {
    /// Connects to a guard that made its own certificates.
    pub(crate) fn to(guard: &Guard) -> Self {
        Tls::trusting(&guard.ca()).connect(guard.address()).expect("the guard shakes hands")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &[u8]) -> Reply {
        self.send(request).expect("the guard reads");
        self.reply().expect("the guard answers")
    }

    /// Reads one response.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0; 1];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut reply = Reply { code, head, body: String::new() };
        match reply.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(length) => {
                (&mut self.stream).take(length).read_to_string(&mut reply.body)?;
            }
            None if code >= 200 => {
                self.stream.read_to_string(&mut reply.body)?;
            }
            None => {}
        }
        Ok(reply)
    }

    /// Waits until the guard closes the connection without saying more, tidily or not.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) {
        let mut rest = Vec::new();
        let ended = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        if let Err(error) = ended {
            assert!(!matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "it stayed open");
        }
    }
}

/// Runs the future on a runtime of the test's own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it ends") })
}

/// An HTTP/2 connection over TLS.
pub(crate) struct Client2 {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    pub(crate) ended: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Client2 {
    pub(crate) async fn to(guard: &Guard) -> Self {
        let tcp = tokio::net::TcpStream::connect(guard.address()).await.expect("the guard listens");
        let name = ServerName::IpAddress(guard.address().ip().into());
        let config = Tls::trusting(&guard.ca()).offering(&["h2", "http/1.1"]).config();
        let tls = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.expect("the guard shakes hands");
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the guard takes the first protocol offered");
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .expect("the guard speaks HTTP/2");
        Self { sender, ended: tokio::spawn(connection) }
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<String>> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) async fn post(&mut self, body: impl Into<Bytes>) -> hyper::Result<Response<String>> {
        let request = Request::post("https://guard/validate").header("content-type", "application/json");
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }
}
