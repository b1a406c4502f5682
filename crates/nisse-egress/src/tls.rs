//! TLS to the outside: 1.2 or newer, ring, HTTP/1.1, roots of our choice, no session shared between connections.

use std::io;
use std::sync::Arc;

use nisse_model::LocalHost;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::dialler::Stream;

/// The protocol offered; a server that chooses another one is refused.
pub(crate) const ALPN_HTTP11: &[u8] = b"http/1.1";

/// Which certificate authorities are believed.
#[derive(Debug, Clone, Default)]
pub enum TlsRoots {
    /// Mozilla's list, as built into this binary.
    #[default]
    WebPki,
    /// Only these.
    Only(CaFile),
}

/// Certificate authorities read from a PEM text.
#[derive(Debug, Clone)]
pub struct CaFile(Arc<RootCertStore>);

impl CaFile {
    /// Reads every certificate in the text; at least one must be there.
    pub fn from_pem(pem: &str) -> Result<Self, CaFileError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| CaFileError::Pem(error.to_string()))?;
            store.add(certificate).map_err(|error| CaFileError::Certificate(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(CaFileError::Empty);
        }
        Ok(Self(Arc::new(store)))
    }
}

/// Why a text holds no certificate authority. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaFileError {
    /// No certificate in it.
    #[error("find a certificate: expected `-----BEGIN CERTIFICATE-----`")]
    Empty,
    /// Not PEM.
    #[error("read the PEM text: {0}")]
    Pem(String),
    /// Not a certificate authority.
    #[error("use a certificate as an authority: {0}")]
    Certificate(String),
}

/// A configuration for connections that trust these roots.
pub(crate) fn client_config(roots: &TlsRoots) -> Arc<ClientConfig> {
    let store = match roots {
        TlsRoots::WebPki => Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
        TlsRoots::Only(ca) => ca.0.clone(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP11.to_vec()];
    // A resumed session would tie one agent's connection to another's.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Agrees on TLS with `host`, whose certificate must be for that very name.
pub(crate) async fn connect(
    config: &Arc<ClientConfig>,
    host: &LocalHost,
    stream: Box<dyn Stream>,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let name = match host {
        LocalHost::Ip(ip) => ServerName::from(*ip),
        LocalHost::Name(name) => ServerName::try_from(name.as_str().to_owned()).map_err(io::Error::other)?,
    };
    let stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
    match stream.get_ref().1.alpn_protocol() {
        None | Some(ALPN_HTTP11) => Ok(stream),
        Some(_) => Err(io::Error::other(rustls::Error::General("the server chose another protocol".to_owned()))),
    }
}
