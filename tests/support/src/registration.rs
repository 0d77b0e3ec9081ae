//! The registration of a guard with the API server.

use crate::Serves as _;
use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::{Value, json};

use crate::{
    control_plane::{ADMIN, ControlPlane, OWN_GUARD},
    guard::Guard,
    until,
};

/// The registration that the project ships.
const CONFIGURATION: &str = include_str!("../../../manifests/policies/cci/registration.yaml");

/// The registration of a guard with the API server.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The configuration's name.
    pub name: &'a str,
    /// The only namespace it is for; without, all but those with a guard of their own.
    pub only: Option<&'a str>,
    /// The host of the webhook's URL. The API server speaks HTTP/2 to `localhost`, and HTTP/1.1 to others.
    pub host: &'a str,
    /// A namespace with the example job, to see from when on the guard is asked.
    pub probe: &'a str,
}

impl Guard {
    /// Registers it as the shipped manifest does, but for where the guard is, and to be asked about every update; waits until
    /// it is asked.
    pub fn register(&self, plane: &ControlPlane, registration: Registration) -> io::Result<()> {
        let mut configuration: Value = serde_saphyr::from_str(CONFIGURATION).map_err(io::Error::other)?;
        configuration["metadata"]["name"] = json!(registration.name);
        let ca_bundle = STANDARD.encode(self.ca());
        for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap_or_default();
            let url = format!("https://{}:{}{path}", registration.host, self.address().port());
            webhook["clientConfig"] = json!({"url": url, "caBundle": ca_bundle});
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

    /// The number of reviews that it has decided.
    fn decisions(&self) -> io::Result<u64> {
        Ok(self.count("decision_duration_seconds_count")?.unwrap_or_default())
    }
}
