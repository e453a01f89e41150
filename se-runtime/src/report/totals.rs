//! Sums of points.

use std::fmt;

use se_dsl::checked::Points;
use serde::{Serialize, Serializer};

use crate::grade::{GradedItem, points};

/// The sum of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// What was earned.
    #[serde(serialize_with = "points::serialize")]
    pub points_awarded: Points,
    /// What could be earned.
    #[serde(serialize_with = "points::serialize")]
    pub points_max: Points,
    /// The one in the other.
    pub percentage: Percentage,
    /// What nobody can say whether it was earned.
    #[serde(serialize_with = "points::serialize")]
    pub points_undetermined: Points,
}

impl Totals {
    /// The sum of items.
    #[must_use]
    pub fn of(items: &[GradedItem]) -> Self {
        let points_awarded = items.iter().map(|it| it.points_awarded).sum();
        let points_max = items.iter().map(|it| it.points_max).sum();
        let undetermined = items.iter().filter(|it| it.is_undetermined());
        Self {
            points_awarded,
            points_max,
            percentage: Percentage::of(points_awarded, points_max),
            points_undetermined: undetermined.map(|it| it.points_max).sum(),
        }
    }
}

/// Hundredths of a percent, rounded half up: `70.00`. In JSON a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u32);

impl Percentage {
    /// `part` of `whole`; nothing of nothing is zero.
    #[must_use]
    pub fn of(part: Points, whole: Points) -> Self {
        let (part, whole) = (
            i128::from(part.hundredths()),
            i128::from(whole.hundredths()),
        );
        if whole <= 0 {
            return Self(0);
        }
        let rounded = (part * 20_000 + whole) / (whole * 2);
        Self(u32::try_from(rounded).unwrap_or(0))
    }

    /// Hundredths of a percent.
    #[must_use]
    pub fn hundredths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Percentage;
    use se_dsl::checked::Points;

    #[test]
    fn percentages_have_two_decimals_and_round_half_up() {
        let cases = [
            (700, 1000, "70.00"),
            (200, 300, "66.67"),
            (100, 300, "33.33"),
            (1, 800, "0.13"),
            (0, 0, "0.00"),
            (1000, 1000, "100.00"),
        ];
        for (part, whole, text) in cases {
            let points = Points::from_hundredths;
            assert_eq!(
                Percentage::of(points(part), points(whole)).to_string(),
                text
            );
        }
    }
}
