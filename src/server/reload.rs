//! Reading the TLS files again when their contents change.
//!
//! Contents are compared on a timer: a mounted Secret is swapped by a symlink above the files, which events on the
//! files themselves miss. A change counts once two looks in a row saw the same, so that a swap between the reading of
//! the certificate and of its key is not taken for a bad pair.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::crypto::CryptoProvider;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{
    config::TlsFiles,
    state::State,
    tls::{Identity, Material, TlsError},
};
use crate::certificates::{Standing, Validity};

const INTERVAL: Duration = Duration::from_millis(500);

/// What a look at the files saw: their contents, or why there were none.
type Look = Result<Material, String>;

/// Watches the files that TLS is set up from.
pub(super) struct Reloader {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    /// What was last taken or refused.
    judged: Look,
    /// What differs from that, seen once so far.
    candidate: Option<Look>,
    validity: Validity,
    standing: Standing,
}

/// What a look came to.
enum Finding {
    /// Nothing new, or nothing settled.
    Same,
    /// New files that can serve.
    Taken(Identity),
    /// New files that cannot, and why.
    Refused(String),
}

impl Reloader {
    /// Reads the files for the first time.
    pub(super) fn start(files: TlsFiles) -> Result<(Self, Identity), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let material = Material::read(&files)?;
        let identity = material.identity(&files, &provider)?;
        let validity = identity.validity;
        let reloader =
            Self { files, provider, judged: Ok(material), candidate: None, validity, standing: Standing::Good };
        Ok((reloader, identity))
    }

    /// Looks at the files again and again.
    pub(super) async fn run(mut self, state: Arc<State>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.warn_of_expiry();
            ticks.tick().await;
            let files = self.files.clone();
            // A file system that hangs must not keep a worker from serving.
            let look = tokio::task::spawn_blocking(move || Material::read(&files).map_err(|error| error.to_string()));
            let Ok(look) = look.await else { continue };
            match self.judge(look) {
                Finding::Same => {}
                Finding::Taken(identity) => {
                    self.validity = identity.validity;
                    self.standing = Standing::Good;
                    state.set_tls(identity.config);
                    state.metrics.reloaded(identity.validity);
                    info!(cert = %self.files.cert.display(), "the TLS files changed and are in use");
                }
                Finding::Refused(reason) => {
                    state.metrics.reload_refused();
                    warn!(reason, "the TLS files changed and cannot be used; the ones before go on serving");
                }
            }
        }
    }

    fn judge(&mut self, look: Look) -> Finding {
        if look == self.judged {
            self.candidate = None;
            return Finding::Same;
        }
        if self.candidate.as_ref() != Some(&look) {
            self.candidate = Some(look);
            return Finding::Same;
        }
        self.candidate = None;
        let finding = match &look {
            Ok(material) => match material.identity(&self.files, &self.provider) {
                Ok(identity) => Finding::Taken(identity),
                Err(error) => Finding::Refused(error.to_string()),
            },
            Err(reason) => Finding::Refused(reason.clone()),
        };
        self.judged = look;
        finding
    }

    /// Says once that the certificate is near its end, and once that it is over.
    fn warn_of_expiry(&mut self) {
        let now = SystemTime::now();
        let standing = self.validity.standing(now);
        if standing == self.standing {
            return;
        }
        self.standing = standing;
        let cert = self.files.cert.display();
        match standing {
            Standing::Good => {}
            Standing::Early => warn!(%cert, "the certificate is not valid yet: API servers will not call this webhook"),
            Standing::Ending => {
                let left =
                    humantime::format_duration(Duration::from_secs(self.validity.left(now).as_secs())).to_string();
                warn!(%cert, left, "the certificate ends soon");
            }
            Standing::Ended => warn!(%cert, "the certificate has expired: API servers will not call this webhook"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let cert = CertificateParams::default().self_signed(&key).expect("a certificate");
        (cert.pem(), key.serialize_pem())
    }

    fn look(files: &TlsFiles, cert: &str, key: &str) -> Look {
        fs::write(&files.cert, cert).expect("a file");
        fs::write(&files.key, key).expect("a file");
        Material::read(files).map_err(|error| error.to_string())
    }

    fn name(finding: &Finding) -> &str {
        match finding {
            Finding::Same => "same",
            Finding::Taken(_) => "taken",
            Finding::Refused(reason) => reason,
        }
    }

    #[test]
    fn judges_each_change_once_and_only_when_it_stays() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let files = TlsFiles { cert: dir.path().join("tls.crt"), key: dir.path().join("tls.key"), client_ca: None };
        let ((cert_a, key_a), (cert_b, key_b)) = (pair(), pair());
        let a = look(&files, &cert_a, &key_a);
        let (mut reloader, _) = Reloader::start(files.clone()).expect("the first pair serves");
        let half = look(&files, &cert_b, &key_a);
        let b = look(&files, &cert_b, &key_b);
        let gone: Look = Err("tls.crt: gone".to_owned());
        let refused = format!("{}: this is not the key", files.key.display());

        for (look, found) in [
            (&a, "same"),
            // Seen in the middle of a swap, and never again.
            (&half, "same"),
            (&b, "same"),
            (&b, "taken"),
            (&b, "same"),
            // A pair that stays bad is refused once.
            (&half, "same"),
            (&half, refused.as_str()),
            (&half, "same"),
            (&half, "same"),
            (&gone, "same"),
            (&gone, "tls.crt: gone"),
            (&gone, "same"),
            // Back to what serves, by way of another.
            (&a, "same"),
            (&b, "same"),
            (&a, "same"),
            (&a, "taken"),
            (&a, "same"),
        ] {
            let finding = reloader.judge(look.clone());
            assert!(name(&finding).starts_with(found), "{} where {found} was due", name(&finding));
        }
    }
}
