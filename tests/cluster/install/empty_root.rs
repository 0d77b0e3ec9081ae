//! A program in a root with nothing else in it, as a user that is a mere number: as in a container of the image.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};

use super::ROOT;
use crate::{
    cluster::certificates,
    harness::{Session, example_job, until},
};

/// Shows that the program answers a review over TLS there.
pub(super) fn serves(program: &Path) {
    let session = Session::start().expect("a session");
    let (root, certs) = (session.folder().join("empty"), session.folder().join("certs"));
    certificates(&certs);
    // What the manifests mount: the program's own files are all that is there besides.
    for folder in ["etc/pytorchjob-guard", "etc/pytorchjob-guard-tls"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let copy = |from: &Path, to: &str, mode| {
        fs::copy(from, root.join(to)).expect("a copy");
        fs::set_permissions(root.join(to), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    copy(program, "pytorchjob-guard", 0o755);
    copy(&Path::new(ROOT).join("manifests/policies/cci/policy.yaml"), "etc/pytorchjob-guard/policy.yaml", 0o444);
    for file in ["tls.crt", "tls.key"] {
        copy(&certs.join(file), &format!("etc/pytorchjob-guard-tls/{file}"), 0o444);
    }
    // The session's folder is for its owner alone; who is root inside need not be.
    fs::set_permissions(session.folder(), fs::Permissions::from_mode(0o755)).expect("a mode");

    let log = session.folder().join("guard.log");
    let mut guard = session
        .spawn(
            log,
            confined(&root)
                .args(["/pytorchjob-guard", "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
                .args(["--log-format=json", "--policy=/etc/pytorchjob-guard/policy.yaml"])
                .args(["--tls-cert=/etc/pytorchjob-guard-tls/tls.crt", "--tls-key=/etc/pytorchjob-guard-tls/tls.key"]),
        )
        .expect("it starts");
    let address: SocketAddr = until("the guard in an empty root", || {
        guard.must_run()?;
        let said = guard.output()?;
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.find_map(|line| line["address"].as_str()?.parse().ok()))
    })
    .expect("it serves");
    // It became the program itself, so what is true of the process is true of the guard.
    let status = fs::read_to_string(format!("/proc/{}/status", guard.id())).expect("its status");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_eq!(line("Name:"), "pytorchjob-guar", "{status}");
    assert_eq!((line("NoNewPrivs:"), line("CapEff:")), ("1", "0000000000000000"), "{status}");
    if is_root() {
        assert_eq!((line("Uid:"), line("Groups:")), ("65532\t65532\t65532\t65532", ""), "{status}");
    }

    let answer = ask(address, &fs::read(certs.join("ca.crt")).expect("the CA"));
    assert_eq!(answer["response"]["allowed"], false, "{answer:#}");
    assert_eq!(answer["response"]["status"]["details"]["causes"][0]["field"], "spec.suspended", "{answer:#}");
}

/// The command that makes that folder the root, and uid 65532 of whoever runs this, and runs what follows.
fn confined(root: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--"]);
    if is_root() {
        command.args(["chroot", "--userspec=65532:65532", "--groups="]);
    } else {
        // In a user namespace one may be any one user, and change the root.
        command.args(["unshare", "--map-user=65532", "--map-group=65532", "--root"]);
    }
    command.arg(root);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Asks about an update that changes what must not change.
fn ask(address: SocketAddr, ca: &[u8]) -> Value {
    let (old, mut new) = (example_job(), example_job());
    new["spec"]["suspended"] = json!(true);
    let resource = json!({"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"});
    let kind = json!({"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"});
    let request = json!({
        "uid": "1", "operation": "UPDATE", "kind": kind, "requestKind": kind, "resource": resource,
        "requestResource": resource, "name": "pytorch-test", "namespace": "kube-test", "userInfo": {"username": "dana"},
        "object": new, "oldObject": old, "dryRun": false, "options": null,
    });
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate.expect("a CA in PEM")).expect("a CA");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"));
    let head = format!(
        "POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        review.len()
    );
    stream.write_all(&[head.as_bytes(), review.as_bytes()].concat()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers, and closes as it should");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
