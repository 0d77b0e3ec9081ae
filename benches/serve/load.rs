//! The load: clients that each send the same review again and again over one TLS connection.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::process::PATIENCE;

/// Clients of one server. Their connections stay open.
pub(crate) struct Clients(Vec<Client>);

struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    request: Arc<[u8]>,
    answer: &'static str,
    /// The bytes of a response so far.
    response: Vec<u8>,
}

impl Clients {
    /// Connects. Each response must hold the answer.
    pub(crate) fn connect(
        count: usize,
        (address, path): (SocketAddr, &str),
        dir: &Path,
        body: &[u8],
        answer: &'static str,
    ) -> Self {
        let config = trusting(&dir.join("certs/ca.crt"));
        let mut request = format!(
            "POST {path}?timeout=10s HTTP/1.1\r\nHost: guard\r\nUser-Agent: kube-apiserver-admission\r\n\
             Content-Length: {}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n\
             Accept-Encoding: gzip\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let request: Arc<[u8]> = request.into();
        let connect = || {
            let tcp = TcpStream::connect(address).expect("the server listens");
            tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            tcp.set_write_timeout(Some(PATIENCE)).expect("a timeout");
            tcp.set_nodelay(true).expect("a socket");
            let name = ServerName::IpAddress(address.ip().into());
            let tls = ClientConnection::new(Arc::clone(&config), name).expect("a name");
            Client {
                stream: StreamOwned::new(tls, tcp),
                request: Arc::clone(&request),
                answer,
                response: Vec::with_capacity(16 << 10),
            }
        };
        Self((0..count).map(|_| connect()).collect())
    }

    /// Lets every client ask for this long, and returns the number of requests answered.
    pub(crate) fn ask_for(&mut self, time: Duration) -> u64 {
        let until = Instant::now() + time;
        thread::scope(|scope| {
            let clients: Vec<_> = self
                .0
                .iter_mut()
                .map(|client| {
                    scope.spawn(move || {
                        let mut requests = 0;
                        while requests == 0 || Instant::now() < until {
                            client.ask();
                            requests += 1;
                        }
                        requests
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("every answer is right")).sum()
        })
    }
}

impl Client {
    fn ask(&mut self) {
        self.stream.write_all(&self.request).expect("the server reads");
        self.stream.flush().expect("the server reads");
        self.response.clear();
        let mut whole = None;
        while whole.is_none_or(|bytes| self.response.len() < bytes) {
            let mut piece = [0; 16 << 10];
            let read = self.stream.read(&mut piece).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            self.response.extend_from_slice(&piece[..read]);
            whole = whole.or_else(|| length(&self.response));
        }
        let text = std::str::from_utf8(&self.response).expect("text");
        assert!(text.starts_with("HTTP/1.1 200") && text.contains(self.answer), "{text}");
    }
}

/// The length of the whole response, once its head is there.
fn length(response: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(response).ok()?;
    let head = text.find("\r\n\r\n")?;
    let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + 4 + length.parse::<usize>().ok()?)
}

fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a CA")).expect("a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
