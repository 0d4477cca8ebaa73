//! Opens an interface.

use crate::{LiveConfig, LiveError};
use legonf_core::LinkType;
use legonf_io::linktype;
use pcap::{Active, Capture, Device, Precision};
use std::time::Duration;

/// The name that stands for all interfaces.
pub(crate) const ANY: &str = "any";

/// What libpcap lists besides network interfaces.
const OTHERS: [&str; 4] = ["bluetooth", "dbus", "nf", "usbmon"];

/// A filter that takes no packet: a frame of no bytes does not come.
const NOTHING: &str = "less 0";

/// An open interface whose packets wait in the kernel's ring.
pub struct Interface {
    pub(crate) name: String,
    pub(crate) capture: Capture<Active>,
    pub(crate) link: LinkType,
    pub(crate) latency: Duration,
    pub(crate) hold: Option<Duration>,
    filter: String,
}

impl Interface {
    /// Framing of its packets.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Has the kernel keep no packets until the [source](crate::LiveSource) that is made of it goes on where another one ends
    /// ([`Source::skip`](legonf_core::Source::skip)).
    ///
    /// # Errors
    /// If the kernel does not take the filter.
    pub fn pause(&mut self) -> Result<(), LiveError> {
        self.set_filter(NOTHING)
    }

    /// Has the kernel keep packets from now on; no right is needed.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub(crate) fn resume(&mut self) -> Result<(), LiveError> {
        let filter = self.filter.clone();
        self.set_filter(&filter)
    }

    fn set_filter(&mut self, filter: &str) -> Result<(), LiveError> {
        self.capture.filter(filter, true).map_err(|error| bad_filter(filter, &error))
    }
}

/// Names of the interfaces of this network namespace.
pub fn interfaces() -> Vec<String> {
    let devices = Device::list().unwrap_or_default().into_iter().map(|device| device.name);
    devices.filter(|name| !OTHERS.iter().any(|other| name.starts_with(other))).collect()
}

/// Whether an interface is up; `None` where there is no such interface.
pub(crate) fn is_up(name: &str) -> Option<bool> {
    // Without a list there is nothing to be said against the interface.
    let Ok(devices) = Device::list() else { return Some(true) };
    let device = devices.into_iter().find(|device| device.name == name)?;
    Some(name == ANY || device.flags.is_up())
}

/// Opens an interface; its packets, up to the size of the ring, are kept from now on.
///
/// # Errors
/// If there is no such interface, it may not be listened to or is down, its link type is not supported, or the
/// filter is none.
pub fn open(config: &LiveConfig) -> Result<Interface, LiveError> {
    let interface = || config.interface.clone();
    let mut capture = activate(config).map_err(|error| refusal(interface(), &error))?;
    let number = capture.get_datalink().0.unsigned_abs();
    let link = linktype::from_number(number)
        .ok_or_else(|| LiveError::LinkType { interface: interface(), number })?;
    if let Some(filter) = &config.filter {
        capture.filter(filter, true).map_err(|error| bad_filter(filter, &error))?;
    }
    let (latency, hold, filter) = (config.latency, config.hold, config.filter.clone().unwrap_or_default());
    Ok(Interface { name: interface(), capture, link, latency, hold, filter })
}

fn activate(config: &LiveConfig) -> Result<Capture<Active>, pcap::Error> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let latency = config.hold.unwrap_or(config.latency).min(config.latency);
    let milliseconds = latency.as_millis().clamp(1, i32::MAX as u128) as i32;
    Capture::from_device(config.interface.as_str())?
        // Of all interfaces together there is no promiscuous mode, and asking for it is an error.
        .promisc(config.promiscuous && config.interface != ANY)
        .snaplen(number(config.snaplen))
        .buffer_size(number(config.buffer))
        .timeout(milliseconds)
        .precision(Precision::Nano)
        .open()?
        .setnonblock()
}

pub(crate) fn refusal(interface: String, error: &pcap::Error) -> LiveError {
    let present = interfaces();
    if !present.contains(&interface) {
        return LiveError::NoSuchInterface { interface, present };
    }
    let reason = one_line(error);
    let permission = ["ermission", "CAP_NET_RAW", "not permitted"].iter().any(|word| reason.contains(word));
    if permission { LiveError::Permission { interface } } else { LiveError::Open { interface, reason } }
}

pub(crate) fn bad_filter(filter: &str, error: &pcap::Error) -> LiveError {
    LiveError::Filter { filter: filter.to_owned(), reason: one_line(error) }
}

/// What libpcap said, without the crate's words around it.
pub(crate) fn one_line(error: &pcap::Error) -> String {
    let text = match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_lists_those_that_are() {
        let error = open(&LiveConfig::new("nonesuch0")).err().unwrap();
        assert_eq!(error.label(), "no-such-interface");
        let line = error.to_string();
        assert!(line.starts_with("nonesuch0: no such interface; there are: "), "{line}");
        assert!(line.contains("lo") && !line.contains("bluetooth"), "{line}");
    }

    #[test]
    fn refusals_are_told_apart() {
        let refused = |text: &str| refusal("lo".into(), &pcap::Error::PcapError(text.into()));
        let line = refused("socket: Operation not permitted").to_string();
        assert!(line.contains("CAP_NET_RAW") && line.contains("sudo setcap cap_net_raw=ep "), "{line}");
        assert_eq!(
            refused("That device is\nnot up").to_string(),
            "lo: cannot be opened: That device is not up"
        );
    }

    #[test]
    fn a_name_with_a_zero_byte_is_no_interface() {
        assert_eq!(open(&LiveConfig::new("a\0b")).err().unwrap().label(), "no-such-interface");
    }
}
