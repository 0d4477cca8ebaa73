//! What goes wrong with an interface.

use legonf_io::linktype;

/// An interface that cannot be opened, or that was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// There is no interface of that name.
    #[error("{interface}: no such interface; there are: {}", present.join(", "))]
    NoSuchInterface {
        /// The name that was given.
        interface: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// The process may not listen.
    #[error(
        "{interface}: no permission to capture: this needs the capability CAP_NET_RAW; grant it with `sudo setcap cap_net_raw=ep $(command -v legonf)`, or run as root"
    )]
    Permission {
        /// The interface.
        interface: String,
    },
    /// The interface is there and cannot be listened to.
    #[error("{interface}: cannot be opened: {reason}")]
    Open {
        /// The interface.
        interface: String,
        /// What libpcap said.
        reason: String,
    },
    /// The filter is no BPF expression.
    #[error("filter `{filter}`: {reason}; man 7 pcap-filter has the syntax")]
    Filter {
        /// The expression as given.
        filter: String,
        /// What libpcap said.
        reason: String,
    },
    /// The filter is not one for packets of a link type.
    #[error(
        "filter `{filter}`: not for packets of link type {number} ({}): {reason}",
        linktype::name(*number)
    )]
    Unfit {
        /// The expression as given.
        filter: String,
        /// The link type's number.
        number: u32,
        /// What libpcap said.
        reason: String,
    },
    /// The interface's packets have a link type that is not parsed.
    #[error(
        "{interface}: link type {number} ({}) is not supported; supported: {}",
        linktype::name(*number),
        linktype::SUPPORTED
    )]
    LinkType {
        /// The interface.
        interface: String,
        /// The link type's number.
        number: u32,
    },
    /// The interface disappeared, or failed while it was listened to.
    #[error("{interface}: {reason}")]
    Lost {
        /// The interface.
        interface: String,
        /// What happened.
        reason: String,
    },
    /// There is no such user.
    #[error("--user {name}: no such user on this system")]
    NoSuchUser {
        /// The name that was given.
        name: String,
    },
    /// Rights could not be given up.
    #[error("cannot give up {what}: {reason}")]
    Privileges {
        /// Which.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
}

impl LiveError {
    /// A short fixed name, under which such errors can be counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoSuchInterface { .. } => "no-such-interface",
            Self::Permission { .. } => "permission",
            Self::Open { .. } => "open",
            Self::Filter { .. } => "filter",
            Self::Unfit { .. } => "unfit-filter",
            Self::LinkType { .. } => "link-type",
            Self::Lost { .. } => "lost",
            Self::NoSuchUser { .. } => "no-such-user",
            Self::Privileges { .. } => "privileges",
        }
    }
}
