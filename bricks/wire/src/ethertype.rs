//! EtherTypes that are parsed.

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const TRANSPARENT_ETHERNET: u16 = 0x6558;
pub(crate) const RARP: u16 = 0x8035;
pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const MPLS: u16 = 0x8847;
pub(crate) const MPLS_MULTICAST: u16 = 0x8848;
pub(crate) const PPPOE_SESSION: u16 = 0x8864;
pub(crate) const PPP: u16 = 0x880b;
pub(crate) const QINQ: u16 = 0x88a8;
/// QinQ before IEEE 802.1ad.
pub(crate) const QINQ_OLD: u16 = 0x9100;
pub(crate) const QINQ_OLDER: u16 = 0x9200;
pub(crate) const QINQ_OLDEST: u16 = 0x9300;
pub(crate) const TRILL: u16 = 0x22f3;
/// ERSPAN type III; types I and II are [`ERSPAN`].
pub(crate) const ERSPAN3: u16 = 0x22eb;
pub(crate) const ERSPAN: u16 = 0x88be;
pub(crate) const MACSEC: u16 = 0x88e5;
/// The service tag of a provider backbone bridge (IEEE 802.1ah).
pub(crate) const PBB: u16 = 0x88e7;
pub(crate) const FABRIC_PATH: u16 = 0x8903;
/// Cisco MetaData.
pub(crate) const METADATA: u16 = 0x8909;
pub(crate) const VN_TAG: u16 = 0x8926;
/// HSR (IEC 62439-3).
pub(crate) const HSR: u16 = 0x892f;
/// The E-tag of IEEE 802.1BR.
pub(crate) const E_TAG: u16 = 0x893f;
pub(crate) const NSH: u16 = 0x894f;
/// The redundancy tag of IEEE 802.1CB.
pub(crate) const R_TAG: u16 = 0xf1c1;

/// The largest value of the field that is a length (IEEE 802.3) and not a type.
pub(crate) const MAX_LENGTH: u16 = 1500;

/// The EtherType of an IP packet by its version nibble.
#[inline]
pub(crate) fn of_ip(bytes: &[u8]) -> Option<u16> {
    match bytes.first()? >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}
