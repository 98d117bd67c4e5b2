//! Bytes that were read from the socket and may not be seen yet.

use tokio::io::ReadBuf;

/// Bytes read and not yet given to hyper. Empty, and without an allocation, whenever a head came in one
/// piece.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    given: usize,
    sound: usize,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, given: 0, sound: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Counts `length` more bytes as sound.
    pub(super) fn settle(&mut self, length: usize) {
        self.sound += length;
    }

    /// Counts everything as sound: it is another protocol.
    pub(super) fn trust(&mut self) {
        self.sound = self.bytes.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.given > 0 {
            self.bytes.drain(..self.given);
            self.sound -= self.given;
            self.given = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn unscanned(&self) -> &[u8] {
        &self.bytes[self.sound..]
    }

    pub(super) fn unscanned_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.sound..]
    }

    /// Gives what is sound; says whether there was any.
    pub(super) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = buffer.remaining().min(self.sound - self.given);
        buffer.put_slice(&self.bytes[self.given..self.given + length]);
        self.given += length;
        if self.given == self.bytes.len() {
            *self = Self::default();
        }
        length > 0
    }

    /// Forgets what was not found sound.
    pub(super) fn truncate(&mut self) {
        self.bytes.truncate(self.sound);
        if self.given == self.bytes.len() {
            *self = Self::default();
        }
    }
}
