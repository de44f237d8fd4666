//! Checked newtypes for ids and units: inside the code an illegal VLAN cannot be written down.
//!
//! Every type has a private field and one way in (`new`, `TryFrom` or `FromStr`) that says what is
//! wrong with a bad value. None has arithmetic, and none a `Default`.

use core::fmt;
use core::str::FromStr;

/// A value that does not fit its type. The message names the value and the legal range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// A VLAN number outside 1..=4094 (IEEE 802.1Q-2018 table 9-2: 0 and 4095 are reserved).
    #[error("VLAN {0} is out of range, expected 1..4094")]
    Vlan(u32),
    /// A priority code point above 7 (IEEE 802.1Q-2018 clause 9.6).
    #[error("class of service {0} is out of range, expected 0..7")]
    Pcp(u32),
    /// A DSCP above 63 (RFC 2474 section 3).
    #[error("DSCP {0} is out of range, expected 0..63")]
    Dscp(u32),
    /// A module number outside 1..=1026 (1 and 2 are supervisors, hosts start at 3).
    #[error("module {0} is out of range, expected 1..1026")]
    Module(u32),
    /// A vEthernet number outside 1..=1048575.
    #[error("vEthernet {0} is out of range, expected 1..1048575")]
    Veth(u32),
    /// Text that is not a MAC address.
    #[error("`{0}` is not a MAC address, expected H.H.H (0200.0000.0001) or 02:00:00:00:00:01")]
    Mac(String),
    /// Text that is not a UUID.
    #[error("`{0}` is not a UUID, expected xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
    HostId(String),
    /// Text that is not the name of a switch interface.
    #[error("`{0}` is not an interface, expected vethernet N, ethernet M/P or port-channel N")]
    Interface(String),
}

/// A 48-bit MAC address (IEEE 802-2014 clause 8.2).
///
/// Prints as `02:00:00:00:00:01`; [`MacAddr::nxos`] gives the NX-OS form `0200.0000.0001`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// All ones: the broadcast address.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros: never a legal source or destination.
    pub const ZERO: Self = Self([0; 6]);

    /// The address with these six octets, in transmission order.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Group bit (I/G) set: multicast or broadcast.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// All ones.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.as_u64() == 0xffff_ffff_ffff
    }

    /// Legal as a source address: neither a group address nor all zeros.
    #[must_use]
    pub const fn is_valid_source(self) -> bool {
        !self.is_multicast() && self.as_u64() != 0
    }

    /// One of the sixteen link-constrained addresses 01-80-C2-00-00-00..0F
    /// (IEEE 802.1Q-2018 table 8-1), which no bridge may relay.
    #[must_use]
    pub const fn is_link_local(self) -> bool {
        self.as_u64() & !0xf == 0x0180_c200_0000
    }

    /// The address of a virtual router, 00-00-5E-00-01-XX or 00-00-5E-00-02-XX (RFC 9568 section
    /// 7.3; CARP uses the same): several stations share it, and one at a time owns it.
    #[must_use]
    pub const fn is_virtual_router(self) -> bool {
        let prefix = self.as_u64() >> 8;
        prefix == 0x00_005e_0001 || prefix == 0x00_005e_0002
    }

    /// The address as the low 48 bits of an integer, first octet most significant.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        (u32::from_be_bytes([a, b, c, d]) as u64) << 16 | u16::from_be_bytes([e, f]) as u64
    }

    /// The address whose octets are the low 48 bits of `value`; higher bits are ignored.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        let b = value.to_be_bytes();
        Self([b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    /// The NX-OS form, `0200.0000.0001`.
    #[must_use]
    pub fn nxos(self) -> String {
        let o = self.0;
        format!("{:02x}{:02x}.{:02x}{:02x}.{:02x}{:02x}", o[0], o[1], o[2], o[3], o[4], o[5])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = self.0;
        write!(f, "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", o[0], o[1], o[2], o[3], o[4], o[5])
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = TypeError;

    /// Reads `0200.0000.0001`, `02:00:00:00:00:01` and `02-00-00-00-00-01`, in either case.
    fn from_str(text: &str) -> Result<Self, TypeError> {
        let bad = || TypeError::Mac(text.to_owned());
        let (separator, groups, width) = match text {
            t if t.contains('.') => ('.', 3, 4),
            t if t.contains(':') => (':', 6, 2),
            _ => ('-', 6, 2),
        };
        let parts: Vec<&str> = text.split(separator).collect();
        let well_formed = parts.len() == groups
            && parts.iter().all(|p| p.len() == width && p.bytes().all(|b| b.is_ascii_hexdigit()));
        if !well_formed {
            return Err(bad());
        }
        u64::from_str_radix(&parts.concat(), 16).map(Self::from_u64).map_err(|_| bad())
    }
}

/// Makes an integer newtype with a checked range.
macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident($int:ty), $range:expr, $error:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// The value as a plain integer.
            #[must_use]
            #[inline]
            pub const fn get(self) -> $int {
                self.0
            }

            /// The checked value.
            ///
            /// # Errors
            /// Outside the legal range: [`TypeError`] with the value and the range.
            pub fn new(value: impl Into<u32>) -> Result<Self, TypeError> {
                let value = value.into();
                match <$int>::try_from(value) {
                    Ok(v) if ($range).contains(&v) => Ok(Self(v)),
                    _ => Err(TypeError::$error(value)),
                }
            }
        }

        impl TryFrom<u32> for $name {
            type Error = TypeError;
            fn try_from(value: u32) -> Result<Self, TypeError> {
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

ranged! {
    /// A VLAN identifier, 1..=4094 (IEEE 802.1Q-2018 clause 9.6). 0 is "priority tag", 4095 reserved.
    VlanId(u16), 1..=4094u16, Vlan
}
ranged! {
    /// A priority code point, 0..=7: the class of service of a frame (IEEE 802.1Q-2018 clause 9.6).
    Pcp(u8), 0..=7u8, Pcp
}
ranged! {
    /// A differentiated services code point, 0..=63 (RFC 2474 section 3).
    Dscp(u8), 0..=63u8, Dscp
}
ranged! {
    /// A module of the switch: 1 and 2 are supervisors, 3 and up are hosts.
    ModuleId(u16), 1..=1026u16, Module
}
ranged! {
    /// The number of a vEthernet (`Vethernet12`): one flat space over the whole switch.
    VethId(u32), 1..=1_048_575u32, Veth
}

impl VlanId {
    /// VLAN 1, the default and native VLAN of a switch out of the box.
    pub const DEFAULT: Self = Self(1);
    /// The highest legal VLAN.
    pub const MAX: Self = Self(4094);

    /// Every legal VLAN, ascending.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (1..=4094u16).map(Self)
    }
}

impl ModuleId {
    /// The first number a host can have.
    pub const FIRST_HOST: Self = Self(3);
}

/// The slot of a port in one dataplane: a dense index into its tables, 0..=4095.
///
/// Local to a host and without meaning outside it; a port keeps its slot from attach to detach,
/// so counters and pins are keyed by it across snapshots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u16);

impl PortId {
    /// How many slots a dataplane has.
    pub const COUNT: usize = 4096;

    /// The slot with this index; `None` at [`PortId::COUNT`] and above.
    #[must_use]
    pub const fn new(index: u16) -> Option<Self> {
        if (index as usize) < Self::COUNT { Some(Self(index)) } else { None }
    }

    /// The index as a plain integer, below [`PortId::COUNT`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The index as the 16-bit integer it is.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port#{}", self.0)
    }
}

/// Makes an integer newtype in which every value is legal.
macro_rules! plain {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// The value with this number.
            #[must_use]
            #[inline]
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// The value as a plain integer.
            #[must_use]
            #[inline]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

plain! {
    /// The number of a configuration: one for the whole switch, it only grows. 0 is "none yet".
    Revision(u64)
}
plain! {
    /// The term of a supervisor's leadership: a message with a lower one is refused.
    Term(u64)
}
plain! {
    /// An EtherType (IEEE 802.3-2018 clause 3.2.6); values below 0x0600 are lengths.
    EtherType(u16)
}
plain! {
    /// An IP protocol number (IANA protocol-numbers).
    IpProto(u8)
}

impl Revision {
    /// No configuration yet.
    pub const NONE: Self = Self(0);

    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// Reverse ARP (RFC 903), used to announce a MAC that has moved.
    pub const RARP: Self = Self(0x8035);
    /// The customer tag of IEEE 802.1Q.
    pub const VLAN: Self = Self(0x8100);
    /// The service tag of IEEE 802.1ad.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);
    /// Slow protocols: LACP and marker (IEEE 802.3-2018 annex 57A).
    pub const SLOW: Self = Self(0x8809);
    /// LLDP (IEEE 802.1AB-2016).
    pub const LLDP: Self = Self(0x88cc);
}

impl IpProto {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Self = Self(1);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// SCTP (RFC 9260).
    pub const SCTP: Self = Self(132);
}

/// The identity of a host: a UUID that the dataplane keeps in its state directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId([u8; 16]);

impl HostId {
    /// The identity with these sixteen octets.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The sixteen octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, octet) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostId {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let bad = || TypeError::HostId(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|g| g.len()).ne([8, 4, 4, 4, 12]) || !text.is_ascii() {
            return Err(bad());
        }
        let hex = groups.concat();
        let mut octets = [0; 16];
        for (octet, at) in octets.iter_mut().zip((0..32).step_by(2)) {
            let pair = &hex[at..at + 2];
            if pair.starts_with('+') {
                return Err(bad());
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(octets))
    }
}

/// The name of a switch interface, as NX-OS writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterfaceName {
    /// `Ethernet3/1`: the physical NIC `nic` (1..=32) of a module.
    Ethernet {
        /// The host.
        module: ModuleId,
        /// The NIC, counted from 1 in the order of the dataplane's configuration.
        nic: u8,
    },
    /// `port-channel7`: uplinks of one host teamed into one logical port.
    PortChannel(u16),
    /// `Vethernet12`: the switch port of a VM's vNIC.
    Vethernet(VethId),
}

impl InterfaceName {
    /// The highest NIC number of a module.
    pub const NIC_MAX: u8 = 32;
    /// The highest port-channel number.
    pub const PORT_CHANNEL_MAX: u16 = 4096;
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethernet { module, nic } => write!(f, "Ethernet{module}/{nic}"),
            Self::PortChannel(n) => write!(f, "port-channel{n}"),
            Self::Vethernet(n) => write!(f, "Vethernet{n}"),
        }
    }
}

impl FromStr for InterfaceName {
    type Err = TypeError;

    /// Reads `Ethernet3/1`, `port-channel7` and `Vethernet12`, in any case, with or without a
    /// blank before the number.
    fn from_str(text: &str) -> Result<Self, TypeError> {
        let bad = || TypeError::Interface(text.to_owned());
        let split = text.find(|c: char| c.is_ascii_digit()).ok_or_else(bad)?;
        let (kind, number) = text.split_at(split);
        let digits = |t: &str| -> Result<u32, TypeError> {
            if t.bytes().all(|b| b.is_ascii_digit()) {
                t.parse().map_err(|_| bad())
            } else {
                Err(bad())
            }
        };
        match kind.trim_end().to_ascii_lowercase().as_str() {
            "vethernet" => Ok(Self::Vethernet(VethId::new(digits(number)?)?)),
            "ethernet" => {
                let (module, nic) = number.split_once('/').ok_or_else(bad)?;
                let module = ModuleId::new(digits(module)?)?;
                match u8::try_from(digits(nic)?) {
                    Ok(nic) if (1..=Self::NIC_MAX).contains(&nic) => {
                        Ok(Self::Ethernet { module, nic })
                    }
                    _ => Err(bad()),
                }
            }
            "port-channel" => match u16::try_from(digits(number)?) {
                Ok(n) if (1..=Self::PORT_CHANNEL_MAX).contains(&n) => Ok(Self::PortChannel(n)),
                _ => Err(bad()),
            },
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_reads_three_forms_and_prints_two() {
        let mac = MacAddr::new([0x02, 0, 0, 0xab, 0, 1]);
        for text in ["0200.00ab.0001", "02:00:00:AB:00:01", "02-00-00-ab-00-01"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        assert_eq!(
            (mac.to_string().as_str(), mac.nxos().as_str()),
            ("02:00:00:ab:00:01", "0200.00ab.0001")
        );
        for text in
            ["", "02:00:00:00:00", "0200.0000.00011", "+2:00:00:00:00:01", "02:00:00:00:00:0g"]
        {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn mac_classes() {
        assert!(MacAddr::BROADCAST.is_multicast() && !MacAddr::BROADCAST.is_valid_source());
        assert!(!MacAddr::ZERO.is_valid_source());
        assert!("01:80:c2:00:00:0e".parse::<MacAddr>().is_ok_and(MacAddr::is_link_local));
        assert!("01:80:c2:00:00:10".parse::<MacAddr>().is_ok_and(|m| !m.is_link_local()));
    }

    #[test]
    fn virtual_routers() {
        for (text, expected) in [
            ("00:00:5e:00:01:07", true),
            ("00:00:5e:00:02:ff", true),
            ("00:00:5e:00:03:07", false),
            ("02:00:5e:00:01:07", false),
        ] {
            assert!(
                text.parse::<MacAddr>().is_ok_and(|m| m.is_virtual_router() == expected),
                "{text}"
            );
        }
    }

    #[test]
    fn ranges_are_checked_at_both_ends() {
        assert!(VlanId::new(0u32).is_err() && VlanId::new(4095u32).is_err());
        assert!(VlanId::new(1u32).is_ok() && VlanId::new(4094u32).is_ok());
        assert!(Pcp::new(8u32).is_err() && Dscp::new(64u32).is_err() && VethId::new(0u32).is_err());
        assert_eq!(VlanId::new(70_000u32), Err(TypeError::Vlan(70_000)));
        assert!(PortId::new(4095).is_some() && PortId::new(4096).is_none());
    }

    #[test]
    fn interface_names_round_trip() {
        for name in ["Ethernet3/1", "port-channel7", "Vethernet12"] {
            assert_eq!(name.parse::<InterfaceName>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
        assert!("vethernet 12".parse::<InterfaceName>().is_ok());
        for name in [
            "Ethernet3",
            "Ethernet3/0",
            "Ethernet3/33",
            "Vethernet0",
            "loopback1",
            "Ethernet3/+1",
            "",
        ] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn host_id_round_trips() {
        let text = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(text.parse::<HostId>().map(|h| h.to_string()), Ok(text.to_owned()));
        assert!("0123456789abcdef0123456789abcdef".parse::<HostId>().is_err());
    }
}
