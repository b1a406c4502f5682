//! A TLS server on this machine: a certificate authority and a certificate for one host, made or loaded.
//!
//! For the price feed of the demo, which stands in for a public host, and for tests. The authority is trusted only
//! where `--ca` names it; its key is forgotten as soon as the one certificate is signed.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::server::TlsStream;

use crate::dialler::Stream;
use crate::tls::ALPN_HTTP11;

/// A server's certificate, its key, and the authority that signed it.
#[derive(Clone)]
pub struct ServerIdentity {
    certificate_pem: String,
    key_pem: String,
    authority_pem: String,
    config: Arc<ServerConfig>,
}

impl ServerIdentity {
    /// A new authority and a new certificate for `host` (a name or an address).
    pub fn generate(host: &str) -> Result<Self, ServerIdentityError> {
        let refused = |error: rcgen::Error| ServerIdentityError::Generate(error.to_string());
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.distinguished_name.push(DnType::CommonName, format!("nisse loopback authority for {host}"));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate().map_err(refused)?;
        let authority_certificate = authority.self_signed(&authority_key).map_err(refused)?;
        let issuer = Issuer::new(authority, authority_key);

        let mut leaf = CertificateParams::new(vec![host.to_owned()]).map_err(refused)?;
        leaf.distinguished_name.push(DnType::CommonName, host);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = leaf.signed_by(&key, &issuer).map_err(refused)?;
        Self::from_pem(&certificate.pem(), &key.serialize_pem(), &authority_certificate.pem())
    }

    /// Reads what [`ServerIdentity::certificate_pem`], `key_pem` and `authority_pem` gave.
    pub fn from_pem(certificate_pem: &str, key_pem: &str, authority_pem: &str) -> Result<Self, ServerIdentityError> {
        let refused = |error: &dyn std::fmt::Display| ServerIdentityError::Load(error.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| refused(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| refused(&error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| refused(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| refused(&error))?;
        config.alpn_protocols = vec![ALPN_HTTP11.to_vec()];
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            key_pem: key_pem.to_owned(),
            authority_pem: authority_pem.to_owned(),
            config: Arc::new(config),
        })
    }

    /// The server's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The server's private key: a secret.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The authority's certificate, for `--ca`.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// Agrees on TLS with a client that connected.
    pub async fn accept<S: Stream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(self.config.clone()).accept(stream).await
    }
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerIdentity").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// Why there is no server identity. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerIdentityError {
    /// The host cannot stand in a certificate.
    #[error("make a certificate: {0}")]
    Generate(String),
    /// The texts hold no certificate and key that belong together.
    #[error("load the certificate and its key: {0}")]
    Load(String),
}
