//! The heads of frames (RFC 9113, 4.1), found in a stream of bytes without keeping any payload.

const HEAD_BYTES: usize = 9;
/// What a client says before its first frame (RFC 9113, 3.4).
const PREFACE_BYTES: u32 = 24;

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u8,
    pub(super) length: u32,
}

impl FrameHead {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const CONTINUATION: u8 = 9;
}

/// How far one direction of a connection has been read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    read: usize,
    /// What is left of the payload.
    payload: u32,
}

impl Frames {
    /// What a client sends, from its preface on.
    pub(super) fn of_client() -> Self {
        Self { payload: PREFACE_BYTES, ..Self::default() }
    }

    /// Reads on to the next whole head in `window`, which loses what was read; `None` when all of it was.
    pub(super) fn next(&mut self, window: &mut &[u8]) -> Option<FrameHead> {
        self.skip_payload(window);
        let taken = window.len().min(HEAD_BYTES - self.read);
        let (head, rest) = window.split_at(taken);
        self.head[self.read..self.read + taken].copy_from_slice(head);
        self.read += taken;
        *window = rest;
        if self.read < HEAD_BYTES {
            return None;
        }
        self.read = 0;
        let [high, middle, low, kind, ..] = self.head;
        self.payload = u32::from_be_bytes([0, high, middle, low]);
        Some(FrameHead { kind, length: self.payload })
    }

    /// Reads on to the end of the frame that was begun; `window` loses what was read.
    pub(super) fn skip_payload(&mut self, window: &mut &[u8]) {
        let taken = window.len().min(self.payload as usize);
        *window = &window[taken..];
        self.payload -= taken as u32;
    }

    /// Whether the last frame whose head was found is whole, and nothing of the next has come.
    pub(super) fn is_between(&self) -> bool {
        self.payload == 0 && self.read == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_however_the_bytes_are_cut() {
        let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, length) in [(4, 0), (1, 300), (0, 70_000), (6, 8)] {
            stream.extend(&u32::to_be_bytes(length)[1..]);
            stream.extend([kind, 0, 0, 0, 0, 1]);
            stream.extend(vec![b'x'; length as usize]);
        }
        for size in [1, 7, 9, 1000, stream.len()] {
            let mut frames = Frames::of_client();
            let mut found = Vec::new();
            for mut window in stream.chunks(size) {
                while let Some(head) = frames.next(&mut window) {
                    found.push((head.kind, head.length));
                }
                assert!(window.is_empty());
            }
            assert_eq!(found, [(4, 0), (1, 300), (0, 70_000), (6, 8)], "in pieces of {size}");
            assert!(frames.is_between());
        }
    }
}
