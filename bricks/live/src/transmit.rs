//! An interface that packets leave by.

use crate::LiveError;
use crate::open::{ANY, one_line, refusal};
use legonf_core::{DropReason, LinkType};
use legonf_io::linktype;
use pcap::{Active, Capture};

/// An interface that is open for sending. Nothing is captured of it: its filter takes no packet.
pub struct Transmitter {
    capture: Capture<Active>,
    link: LinkType,
}

impl Transmitter {
    /// Opens an interface; needs CAP_NET_RAW, and sending does not.
    ///
    /// # Errors
    /// If there is no such interface, it may not be opened or is down, or its link type is not supported.
    pub fn open(interface: &str) -> Result<Self, LiveError> {
        let name = || interface.to_owned();
        if interface == ANY {
            let reason = "packets leave by one interface, not by all".to_owned();
            return Err(LiveError::Open { interface: name(), reason });
        }
        let capture = activate(interface).map_err(|error| refusal(name(), &error))?;
        let number = capture.get_datalink().0.unsigned_abs();
        let unknown = LiveError::LinkType { interface: name(), number };
        Ok(Self { link: linktype::from_number(number).ok_or(unknown)?, capture })
    }

    /// Sends the whole bytes of a packet as they are. Never waits.
    ///
    /// # Errors
    /// Why it was not sent: the interface has another link type, no room, or refuses it.
    pub fn send(&mut self, link: LinkType, bytes: &[u8]) -> Result<(), DropReason> {
        if link != self.link {
            return Err(DropReason::NoRoute);
        }
        self.capture.sendpacket(bytes).map_err(|error| reason(&one_line(&error)))
    }
}

fn activate(interface: &str) -> Result<Capture<Active>, pcap::Error> {
    let inactive = Capture::from_device(interface)?.promisc(false).snaplen(64).buffer_size(1 << 16);
    let mut capture = inactive.timeout(1000).open()?.setnonblock()?;
    capture.filter("less 0", true)?;
    Ok(capture)
}

/// What libpcap, which has no codes for it, says in the words of the system.
fn reason(text: &str) -> DropReason {
    if text.contains("Message too long") {
        DropReason::TooLong
    } else if ["No buffer space", "temporarily unavailable"].iter().any(|words| text.contains(words)) {
        DropReason::NoBuffer
    } else {
        DropReason::Unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_a_reason() {
        assert_eq!(reason("send: Message too long"), DropReason::TooLong);
        assert_eq!(reason("send: No buffer space available"), DropReason::NoBuffer);
        assert_eq!(reason("send: Resource temporarily unavailable"), DropReason::NoBuffer);
        assert_eq!(reason("send: Network is down"), DropReason::Unsent);
    }

    #[test]
    fn what_cannot_be_sent_by_is_refused() {
        assert_eq!(Transmitter::open("nonesuch0").err().unwrap().label(), "no-such-interface");
        let line = Transmitter::open("any").err().unwrap().to_string();
        assert_eq!(line, "any: cannot be opened: packets leave by one interface, not by all");
    }
}
