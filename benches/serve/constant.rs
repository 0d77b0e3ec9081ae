//! The server to compare with: the same hyper, rustls and settings as `serve`, which reads the whole body and
//! answers a constant. It runs as a process of its own, as `serve` does.

use std::{convert::Infallible, io::Read as _, path::Path, sync::Arc, thread};

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::NoServerSessionStorage,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The argument that makes this executable this server; the folder of the certificates follows.
pub(crate) const ARGUMENT: &str = "constant-server";

/// As `serve` has it.
const HTTP1_BUFFER: usize = 64 << 10;
const MOST_WORKERS: usize = 4;

const ANSWER: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;

/// Serves until standard input closes.
pub(crate) fn serve(dir: &Path) {
    let config = tls(dir);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime");
    runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        eprintln!("address={}", listener.local_addr().expect("its number"));
        accept(listener, TlsAcceptor::from(config)).await;
    });
    // Whoever started it is gone when this ends, with bytes or with an error.
    let _ = std::io::stdin().read(&mut [0]);
    runtime.shutdown_background();
}

fn tls(dir: &Path) -> Arc<ServerConfig> {
    let certs = dir.join("certs");
    let chain = CertificateDer::pem_file_iter(certs.join("tls.crt"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(certs.join("tls.key")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that ring has")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).expect("a socket");
            let Ok(tls) = acceptor.accept(stream).await else { return };
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .half_close(true)
                .max_buf_size(HTTP1_BUFFER)
                .serve_connection(TokioIo::new(tls), service_fn(answer));
            // A client that is done just goes.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // Whoever is to look at a body needs it whole.
    let body = request.into_body().collect().await.map(Collected::to_bytes);
    std::hint::black_box(body.ok());
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
