//! The little DER (X.690) that keys are wrapped in: definite lengths, shortest form, nothing left over.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Values one after another.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What follows is one value of this tag and nothing else: its contents.
    pub(super) fn only(bytes: &'a [u8], tag: u8) -> Option<&'a [u8]> {
        let mut reader = Self(bytes);
        let contents = reader.take(tag)?;
        reader.is_empty().then_some(contents)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The contents of the next value, which has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match *length {
            short @ ..=0x7f => (usize::from(short), rest),
            0x81 => {
                let [length, rest @ ..] = rest else { return None };
                (Some(usize::from(*length)).filter(|length| *length >= 0x80)?, rest)
            }
            0x82 => {
                let [high, low, rest @ ..] = rest else { return None };
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                (Some(length).filter(|length| *length >= 0x100)?, rest)
            }
            // Nothing that is read here has 64 KiB.
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        if *first != tag {
            return None;
        }
        self.0 = rest;
        Some(contents)
    }

    /// The next value: an integer that is not negative, without leading zeros.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [] | [0x80..=0xff, ..] | [0, ..=0x7f, ..] => None,
            [0] => Some(&[]),
            [0, number @ ..] | number => Some(number),
        }
    }

    /// The next value: a bit string of whole bytes.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        match self.take(BIT_STRING)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }
}

/// One value: tag, length, contents. Contents have less than 64 KiB.
pub(super) fn write(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.push(tag);
    let [.., high, low] = contents.len().to_be_bytes();
    match contents.len() {
        ..=0x7f => out.push(low),
        0x80..=0xff => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(contents);
}

/// An integer that is not negative, given without leading zeros.
pub(super) fn write_unsigned(out: &mut Vec<u8>, number: &[u8]) {
    match number {
        [] => write(out, INTEGER, &[0]),
        [0x80..=0xff, ..] => write(out, INTEGER, &[&[0], number].concat()),
        _ => write(out, INTEGER, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_their_shortest_form() {
        assert_eq!(Reader::only(&[4, 1, 7], OCTET_STRING), Some(&[7][..]));
        for bytes in [
            &[4, 0x81, 1, 7][..],
            &[4, 0x82, 0, 1, 7],
            &[4, 0x80, 7, 0, 0],
            &[4, 2, 7],
            &[4, 1, 7, 0],
            &[4],
            &[],
            &[2, 1, 7],
            &[4, 0x83, 0, 0, 1, 7],
        ] {
            assert_eq!(Reader::only(bytes, OCTET_STRING), None, "{bytes:?}");
        }
    }

    #[test]
    fn integers_are_neither_negative_nor_padded() {
        let read = |bytes: &[u8]| Reader::new(bytes).unsigned().map(<[u8]>::to_vec);
        assert_eq!(read(&[2, 1, 0]), Some(vec![]));
        assert_eq!(read(&[2, 1, 0x7f]), Some(vec![0x7f]));
        assert_eq!(read(&[2, 2, 0, 0x80]), Some(vec![0x80]));
        for bytes in [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 0x7f], &[2, 2, 0, 0]] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[3, 2, 1, 0]).bits(), None);
        assert_eq!(Reader::new(&[3, 0]).bits(), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in proptest::collection::vec(0_u8.., 0..600)) {
            let mut out = Vec::new();
            write(&mut out, OCTET_STRING, &bytes);
            proptest::prop_assert_eq!(Reader::only(&out, OCTET_STRING), Some(&bytes[..]));
            let number = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
            let mut out = Vec::new();
            write_unsigned(&mut out, number);
            proptest::prop_assert_eq!(Reader::new(&out).unsigned(), Some(number));
        }
    }
}
