//! A cluster to try the guard in: `cargo run --release --example playground`.
//!
//! It is the control plane of the cluster tests, with the guard registered and the documented job created. Nothing runs
//! the job's pods. Ctrl-C takes all of it away.

use std::{
    env, io,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use pytorchjob_guard::{cli::Cli, commands};
use support::{
    Serves as _,
    control_plane::ControlPlane,
    guard::{self, Start},
    programs::Programs,
    registration::Registration,
    session::Session,
};
use tokio::signal::unix::{SignalKind, signal};

/// The namespace of the documented job.
const NAMESPACE: &str = "kube-test";

fn main() -> ExitCode {
    // Given arguments this is the guard itself, so that one command builds all that is needed.
    if env::args_os().len() > 1 {
        return commands::run(Cli::of(env::args_os()));
    }
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Boots, says what to try, and stays until it is told to stop.
#[tokio::main(flavor = "current_thread")]
async fn play() -> io::Result<()> {
    let programs = Programs::find_or_build()?;
    let session = Session::start()?;
    eprintln!("starting the control plane");
    let crd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/crds/cci.yaml");
    let mut plane = ControlPlane::boot(&session, &programs, &crd)?;
    plane.start_controllers(&session, &programs)?;
    plane.create_job(NAMESPACE, support::example_job())?;

    guard::set_path(env::current_exe()?);
    let certs = session.folder().join("guard");
    guard::make_certificates(&certs)?;
    let start = Start::within(&session).args(&["--policy", "cci"]).certs(&certs);
    let guard = start.listen(support::free_address()?).try_serve()?;
    guard
        .register(&plane, Registration { name: "pytorchjob-guard", only: None, host: "127.0.0.1", probe: NAMESPACE })?;

    // A signal before this one ends the process at once, and its session with it.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (kubeconfig, log) = (plane.kubeconfig(), guard.log_file());
    println!("\nThe guard watches over the PyTorchJobs of a real cluster. Try it in another terminal:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    if !on_path("kubectl") {
        let folder = programs.kubectl.parent().unwrap_or(Path::new("."));
        println!("  export PATH=\"$PATH:{}\"", folder.display());
    }
    println!("  kubectl --namespace {NAMESPACE} edit pytorchjob pytorch-test\n");
    println!("A label or ttlSecondsAfterFinished is saved; with another image the editor comes back and says why.");
    println!("The guard's log is {}, its metrics are http://{}/metrics.", log.display(), guard.admin_address());
    println!("Ctrl-C stops it all.");

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("stopping");
    Ok(())
}

fn on_path(program: &str) -> bool {
    Command::new(program)
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
