//! How the guard stands with the API server that asks it, as `/readyz` tells it.

/// How the guard stands with the API server that asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Standing {
    /// Whether an API server can call us, or why not.
    pub(in crate::server) ready: Result<(), String>,
    /// By what updates get past the guard; none where the registration was not seen yet.
    pub(in crate::server) misfits: Option<Vec<String>>,
    /// Why the CA is not kept.
    pub(in crate::server) problem: Option<String>,
}

impl Standing {
    /// Without an API server to look at there is nothing to wait for.
    pub(in crate::server) fn alone() -> Self {
        Self { ready: Ok(()), misfits: None, problem: None }
    }

    /// Before anything was seen of it.
    pub(in crate::server) fn unknown() -> Self {
        Self { ready: Err("the API server was not reached yet".to_owned()), misfits: None, problem: None }
    }
}
