//! `EXPOSE 127.0.0.1:80:80`: where a port is published is said when a container is run.

use super::{Finding, Rule};
use crate::buildfile::Span;

pub(super) static RULE: Rule = Rule {
    name: "ExposeInvalidFormat",
    description: "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    url: Some("https://docs.docker.com/go/dockerfile/rule/expose-invalid-format/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn expose_invalid_format(span: Span, port: &str) -> Finding {
    let message =
        format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'");
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn addresses_and_host_ports_are_found() {
        let text = "FROM scratch\nEXPOSE 127.0.0.1:80:80 5000-5005 [::1]:8080:80 8080:80/udp\n";
        assert_eq!(check(text), ["ExposeInvalidFormat 2"; 3]);
        assert_eq!(
            messages(text)[0],
            "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'"
        );
    }
}
