//! What kind of network an address belongs to, which decides who may be let through to it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds of addresses policy tells apart (IANA's special-purpose registries, RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressClass {
    /// Global unicast.
    Public,
    /// RFC 1918, unique local (RFC 4193) and carrier-grade NAT (RFC 6598).
    Private,
    /// This machine.
    Loopback,
    /// Link-local, and the addresses at which clouds give their machines credentials.
    LinkLocal,
    /// `0.0.0.0/8` and `::`, which many systems take for this machine.
    Unspecified,
    /// A group.
    Multicast,
    /// Everyone on the link.
    Broadcast,
    /// Documentation, benchmarks, protocols of their own, or assigned to nobody.
    Reserved,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public",
            Self::Private => "a private",
            Self::Loopback => "a loopback",
            Self::LinkLocal => "a link-local or metadata",
            Self::Unspecified => "an unspecified",
            Self::Multicast => "a multicast",
            Self::Broadcast => "a broadcast",
            Self::Reserved => "a reserved",
        })
    }
}

impl AddressClass {
    /// The class of `address`. An IPv6 address that carries an IPv4 address is what that one is.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match inner_v4(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [255, 255, 255, 255] => Self::Broadcast,
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            // 100.100.100.200 and 168.63.129.16 are the metadata services of Alibaba Cloud and Azure.
            [169, 254, ..] | [100, 100, 100, 200] | [168, 63, 129, 16] => Self::LinkLocal,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            [192, 0, 0, _] | [192, 0, 2, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Self::Reserved,
            [198, 51, 100, _] | [203, 0, 113, _] => Self::Reserved,
            [224..=239, ..] => Self::Multicast,
            [240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            // The metadata services of Amazon and Google on IPv6, among the unique local addresses.
            [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => Self::LinkLocal,
            [0xfc00..=0xfdff, ..] => Self::Private,
            // IETF protocol assignments (Teredo, ORCHID and others), documentation.
            [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => Self::Reserved,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Reserved,
        }
    }
}

/// The IPv4 address that packets to `address` end up at: mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052) or 6to4
/// (RFC 3056).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(of(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known() {
        use AddressClass::*;
        let table = [
            (
                Public,
                "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1",
            ),
            (
                Public,
                "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.0.1 198.17.0.1 223.255.255.255",
            ),
            (
                Private,
                "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 100.127.255.255",
            ),
            (
                Loopback,
                "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::",
            ),
            (
                LinkLocal,
                "169.254.0.1 169.254.169.254 fe80::1 febf::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe",
            ),
            (LinkLocal, "100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254"),
            (Unspecified, "0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0 2002::1"),
            (Multicast, "224.0.0.1 239.255.255.255 ff02::1 ff0e::1 ::ffff:224.0.0.1"),
            (Broadcast, "255.255.255.255 ::ffff:255.255.255.255"),
            (
                Reserved,
                "192.0.0.8 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 240.0.0.1 254.1.1.1 192.88.99.1",
            ),
            (
                Reserved,
                "2001:db8::1 2001::1 2001:20::1 3fff::1 100::1 64:ff9b:1::1 fec0::1 ::2 ::7f00:1 4000::1 5f00::1",
            ),
            (
                Private,
                "fc00::1 fdff:ffff::1 ::ffff:10.0.0.1 64:ff9b::c0a8:1 2002:ac10:1::5",
            ),
            (
                Public,
                "2606:4700::1111 2a00::1 2001:4860:4860::8888 3ffe::1 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1",
            ),
        ];
        for (class, addresses) in table {
            for address in addresses.split(' ') {
                let parsed: IpAddr = address.parse().unwrap();
                assert_eq!(AddressClass::of(parsed), class, "{address}");
            }
        }
    }
}
