//! `serve`: from the command line to a running server.

use std::{io, path::PathBuf, thread, time::SystemTime};

use tracing::{info, warn};

use super::{Ended, Exit, log::Logging};
use crate::{
    certificates::{self, CertificateError, Folder, Lifetimes, Local},
    cli::{ClusterArgs, ServeArgs},
    controller::{self, ManagedCertificates},
    policy::{SourceError, Sources},
    registration::ServiceName,
    server::{self, Config, Deadlines, Ending, Limits, ServerError, Signals, TlsFiles, TlsSource},
};

/// The folder of local certificates if none are named.
const LOCAL_CERTIFICATES: &str = "certs";
/// A decision takes microseconds: more threads would only cost memory.
const MOST_WORKERS: usize = 4;

/// A review to try the server with: it asks for one field that may change and one that must not.
const EXAMPLE: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"example","operation":"UPDATE","kind":{"group":"kubeflow.org","version":"v1","kind":"PyTorchJob"},"resource":{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"},"name":"example","namespace":"default","userInfo":{"username":"you"},"oldObject":{"spec":{"ttlSecondsAfterFinished":60,"nprocPerNode":"1"}},"object":{"spec":{"ttlSecondsAfterFinished":90,"nprocPerNode":"2"}}}}"#;

/// The reason why `serve` failed.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("--policy {0}")]
    Policy(#[from] SourceError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("--ca-lifetime is too short: a CA has to last for more than three times --leaf-lifetime")]
    Lifetimes,
    #[error("the log cannot start: {0}")]
    Log(io::Error),
    #[error("the runtime cannot start: {0}")]
    Runtime(io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

pub(super) fn run(args: ServeArgs) -> Ended {
    // Dropped last: it writes the lines that are not written yet.
    let _logging = Logging::start(args.log_format).map_err(ServeError::Log)?;
    Ok(match serve(args) {
        Ok(Ending::Stopped) => Exit::Yes,
        Ok(Ending::Cut(signal)) => Exit::Signal(signal),
        Err(error) => {
            tracing::error!("{error}");
            Exit::BadInput
        }
    })
}

fn serve(args: ServeArgs) -> Result<Ending, ServeError> {
    // Policies that cannot be used end the start before keys are made.
    let (sources, policies) = Sources::find(&args.policies, args.cluster.webhooks.clone().into(), &args.exempt.users)?;
    for problem in policies.problems() {
        warn!(reason = problem.reason, "the policy file cannot be used");
    }
    let (tls, ca) = tls_source(args.tls_cert, args.tls_key, args.client_ca, args.cluster)?;
    let config = Config {
        listen: args.listen,
        admin_listen: args.admin_listen,
        tls,
        limits: Limits {
            body_bytes: args.max_body_bytes,
            connections: args.max_connections,
            buffered_bytes: args.max_buffered_bytes,
        },
        deadlines: Deadlines {
            handshake: args.handshake_timeout,
            header: args.header_timeout,
            body: args.body_timeout,
            idle: args.idle_timeout,
        },
        shutdown_delay: args.shutdown_delay,
        drain_timeout: args.drain_timeout,
        policies,
        sources,
    };

    let workers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        // Large reviews are decided there, and the TLS files and the policy file are read.
        .max_blocking_threads(server::large_decisions() + 2)
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let ending = runtime.block_on(async {
        let signals = Signals::install().map_err(ServeError::Signals)?;
        let bound = server::bind(config).await?;
        let (address, admin, policies) = (bound.address(), bound.admin_address(), bound.policies());
        for policy in policies.policies() {
            let (policy, digest, path) = (policy.name(), policy.digest(), policies.path(policy));
            info!(%address, %admin, policy, digest, path, "serving");
        }
        if let Some(ca) = ca {
            let url = format!("https://{}/validate", server::reachable(bound.address()));
            info!("try it: curl --cacert {} -H 'content-type: application/json' -d '{EXAMPLE}' {url}", ca.display());
        }
        Ok(bound.run(signals).await?)
    });
    // What is still open was given its time; waiting for it again would never end.
    runtime.shutdown_background();
    ending
}

/// The source of the certificate, with what to reconcile in the cluster, and the CA to trust if it is a local one.
fn tls_source(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    args: ClusterArgs,
) -> Result<(TlsSource, Option<PathBuf>), ServeError> {
    let service = args.service.map(|service| ServiceName { namespace: service.namespace, name: service.name });
    let certificates = args.secret.filter(|_| args.manage_certs).zip(service.clone()).map(|(secret, service)| {
        let lifetimes = Lifetimes { leaf: args.leaf_lifetime, ca: args.ca_lifetime };
        ManagedCertificates { service, secret, lifetimes }
    });
    let controller = args.registration.map(|registration| controller::Config {
        registration,
        service,
        settle: args.manage_registration.then_some(args.registration_settle),
    });
    if let (Some(certificates), Some(controller)) = (certificates, &controller) {
        if certificates.lifetimes.ca <= certificates.lifetimes.leaf * 3 {
            return Err(ServeError::Lifetimes);
        }
        return Ok((TlsSource::Managed { certificates, controller: controller.clone(), client_ca }, None));
    }
    let (files, ca) = tls_files(cert, key, client_ca)?;
    Ok((TlsSource::Files { files, controller }, ca))
}

/// The files that were named, or local ones, and then the CA to trust.
fn tls_files(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
) -> Result<(TlsFiles, Option<PathBuf>), ServeError> {
    if let (Some(cert), Some(key)) = (cert, key) {
        return Ok((TlsFiles { cert, key, client_ca }, None));
    }
    let folder = Folder::new(LOCAL_CERTIFICATES);
    match certificates::ensure(&folder, SystemTime::now())? {
        Local::Found => info!("using the local certificates in {LOCAL_CERTIFICATES}/"),
        Local::Made => info!("no --tls-cert given: made a local CA and a serving certificate in {LOCAL_CERTIFICATES}/"),
        Local::Renewed => info!("the local certificate was at its end: made a new one in {LOCAL_CERTIFICATES}/"),
        Local::Remade => {
            info!("the local CA was at its end: made a new one in {LOCAL_CERTIFICATES}/; trust ca.crt anew");
        }
    }
    // A user's own certificate may be there without its CA.
    let ca = Some(folder.ca_cert()).filter(|ca| ca.exists());
    Ok((TlsFiles { cert: folder.cert(), key: folder.key(), client_ca }, ca))
}
