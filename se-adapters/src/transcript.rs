//! What went over a connector: kept as evidence, and to see why a step failed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use se_runtime::{Clock, Timestamp, Vault};

/// A connector's transcript is cut at its start when it is longer than this.
const LONGEST: usize = 1024 * 1024;
/// What an entry takes beside its text: empty lines are not free.
const OVERHEAD: usize = size_of::<Entry>();
/// A line longer than this is broken, so that an endless one does not grow for ever.
const LONGEST_LINE: usize = 16 * 1024;

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the device.
    Sent,
    /// From the device.
    Received,
    /// Said about the connection: opened, closed, why it failed.
    Note,
}

/// One line of a transcript, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it began.
    pub at: Timestamp,
    /// Which way it went.
    pub way: Way,
    /// The line, without its end.
    pub text: String,
}

/// What has come since a transcript was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When its last line began.
    pub at: Timestamp,
    /// Whole lines, as [`Transcript::to_text`] writes them.
    pub text: String,
}

/// The transcript of one connector of a job, across reconnections. Clones share it.
#[derive(Clone)]
pub struct Transcript {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    mask: Arc<Vault>,
}

#[derive(Default)]
struct Inner {
    entries: std::collections::VecDeque<Entry>,
    bytes: usize,
    cut: bool,
    /// How many entries [`Transcript::news`] has given, and how many of those not given were cut.
    given: usize,
    lost: usize,
    /// What came of a line that has not ended: a secret may arrive in pieces.
    open: Option<(Timestamp, Vec<u8>)>,
}

impl Transcript {
    /// An empty one that masks the secrets of `mask`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, mask: Arc<Vault>) -> Self {
        Self {
            inner: Arc::default(),
            clock,
            mask,
        }
    }

    /// What was sent.
    pub fn sent(&self, text: &str) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.end_line(&self.mask);
        for line in text.trim_end_matches(['\r', '\n']).split(['\r', '\n']) {
            inner.push(now, Way::Sent, self.mask.mask_text(line));
        }
    }

    /// A secret was sent.
    pub fn sent_secret(&self) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.end_line(&self.mask);
        inner.push(now, Way::Sent, "***".to_owned());
    }

    /// What came, in whatever pieces.
    pub fn received(&self, bytes: &[u8]) {
        let now = self.clock.now();
        let mut inner = self.lock();
        for piece in bytes.split_inclusive(|it| *it == b'\n') {
            let (_, open) = inner.open.get_or_insert_with(|| (now, Vec::new()));
            open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || open.len() > LONGEST_LINE {
                inner.end_line(&self.mask);
            }
        }
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.end_line(&self.mask);
        inner.push(now, Way::Note, self.mask.mask_text(text));
    }

    /// Everything so far, and whether the start was cut off.
    #[must_use]
    pub fn entries(&self) -> (Vec<Entry>, bool) {
        let mut inner = self.lock();
        inner.end_line(&self.mask);
        (inner.entries.iter().cloned().collect(), inner.cut)
    }

    /// As text: `time > sent`, `time < received`, `time | note`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (entries, cut) = self.entries();
        let mut text = String::new();
        if cut {
            text.push_str("(older lines were cut)\n");
        }
        entries.iter().for_each(|it| it.write(&mut text));
        text
    }

    /// What has come since this was last called. A line that has not ended yet comes later, unless this is the
    /// `last` call.
    #[must_use]
    pub fn news(&self, last: bool) -> Option<News> {
        let mut inner = self.lock();
        if last {
            inner.end_line(&self.mask);
        }
        let mut text = String::new();
        let fresh = inner.entries.iter().skip(inner.given);
        let at = fresh.clone().next_back()?.at;
        let lost = inner.lost;
        if lost > 0 {
            text.push_str(&format!("({lost} lines were cut)\n"));
        }
        fresh.for_each(|it| it.write(&mut text));
        inner.given = inner.entries.len();
        inner.lost = 0;
        Some(News { at, text })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn write(&self, text: &mut String) {
        let sign = match self.way {
            Way::Sent => '>',
            Way::Received => '<',
            Way::Note => '|',
        };
        let Self { at, text: line, .. } = self;
        text.push_str(&format!("{at} {sign} {line}\n"));
    }
}

impl Inner {
    fn end_line(&mut self, mask: &Vault) {
        if let Some((at, bytes)) = self.open.take() {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches(['\r', '\n', '\0']);
            self.push(at, Way::Received, mask.mask_text(text));
        }
    }

    fn push(&mut self, at: Timestamp, way: Way, text: String) {
        self.bytes += OVERHEAD + text.len();
        self.entries.push_back(Entry { at, way, text });
        while self.bytes > LONGEST {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= OVERHEAD + oldest.text.len();
            self.cut = true;
            match self.given.checked_sub(1) {
                Some(given) => self.given = given,
                None => self.lost += 1,
            }
        }
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} lines)", self.lock().entries.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::BoxFuture;
    use se_runtime::{Clock, Secret, Timestamp, Vault};

    use super::{LONGEST, OVERHEAD, Transcript};

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    fn transcript() -> Transcript {
        let mask = Vault::new([Secret::new("hunter2")]);
        Transcript::new(Arc::new(Stopped), Arc::new(mask))
    }

    #[test]
    fn shows_both_ways_in_order_and_masks_secrets_that_come_in_pieces() {
        let transcript = transcript();
        transcript.received(b"User: hun");
        transcript.received(b"ter2\r\nPassword: ");
        transcript.sent_secret();
        transcript.sent("show hunter2\r");
        transcript.note("closed");
        let zero = "1970-01-01T00:00:00.000000Z";
        let expect = [
            "< User: ***",
            "< Password: ",
            "> ***",
            "> show ***",
            "| closed",
        ];
        let expect: String = expect.iter().map(|it| format!("{zero} {it}\n")).collect();
        assert_eq!(transcript.to_text(), expect);
    }

    #[test]
    fn news_come_once_and_in_whole_lines() {
        let transcript = transcript();
        assert_eq!(transcript.news(false), None);
        transcript.sent("show\r");
        transcript.received(b"a\nhun");
        let text = |last| transcript.news(last).map(|it| it.text);
        let zero = "1970-01-01T00:00:00.000000Z";
        assert_eq!(text(false), Some(format!("{zero} > show\n{zero} < a\n")));
        assert_eq!(text(false), None);
        transcript.received(b"ter2");
        assert_eq!(text(false), None);
        assert_eq!(text(true), Some(format!("{zero} < ***\n")));
        let line = vec![b'x'; 1000 - OVERHEAD];
        for _ in 0..(LONGEST / 1000 + 10) {
            transcript.received(&line);
            transcript.received(b"\n");
        }
        let news = text(false).unwrap();
        // Those that were given are cut too, and are not missing here.
        assert!(news.starts_with("(10 lines were cut)\n"), "{}", &news[..40]);
        assert_eq!(text(true), None);
    }

    #[test]
    fn is_cut_at_its_start_and_says_so() {
        let transcript = transcript();
        let line = vec![b'x'; 1000];
        for _ in 0..(LONGEST / 1000 + 10) {
            transcript.received(&line);
            transcript.received(b"\n");
        }
        let (entries, cut) = transcript.entries();
        assert!(cut);
        assert!(entries.len() <= LONGEST / 1000, "{}", entries.len());
    }

    #[test]
    fn empty_lines_are_not_free() {
        let transcript = transcript();
        transcript.received(&vec![b'\n'; LONGEST]);
        let (entries, cut) = transcript.entries();
        assert!(cut);
        assert!(entries.len() <= LONGEST / OVERHEAD, "{}", entries.len());
        let news = transcript.news(true).unwrap().text;
        assert!(news.len() <= LONGEST, "{}", news.len());
    }
}
