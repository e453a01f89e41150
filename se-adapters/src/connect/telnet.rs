//! Telnet (RFC 854, 1143, 1073) without I/O: a codec, and what to answer when options are negotiated.
//!
//! A raw TCP console that never negotiates goes through the same codec unchanged.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;
const CR: u8 = 13;
const NUL: u8 = 0;

/// Options this side knows.
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const WINDOW_SIZE: u8 = 31;

/// No terminal is 30,000 lines high, so nothing is paged; neither number holds a byte 255, which some
/// servers do not unescape.
const COLUMNS: u16 = 512;
const ROWS: u16 = 30_000;

/// A sub-negotiation longer than this is no telnet.
const LONGEST_SUB: usize = 4096;

/// What one side says about an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// I do it, or want to.
    Will,
    /// I do not.
    Wont,
    /// You do it, please.
    Do,
    /// You do not.
    Dont,
}

impl Verb {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            251 => Some(Self::Will),
            252 => Some(Self::Wont),
            253 => Some(Self::Do),
            254 => Some(Self::Dont),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Will => 251,
            Self::Wont => 252,
            Self::Do => 253,
            Self::Dont => 254,
        }
    }
}

/// A piece of a telnet stream, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes for the other side's terminal or program.
    Data(Bytes),
    /// Negotiation of an option.
    Negotiate(Verb, u8),
    /// Details of an option.
    Sub(u8, Bytes),
    /// Any other command, such as Go Ahead or Are You There.
    Command(u8),
}

/// The codec. Decoding depends on the bytes alone, never on how reads split them.
#[derive(Debug, Default)]
pub struct Telnet {
    after_cr: bool,
    /// The other side speaks telnet: it has sent a command.
    negotiates: bool,
    /// This side may send bytes as they are.
    binary: bool,
}

impl Telnet {
    /// The next frame at the start of `src`, or nothing if it is not complete.
    fn next_frame(&mut self, src: &mut BytesMut) -> Option<Frame> {
        match (src.first().copied()?, src.get(1).copied()) {
            (IAC, None) => None,
            (IAC, Some(IAC)) => {
                src.advance(2);
                self.after_cr = false;
                Some(Frame::Data(Bytes::from_static(&[IAC])))
            }
            (IAC, Some(SB)) => sub_negotiation(src),
            (IAC, Some(byte)) => match (Verb::from_byte(byte), src.get(2).copied()) {
                (Some(_), None) => None,
                (Some(verb), Some(option)) => {
                    src.advance(3);
                    Some(Frame::Negotiate(verb, option))
                }
                (None, _) => {
                    src.advance(2);
                    Some(Frame::Command(byte))
                }
            },
            (_, _) => Some(self.data(src)),
        }
    }

    /// Bytes up to the next command; a NUL after CR is padding (RFC 854).
    fn data(&mut self, src: &mut BytesMut) -> Frame {
        let end = src.iter().position(|it| *it == IAC).unwrap_or(src.len());
        let raw = src.split_to(end);
        let mut data = BytesMut::with_capacity(raw.len());
        for byte in raw {
            if !(self.after_cr && byte == NUL) {
                data.put_u8(byte);
            }
            self.after_cr = byte == CR;
        }
        Frame::Data(data.freeze())
    }
}

fn sub_negotiation(src: &mut BytesMut) -> Option<Frame> {
    let mut body = BytesMut::new();
    let mut at = 2;
    loop {
        let byte = src.get(at).copied();
        match (byte, src.get(at + 1).copied()) {
            (Some(IAC), Some(SE)) => {
                src.advance(at + 2);
                let option = if body.is_empty() { 0 } else { body.get_u8() };
                return Some(Frame::Sub(option, body.freeze()));
            }
            (Some(IAC), Some(_)) => {
                body.put_u8(IAC);
                at += 2;
            }
            (None, _) | (Some(IAC), None) if at < LONGEST_SUB => return None,
            (Some(byte), _) if at < LONGEST_SUB => {
                body.put_u8(byte);
                at += 1;
            }
            (_, _) => {
                src.advance(2);
                return Some(Frame::Command(SB));
            }
        }
    }
}

impl Telnet {
    /// A CR that is not part of CR LF is followed by NUL, unless bytes go as they are.
    fn put_data(&self, data: &[u8], dst: &mut BytesMut) {
        for byte in data {
            put_escaped(*byte, dst);
            if *byte == CR && self.negotiates && !self.binary {
                dst.put_u8(NUL);
            }
        }
    }
}

fn put_escaped(byte: u8, dst: &mut BytesMut) {
    dst.put_u8(byte);
    if byte == IAC {
        dst.put_u8(IAC);
    }
}

impl Decoder for Telnet {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Frame>> {
        loop {
            let frame = self.next_frame(src);
            match &frame {
                Some(Frame::Data(data)) if data.is_empty() => continue,
                Some(Frame::Data(_)) | None => {}
                Some(Frame::Negotiate(..) | Frame::Sub(..) | Frame::Command(_)) => {
                    self.negotiates = true;
                }
            }
            return Ok(frame);
        }
    }

    /// A stream that ends within a command has ended all the same.
    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Frame>> {
        let frame = self.decode(src)?;
        if frame.is_none() {
            src.clear();
        }
        Ok(frame)
    }
}

impl Encoder<Frame> for Telnet {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> io::Result<()> {
        match frame {
            Frame::Data(data) => self.put_data(&data, dst),
            Frame::Negotiate(verb, option) => {
                if option == BINARY {
                    self.binary = matches!(verb, Verb::Will) || self.binary;
                    self.binary &= !matches!(verb, Verb::Wont);
                }
                dst.put_slice(&[IAC, verb.byte(), option]);
            }
            Frame::Sub(option, body) => {
                dst.put_slice(&[IAC, SB, option]);
                body.iter().for_each(|it| put_escaped(*it, dst));
                dst.put_slice(&[IAC, SE]);
            }
            Frame::Command(byte) => dst.put_slice(&[IAC, byte]),
        }
        Ok(())
    }
}

/// Which options are on, and what to answer: a change is acknowledged once, so two sides never loop.
#[derive(Debug, Default)]
pub struct Negotiation {
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl Negotiation {
    /// What to send back for a frame that came.
    pub fn answer(&mut self, frame: &Frame) -> Vec<Frame> {
        let Frame::Negotiate(verb, option) = *frame else {
            return Vec::new();
        };
        let (on, known, yes, no) = match verb {
            Verb::Do | Verb::Dont => (
                &mut self.ours,
                [BINARY, SUPPRESS_GO_AHEAD, WINDOW_SIZE].contains(&option),
                Verb::Will,
                Verb::Wont,
            ),
            Verb::Will | Verb::Wont => (
                &mut self.theirs,
                [BINARY, SUPPRESS_GO_AHEAD, ECHO].contains(&option),
                Verb::Do,
                Verb::Dont,
            ),
        };
        let wanted = matches!(verb, Verb::Do | Verb::Will);
        let is_on = on.contains(&option);
        let mut answers = Vec::new();
        match (wanted, is_on) {
            (true, false) if known => {
                on.push(option);
                answers.push(Frame::Negotiate(yes, option));
                if yes == Verb::Will && option == WINDOW_SIZE {
                    answers.push(window_size());
                }
            }
            (true, false) => answers.push(Frame::Negotiate(no, option)),
            (false, true) => {
                on.retain(|it| *it != option);
                answers.push(Frame::Negotiate(no, option));
            }
            (true, true) | (false, false) => {}
        }
        answers
    }
}

fn window_size() -> Frame {
    let mut size = BytesMut::with_capacity(4);
    size.put_u16(COLUMNS);
    size.put_u16(ROWS);
    Frame::Sub(WINDOW_SIZE, size.freeze())
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
    use tokio_util::codec::{Decoder, Encoder};

    use super::{Frame, Negotiation, Telnet, Verb};

    /// Feeds the pieces one by one; neighbouring data is one frame.
    fn decode(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut codec = Telnet::default();
        let mut buffer = BytesMut::new();
        let mut frames: Vec<Frame> = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                push(&mut frames, frame);
            }
        }
        frames
    }

    fn push(frames: &mut Vec<Frame>, frame: Frame) {
        match (frames.last_mut(), frame) {
            (Some(Frame::Data(last)), Frame::Data(next)) => {
                *last = Bytes::from([last.as_ref(), next.as_ref()].concat());
            }
            (_, frame) => frames.push(frame),
        }
    }

    fn data(bytes: &'static [u8]) -> Frame {
        Frame::Data(Bytes::from_static(bytes))
    }

    #[test]
    fn frames_of_a_router() {
        let greeting = b"Hi\xff\xfb\x01\xff\xfd\x1fPassword: \xff\xff\r\0\n\xff\xf1";
        assert_eq!(
            decode(&[greeting]),
            [
                data(b"Hi"),
                Frame::Negotiate(Verb::Will, 1),
                Frame::Negotiate(Verb::Do, 31),
                data(b"Password: \xff\r\n"),
                Frame::Command(0xf1),
            ]
        );
        assert_eq!(
            decode(&[b"\xff\xfa\x18\x01\xff\xff\xff\xf0x"]),
            [Frame::Sub(24, Bytes::from_static(b"\x01\xff")), data(b"x")]
        );
    }

    #[test]
    fn a_sub_negotiation_without_end_is_not_waited_for() {
        let mut endless = b"\xff\xfa\x18".to_vec();
        endless.extend([b'x'; 5000]);
        assert_eq!(decode(&[&endless]).first(), Some(&Frame::Command(250)));
    }

    #[test]
    fn return_is_padded_only_where_telnet_is_spoken_and_not_binary() {
        let sent = |before: &[u8], answer: Option<Frame>| {
            let mut codec = Telnet::default();
            let mut out = BytesMut::new();
            codec.decode(&mut BytesMut::from(before)).unwrap();
            if let Some(answer) = answer {
                codec.encode(answer, &mut out).unwrap();
                out.clear();
            }
            codec.encode(data(b"a\r\xff"), &mut out).unwrap();
            out.to_vec()
        };
        assert_eq!(sent(b"raw", None), b"a\r\xff\xff");
        assert_eq!(sent(b"\xff\xfb\x01", None), b"a\r\0\xff\xff");
        let will_binary = Frame::Negotiate(Verb::Will, 0);
        assert_eq!(sent(b"\xff\xfd\0", Some(will_binary)), b"a\r\xff\xff");
    }

    #[test]
    fn answers_accept_what_helps_and_refuse_the_rest_once() {
        let mut negotiation = Negotiation::default();
        let mut answer = |verb, option| negotiation.answer(&Frame::Negotiate(verb, option));
        assert_eq!(answer(Verb::Will, 1), [Frame::Negotiate(Verb::Do, 1)]);
        assert_eq!(answer(Verb::Will, 1), []);
        assert_eq!(answer(Verb::Wont, 1), [Frame::Negotiate(Verb::Dont, 1)]);
        assert_eq!(answer(Verb::Dont, 34), []);
        assert_eq!(answer(Verb::Do, 34), [Frame::Negotiate(Verb::Wont, 34)]);
        assert_eq!(answer(Verb::Do, 1), [Frame::Negotiate(Verb::Wont, 1)]);
        let size = Bytes::from_static(&[2, 0, 0x75, 0x30]);
        assert_eq!(
            answer(Verb::Do, 31),
            [Frame::Negotiate(Verb::Will, 31), Frame::Sub(31, size)]
        );
    }

    /// Bytes in which telnet commands are frequent.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let interesting = prop::sample::select(vec![255, 250, 240, 251, 253, 13, 0, 31]);
        prop::collection::vec(prop_oneof![interesting, any::<u8>()], 0..64)
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_frames(bytes in stream(), cut in 0_usize..64) {
            let whole = decode(&[&bytes]);
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            assert_eq!(decode(&[left, right]), whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(&single), whole);
        }

        #[test]
        fn data_comes_back_as_it_was(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
            let mut codec = Telnet { negotiates: true, ..Telnet::default() };
            let mut wire = BytesMut::new();
            codec.encode(Frame::Data(Bytes::from(bytes.clone())), &mut wire).unwrap();
            // What a sender writes after CR is NUL, so a NUL of its own there is lost.
            let lossless = !bytes.windows(2).any(|it| it == [13, 0]);
            if lossless {
                assert_eq!(decode(&[&wire]), [Frame::Data(Bytes::from(bytes))]);
            }
        }
    }
}
