//! The guard as a process of its own, and its registration with the API server.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::{Value, json};

use super::{ADMIN, ControlPlane, OWN_GUARD, Process, Session, until};

/// What the project ships.
const CONFIGURATION: &str = include_str!("../../../manifests/policies/cci/registration.yaml");

/// A running guard.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Process,
    /// Where the webhook is.
    pub(crate) address: SocketAddr,
    /// Where the metrics are.
    pub(crate) admin: SocketAddr,
    ca_bundle: String,
}

/// How a guard is made known to the API server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration<'a> {
    /// The configuration's name.
    pub(crate) name: &'a str,
    /// The only namespace it is for; without, all but those with a guard of their own.
    pub(crate) only: Option<&'a str>,
    /// The host of the webhook's URL. The API server speaks HTTP/2 to `localhost`, and HTTP/1.1 to others.
    pub(crate) host: &'a str,
    /// A namespace with the example job, to see from when on the guard is asked.
    pub(crate) probe: &'a str,
}

/// Has the guard make certificates for loopback in `folder`.
pub(crate) fn make_certificates(program: &Path, folder: &Path) -> io::Result<()> {
    let output = Command::new(program)
        .arg("certs")
        .arg(folder)
        .args(["--dns-name", "localhost", "--ip", "127.0.0.1"])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{} certs failed: {said}", program.display())))
}

impl Guard {
    /// Starts one that serves the certificate in `certs` and decides by this policy, and waits until it is ready.
    pub(crate) fn start(
        session: &Arc<Session>,
        program: &Path,
        certs: &Path,
        listen: SocketAddr,
        policy: &str,
    ) -> io::Result<Self> {
        let log = certs.with_extension(format!("{}.log", listen.port()));
        let mut command = Command::new(program);
        command.args(["serve", "--policy", policy]);
        command.arg("--tls-cert").arg(certs.join("tls.crt")).arg("--tls-key").arg(certs.join("tls.key"));
        let ca = fs::read(certs.join("ca.crt"))?;
        Ok(Self { ca_bundle: STANDARD.encode(ca), ..Self::serve(session, log, listen, &mut command)? })
    }

    /// Starts one with this command, but for where it listens and how it logs, and waits until it does.
    pub(crate) fn serve(
        session: &Arc<Session>,
        log: PathBuf,
        listen: SocketAddr,
        command: &mut Command,
    ) -> io::Result<Self> {
        command.args(["--listen", &listen.to_string(), "--admin-listen", "127.0.0.1:0", "--log-format=json"]);
        let mut process = session.spawn(log, command)?;
        let (address, admin) = until("the guard", || {
            process.must_run()?;
            Ok(process.output()?.lines().find_map(addresses))
        })?;
        Ok(Self { process, address, admin, ca_bundle: String::new() })
    }

    /// Registers it as the shipped manifest does, but for where the guard is, and to be asked about every update; waits until
    /// it is asked.
    pub(crate) fn register(&self, plane: &ControlPlane, registration: Registration) -> io::Result<()> {
        let mut configuration: Value = serde_saphyr::from_str(CONFIGURATION).map_err(io::Error::other)?;
        configuration["metadata"]["name"] = json!(registration.name);
        for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap_or_default();
            let url = format!("https://{}:{}{path}", registration.host, self.address.port());
            webhook["clientConfig"] = json!({"url": url, "caBundle": self.ca_bundle});
            webhook["namespaceSelector"] = match registration.only {
                Some(namespace) => json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}}),
                None => json!({"matchExpressions": [{"key": OWN_GUARD, "operator": "DoesNotExist"}]}),
            };
            webhook.as_object_mut().and_then(|webhook| webhook.remove("matchConditions"));
        }
        plane.apply(&configuration.to_string())?;
        let before = self.decisions()?;
        until("the guard to be asked", || {
            // Whatever comes of it.
            plane
                .kubectl(ADMIN)
                .args(["--namespace", registration.probe, "patch", "pytorchjob", "pytorch-test", "--dry-run=server"])
                .args(["--type=merge", "--patch", r#"{"metadata": {"finalizers": ["example.com/probe"]}}"#])
                .output()?;
            Ok((self.decisions()? > before).then_some(()))
        })
    }

    /// How many reviews it has decided.
    fn decisions(&self) -> io::Result<u64> {
        Ok(self.metric("decision_duration_seconds_count")?.unwrap_or_default())
    }

    /// The value of a metric, named with its labels and without the prefix.
    pub(crate) fn metric(&self, name: &str) -> io::Result<Option<u64>> {
        let value = |line: &str| {
            let rest = line.strip_prefix("pytorchjob_guard_")?;
            // A policy's name is enough, whatever its digest.
            let rest = match name.strip_suffix('}') {
                Some(labels) if name.starts_with("policy_info") => rest.strip_prefix(labels)?.split_once('}')?.1,
                _ => rest.strip_prefix(name)?,
            };
            rest.strip_prefix(' ')?.parse::<u64>().ok()
        };
        Ok(self.metrics()?.lines().find_map(value))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> io::Result<String> {
        self.process.output()
    }

    /// Its metrics, as Prometheus would read them.
    pub(crate) fn metrics(&self) -> io::Result<String> {
        self.probe("/metrics")
    }

    /// What it answers to a probe, headers included.
    pub(crate) fn probe(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: guard\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The addresses of the webhook and of the metrics, where this line of the log tells them.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name| line[name].as_str()?.parse().ok();
    Some((address("address")?, address("admin")?))
}
