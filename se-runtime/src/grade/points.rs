//! Points as JSON numbers, for types that travel as a step's output and input.

use se_dsl::checked::Points;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(points: &Points, serializer: S) -> Result<S::Ok, S::Error> {
    points.to_json().serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Points, D::Error> {
    let number = f64::deserialize(deserializer)?;
    parse(number).ok_or_else(|| {
        D::Error::custom(format!(
            "{number} is no number of points: at least 0, at most two decimals"
        ))
    })
}

fn parse(number: f64) -> Option<Points> {
    let hundredths = (number * 100.0).round();
    let exact = (number * 100.0 - hundredths).abs() < 1e-6;
    if !exact || !(0.0..=f64::from(u32::MAX)).contains(&hundredths) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was looked at above"
    )]
    Some(Points::from_hundredths(hundredths as u32))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_with_two_decimals_are_points() {
        let cases = [
            (0.0, Some(0)),
            (1.0, Some(100)),
            (0.29, Some(29)),
            (12.5, Some(1250)),
            (0.005, None),
            (-1.0, None),
            (1e12, None),
            (f64::NAN, None),
        ];
        for (number, hundredths) in cases {
            assert_eq!(
                parse(number).map(|it| it.hundredths()),
                hundredths,
                "{number}"
            );
        }
    }
}
