//! Certificates for the tests, by rcgen, apart from the code that `certs` uses.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, date_time_ymd,
};

/// An RSA key, and the same as OpenSSL used to write it.
pub const RSA_PKCS8: &str = include_str!("../fixtures/rsa.pkcs8.key");
pub const RSA_PKCS1: &str = include_str!("../fixtures/rsa.pkcs1.key");
/// A P-256 key, the same as OpenSSL used to write it, and the same with a passphrase.
pub const EC_PKCS8: &str = include_str!("../fixtures/ec.pkcs8.key");
pub const EC_SEC1: &str = include_str!("../fixtures/ec.sec1.key");
pub const EC_ENCRYPTED: &str = include_str!("../fixtures/ec.encrypted.key");

/// A CA.
pub struct Authority {
    pub cert: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = ca_params(name);
        let cert = params.self_signed(&key).expect("a CA").pem();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    /// A CA below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = ca_params(name);
        let cert = params.signed_by(&key, &self.issuer).expect("a CA").pem();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    /// A serving certificate for 127.0.0.1.
    pub fn server(&self) -> Pair {
        self.server_until(2099)
    }

    /// A serving certificate for 127.0.0.1 that ends with the beginning of this year.
    pub fn server_until(&self, year: i32) -> Pair {
        self.sign(&server_params(year), &KeyPair::generate().expect("a key"))
    }

    /// A serving certificate for a key that exists.
    pub fn server_for(&self, pkcs8: &str) -> Pair {
        let key = KeyPair::from_pem_and_sign_algo(pkcs8, &PKCS_RSA_SHA256)
            .or_else(|_| KeyPair::from_pem(pkcs8))
            .expect("a key");
        self.sign(&server_params(2099), &key)
    }

    /// A client's certificate.
    pub fn client(&self) -> Pair {
        let mut params = params("client", 2099);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, &KeyPair::generate().expect("a key"))
    }

    /// The certificate that these parameters ask for.
    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let cert = params.signed_by(key, &self.issuer).expect("a certificate");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name, 2099);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn server_params(year: i32) -> CertificateParams {
    let mut params = params("guard", year);
    params.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn params(name: &str, year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    params
}
