//! Link types of capture files by number and name.

use legonf_core::LinkType;

/// The supported link types, as listed in messages.
pub const SUPPORTED: &str = "Ethernet (1), raw IP (101, 12, 14, 228, 229), null/loop (0, 108), Linux SLL (113), Linux SLL2 (276), \
     IEEE 802.11 (105, 127, 119, 163), PPI (192), PPP (9, 50, 51, 166, 204), Cisco HDLC (104), Frame Relay (107), \
     LLC (100), FDDI (10), IEEE 1394 (138), NFLOG (239), pflog (117), enc (109)";

/// The framing that number `number` of a capture file stands for; `None` where it is not parsed.
pub const fn from_number(number: u32) -> Option<LinkType> {
    match number {
        1 => Some(LinkType::Ethernet),
        12 | 14 | 101 | 228 | 229 => Some(LinkType::RawIp),
        0 | 108 => Some(LinkType::Null),
        113 => Some(LinkType::LinuxSll),
        276 => Some(LinkType::LinuxSll2),
        9 | 50 => Some(LinkType::Ppp),
        10 => Some(LinkType::Fddi),
        51 => Some(LinkType::PppoeSession),
        100 => Some(LinkType::Llc),
        104 => Some(LinkType::CiscoHdlc),
        105 => Some(LinkType::Wlan),
        107 => Some(LinkType::FrameRelay),
        109 => Some(LinkType::Enc),
        117 => Some(LinkType::PfLog),
        119 => Some(LinkType::Prism),
        127 => Some(LinkType::Radiotap),
        138 => Some(LinkType::Ieee1394),
        163 => Some(LinkType::Avs),
        166 => Some(LinkType::Pppd),
        192 => Some(LinkType::Ppi),
        204 => Some(LinkType::PppWithDirection),
        239 => Some(LinkType::NfLog),
        _ => None,
    }
}

/// The number that stands for a framing in capture files. [`from_number`] is its inverse, but for
/// [`LinkType::Unread`].
pub const fn to_number(link: LinkType) -> u32 {
    match link {
        LinkType::Null => 0,
        LinkType::Ethernet => 1,
        LinkType::RawIp => 101,
        LinkType::LinuxSll => 113,
        LinkType::LinuxSll2 => 276,
        LinkType::Ppp => 9,
        LinkType::Fddi => 10,
        LinkType::PppoeSession => 51,
        LinkType::Llc => 100,
        LinkType::CiscoHdlc => 104,
        LinkType::Wlan => 105,
        LinkType::FrameRelay => 107,
        LinkType::Enc => 109,
        LinkType::PfLog => 117,
        LinkType::Prism => 119,
        LinkType::Radiotap => 127,
        LinkType::Ieee1394 => 138,
        LinkType::Avs => 163,
        LinkType::Pppd => 166,
        LinkType::Ppi => 192,
        LinkType::PppWithDirection => 204,
        LinkType::NfLog => 239,
        LinkType::Unread(number) => number as u32,
    }
}

/// The usual name of a link type, supported or not.
pub fn name(number: u32) -> &'static str {
    NAMES.iter().find(|(n, _)| *n == number).map_or("unknown", |(_, name)| name)
}

const NAMES: [(u32, &str); 57] = [
    (0, "null/loopback"),
    (1, "Ethernet"),
    (3, "AX.25"),
    (6, "IEEE 802.5 Token Ring"),
    (7, "ARCNET"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (12, "raw IP"),
    (14, "raw IP"),
    (50, "PPP in HDLC framing"),
    (51, "PPPoE"),
    (99, "Symantec Firewall"),
    (100, "ATM RFC 1483"),
    (101, "raw IP"),
    (104, "Cisco HDLC"),
    (105, "IEEE 802.11"),
    (107, "Frame Relay"),
    (108, "OpenBSD loopback"),
    (109, "OpenBSD enc"),
    (113, "Linux SLL"),
    (117, "OpenBSD pflog"),
    (119, "Prism header + IEEE 802.11"),
    (122, "RFC 2625 IP over Fibre Channel"),
    (127, "radiotap + IEEE 802.11"),
    (138, "Apple IP over IEEE 1394"),
    (139, "MTP2 with pseudo-header"),
    (140, "MTP2"),
    (141, "MTP3"),
    (142, "SCCP"),
    (143, "DOCSIS"),
    (144, "Linux IrDA"),
    (147, "user 0"),
    (149, "user 2"),
    (163, "AVS + IEEE 802.11"),
    (166, "Linux PPP with direction"),
    (177, "Linux LAPD"),
    (187, "Bluetooth HCI H4"),
    (189, "USB with Linux header"),
    (192, "per-packet information (PPI)"),
    (195, "IEEE 802.15.4 with FCS"),
    (197, "ERF"),
    (201, "Bluetooth HCI H4 with direction"),
    (204, "PPP with direction"),
    (220, "USB with padded Linux header"),
    (227, "SocketCAN"),
    (228, "raw IPv4"),
    (229, "raw IPv6"),
    (230, "IEEE 802.15.4 without FCS"),
    (231, "D-Bus"),
    (239, "Linux netfilter log"),
    (240, "Hilscher netANALYZER"),
    (249, "USBPcap"),
    (251, "Bluetooth Low Energy"),
    (253, "Linux netlink"),
    (276, "Linux SLL2"),
    (283, "IEEE 802.15.4 TAP"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_inverse() {
        let all: Vec<_> = (0..1024).filter_map(from_number).collect();
        assert_eq!(all.len(), 28);
        for link in all {
            assert_eq!(from_number(to_number(link)), Some(link));
        }
        assert_eq!(to_number(LinkType::Unread(227)), 227);
    }

    #[test]
    fn supported_numbers_are_named_and_listed() {
        for number in (0..1024).filter(|n| from_number(*n).is_some()) {
            assert_ne!(name(number), "unknown", "{number}");
            let digits = |c: char| c.is_ascii_digit();
            assert!(SUPPORTED.split(|c| !digits(c)).any(|w| w == number.to_string()), "{number}");
        }
        assert_eq!(name(227), "SocketCAN");
        assert_eq!(name(9999), "unknown");
    }
}
