//! A program in a root with nothing else in it, as a user that is a mere number: as in a container of the image.

use std::{
    fs,
    io::Read as _,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::ROOT;
use support::{
    client::{Tls, post},
    example_job,
    session::Session,
    until,
};

use crate::cluster::certificates;

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
    let guard = session
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

    let answer = ask(address, &fs::read_to_string(certs.join("ca.crt")).expect("the CA"));
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
fn ask(address: SocketAddr, ca: &str) -> Value {
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

    let tls = Tls::trusting(ca).named("localhost");
    let mut client = tls.connect(address).expect("it shakes hands");
    let request = String::from_utf8(post(&review)).expect("text");
    let reply = client.ask(request.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes());
    let mut rest = String::new();
    client.stream.read_to_string(&mut rest).expect("it closes as it should");
    assert!(rest.is_empty(), "{rest}");
    serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}
