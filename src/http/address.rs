//! What an address is to the machine that asks. Who may lead where is the matter of those who ask.

use std::net::{IpAddr, Ipv4Addr};

use ureq::config::Config;
use ureq::http::Uri;

use super::Url;

/// What an address is to the machine that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Loopback,
    LinkLocal,
    /// Public and private alike.
    Elsewhere,
}

impl Class {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // This network's unspecified address reaches this machine.
            IpAddr::V4(v4) if v4.is_loopback() || v4.octets()[0] == 0 => Self::Loopback,
            IpAddr::V4(v4) if v4.is_link_local() => Self::LinkLocal,
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Self::Loopback,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
                let [.., a, b, c, d] = v6.octets();
                Self::of(Ipv4Addr::new(a, b, c, d).into())
            }
            _ => Self::Elsewhere,
        }
    }

    /// What the name alone says.
    pub(crate) fn named(url: &Url) -> Option<Self> {
        let loopback = url.names_loopback().then_some(Self::Loopback);
        loopback.or_else(|| url.address().map(Self::of))
    }
}

/// Whether what is looked up is the machine's own proxy: that is the user's choice, not of whoever leads there.
pub(crate) fn is_proxy(uri: &Uri, config: &Config) -> bool {
    let host = uri.host().unwrap_or_default();
    config.proxy().is_some_and(|proxy| proxy.host() == host && uri.port_u16() == Some(proxy.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_their_class() {
        for (address, expected) in [
            ("127.0.0.1", Class::Loopback),
            ("127.255.0.9", Class::Loopback),
            ("0.0.0.0", Class::Loopback),
            ("::1", Class::Loopback),
            ("::", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("169.254.169.254", Class::LinkLocal),
            ("::ffff:169.254.169.254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("febf::1", Class::LinkLocal),
            ("10.0.0.1", Class::Elsewhere),
            ("192.168.1.1", Class::Elsewhere),
            ("fd00::1", Class::Elsewhere),
            ("93.184.216.34", Class::Elsewhere),
            ("2606:2800::1", Class::Elsewhere),
        ] {
            assert_eq!(Class::of(address.parse().unwrap()), expected, "{address}");
        }
    }
}
