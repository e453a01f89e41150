//! Log lines that land in the middle of answers: by chance, but the same ones in every run.

/// Decides when a log line comes.
#[derive(Debug)]
pub(super) struct Noise {
    chance: f64,
    random: u64,
    lines: usize,
}

/// Where a log line lands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Landing {
    /// After this share of the answer's lines.
    Within(f64),
    /// After the prompt, which is not shown again.
    AfterPrompt,
}

impl Noise {
    /// The device's name is the seed.
    pub(super) fn new(device: &str, chance: f64) -> Self {
        // FNV-1a.
        let random = device
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self {
            chance,
            random,
            lines: 0,
        }
    }

    /// The log line that comes with this answer, if one does.
    pub(super) fn next(&mut self) -> Option<(Landing, String)> {
        if self.draw() >= self.chance {
            return None;
        }
        let landing = match self.draw() {
            it if it < 0.75 => Landing::Within(it / 0.75),
            _ => Landing::AfterPrompt,
        };
        self.lines += 1;
        let (minute, second) = (self.lines / 60 % 60, self.lines % 60);
        let text = match self.lines % 3 {
            0 => "%SYS-5-CONFIG_I: Configured from console by console",
            1 => {
                "%LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/2, changed state to up"
            }
            _ => {
                "%OSPF-5-ADJCHG: Process 1, Nbr 192.0.2.9 on GigabitEthernet0/2 from LOADING to FULL, Loading Done"
            }
        };
        Some((
            landing,
            format!("*Mar  1 00:{minute:02}:{second:02}.123: {text}"),
        ))
    }

    /// From 0 to 1 (xorshift64).
    fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let high = u32::try_from(self.random >> 32).unwrap_or(0);
        f64::from(high) / f64::from(u32::MAX)
    }
}
