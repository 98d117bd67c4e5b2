//! A certificate authority for one demonstration: it certifies everybody, and its key is forgotten.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::failure::Failure;
use crate::stage::Stage;

/// Writes `ca.pem`, `tls.pem` and `tls.key` into a folder for each who takes part.
pub(super) fn make(folder: &Path, stage: &Stage) -> Result<(), Failure> {
    let everybody = [("alice", &stage.alice), ("bob", &stage.bob), ("eve", &stage.eve)];
    certify(folder, &everybody.map(|(name, place)| (name, vec![place.host.clone()]))).map(drop)
}

/// The same for these, by the hosts that each may be called. The authority's certificate, as PEM.
pub(super) fn certify(folder: &Path, everybody: &[(&str, Vec<String>)]) -> Result<String, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Countersign demonstration");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    for (name, hosts) in everybody {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(hosts.clone())?.signed_by(&key, &authority)?;
        write(&folder.join("ca.pem"), &authority.pem())?;
        write(&folder.join("tls.pem"), &certificate.pem())?;
        write(&folder.join("tls.key"), &key.serialize_pem())?;
    }
    Ok(authority.pem())
}

/// Writes a file that nobody else may read.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| at(path, &error))
}

pub(super) fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::said(format!("{}: {error}", path.display()))
}
