//! Which addresses are public: our own table of the IANA special-purpose address registries.
//!
//! Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> (RFC 6890 and its successors), the multicast blocks,
//! and `ipv6-unicast` for the one IPv6 block (2000::/3) from which public addresses are given out. For IPv6 only that
//! block is public, minus its special parts: an allow-list, since new prefixes appear outside it. An IPv4 address
//! inside IPv6 is unwrapped first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// A public address of one host.
    Public,
    /// A host on this machine or its networks: only a `network_local` grant or the operator reaches it.
    Private(&'static str),
    /// Nothing an agent may ever reach: metadata services, link-local, multicast, translated and reserved blocks.
    Forbidden(&'static str),
}

impl AddressClass {
    /// The block's name, or `public`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private(name) | Self::Forbidden(name) => name,
        }
    }
}

use AddressClass::{Forbidden, Private};

/// One block of IPv4: its first address, prefix length and class.
const V4_BLOCKS: [(Ipv4Addr, u32, AddressClass); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Forbidden("this network")),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private("private-use")),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private("shared address space")),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Private("loopback")),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Forbidden("link-local")),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private("private-use")),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Forbidden("IETF protocol assignments")),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Forbidden("documentation")),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Forbidden("6to4 relay")),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private("private-use")),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Forbidden("benchmarking")),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Forbidden("documentation")),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Forbidden("documentation")),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Forbidden("multicast")),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Forbidden("broadcast")),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Forbidden("reserved")),
];

/// Blocks of IPv6 inside 2000::/3 that are not public, and those outside it that a local service may have.
const V6_BLOCKS: [(Ipv6Addr, u32, AddressClass); 6] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Forbidden("IETF protocol assignments")),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Forbidden("documentation")),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Forbidden("6to4")),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Forbidden("documentation")),
    (Ipv6Addr::LOCALHOST, 128, Private("loopback")),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Private("unique local")),
];

/// The block from which public IPv6 addresses are given out.
const V6_GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Metadata services of clouds that sit in blocks which are private or public otherwise.
const METADATA: [IpAddr; 4] = [
    // Azure's WireServer, which looks public and is the machine's own host.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The class of an address; an IPv4 address inside IPv6 (`::ffff:a.b.c.d`) has the class of the IPv4 address.
pub fn classify(address: IpAddr) -> AddressClass {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return Forbidden("cloud metadata");
    }
    match address {
        IpAddr::V4(v4) => {
            let inside = |(block, prefix, _): &&(Ipv4Addr, u32, AddressClass)| {
                v4_prefix(v4, *prefix) == v4_prefix(*block, *prefix)
            };
            V4_BLOCKS.iter().find(inside).map_or(AddressClass::Public, |(_, _, class)| *class)
        }
        IpAddr::V6(v6) => {
            let inside = |(block, prefix, _): &&(Ipv6Addr, u32, AddressClass)| {
                v6_prefix(v6, *prefix) == v6_prefix(*block, *prefix)
            };
            if let Some((_, _, class)) = V6_BLOCKS.iter().find(inside) {
                return *class;
            }
            let (unicast, prefix) = V6_GLOBAL_UNICAST;
            if v6_prefix(v6, prefix) != v6_prefix(unicast, prefix) {
                return Forbidden("outside 2000::/3");
            }
            // ISATAP (RFC 5214 §6.1): the interface identifier carries an IPv4 address.
            if matches!(v6.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _]) {
                return Forbidden("ISATAP");
            }
            AddressClass::Public
        }
    }
}

/// The network by which caps count: /24 for IPv4, /48 for IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4_prefix(v4, 24) << 8)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6_prefix(v6, 48) << 80)),
    }
}

fn v4_prefix(address: Ipv4Addr, length: u32) -> u32 {
    address.to_bits() >> (32 - length)
}

fn v6_prefix(address: Ipv6Addr, length: u32) -> u128 {
    address.to_bits() >> (128 - length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> Ipv4Addr {
        text.parse().expect("an IPv4 address")
    }

    fn public(text: &str) -> bool {
        classify(text.parse().expect("an address")) == AddressClass::Public
    }

    /// First and last address of each IPv4 block, and whether its outside neighbours are public.
    #[test]
    fn each_ipv4_block_ends_where_the_registry_says() {
        let cases = [
            ("0.0.0.0", "0.255.255.255", None, Some(true)),
            ("10.0.0.0", "10.255.255.255", Some(true), Some(true)),
            ("100.64.0.0", "100.127.255.255", Some(true), Some(true)),
            ("127.0.0.0", "127.255.255.255", Some(true), Some(true)),
            ("169.254.0.0", "169.254.255.255", Some(true), Some(true)),
            ("172.16.0.0", "172.31.255.255", Some(true), Some(true)),
            ("192.0.0.0", "192.0.0.255", Some(true), Some(true)),
            ("192.0.2.0", "192.0.2.255", Some(true), Some(true)),
            ("192.88.99.0", "192.88.99.255", Some(true), Some(true)),
            ("192.168.0.0", "192.168.255.255", Some(true), Some(true)),
            ("198.18.0.0", "198.19.255.255", Some(true), Some(true)),
            ("198.51.100.0", "198.51.100.255", Some(true), Some(true)),
            ("203.0.113.0", "203.0.113.255", Some(true), Some(true)),
            ("224.0.0.0", "239.255.255.255", Some(true), Some(false)),
            ("240.0.0.0", "255.255.255.255", Some(false), None),
        ];
        for (first, last, before, after) in cases {
            assert!(!public(first) && !public(last), "{first} to {last}");
            let neighbour = |bits: u32| classify(IpAddr::V4(Ipv4Addr::from_bits(bits))) == AddressClass::Public;
            if let Some(expected) = before {
                assert_eq!(neighbour(v4(first).to_bits() - 1), expected, "before {first}");
            }
            if let Some(expected) = after {
                assert_eq!(neighbour(v4(last).to_bits() + 1), expected, "after {last}");
            }
        }
    }

    #[test]
    fn each_ipv6_block_ends_where_the_registry_says() {
        let cases = [
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some(true), Some(true)),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some(true), Some(true)),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(true), Some(true)),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Some(true), Some(true)),
            ("::1", "::1", Some(false), Some(false)),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(false), Some(false)),
        ];
        for (first, last, before, after) in cases {
            assert!(!public(first) && !public(last), "{first} to {last}");
            let bits = |text: &str| text.parse::<Ipv6Addr>().expect("an IPv6 address").to_bits();
            let neighbour = |bits: u128| classify(IpAddr::V6(Ipv6Addr::from_bits(bits))) == AddressClass::Public;
            if let Some(expected) = before {
                assert_eq!(neighbour(bits(first) - 1), expected, "before {first}");
            }
            if let Some(expected) = after {
                assert_eq!(neighbour(bits(last) + 1), expected, "after {last}");
            }
        }
    }

    #[test]
    fn public_ipv6_is_2000_to_3fff_and_nothing_else() {
        assert!(public("2000::") && public("2606:4700::1111") && public("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        for outside in [
            "::",
            "::7f00:1",
            "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000::",
            "5f00::1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(!public(outside), "{outside}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_has_its_own_class() {
        assert!(!public("::ffff:127.0.0.1") && !public("::ffff:a9fe:a9fe") && public("::ffff:8.8.8.8"));
        assert_eq!(classify("::ffff:10.0.0.1".parse().expect("an address")), Private("private-use"));
    }

    #[test]
    fn isatap_and_metadata_are_never_reached() {
        assert!(!public("2001:470::5efe:7f00:1") && !public("2001:470::200:5efe:a9fe:a9fe"));
        for metadata in
            ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "192.0.0.192", "168.63.129.16"]
        {
            let class = classify(metadata.parse().expect("an address"));
            assert!(matches!(class, Forbidden(_)), "{metadata} is {class:?}");
        }
    }
}
