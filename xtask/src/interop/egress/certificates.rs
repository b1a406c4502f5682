//! An authority of this run and the certificates below it, good and bad.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use serde_json::{Value, json};

/// Name of the certificate, the host it is for, first and last second, what it may be used for.
const LEAVES: &[(&str, &str, &str, &str, &str)] = &[
    ("good", "*.example.org,DNS:*.answers.example.org", "20200101000000Z", "20990101000000Z", "serverAuth"),
    ("expired", "expired.example.org", "20010101000000Z", "20020101000000Z", "serverAuth"),
    ("future", "future.example.org", "40000101000000Z", "40010101000000Z", "serverAuth"),
    ("wrong", "other.example.org", "20200101000000Z", "20990101000000Z", "serverAuth"),
    ("ending", "notending.example.org", "20200101000000Z", "20990101000000Z", "serverAuth"),
    ("client", "client.example.org", "20200101000000Z", "20990101000000Z", "clientAuth"),
];

const CONFIG: &str = "\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
unique_subject = no
policy = any
copy_extensions = none
[any]
commonName = supplied
";

/// The folder of an authority and its certificates.
pub(super) struct Certificates(PathBuf);

impl Certificates {
    /// The file of the authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    /// What the web servers read: certificate and key by name.
    pub(super) fn servers(&self) -> Value {
        let files =
            |name: &str| json!({ "certificate": self.0.join(format!("{name}.pem")), "key": self.0.join("key.pem") });
        let mut servers: serde_json::Map<_, _> =
            LEAVES.iter().map(|(name, ..)| ((*name).to_owned(), files(name))).collect();
        servers.insert("stranger".into(), files("stranger"));
        servers.insert("old".into(), files("good"));
        servers.into()
    }
}

/// Makes all of them.
pub(super) fn make(folder: &Path) -> anyhow::Result<Certificates> {
    std::fs::create_dir_all(folder)?;
    let openssl = |arguments: &str| -> anyhow::Result<()> {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output()?;
        ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    for (name, text) in [("ca.cnf", CONFIG), ("index.txt", ""), ("serial", "1000\n")] {
        std::fs::write(folder.join(name), text)?;
    }
    for key in ["authority.key", "key.pem"] {
        openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out {key}"))?;
    }
    openssl("req -x509 -new -key authority.key -days 30 -subj /CN=authority -out authority.pem")?;
    openssl(
        "req -x509 -new -key key.pem -days 30 -subj /CN=stranger.example.org -addext subjectAltName=DNS:stranger.example.org -out stranger.pem",
    )?;
    openssl("req -new -key key.pem -subj /CN=leaf -out leaf.csr")?;
    for (name, host, from, until, usage) in LEAVES {
        let extensions = format!("subjectAltName=DNS:{host}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(folder.join("leaf.ext"), extensions)?;
        openssl(&format!(
            "ca -batch -notext -config ca.cnf -cert authority.pem -keyfile authority.key -in leaf.csr -extfile leaf.ext -startdate {from} -enddate {until} -out {name}.pem"
        ))?;
    }
    Ok(Certificates(folder.to_owned()))
}
