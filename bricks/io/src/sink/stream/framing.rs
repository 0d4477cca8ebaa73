//! Where one unit of an output ends and the next one begins.

/// Type of the blocks that hold packets (draft-ietf-opsawg-pcapng §4.3).
const ENHANCED_PACKET: u32 = 6;

/// What an output is made of: units that are written whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Lines of text, each with its line feed.
    Lines,
    /// Blocks of pcapng: type, length, body, length.
    Blocks,
}

impl Framing {
    /// Length of the first unit; all bytes where it does not end within them.
    pub(super) fn first(self, bytes: &[u8]) -> usize {
        let length = match self {
            Self::Lines => bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            Self::Blocks => {
                bytes.get(4..8).map(|field| field.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
            }
        };
        length.unwrap_or(bytes.len()).clamp(1.min(bytes.len()), bytes.len())
    }

    /// Number of lines that say something, or of packets.
    pub(super) fn count(self, mut bytes: &[u8]) -> u64 {
        let mut counted = 0;
        while !bytes.is_empty() {
            let (unit, rest) = bytes.split_at(self.first(bytes));
            let counts = match self {
                Self::Lines => unit != b"\n",
                Self::Blocks => unit.starts_with(&ENHANCED_PACKET.to_le_bytes()),
            };
            counted += u64::from(counts);
            bytes = rest;
        }
        counted
    }

    /// Length of the whole units at the start that have room.
    pub(super) fn fitting(self, bytes: &[u8], room: u64) -> usize {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if room >= bytes.len() {
            return bytes.len();
        }
        let mut end = 0;
        loop {
            let next = end + self.first(&bytes[end..]);
            if next > room {
                return end;
            }
            end = next;
        }
    }

    /// What units are called, in messages.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Blocks => "packets",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        let lines = b"1\n22\n333";
        assert_eq!((Framing::Lines.first(lines), Framing::Lines.count(lines)), (2, 3));
        assert_eq!([1, 2, 4, 5, 99].map(|room| Framing::Lines.fitting(lines, room)), [0, 2, 2, 5, 8]);
        let mut blocks = Vec::new();
        for length in [12_u32, 16] {
            blocks.extend(6_u32.to_le_bytes());
            blocks.extend(length.to_le_bytes());
            blocks.resize(blocks.len() + length as usize - 8, 0);
        }
        assert_eq!((Framing::Blocks.first(&blocks), Framing::Blocks.count(&blocks)), (12, 2));
        assert_eq!([11, 12, 27, 28].map(|room| Framing::Blocks.fitting(&blocks, room)), [0, 12, 12, 28]);
        for framing in [Framing::Lines, Framing::Blocks] {
            assert_eq!(
                (framing.first(b""), framing.count(b""), framing.first(&[0; 9])),
                (0, 0, if framing == Framing::Lines { 9 } else { 1 })
            );
        }
        assert_eq!((Framing::Lines.count(b"1\n\n2"), Framing::Blocks.count(&[0; 9])), (2, 0));
    }
}
