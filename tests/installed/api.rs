//! Requests to the API server as JSON, and its refusals as they came.

use std::{fmt, io, path::Path};

use hyper::{Method, Request};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// A client that sends every request once.
#[derive(Clone)]
pub(crate) struct Api(kube::Client);

/// The error in place of success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// 0 where there was no answer.
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self { code: status.code, reason: status.reason, message: status.message },
            other => Self { code: 0, reason: "NoAnswer".to_owned(), message: format!("{other:?}") },
        }
    }
}

impl Api {
    /// A client with connections of its own.
    pub(crate) async fn new(kubeconfig: &Path, user: &str) -> io::Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(io::Error::other)?;
        let options = KubeConfigOptions { context: Some(user.to_owned()), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(io::Error::other)?;
        // An update that goes through at the second attempt is one that failed.
        config.default_retry = false;
        kube::Client::try_from(config).map(Self).map_err(io::Error::other)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.send(&Method::GET, path, "application/json", None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.send(&Method::POST, path, "application/json", Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Result<Value, Refusal> {
        self.send(&Method::DELETE, path, "application/json", Some(options)).await
    }

    /// An array is a JSON patch, an object a merge patch.
    pub(crate) async fn patch(&self, path: &str, change: &Value) -> Result<Value, Refusal> {
        let kind = if change.is_array() { "application/json-patch+json" } else { "application/merge-patch+json" };
        self.send(&Method::PATCH, path, kind, Some(change)).await
    }

    async fn send(&self, method: &Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body);
        Ok(self.0.request(request.expect("a path is a URI")).await?)
    }
}
