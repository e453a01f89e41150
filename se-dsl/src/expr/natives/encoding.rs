//! Base32, as `@base32` and `@base32d` need it.

use jaq_core::native::{Fun, bome, run, v};

use super::super::meter;
use super::super::value::{Val, ValR, fail, paid};
use super::Engine;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) fn filters() -> impl Iterator<Item = Fun<Engine>> {
    [
        run::<Engine>(("encode_base32", v(0), |cv| {
            bome(coded(&cv.1, |it| Ok(encode(it))))
        })),
        run::<Engine>(("decode_base32", v(0), |cv| bome(coded(&cv.1, decode)))),
    ]
    .into_iter()
}

fn coded(value: &Val, code: impl Fn(&str) -> Result<String, &'static str>) -> ValR {
    let text = value.as_str().ok_or_else(|| {
        fail(format!(
            "{} ({value}) cannot be converted: only strings can",
            value.type_name()
        ))
    })?;
    paid(meter::charge_bytes(2 * text.len()) && meter::admit_bytes(2 * text.len()))?;
    code(text)
        .map(Val::str)
        .map_err(|why| fail(format!("{} ({value}) {why}", value.type_name())))
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 8 / 5 + 8);
    for chunk in text.as_bytes().chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let symbols = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let symbol = (bits >> (35 - 5 * at)) & 31;
            let symbol = ALPHABET[usize::try_from(symbol).unwrap_or(0)];
            out.push(if at < symbols {
                char::from(symbol)
            } else {
                '='
            });
        }
    }
    out
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let symbol = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return Err("is not valid base32 data"),
        };
        bits = (bits << 5) | u32::from(symbol);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
        bits &= (1 << count) - 1;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn base32_is_that_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ];
        for (text, coded) in cases {
            assert_eq!(encode(text), coded);
            assert_eq!(decode(coded).as_deref(), Ok(text));
        }
        assert!(decode("1").is_err());
    }
}
