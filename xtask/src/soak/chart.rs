//! A series in a few lines of a terminal.

const WIDTH: usize = 72;
const HEIGHT: usize = 4;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars from nothing to the highest, which stands beside them.
pub(super) fn draw(name: &str, unit: &str, all: &[f64]) -> String {
    let bars = squeezed(all);
    let highest = bars.iter().copied().fold(0.0, f64::max);
    let newest = all.last().copied().unwrap_or_default();
    let mut text = format!("{name}: highest {highest:.1} {unit}, at the end {newest:.1} {unit}\n");
    for row in (0..HEIGHT).rev() {
        text.push_str("  │");
        text.extend(bars.iter().map(|it| eighth(*it, highest, row)));
        text.push('\n');
    }
    text.push_str("  └");
    text.push_str(&"─".repeat(bars.len()));
    text.push('\n');
    text
}

/// As many as the width has room for: of neighbours, the highest.
fn squeezed(all: &[f64]) -> Vec<f64> {
    let each = all.len().div_ceil(WIDTH).max(1);
    let highest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    all.chunks(each).map(highest).collect()
}

fn eighth(value: f64, highest: f64, row: usize) -> char {
    if highest <= 0.0 {
        return EIGHTHS[0];
    }
    let filled = value / highest * (HEIGHT * 8) as f64 - (row * 8) as f64;
    let filled = filled.round().clamp(0.0, 8.0) as usize;
    EIGHTHS.get(filled).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn bars_stand_on_nothing() {
        let text = draw("memory", "MB", &[0.0, 8.0, 16.0, 32.0]);
        let expected = "memory: highest 32.0 MB, at the end 32.0 MB\n  │   █\n  │   █\n  │  ██\n  │ ███\n  └────\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_series_are_squeezed_to_their_highest() {
        let all: Vec<f64> = (0..1000).map(f64::from).collect();
        let widest = draw("jobs", "", &all);
        let widest = widest.lines().map(|it| it.chars().count()).max();
        assert!(widest.is_some_and(|it| it <= 76), "{widest:?}");
    }
}
