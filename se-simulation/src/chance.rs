//! The one source of chance: everything that could be otherwise is drawn from it, in a fixed order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `SplitMix64`, shared by all that runs under one seed.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<u64>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(mix(seed)))
    }

    pub(crate) fn draw(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(*state)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or_default()
    }

    /// A place in a list of that length.
    pub(crate) fn place(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    pub(crate) fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// At least `from` and less than `to`, in milliseconds.
    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000))
    }
}

/// Spreads the bits of a number.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// FNV-1a over texts, mixed once more.
pub(crate) fn hash<'t>(seed: u64, texts: impl IntoIterator<Item = &'t str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|it| it.bytes().chain([0]));
    mix(bytes.fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}
