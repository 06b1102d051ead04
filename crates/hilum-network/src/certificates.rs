//! Whom we trust and how we show who we are, for TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

/// Certificates in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Authorities that we trust, such as the hospital's own; without any, the public ones of Mozilla's list, for the web
    /// only.
    pub authorities: Option<Vec<u8>>,
    /// Our own certificate (with those above it) and its key, for peers that want to know us.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

fn bad(what: &str) -> Error {
    Error::Tls(format!("{what} cannot be read as PEM"))
}

impl Certificates {
    pub(crate) fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        let Some(pem) = &self.authorities else { return Ok(None) };
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let all = all.ok().filter(|all| !all.is_empty()).ok_or_else(|| bad("the certificate of the authority"))?;
        Ok(Some(all))
    }

    fn own(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Error> {
        let Some((chain, key)) = &self.own else { return Ok(None) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.ok().filter(|all| !all.is_empty()).ok_or_else(|| bad("our certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| bad("our key"))?;
        Ok(Some((chain, key)))
    }

    /// For a node: authorities must be named, as the public ones vouch for no PACS.
    pub(crate) fn client(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        let authorities = self.authorities()?.ok_or_else(|| {
            Error::Tls("DICOM over TLS needs the certificate of the authority that vouches for the peer".into())
        })?;
        let mut roots = rustls::RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|e| Error::Tls(format!("the authority cannot be used: {e}")))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Tls(e.to_string()))?
            .with_root_certificates(roots);
        let config = match self.own()? {
            Some((chain, key)) => config
                .with_client_auth_cert(chain, key)
                .map_err(|e| Error::Tls(format!("our certificate cannot be used: {e}")))?,
            None => config.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// For the web.
    pub(crate) fn web(&self) -> Result<ureq::tls::TlsConfig, Error> {
        let mut config = ureq::tls::TlsConfig::builder();
        if let Some(authorities) = self.authorities()? {
            let all: Vec<_> =
                authorities.iter().map(|a| ureq::tls::Certificate::from_der(a.as_ref()).to_owned()).collect();
            config = config.root_certs(ureq::tls::RootCerts::new_with_certs(&all));
        }
        if let Some((chain, key)) = &self.own {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
                .map(|c| c.map(|c| ureq::tls::Certificate::from_der(c.as_ref()).to_owned()))
                .collect::<Result<_, _>>()
                .map_err(|_| bad("our certificate"))?;
            let key = ureq::tls::PrivateKey::from_pem(key).map_err(|_| bad("our key"))?;
            config = config.client_cert(Some(ureq::tls::ClientCert::new_with_certs(&chain, key)));
        }
        Ok(config.build())
    }
}
