//! TLS with a certificate that the guard signed, and the clients that are let in now.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tracing::warn;

use super::{
    state::State,
    tls::{self, ClientCa, TlsError},
};
use crate::certificates::{OwnClient, ServingCertificate};

/// The parts that TLS is set up from.
pub(super) struct ManagedTls {
    state: Arc<State>,
    /// The CAs of the clients. None lets in every client.
    client_ca: Option<watch::Receiver<ClientCa>>,
    /// None without a registration, and so without self-calls.
    own: Option<Arc<OwnClient>>,
    provider: Arc<CryptoProvider>,
    serving: Mutex<Option<Arc<ServingCertificate>>>,
}

impl ManagedTls {
    pub(super) fn new(
        state: Arc<State>,
        client_ca: Option<watch::Receiver<ClientCa>>,
        own: Option<Arc<OwnClient>>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self { state, client_ca, own, provider, serving: Mutex::default() }
    }

    /// Serves this certificate from now on.
    pub(super) fn serve(&self, serving: &Arc<ServingCertificate>) -> Result<(), TlsError> {
        // Nothing can fail while the lock is held, so a poisoned one holds a good certificate all the same.
        let mut kept = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Arc::clone(serving));
        self.set(serving)
    }

    fn set(&self, serving: &ServingCertificate) -> Result<(), TlsError> {
        let client_ca = self.client_ca.as_ref().map(|client_ca| client_ca.borrow().clone());
        let identity =
            tls::managed(serving, client_ca.as_ref(), self.own.as_ref().map(|own| &own.certificate), &self.provider)?;
        self.state.set_tls(identity.config);
        self.state.metrics.certificate_reloaded(identity.validity);
        Ok(())
    }

    /// Serves the certificate to the clients that are let in, whenever their CAs change.
    pub(super) async fn follow_client_ca(self: Arc<Self>) {
        let Some(mut client_ca) = self.client_ca.clone() else { return pending().await };
        // The error says that the file is watched no more: then the server ends.
        while client_ca.changed().await.is_ok() {
            let kept = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Err(error)) = kept.as_ref().map(|serving| self.set(serving)) {
                warn!(%error, "the certificate that was signed cannot be served");
            }
        }
        pending::<()>().await;
    }
}
