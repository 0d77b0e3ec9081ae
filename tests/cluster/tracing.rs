//! A denial's log line has the trace of the request that the user sent.

use hyper::Request;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use support::{control_plane::PERSON, until};

use crate::{
    cluster::{Clusters, Job},
    tests,
};

tests![logs_the_trace_that_a_users_request_belongs_to];

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Patches the job by a request with this header, which kubectl would not send, and gives the code of the answer.
async fn send(job: &Job<'_>, change: &Value, traceparent: &str) -> Result<u16, Box<dyn std::error::Error>> {
    let kubeconfig = Kubeconfig::read_from(job.cluster.plane.kubeconfig())?;
    let options = KubeConfigOptions { context: Some(PERSON.to_owned()), ..KubeConfigOptions::default() };
    let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?;
    let path = format!("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs/pytorch-test", job.namespace);
    let request = Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .header("traceparent", traceparent)
        .body(Body::from(change.to_string().into_bytes()))?;
    Ok(client.send(request).await?.status().as_u16())
}

fn logs_the_trace_that_a_users_request_belongs_to(clusters: &Clusters) {
    let cluster = clusters.cci();
    let job = cluster.job();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let code = |change: &Value| runtime.block_on(send(&job, change, &traceparent)).expect("the API server answers");
    assert_eq!(code(&json!({"spec": {"ttlSecondsAfterFinished": 7}})), 200);
    assert_eq!(code(&json!({"spec": {"backoffLimit": 1}})), 422);

    // The guard answers first and logs then.
    let line = until("the denial in the guard's log", || {
        let log = cluster.guard.log();
        let line = log.lines().find(|line| line.contains(&job.namespace));
        Ok(line.map(str::to_owned))
    });
    let line: Value = serde_json::from_str(&line.expect("the denial is logged")).expect("a line of JSON");
    assert_eq!((&line["message"], &line["fields"]), (&json!("denied"), &json!("spec.backoffLimit")), "{line}");
    assert_eq!(line["trace_id"], TRACE, "{line}");
    let span = line["span_id"].as_str().unwrap_or_default();
    assert_eq!(span.len(), 16, "{line}");
}
