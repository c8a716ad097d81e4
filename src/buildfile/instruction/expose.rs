//! `EXPOSE`: the ports that a container listens on.

use super::{Request, Syntax};
use crate::buildfile::{
    check,
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::Word,
};

/// `EXPOSE port[/protocol]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// At least one, as typed and in the order typed. Each is expanded, and may become several words by it.
    pub ports: Vec<Word>,
}

impl Syntax for Expose {
    const KEYWORD: &'static str = "EXPOSE";
    const HELP: &'static str = "EXPOSE port[/protocol]…";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let ports = request.words(Self::KEYWORD);
        request.flags(&[])?;
        Some(Self { ports: ports? })
    }
}

impl Expose {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let mut words: Vec<&Word> = self.ports.iter().collect();
        words.sort_by(|a, b| a.text.cmp(&b.text));
        let mut exposed = Vec::new();
        for word in words {
            for text in cx.expand_words(word)? {
                let ports = Ports::parse(&text)
                    .map_err(|message| Diagnostic::error("port", word.span, message).help(HELP))?;
                if ports.capitals {
                    cx.lint(check::expose_proto_casing(word.span, &text));
                }
                if ports.published {
                    cx.lint(check::expose_invalid_format(word.span, &text));
                }
                exposed.extend(ports.range.map(|port| format!("{port}/{}", ports.protocol)));
            }
        }
        cx.commit(format!("EXPOSE {}", lower::list(&exposed)), None);
        cx.config.config.exposed_ports.extend(exposed);
        Ok(())
    }
}

const HELP: &str =
    "write it as `80`, `80/udp` or `8000-8010`; ports are from 0 to 65535, protocols `tcp`, `udp` and `sctp`";

/// `[[address:]host:]port[-port][/protocol]`.
struct Ports {
    range: std::ops::RangeInclusive<u16>,
    /// In lower case.
    protocol: String,
    /// The protocol was not in lower case.
    capitals: bool,
    /// It says an address or a port of the host, which an image can't decide.
    published: bool,
}

impl Ports {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.rsplitn(3, ':');
        let container = parts.next().unwrap_or_default();
        let (host, address) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
        if port.is_empty() {
            return Err(format!("invalid port: `{text}`: no port specified"));
        }
        let lower = protocol.to_lowercase();
        let protocol = match lower.as_str() {
            "" => "tcp",
            "tcp" | "udp" | "sctp" => &lower,
            _ => return Err(format!("invalid port: `{text}`: invalid proto: `{protocol}`")),
        };
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if !address.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address: `{address}`"));
        }
        let range = range(port).ok_or_else(|| format!("invalid containerPort: `{port}`"))?;
        if !host.is_empty() {
            let other = self::range(host).ok_or_else(|| format!("invalid hostPort: `{host}`"))?;
            if range.len() != other.len() && range.len() != 1 {
                return Err(format!(
                    "invalid ranges specified for container and host Ports: `{port}` and `{host}`"
                ));
            }
        }
        Ok(Self {
            range,
            protocol: protocol.to_owned(),
            capitals: container.split_once('/').is_some_and(|(_, typed)| typed != typed.to_lowercase()),
            published: !address.is_empty() || !host.is_empty(),
        })
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = number(first)?..=number(last)?;
    (!range.is_empty()).then_some(range)
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn ports_are_as_typed() {
        let Expose { ports } = parsed("EXPOSE 80 $p/udp\t8000-8010");
        assert_eq!(ports.iter().map(Word::as_str).collect::<Vec<_>>(), ["80", "$p/udp", "8000-8010"]);
        assert_eq!(errors("EXPOSE"), ["EXPOSE requires at least one argument"]);
    }
}
