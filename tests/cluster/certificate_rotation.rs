//! A certificate is replaced as Kubernetes replaces a mounted Secret, while updates go on, and none of them fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use support::{free_address, registration::Registration, until};

use crate::{
    cluster::{Clusters, certificates},
    rotation::{Load, Mounted, served},
    tests,
};

tests![rotates_certificates_under_load_without_a_failed_update];

/// Makes a folder with a new serving certificate of the same CA.
fn renewed(old: &Path, new: PathBuf) -> PathBuf {
    fs::create_dir(&new).expect("a folder can be made");
    for file in ["ca.crt", "ca.key"] {
        fs::copy(old.join(file), new.join(file)).expect("the CA can be copied");
    }
    certificates(&new);
    new
}

fn certificate(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join("tls.crt")).expect("the guard writes a certificate")
}

fn rotates_certificates_under_load_without_a_failed_update(clusters: &Clusters) {
    let cluster = clusters.cci();
    let job = cluster.job();
    job.create_a_crowd();

    let folder = cluster.folder();
    let first = folder.join("first");
    certificates(&first);
    let ca = [CertificateDer::from_pem_file(first.join("ca.crt")).expect("the guard writes its CA")];
    let secret = Mounted::new(folder.join("mounted"), &first, &["ca.crt", "tls.crt", "tls.key"]);
    let guard = cluster.second_guard(&secret.folder, free_address().expect("a port is free"));
    let register = |host| {
        let name = format!("{}-{host}", job.namespace);
        let registration = Registration { name: &name, only: Some(&job.namespace), host, probe: &job.namespace };
        guard.register(&cluster.plane, registration).expect("the guard can be registered");
    };
    register("127.0.0.1");

    Load::on(&job, |load| {
        let mut old = first.clone();
        for name in ["second", "third"] {
            let new = renewed(&old, folder.join(name));
            assert_ne!(certificate(&new), certificate(&old));
            secret.swap(&new);
            until("the new certificate", || Ok((served(&guard, "127.0.0.1", &ca)? == certificate(&new)).then_some(())))
                .expect("the guard serves the new certificate");
            // Another name is another connection of the API server, shown the new certificate.
            if name == "second" {
                register("localhost");
            }
            load.another_round();
            old = new;
        }
    });
    job.rejects(&[("spec.backoffLimit", "(added)")], || job.patch(&json!({"spec": {"backoffLimit": 1}})));
}
