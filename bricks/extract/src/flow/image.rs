//! The brick that makes an image of each packet.

use super::config::{FlowError, within};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Layout, Rows, Shape, State,
};
use legonf_wire::Segment;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An image of each packet: its first bytes, as they are.
pub const IMAGE: ColumnSpec = ColumnSpec::rows("packet-image", Element::U8);

/// What stands behind the last byte of a packet that is shorter than its image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// The packet again, from its beginning (DeepNFV §III).
    #[default]
    Repeat,
    /// Zeros.
    Zeros,
}

/// Configuration of [`PacketImage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Shape of an image, with from 1 to 65,535 bytes. Default `[30, 30]`.
    pub shape: Vec<usize>,
    /// What fills an image behind its packet: `repeat` or `zeros`. Default `repeat`.
    pub padding: Padding,
}

impl Default for Config {
    fn default() -> Self {
        Self { shape: vec![30, 30], padding: Padding::default() }
    }
}

/// Makes an image of each packet (DeepNFV §III): the IP packet without its link layer, exactly as many bytes as the image has.
///
/// Addresses are zeros, and so are the checksums, by which addresses can be guessed. Headers of TCP and UDP have one length: the
/// options of TCP are left out, and zeros follow a header of UDP. A packet without IP has an image of zeros.
#[derive(Clone, Debug)]
pub struct PacketImage {
    config: Config,
    bytes: usize,
    images: Handle<Rows<u8>>,
    without_ip: u64,
}

impl PacketImage {
    /// Name of the kind.
    pub const KIND: &'static str = "packet-image";

    /// What the graph needs to know of the brick; its own descriptor says the shape.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "packet image",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[IMAGE]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If an image would have no byte, or too many.
    pub fn new(config: Config) -> Result<Self, FlowError> {
        let bytes = config.shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        let bytes = within("shape", bytes.unwrap_or(usize::MAX) as f64, 1.0, 65_535.0)?;
        Ok(Self { config, bytes: bytes as usize, images: Handle::default(), without_ip: 0 })
    }

    fn spec(&self) -> ColumnSpec {
        ColumnSpec { shape: Shape::Of(self.config.shape.clone().into()), ..IMAGE }
    }
}

/// Bytes of the transport header in an image, of TCP and UDP alike.
const TRANSPORT: usize = 20;
/// Numbers of TCP and UDP, with the places of their checksums.
const CHECKSUMS: [(u8, usize); 2] = [(6, 16), (17, 6)];

/// Writes the image of a packet; false where it has no IP packet.
fn draw(segment: Option<Segment>, bytes: &[u8], padding: Padding, image: &mut [u8]) -> bool {
    image.fill(0);
    let Some(segment) = segment else { return false };
    let mut at = put(image, 0, &bytes[segment.ip.start..segment.header.start]);
    mask(&mut image[..at]);
    if let Some((_, checksum)) = CHECKSUMS.iter().find(|(protocol, _)| *protocol == segment.protocol) {
        let header = &bytes[segment.header.clone()];
        let end = put(image, at, &header[..header.len().min(TRANSPORT)]);
        image.iter_mut().take(end).skip(at + checksum).take(2).for_each(|byte| *byte = 0);
        at = image.len().min(at + TRANSPORT);
    }
    let mut end = put(image, at, &bytes[segment.payload]);
    while padding == Padding::Repeat && end < image.len() {
        let again = end.min(image.len() - end);
        image.copy_within(..again, end);
        end += again;
    }
    true
}

/// Copies as much as there is room for; where it ends.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let room = &mut image[at..];
    let fits = bytes.len().min(room.len());
    room[..fits].copy_from_slice(&bytes[..fits]);
    at + fits
}

/// Makes the addresses of an IP header zeros, and its checksum.
fn mask(header: &mut [u8]) {
    let masked = match header.first().map(|byte| byte >> 4) {
        Some(4) => 10..20,
        Some(6) => 8..40,
        _ => 0..0,
    };
    let len = header.len();
    header[masked.start.min(len)..masked.end.min(len)].fill(0);
}

impl Brick for PacketImage {
    fn descriptor(&self) -> Descriptor {
        Descriptor { writes: vec![self.spec()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.images = layout.handle(&self.spec())?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let Batch { packets, headers, columns, .. } = batch;
        let images = columns.get_mut(self.images);
        images.reset(headers.len(), self.bytes);
        for (place, image) in images.iter_mut().enumerate() {
            let has_bytes = !packets.is_empty();
            let bytes = if has_bytes { packets.bytes(place) } else { &[] };
            let segment = has_bytes.then(|| Segment::of(packets.record(place), bytes)).flatten();
            self.without_ip += u64::from(!draw(segment, bytes, self.config.padding, image));
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("packets-without-image", self.without_ip)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{LinkType, Packets, Timestamp};

    fn image(bytes: &[u8], config: Config) -> (Vec<u8>, u64) {
        let mut packets = Packets::default();
        packets.push(0, Timestamp::default(), bytes.len() as u32, LinkType::RawIp, bytes);
        let headers = vec![legonf_wire::parse(packets.record(0), bytes)];
        let mut brick = PacketImage::new(config).unwrap();
        let layout = Layout::binding(&mut [&mut brick]).unwrap();
        let mut batch = Batch { packets, headers, ..Batch::new(&layout) };
        brick.process(&mut batch).unwrap();
        (batch.columns.get(brick.images).row(0).to_vec(), brick.without_ip)
    }

    fn ip4(protocol: u8, body: &[u8]) -> Vec<u8> {
        let total = (20 + body.len() as u16).to_be_bytes();
        let fixed = [0x45, 0, total[0], total[1], 7, 7, 0, 0, 64, protocol, 0xab, 0xcd];
        [&fixed[..], &[192, 168, 4, 10, 10, 0, 0, 5], body].concat()
    }

    #[test]
    fn addresses_and_checksums_are_zeros_and_headers_of_one_length() {
        let udp = [&[0, 53, 15, 160, 0, 10, 0xde, 0xad][..], b"hi"].concat();
        let (image, without) = image(&ip4(17, &udp), Config { shape: vec![6, 8], padding: Padding::Zeros });
        let mut expected = ip4(17, &[]);
        expected[2..4].copy_from_slice(&30_u16.to_be_bytes());
        expected[10..20].fill(0);
        expected.extend([0, 53, 15, 160, 0, 10, 0, 0]);
        expected.extend([0; 12]);
        expected.extend(*b"hi");
        expected.resize(48, 0);
        assert_eq!((image, without), (expected, 0));
    }

    #[test]
    fn a_short_packet_is_repeated_and_a_long_one_cut() {
        let tcp = [
            &[0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0, 9, 0xde, 0xad, 0, 0, 2, 4, 5, 0xb4][..],
            b"data",
        ];
        let packet = ip4(6, &tcp.concat());
        let (long, _) = image(&packet, Config { shape: vec![100], padding: Padding::Repeat });
        let (short, _) = image(&packet, Config { shape: vec![42], padding: Padding::Repeat });
        // Without the options of TCP the packet has 44 bytes.
        assert_eq!((&long[40..44], &long[..44], &long[..12]), (&b"data"[..], &long[44..88], &long[88..]));
        assert_eq!(short, long[..42]);
    }

    #[test]
    fn a_packet_without_ip_is_counted() {
        assert_eq!(image(&[0; 30], Config::default()), (vec![0; 900], 1));
        assert!(PacketImage::new(Config { shape: vec![0, 9], ..Config::default() }).is_err());
        assert!(PacketImage::new(Config { shape: vec![usize::MAX, 9], ..Config::default() }).is_err());
    }
}
