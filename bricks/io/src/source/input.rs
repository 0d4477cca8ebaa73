//! A window of decompressed bytes that slides over a file.

use super::pipe::Waiter;
use super::stored::{Bytes, Stored};
use crate::error::SourceErrorKind;
use legonf_core::Progress;

/// Size of the window in bytes. It grows only for a larger record.
const WINDOW: usize = 256 * 1024;

/// The longest line in bytes.
const MAX_LINE: usize = 64 * 1024;

/// The decompressed bytes of a file, of which a window is in memory.
pub(crate) struct Input {
    stored: Stored,
    total: Option<u64>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[0]` in the decompressed bytes.
    base: u64,
    /// A fault behind the bytes in the window, for when they are used up.
    fault: Option<SourceErrorKind>,
    /// Waits for bytes, where the input is a pipe.
    waiter: Option<Waiter>,
    /// Whether a call ends where bytes have not come yet, instead of waiting for them.
    is_hasty: bool,
}

impl Input {
    pub(crate) fn new(bytes: Bytes, total: Option<u64>) -> Result<Self, SourceErrorKind> {
        Self::over(bytes, total, None)
    }

    /// An input whose bytes `waiter` waits for, where they come when they come.
    pub(crate) fn over(
        bytes: Bytes,
        total: Option<u64>,
        waiter: Option<Waiter>,
    ) -> Result<Self, SourceErrorKind> {
        let stored = Stored::new(bytes, waiter.as_ref())?;
        let (buffer, start, end, base) = (vec![0; WINDOW], 0, 0, 0);
        Ok(Self { stored, total, buffer, start, end, base, fault: None, waiter, is_hasty: false })
    }

    /// From now on a call for bytes that have not come yet fails with a kind that [is
    /// pending](SourceErrorKind::is_pending), and may be made again.
    pub(crate) fn make_hasty(&mut self) {
        self.is_hasty = true;
    }

    /// Waits for a while for bytes that have not come yet; `false` where none came.
    ///
    /// # Errors
    /// `pending`, where there is nothing to wait for.
    pub(crate) fn pause(&self, pending: SourceErrorKind) -> Result<bool, SourceErrorKind> {
        self.waiter.as_ref().map_or(Err(pending), Waiter::pause)
    }

    /// Offset of the window in the decompressed bytes.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Bytes of the file as stored.
    pub(crate) fn progress(&self) -> Progress {
        Progress { read_bytes: self.stored.stored_bytes(), total_bytes: self.total }
    }

    /// The bytes at the window's start: at least `len` of them, fewer only where the input ends.
    ///
    /// `len` must be bounded by the caller, since the window grows to it.
    #[inline]
    pub(crate) fn window(&mut self, len: usize) -> Result<&[u8], SourceErrorKind> {
        if self.end - self.start < len {
            self.refill(len)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// The bytes at the window's start that are in memory already, however few.
    #[inline(always)]
    pub(crate) fn ready(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes at the window's start: `most` of them, or as many as are `enough`, fewer where the input ends.
    ///
    /// Where a fault follows fewer bytes these are given, and the fault later.
    pub(crate) fn head(
        &mut self,
        most: usize,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<&[u8], SourceErrorKind> {
        let mut have = 0;
        while have < most && !enough(&self.buffer[self.start..self.start + have]) {
            match self.window(have + 1) {
                Ok(window) if window.len() == have => break,
                Ok(window) => have = window.len(),
                Err(fault) if have == 0 || matches!(fault, SourceErrorKind::Stopped) => return Err(fault),
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + most)])
    }

    /// Moves the window past `len` bytes of it.
    #[inline(always)]
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Moves the window past any number of bytes, which `left` counts down; `false` if the input ends before.
    pub(crate) fn skip(&mut self, left: &mut u64) -> Result<bool, SourceErrorKind> {
        while *left > 0 {
            let here = self.window(1)?.len();
            if here == 0 {
                return Ok(false);
            }
            let step = usize::try_from(*left).map_or(here, |left| left.min(here));
            self.consume(step);
            *left -= step as u64;
        }
        Ok(true)
    }

    /// The next line without its line break, and whether it had one. `None` at the end of the input or where
    /// no line break comes within the longest line.
    pub(crate) fn line(&mut self) -> Result<Line<'_>, SourceErrorKind> {
        let mut searched = 0;
        let (len, ended) = loop {
            let window = self.window(searched + 1)?;
            let fresh = &window[searched..];
            if fresh.is_empty() {
                break (searched, false);
            }
            if let Some(at) = fresh.iter().position(|b| *b == b'\n') {
                break (searched + at, true);
            }
            searched = window.len();
            if searched > MAX_LINE {
                return Ok(Line::TooLong);
            }
        };
        if len == 0 && !ended {
            return Ok(Line::End);
        }
        let text = self.start..self.start + len;
        self.consume(len + usize::from(ended));
        let text = &self.buffer[text];
        Ok(Line::Text { text: text.strip_suffix(b"\r").unwrap_or(text), ended })
    }

    #[cold]
    fn refill(&mut self, len: usize) -> Result<(), SourceErrorKind> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        while self.end < len {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            match self.stored.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(kind) => self.bear(kind)?,
            }
        }
        Ok(())
    }

    /// Waits where bytes have not come yet; other faults, and this one in haste, are passed on.
    #[cold]
    fn bear(&self, kind: SourceErrorKind) -> Result<(), SourceErrorKind> {
        match &self.waiter {
            Some(waiter) if kind.is_pending() && !self.is_hasty => waiter.wait(),
            _ => Err(kind),
        }
    }
}

/// What [`Input::line`] finds.
pub(crate) enum Line<'a> {
    /// A line and whether a line break ended it.
    Text {
        /// Without the line break.
        text: &'a [u8],
        /// `false` only for a last line that has none.
        ended: bool,
    },
    /// A line longer than any table has.
    TooLong,
    /// The end of the input.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input::new(Box::new(std::io::Cursor::new(bytes.to_vec())), None).unwrap()
    }

    #[test]
    fn window_slides_over_everything() {
        let bytes: Vec<u8> = (0..WINDOW * 3 + 17).map(|i| (i % 251) as u8).collect();
        let mut input = input(&bytes);
        let mut seen = Vec::new();
        while let Some(piece) = input.window(1000).unwrap().first_chunk::<1000>().copied() {
            assert_eq!(input.offset(), seen.len() as u64);
            seen.extend_from_slice(&piece);
            input.consume(1000);
        }
        seen.extend_from_slice(input.window(1000).unwrap());
        assert_eq!(seen, bytes);
    }

    #[test]
    fn window_grows_for_a_large_record() {
        let mut input = input(&vec![7; WINDOW * 2]);
        assert_eq!(input.window(WINDOW + 5).unwrap().len(), WINDOW + 5);
        let mut left = WINDOW as u64 * 2;
        assert!(input.skip(&mut left).unwrap());
        assert!(left == 0 && !input.skip(&mut 1).unwrap());
    }

    #[test]
    fn lines_end_with_either_break_or_none() {
        let mut input = input(b"a\r\n\nbc");
        let mut lines = Vec::new();
        while let Line::Text { text, ended } = input.line().unwrap() {
            lines.push((text.to_vec(), ended));
        }
        assert_eq!(lines, [(b"a".to_vec(), true), (vec![], true), (b"bc".to_vec(), false)]);
    }

    #[test]
    fn endless_line_is_refused() {
        assert!(matches!(input(&[b'x'; MAX_LINE * 2]).line().unwrap(), Line::TooLong));
    }
}
