//! What an address is to the machine that asks. Who may lead where is the matter of those who ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ureq::config::Config;
use ureq::http::Uri;

use super::Url;

/// What an address is to the machine that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Loopback,
    /// The link, and where clouds keep a machine's secrets.
    LinkLocal,
    /// Many at once, or nobody.
    Nowhere,
    /// Public and private alike.
    Elsewhere,
}

/// Where clouds tell a machine of itself at addresses that are not the link's.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl Class {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if METADATA.contains(&address) => Self::LinkLocal,
            // This network's unspecified address reaches this machine.
            IpAddr::V4(v4) if v4.is_loopback() || v4.octets()[0] == 0 => Self::Loopback,
            IpAddr::V4(v4) if v4.is_link_local() => Self::LinkLocal,
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Self::Loopback,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() => Self::Nowhere,
            IpAddr::V6(v6) if v6.is_multicast() => Self::Nowhere,
            IpAddr::V6(v6) => {
                let mut inner = embedded(v6).into_iter().map(|v4| Self::of(v4.into()));
                inner.find(|class| *class != Self::Elsewhere).unwrap_or(Self::Elsewhere)
            }
            IpAddr::V4(_) => Self::Elsewhere,
        }
    }

    /// The same, and an address that an interface of this machine has leads to this machine.
    pub(crate) fn dialled(address: IpAddr) -> Self {
        match Self::of(address) {
            Self::Elsewhere if is_own(address) => Self::Loopback,
            class => class,
        }
    }

    /// What the name alone says.
    pub(crate) fn named(url: &Url) -> Option<Self> {
        let loopback = url.names_loopback().then_some(Self::Loopback);
        loopback.or_else(|| url.address().map(Self::of))
    }
}

/// The addresses that one of IPv6 may stand for, by the ways of translating and tunnelling.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let octets = address.octets();
    let at = |places: [usize; 4]| {
        let [a, b, c, d] = places.map(|place| octets[place]);
        Ipv4Addr::new(a, b, c, d)
    };
    let last = at([12, 13, 14, 15]);
    match address.segments() {
        // NAT64, SIIT, IPv4-compatible.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => vec![last],
        // NAT64 with a prefix of one's own, which may have any of these lengths (RFC 6052).
        [0x64, 0xff9b, 1, ..] => {
            let all = [last, at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12])];
            all.into_iter().filter(|v4| v4.octets()[0] != 0).collect()
        }
        // 6to4.
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        // Teredo.
        [0x2001, 0, ..] => vec![Ipv4Addr::from_bits(!last.to_bits())],
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => Vec::new(),
    }
}

/// Whether an interface of this machine has it: such an address is reached from itself. Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    from().is_ok_and(|from| from.ip() == address)
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
            ("100.100.100.200", Class::LinkLocal),
            ("168.63.129.16", Class::LinkLocal),
            ("192.0.0.192", Class::LinkLocal),
            ("::ffff:100.100.100.200", Class::LinkLocal),
            ("fd00:ec2::254", Class::LinkLocal),
            ("fd20:ce::254", Class::LinkLocal),
            ("64:ff9b::168.63.129.16", Class::LinkLocal),
            ("64:ff9b:1::127.0.0.1", Class::Loopback),
            ("64:ff9b:1:a9fe:a9:fe00::", Class::LinkLocal),
            ("64:ff9b:1:0:7f:0:100:0", Class::Loopback),
            ("64:ff9b:1::8.8.8.8", Class::Elsewhere),
            ("2002:7f00:1::", Class::Loopback),
            ("2002:a9fe:a9fe::1", Class::LinkLocal),
            ("2002:808:808::1", Class::Elsewhere),
            ("::127.0.0.1", Class::Loopback),
            ("::169.254.169.254", Class::LinkLocal),
            ("::8.8.8.8", Class::Elsewhere),
            ("::ffff:0:127.0.0.1", Class::Loopback),
            ("2001:0:1:2:3:4:80ff:fffe", Class::Loopback),
            ("2001:db8::5efe:127.0.0.1", Class::Loopback),
            ("224.0.0.1", Class::Nowhere),
            ("239.255.255.250", Class::Nowhere),
            ("255.255.255.255", Class::Nowhere),
            ("2002:ffff:ffff::", Class::Nowhere),
            ("ff02::1", Class::Nowhere),
            ("10.0.0.1", Class::Elsewhere),
            ("192.168.1.1", Class::Elsewhere),
            ("fd00::1", Class::Elsewhere),
            ("93.184.216.34", Class::Elsewhere),
            ("2606:2800::1", Class::Elsewhere),
        ] {
            assert_eq!(Class::of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_addresses_of_interfaces_are_this_machine() {
        for documentation in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(Class::dialled(documentation.parse().unwrap()), Class::Elsewhere);
        }
        // Where one goes out with, if there is a network.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_ok() {
            let own = socket.local_addr().unwrap().ip();
            assert_eq!(Class::dialled(own), Class::Loopback, "{own}");
            let IpAddr::V4(v4) = own else { return };
            assert_eq!(Class::dialled(v4.to_ipv6_mapped().into()), Class::Loopback, "{own}");
        }
        assert!(is_own("127.0.0.1".parse().unwrap()));
    }
}
