//! Clients: HTTP/1.1 byte by byte, so that a test can stop anywhere, and HTTP/2 by hyper.

use std::{
    io::{self, Read as _, Write as _},
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

use crate::{PATIENCE, Serves, http::Reply, pki::Pair};

/// The trust and the offers of a client.
pub struct Tls {
    roots: RootCertStore,
    /// The server's name, if it is not its address.
    name: Option<ServerName<'static>>,
    identity: Option<(String, String)>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
}

impl Tls {
    /// A client that trusts these CAs, PEM.
    pub fn trusting(ca: &str) -> Self {
        let certificates = CertificateDer::pem_slice_iter(ca.as_bytes());
        Self::trusting_each(certificates.map(|certificate| certificate.expect("a CA in PEM")))
    }

    /// A client that trusts these CAs.
    pub fn trusting_each(cas: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        for ca in cas {
            roots.add(ca).expect("a CA");
        }
        Self { roots, name: None, identity: None, versions: rustls::ALL_VERSIONS.to_vec(), alpn: Vec::new() }
    }

    /// Expects a certificate for this name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(ServerName::try_from(name.to_owned()).expect("a name"));
        self
    }

    pub fn with_identity(mut self, pair: &Pair) -> Self {
        self.identity = Some((pair.cert.clone(), pair.key.clone()));
        self
    }

    pub fn only(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .expect("versions that ring has")
            .with_root_certificates(self.roots.clone());
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
    pub fn connect(&self, address: SocketAddr) -> io::Result<Client> {
        self.over(tcp(address)?)
    }

    /// Shakes hands over a connection that is there.
    pub fn over(&self, tcp: TcpStream) -> io::Result<Client> {
        let address = tcp.peer_addr()?;
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        let connection = ClientConnection::new(self.config(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Client { stream })
    }
}

/// A bare connection.
pub fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// An HTTP/1.1 connection over TLS.
pub struct Client {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

/// The bytes of a `POST /validate` with this body.
pub fn post(body: &str) -> Vec<u8> {
    post_to("/validate", body)
}

pub fn post_to(target: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Client {
    /// Connects to a guard that made its own certificates.
    pub fn to(guard: &impl Serves) -> Self {
        Tls::trusting(&guard.ca()).connect(guard.address()).expect("the guard shakes hands")
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub fn ask(&mut self, request: &[u8]) -> Reply {
        self.send(request).expect("the guard reads");
        self.reply().expect("the guard answers")
    }

    /// Reads one response.
    pub fn reply(&mut self) -> io::Result<Reply> {
        Reply::read(&mut self.stream)
    }

    /// Waits until the guard closes the connection without saying more, tidily or not.
    #[track_caller]
    pub fn is_closed(&mut self) {
        let mut rest = Vec::new();
        let ended = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        if let Err(error) = ended {
            assert!(!matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "it stayed open");
        }
    }
}

/// Runs the future on a runtime of the test's own.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it ends") })
}

/// An HTTP/2 connection over TLS.
pub struct Client2 {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    pub ended: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Client2 {
    pub async fn to(guard: &impl Serves) -> Self {
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

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<String>> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, String::from_utf8_lossy(&body).into_owned()))
    }

    pub async fn post(&mut self, body: impl Into<Bytes>) -> hyper::Result<Response<String>> {
        let request = Request::post("https://guard/validate").header("content-type", "application/json");
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }
}
