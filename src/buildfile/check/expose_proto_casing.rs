//! `EXPOSE 80/TCP`.

use super::{Finding, Rule};
use crate::buildfile::Span;

pub(super) static RULE: Rule = Rule {
    name: "ExposeProtoCasing",
    description: "Protocol in EXPOSE instruction should be lowercase",
    url: Some("https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn expose_proto_casing(span: Span, port: &str) -> Finding {
    let message = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn capitals_are_found() {
        let text = "FROM scratch\nEXPOSE 80/TcP 8080/TCP 8081/udp\n";
        assert_eq!(check(text), ["ExposeProtoCasing 2", "ExposeProtoCasing 2"]);
        assert_eq!(messages(text)[0], "Defined protocol '80/TcP' in EXPOSE instruction should be lowercase");
    }
}
