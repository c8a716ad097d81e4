//! How programs come to ask lith, and to believe it: variables, and the files that these name.
//!
//! Nothing here differs from machine to machine or from step to step but what is in the files: a program that notes its
//! environment notes the same each time.

use std::collections::BTreeMap;

use super::authority::Authority;
use super::keystore;

/// Where the proxy listens, beyond the ports that a system gives to those who don't mind.
pub(crate) const PORT: u16 = 61090;

/// A folder of the sandbox's own `/dev`, so that it never is in a layer.
const FOLDER: &str = "/dev/lith";

/// Variables whose value is the proxy's URL.
const PROXIES: [&str; 6] =
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Variables whose value is the file of the authority's certificate.
const AUTHORITIES: [&str; 12] = [
    "SSL_CERT_FILE",       // OpenSSL, Python, Go, Ruby, rustls
    "CURL_CA_BUNDLE",      // curl
    "REQUESTS_CA_BUNDLE",  // Python's requests
    "PIP_CERT",            // pip
    "NODE_EXTRA_CA_CERTS", // Node
    "DENO_CERT",           // Deno
    "CARGO_HTTP_CAINFO",   // cargo
    "GIT_SSL_CAINFO",      // git
    "NIX_SSL_CERT_FILE",   // Nix
    "AWS_CA_BUNDLE",       // the AWS tools
    "HEX_CACERTS_PATH",    // Elixir's package manager
    "COMPOSER_CAFILE",     // PHP's package manager
];

/// The files, by path.
pub(super) fn files(authority: &Authority) -> Vec<(String, Vec<u8>)> {
    let at = |name: &str| format!("{FOLDER}/{name}");
    let pem = at("ca.pem");
    // GnuTLS knows no variable, so its users are told one by one.
    let apt = format!("Acquire::https::CAInfo \"{pem}\";\n");
    let wget = format!("ca_certificate = {pem}\n");
    vec![
        (at("ca.pem"), authority.pem().into_bytes()),
        (at("ca.jks"), keystore::with(authority.der())),
        (at("apt.conf"), apt.into_bytes()),
        (at("wgetrc"), wget.into_bytes()),
    ]
}

/// Sets the variables, whatever they were: without them the step has no network at all.
pub(crate) fn set(environment: &mut BTreeMap<String, String>) {
    let mut set = |name: &str, value: String| {
        environment.insert(name.into(), value);
    };
    for name in PROXIES {
        set(name, format!("http://127.0.0.1:{PORT}"));
    }
    for name in ["no_proxy", "NO_PROXY"] {
        // What the step itself serves.
        set(name, "localhost,127.0.0.1,::1".into());
    }
    for name in AUTHORITIES {
        set(name, format!("{FOLDER}/ca.pem"));
    }
    set("APT_CONFIG", format!("{FOLDER}/apt.conf"));
    set("WGETRC", format!("{FOLDER}/wgetrc"));
    set("NODE_USE_ENV_PROXY", "1".into());
    let java = format!(
        "-Djavax.net.ssl.trustStore={FOLDER}/ca.jks -Djavax.net.ssl.trustStoreType=JKS -Dhttp.proxyHost=127.0.0.1 \
         -Dhttp.proxyPort={PORT} -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={PORT} \
         -Dhttp.nonProxyHosts=localhost|127.0.0.1"
    );
    let before = environment.get("JAVA_TOOL_OPTIONS").filter(|text| !text.is_empty());
    let java = before.map_or(java.clone(), |before| format!("{before} {java}"));
    environment.insert("JAVA_TOOL_OPTIONS".into(), java);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_gives_way() {
        let mut environment = BTreeMap::from([
            ("http_proxy".to_owned(), "http://elsewhere".to_owned()),
            ("JAVA_TOOL_OPTIONS".to_owned(), "-Xmx1g".to_owned()),
            ("A".to_owned(), "b".to_owned()),
        ]);
        set(&mut environment);
        assert_eq!(environment["http_proxy"], "http://127.0.0.1:61090");
        assert_eq!(environment["A"], "b");
        assert!(
            environment["JAVA_TOOL_OPTIONS"]
                .starts_with("-Xmx1g -Djavax.net.ssl.trustStore=/dev/lith/ca.jks ")
        );
    }

    #[test]
    fn every_file_that_is_named_is_there() {
        let mut environment = BTreeMap::new();
        set(&mut environment);
        let files = files(&Authority::new().unwrap());
        for path in environment.values().filter(|value| value.starts_with(FOLDER)) {
            assert!(files.iter().any(|(there, _)| there == path), "{path}");
        }
    }
}
