//! Which certificate of the controller is believed.

use std::sync::Arc;

use reqwest::{Certificate, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use se_runtime::{Fault, FaultKind};

use crate::worker::{Fingerprint, Trust};

/// Sets up TLS as `trust` says.
///
/// # Errors
/// `validation` if the file of authorities cannot be read or holds none.
pub(super) fn apply(trust: &Trust, builder: ClientBuilder) -> Result<ClientBuilder, Fault> {
    let pinned = match trust {
        Trust::System => return Ok(builder),
        Trust::CaFile(path) => {
            let refuse = |why: String| {
                let detail = format!(
                    "`worker.tls.ca_file` is {}, but {why}; it must be a PEM file of certificates",
                    path.display()
                );
                Fault::new(FaultKind::Validation, detail)
            };
            let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|it| refuse(it.to_string()))?;
            if found.is_empty() {
                return Err(refuse("no certificate is in it".to_owned()));
            }
            return Ok(builder.tls_certs_only(found));
        }
        Trust::Fingerprint(print) => Some(*print),
        Trust::Anything => None,
    };
    let provider = CryptoProvider::get_default()
        .map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone);
    let verifier = Pinned {
        fingerprint: pinned,
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(FaultKind::Validation, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(builder.tls_backend_preconfigured(config))
}

/// Believes one certificate by its digest, or any where there is none to compare with. Either way the
/// other side must prove that it owns the certificate.
#[derive(Debug)]
struct Pinned {
    fingerprint: Option<Fingerprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint::of(end_entity);
        match self.fingerprint {
            Some(expected) if expected != found => Err(Error::General(format!(
                "its certificate has the SHA-256 fingerprint {found}, not {expected} as \
                 `worker.tls.fingerprint` says"
            ))),
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
