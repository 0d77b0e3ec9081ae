//! The guard before a real API server, driven by kubectl: what users, their tools and the cluster's controllers see.

mod harness;

fn main() {
    let session = harness::Session::start().unwrap();
    let programs = harness::Programs::find_or_build().unwrap();
    let t = std::time::Instant::now();
    let mut plane = harness::ControlPlane::boot(&session, &programs, "cci", std::path::Path::new("tests/cluster/crds/cci.yaml")).unwrap();
    eprintln!("booted {:?}", t.elapsed());
    plane.start_controllers(&session, &programs).unwrap();
    plane.create_example_job("kube-test").unwrap();
    eprintln!("{:?}", t.elapsed());
    eprintln!("{}", plane.kubeconfig().display());
    std::thread::sleep(std::time::Duration::from_secs(600));
}
