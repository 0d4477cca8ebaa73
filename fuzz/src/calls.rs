//! What comes to a host of bricks, and to the brick that asks one.

use crate::extractor;
use legonf_core::{Batch, Brick, Headers, Layout, WestEast};
use legonf_transport::{AgentLoad, Channel, ChannelError, Hosted, Remote, serve};
use std::time::Duration;

/// Frames that are cut from bytes: each begins with its length, in one byte, or in the two behind where that is 255. They are numbered
/// as calls or as answers, or have no number.
pub(crate) struct Frames {
    bytes: Vec<u8>,
    at: usize,
    number: u64,
    kind: Kind,
    frame: Vec<u8>,
}

/// What frames are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Calls,
    Answers,
    Plain,
}

impl Frames {
    pub(crate) fn new(bytes: &[u8], kind: Kind) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, number: 0, kind, frame: Vec::new() }
    }
}

impl Channel for Frames {
    fn send(&mut self, _: &[u8]) -> Result<(), ChannelError> {
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], ChannelError> {
        let (len, rest) = match &self.bytes[self.at..] {
            [255, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
            [len, rest @ ..] => (usize::from(*len), rest),
            [] => return Err(ChannelError::Closed),
        };
        let frame = &rest[..len.min(rest.len())];
        self.number += 1;
        self.frame.clear();
        if self.kind != Kind::Plain {
            self.frame.extend(self.number.to_le_bytes());
        }
        // The time that an answer took.
        self.frame.extend(std::iter::repeat_n(0, if self.kind == Kind::Answers { 8 } else { 0 }));
        self.frame.extend(frame);
        self.at = self.bytes.len() - rest.len() + frame.len();
        Ok(&self.frame)
    }

    fn set_patience(&mut self, _: Option<Duration>) -> Result<(), ChannelError> {
        Ok(())
    }
}

fn brick() -> (Box<dyn Brick>, Layout) {
    let graph = extractor().0;
    let layout = graph.layout().clone();
    let node = graph.into_nodes().into_iter().nth(1).expect("the extractor is the second one");
    (node.brick, layout)
}

/// Lets bytes be calls to a host, and answers to a brick that asks one. Of an answer that is none nothing shows in the batch.
pub fn calls(data: &[u8]) {
    let make = |_: &[u8]| {
        let (brick, layout) = brick();
        Ok(Hosted { brick, layout })
    };
    drop(serve(&mut Frames::new(data, Kind::Calls), &make, &AgentLoad::default));
    let (mut like, layout) = brick();
    let channel = Box::new(Frames::new(data, Kind::Answers));
    let Ok(mut remote) = Remote::connect(&mut *like, channel, "a host", Duration::from_secs(1), &[]) else { return };
    if remote.bind(&layout).is_err() {
        return;
    }
    let mut batch = Batch { headers: vec![Headers::default(); 3], ..Batch::new(&layout) };
    let answered = remote.process(&mut batch);
    let filled = layout.columns(&*remote.descriptor().writes).iter().map(|index| batch.filled(index)).sum::<usize>();
    assert!(answered.is_ok() || filled == 0, "nothing is half done");
    let _ = remote.export(0, &[1, 2]);
    let _ = remote.counters();
}

/// Calls that make a brick and use it, and answers to such.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // By the numbers of the questions: hello, make, divide, part, counters and size of the state; of the answers: hello, made, done.
    let questions: [&[u8]; 6] = [&[0, 2, 0], &[1, 0], &[3, 0], &[4, 0, 2, 115, 0, 0, 0], &[13], &[14]];
    let answers: [&[u8]; 3] = [&[0, 2, 0], &[1, 0], &[2, 0, 0, 0]];
    vec![frames(&questions), frames(&answers)]
}

/// Frames in a row, each behind its length.
pub(crate) fn frames(frames: &[&[u8]]) -> Vec<u8> {
    frames.iter().flat_map(|frame| [&[frame.len() as u8][..], frame].concat()).collect()
}
