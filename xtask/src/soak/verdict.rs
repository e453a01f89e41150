//! Whether a series stays on its level.

/// What is still no growth.
pub(super) struct Limit {
    /// In the unit of the series, over the second half; a tenth of the level is fine in any case.
    pub(super) slack: f64,
}

/// By how much the line through the second half rises over it, in words: fine, or too much.
pub(super) fn steady(all: &[f64], limit: &Limit) -> Result<String, String> {
    let half = all.get(all.len() / 2..).unwrap_or_default();
    let Some((slope, mean)) = line(half) else {
        return Ok("too few samples to tell".to_owned());
    };
    let growth = slope * (half.len() - 1) as f64;
    let words = format!("{growth:+.1} over the second half, at {mean:.1}");
    if growth <= limit.slack.max(mean / 10.0) {
        Ok(words)
    } else {
        Err(words)
    }
}

/// Slope (by sample) and mean of the least-squares line.
fn line(all: &[f64]) -> Option<(f64, f64)> {
    if all.len() < 3 {
        return None;
    }
    let count = all.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = all.iter().sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (at, it) in all.iter().enumerate() {
        let x = at as f64 - middle;
        above += x * (it - mean);
        below += x * x;
    }
    Some((above / below, mean))
}

#[cfg(test)]
mod tests {
    use super::{Limit, steady};

    const LIMIT: Limit = Limit { slack: 4.0 };

    #[test]
    fn a_level_with_waves_is_steady() {
        let waves: Vec<f64> = (0..100).map(|it| 50.0 + f64::from(it % 7)).collect();
        assert!(steady(&waves, &LIMIT).is_ok());
        // It climbed at first, and then stayed.
        let level: Vec<f64> = (0..100).map(|it| f64::from(it.min(40))).collect();
        assert!(steady(&level, &LIMIT).is_ok());
    }

    #[test]
    fn a_slope_is_not() {
        let slope: Vec<f64> = (0..100).map(|it| 50.0 + f64::from(it) / 2.0).collect();
        let why = steady(&slope, &LIMIT).unwrap_err();
        assert_eq!(why, "+24.5 over the second half, at 87.2");
    }

    #[test]
    fn few_samples_say_nothing() {
        assert!(steady(&[1.0, 100.0], &LIMIT).is_ok());
    }
}
