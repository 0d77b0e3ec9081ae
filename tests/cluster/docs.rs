//! The pages of the documentation that need an API server hold.

use std::path::Path;

use support::{
    control_plane::ControlPlane,
    pages::{pages, path_with},
    programs::{Programs, helm},
    session::Session,
};

use crate::{
    cluster::{Clusters, training_operator_crd},
    tests,
};

tests![every_page_that_needs_a_cluster_holds];

fn every_page_that_needs_a_cluster_holds(_: &Clusters) {
    let programs = Programs::find_or_build().expect("a control plane");
    let session = Session::start().expect("a session");
    let crd = training_operator_crd().expect("the CRD");
    let plane = ControlPlane::boot(&session, &programs, &crd).expect("a control plane");
    let folder_of = |program: &Path| program.parent().expect("a folder").to_owned();
    let programs = [support::guard::path(), &programs.kubectl, &helm().expect("Helm")].map(folder_of);
    let path = path_with(&programs.each_ref().map(std::path::PathBuf::as_path));
    let mut names = Vec::new();
    for page in pages().iter().filter(|page| page.needs_a_cluster() && !page.needs_an_installation()) {
        let folder = session.folder().join("pages").join(page.name().replace('/', "-"));
        std::fs::create_dir_all(&folder).expect("a folder");
        page.run(&folder, &|command| {
            command.env("PATH", &path).env("KUBECONFIG", plane.kubeconfig()).env("HOME", &folder);
        });
        names.push(page.name());
    }
    assert!(!names.is_empty());
}
