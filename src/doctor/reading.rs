//! Reads what there is in a cluster, as far as the checks ask for it.

use std::time::SystemTime;

use serde_json::Value;

use super::{
    api::{Api, ApiError},
    guard::Guard,
    snapshot::{JOBS, Kind, Replica, Snapshot, text},
    webhooks,
};
use crate::crd::KUEUES;

/// The definitions of objects whose controllers write jobs.
const WRITERS: [(&str, Kind); 4] = [
    (KUEUES, Kind::Workload),
    ("applications.argoproj.io", Kind::Application),
    ("kustomizations.kustomize.toolkit.fluxcd.io", Kind::Kustomization),
    ("helmreleases.helm.toolkit.fluxcd.io", Kind::HelmRelease),
];

/// Looks at a cluster. An error means that its API server gives no answer at all.
pub(crate) async fn read(api: &Api) -> Result<Snapshot, ApiError> {
    let version = api.get("/version").await?.unwrap_or_default();
    let version = version["gitVersion"].as_str().unwrap_or_default().to_owned();
    let mut snapshot = Snapshot::of(version, SystemTime::now());
    let definition = |name| format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    for name in [JOBS].into_iter().chain(WRITERS.map(|(name, _)| name)) {
        snapshot.add(Kind::Crd, api.get(&definition(name)).await.map(|crd| crd.into_iter().collect()));
    }
    for (name, kind) in [(JOBS, Kind::Job)].into_iter().chain(WRITERS) {
        if let Some(path) = snapshot.crd(name).and_then(path_of) {
            snapshot.add(kind, api.list(&path).await);
        }
    }
    for (path, kind) in [
        ("/api/v1/namespaces", Kind::Namespace),
        ("/apis/autoscaling/v2/horizontalpodautoscalers", Kind::Autoscaler),
        ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", Kind::Validating),
        ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", Kind::Mutating),
    ] {
        snapshot.add(kind, api.list(path).await);
    }
    for namespace in webhooks::namespaces(&snapshot) {
        let path = format!("namespaces/{namespace}");
        snapshot.add(Kind::Service, api.list(&format!("/api/v1/{path}/services")).await);
        snapshot.add(Kind::Deployment, api.list(&format!("/apis/apps/v1/{path}/deployments")).await);
    }
    read_guard(api, &mut snapshot).await;
    Ok(snapshot)
}

/// What the guard's Deployment leads to.
async fn read_guard(api: &Api, snapshot: &mut Snapshot) {
    let Some(guard) = Guard::find(snapshot) else { return };
    let Some(service) = &guard.service else { return };
    let of_namespace = format!("/api/v1/namespaces/{}", service.namespace);
    for name in guard.config_maps() {
        let map = api.get(&format!("{of_namespace}/configmaps/{name}")).await;
        snapshot.add(Kind::ConfigMap, map.map(|map| map.into_iter().collect()));
    }
    snapshot.add(Kind::Pod, api.list(&format!("{of_namespace}/pods")).await);
    let port = guard.admin_port();
    let pods: Vec<_> = guard.pods(snapshot).into_iter().map(|pod| text(&pod["metadata"]["name"]).to_owned()).collect();
    for pod in pods {
        let path = |page: &str| format!("{of_namespace}/pods/{pod}:{port}/proxy/{page}");
        let text = async |page| api.text(&path(page)).await.map_err(|error| error.to_string());
        let (readyz, metrics) = (text("readyz").await, text("metrics").await);
        snapshot.replicas.push(Replica { pod, readyz, metrics });
    }
    let port = guard.service_port();
    let through = format!("{of_namespace}/services/https:{}:{port}/proxy/validate", service.name);
    snapshot.port = Some(match api.text(&through).await {
        // The guard answers that a review is sent with POST.
        Ok(_) | Err(ApiError::Status { code: 405, .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    });
}

/// The path of a definition's objects in all namespaces, in a version that is served.
fn path_of(crd: &Value) -> Option<String> {
    let versions = crd["spec"]["versions"].as_array()?;
    let served = || versions.iter().filter(|version| version["served"] == true);
    let version = served().find(|version| version["storage"] == true).or_else(|| served().next())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (group, plural) = (text(&crd["spec"]["group"])?, text(&crd["spec"]["names"]["plural"])?);
    Some(format!("/apis/{group}/{}/{plural}", text(&version["name"])?))
}
