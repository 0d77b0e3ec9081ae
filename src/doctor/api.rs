//! Requests to the API server, each under a deadline.

use std::{error::Error, path::Path, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{Method, Request, StatusCode};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::text::causes;

const DEADLINE: Duration = Duration::from_secs(10);
/// The objects of one page of a list.
const PAGE: usize = 500;
/// The most objects of one kind that are looked at.
pub(super) const MOST: usize = 5000;

/// The reason why there is no answer, or none that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is no cluster to look at: {0}")]
    Kubeconfig(String),
    #[error("the API server gave no answer: {0}")]
    NoAnswer(String),
    #[error("{message}")]
    Status { code: u16, message: String },
}

/// The error in place of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rejection {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
    /// The fields of its causes.
    pub(super) fields: Vec<String>,
}

/// A client of the API server.
#[derive(Clone)]
pub(crate) struct Api(Client);

impl Api {
    /// A client for a kubeconfig's context; without either as kubectl finds them, or as a pod does.
    pub(crate) async fn new(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, ApiError> {
        let told = |error: &dyn Error| ApiError::Kubeconfig(causes(error));
        let mut config = if kubeconfig.is_none() && context.is_none() {
            Config::infer().await.map_err(|error| told(&error))?
        } else {
            let read = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from).map_err(|error| told(&error))?;
            let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(read, &options).await.map_err(|error| told(&error))?
        };
        // One look, not many: `--wait` repeats it.
        config.default_retry = false;
        Client::try_from(config).map(Self).map_err(|error| told(&error))
    }

    /// The text at a path.
    pub(super) async fn text(&self, path: &str) -> Result<String, ApiError> {
        let request = Request::get(path).body(Vec::new()).map_err(|error| ApiError::NoAnswer(causes(&error)))?;
        match timeout(DEADLINE, self.0.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(kube::Error::Api(status))) => {
                Err(ApiError::Status { code: status.code, message: status.message.clone() })
            }
            Ok(Err(error)) => Err(ApiError::NoAnswer(causes(&error))),
            Err(_) => Err(ApiError::NoAnswer(format!("none within {}", humantime::format_duration(DEADLINE)))),
        }
    }

    /// The object at a path; none where there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.text(path).await {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| ApiError::NoAnswer(error.to_string())),
            Err(ApiError::Status { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects of a list, at most [`MOST`]; none where there is no such resource.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut from = String::new();
        loop {
            let Some(mut page) = self.get(&format!("{path}?limit={PAGE}&continue={from}")).await? else { break };
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() && items.len() < MOST => next.clone_into(&mut from),
                _ => break,
            }
        }
        Ok(items)
    }

    /// Creates an object that the API server keeps nowhere, such as a review of the user's own name.
    pub(super) async fn ask(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let (status, body) = self.send(Method::POST, path, "application/json", body).await?;
        if status.is_success() {
            return Ok(body);
        }
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        Err(ApiError::Status { code: status.as_u16(), message })
    }

    /// A merge patch of an object as a dry run: the API server asks its webhooks, and stores nothing. The rejection, if it is one.
    pub(super) async fn dry_run(&self, path: &str, change: &Value) -> Result<Option<Rejection>, ApiError> {
        let path = format!("{path}?dryRun=All");
        let (status, body) = self.send(Method::PATCH, &path, "application/merge-patch+json", change).await?;
        if status.is_success() {
            return Ok(None);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = body["details"]["causes"].as_array();
        Ok(Some(Rejection {
            code: status.as_u16(),
            reason: text(&body["reason"]),
            message: text(&body["message"]),
            fields: causes.into_iter().flatten().map(|cause| text(&cause["field"])).collect(),
        }))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), ApiError> {
        let no_answer = |error: &dyn Error| ApiError::NoAnswer(causes(error));
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(body.to_string().into_bytes().into()).map_err(|error| no_answer(&error))?;
        let exchange = async {
            let response = self.0.send(request).await.map_err(|error| no_answer(&error))?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| no_answer(&error))?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        timeout(DEADLINE, exchange).await.unwrap_or_else(|_| Err(ApiError::NoAnswer("it takes too long".to_owned())))
    }
}
