//! The telnet protocol as a serial console server speaks it (RFC 854, 855).

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// What the server says first: it echoes, does without go-ahead, and takes every byte. The same
/// bytes as a virtual machine's serial port.
pub(super) const GREETING: [u8; 12] = [
    IAC,
    WILL,
    ECHO,
    IAC,
    WILL,
    SUPPRESS_GO_AHEAD,
    IAC,
    WILL,
    BINARY,
    IAC,
    DO,
    BINARY,
];

/// Takes telnet out of a stream of bytes that may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Telnet {
    state: State,
    after_return: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Data,
    Command,
    Option(u8),
    Parameters,
    ParametersCommand,
}

impl Telnet {
    /// The keys that `bytes` bring (Return is always `\r`), and what has to be said in reply.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut keys = Vec::new();
        let mut reply = Vec::new();
        for byte in bytes {
            self.byte(*byte, &mut keys, &mut reply);
        }
        (keys, reply)
    }

    fn byte(&mut self, byte: u8, keys: &mut Vec<u8>, reply: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            (State::Data, IAC) => State::Command,
            (State::Data, _) => {
                self.key(byte, keys);
                State::Data
            }
            (State::Command, IAC) => {
                self.key(byte, keys);
                State::Data
            }
            (State::Command, DO | DONT | WILL | WONT) => State::Option(byte),
            (State::Command, SB) => State::Parameters,
            (State::Command, _) => State::Data,
            (State::Option(verb), _) => {
                answer(verb, byte, reply);
                State::Data
            }
            (State::Parameters, IAC) => State::ParametersCommand,
            (State::Parameters, _) => State::Parameters,
            (State::ParametersCommand, SE) => State::Data,
            (State::ParametersCommand, _) => State::Parameters,
        };
    }

    /// `\r\0` and `\r\n` are one Return, and a lone `\n` is one too.
    fn key(&mut self, byte: u8, keys: &mut Vec<u8>) {
        let follows = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            0 | b'\n' if follows => {}
            b'\n' => keys.push(b'\r'),
            _ => keys.push(byte),
        }
    }
}

/// Offers were made at the start; everything else is declined, and no acknowledgement answered.
fn answer(verb: u8, option: u8, reply: &mut Vec<u8>) {
    match (verb, option) {
        (DO, BINARY | ECHO | SUPPRESS_GO_AHEAD) | (WILL, BINARY | SUPPRESS_GO_AHEAD) => {}
        (DO, _) => reply.extend([IAC, WONT, option]),
        (WILL, _) => reply.extend([IAC, DONT, option]),
        _ => {}
    }
}

/// Text as it travels: a byte 255 is doubled.
pub(super) fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if *byte == IAC {
            escaped.push(IAC);
        }
        escaped.push(*byte);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Telnet, escape};

    fn check(pieces: &[&[u8]], keys: &[u8], reply: &[u8]) {
        let mut telnet = Telnet::default();
        let mut seen = (Vec::new(), Vec::new());
        for piece in pieces {
            let (more, replied) = telnet.take(piece);
            seen.0.extend(more);
            seen.1.extend(replied);
        }
        assert_eq!(seen, (keys.to_vec(), reply.to_vec()), "{pieces:?}");
    }

    #[test]
    fn negotiation_is_taken_out_wherever_it_is_cut() {
        check(&[b"a\r\0b\r", b"\nc\nd\r\r"], b"a\rb\rc\rd\r\r", b"");
        check(&[b"x\xff", b"\xfb", b"\x1fy"], b"xy", b"\xff\xfe\x1f");
        check(&[b"\xff\xfd\x01\xff\xfd\x18"], b"", b"\xff\xfc\x18");
        check(&[b"\xff\xfa\x1f\x00\x50\xff", b"\xff\xff\xf0z"], b"z", b"");
        check(&[b"\xff\xff"], b"\xff", b"");
        assert_eq!(escape(b"a\xffb"), b"a\xff\xffb");
    }
}
