//! What a plain scalar stands for: the YAML 1.2 core schema, without its surprises.
//!
//! `yes`, `on`, `017` and `1_000` are text; numbers that do not fit are errors, never rounded.

/// What a plain scalar is.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    /// A number that an `i64` or a finite `f64` cannot hold.
    OutOfRange,
}

pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::OutOfRange,
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Plain::OutOfRange;
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return in_radix(hex, sign, 16);
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return in_radix(octal, sign, 8);
    }
    let mut chars = digits.chars();
    let leading_zero =
        chars.next() == Some('0') && chars.next().is_some_and(|c| c.is_ascii_digit());
    if leading_zero || digits.is_empty() {
        return Plain::Text;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = format!("{sign}{digits}").parse();
        return number.map_or(Plain::OutOfRange, Plain::Int);
    }
    if !is_float(digits) {
        return Plain::Text;
    }
    match format!("{sign}{digits}").parse::<f64>() {
        Ok(number) if number.is_finite() => Plain::Float(number),
        _ => Plain::OutOfRange,
    }
}

fn in_radix(digits: &str, sign: &str, radix: u32) -> Plain {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Plain::Text;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).map_or(Plain::OutOfRange, Plain::Int)
}

/// Digits, a fraction, an exponent; at least one digit before the exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|text| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && all_digits(digits)
    });
    all_digits(whole) && all_digits(fraction) && whole.len() + fraction.len() > 0 && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::{Plain, resolve};

    #[test]
    fn plain_scalars_mean_what_they_look_like() {
        for (text, expected) in [
            ("", Plain::Null),
            ("~", Plain::Null),
            ("true", Plain::Bool(true)),
            ("yes", Plain::Text),
            ("on", Plain::Text),
            ("NO", Plain::Text),
            ("0", Plain::Int(0)),
            ("-12", Plain::Int(-12)),
            ("+3", Plain::Int(3)),
            ("017", Plain::Text),
            ("0o17", Plain::Int(15)),
            ("0x1F", Plain::Int(31)),
            ("1_000", Plain::Text),
            ("9223372036854775807", Plain::Int(i64::MAX)),
            ("9223372036854775808", Plain::OutOfRange),
            ("-9223372036854775808", Plain::Int(i64::MIN)),
            ("0.5", Plain::Float(0.5)),
            (".5", Plain::Float(0.5)),
            ("1e3", Plain::Float(1000.0)),
            ("1e999", Plain::OutOfRange),
            ("-.inf", Plain::OutOfRange),
            (".nan", Plain::OutOfRange),
            ("1.2.3", Plain::Text),
            ("2026-11-23", Plain::Text),
            ("12:30", Plain::Text),
            ("1e", Plain::Text),
            (".", Plain::Text),
            ("-", Plain::Text),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }
}
