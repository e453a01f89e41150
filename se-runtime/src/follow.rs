//! Follows events as they are stored: first those that are there, then each as it comes. None is left out, none
//! is shown twice, and who reads slowly holds up only itself: it reads the store at its own pace.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::planted::{self, Bug};
use crate::port::Unanswered;

/// An event in a row of events.
pub trait Placed {
    /// Where; later ones are further.
    fn place(&self) -> u64;
    /// Whether none comes after it.
    fn is_last(&self) -> bool;
}

impl<T: Placed + ?Sized> Placed for Arc<T> {
    fn place(&self) -> u64 {
        (**self).place()
    }

    fn is_last(&self) -> bool {
        (**self).is_last()
    }
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<E> {
    /// This came next.
    Event(E),
    /// Something came that was not said: it is to be read.
    Look,
    /// Nothing will be said any more.
    Over,
}

/// Where events are read and heard. Listening begins before the first is read, so that nothing falls between
/// the two.
pub trait Source: Send {
    /// An event.
    type Event: Placed + Send;

    /// The first ones after a place, and whether there may be more of them.
    fn read(
        &mut self,
        after: u64,
    ) -> impl Future<Output = Result<(Vec<Self::Event>, bool), Unanswered>> + Send;

    /// What is said next; can be dropped and called again.
    fn hear(&mut self) -> impl Future<Output = Heard<Self::Event>> + Send;

    /// Whether places have no holes.
    const DENSE: bool;
}

/// One reader of a source.
#[derive(Debug)]
pub struct Follow<S: Source> {
    source: S,
    /// Place of the last event that was given out.
    after: u64,
    read: VecDeque<S::Event>,
    /// Whether what comes next will be heard.
    has_all: bool,
    has_ended: bool,
}

impl<S: Source> Follow<S> {
    /// What comes after a place.
    pub fn new(source: S, after: u64) -> Self {
        Self {
            source,
            after,
            read: VecDeque::new(),
            has_all: false,
            has_ended: false,
        }
    }

    /// The same, for who knows that this is all there is so far; `has_ended` if there will be no more.
    #[must_use]
    pub fn with_all(self, has_ended: bool) -> Self {
        Self {
            has_all: true,
            has_ended,
            ..self
        }
    }

    /// The next one; nothing after the last, or when it cannot be had here any more.
    pub async fn next(&mut self) -> Option<S::Event> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.place();
                self.has_ended |= event.is_last();
                return Some(event);
            }
            if self.has_ended {
                return None;
            }
            if self.has_all {
                self.listen().await?;
            } else {
                // Apart: who waits holds no room for it.
                Box::pin(self.look()).await?;
            }
        }
    }

    async fn look(&mut self) -> Option<()> {
        let (events, more) = self.source.read(self.after).await.ok()?;
        self.has_all = !more;
        self.read = events.into();
        Some(())
    }

    async fn listen(&mut self) -> Option<()> {
        match self.source.hear().await {
            Heard::Event(it) if it.place() <= self.after => {}
            Heard::Event(it) if self.is_next(it.place()) => self.read.push_back(it),
            Heard::Look if planted::is(Bug::LookForgotten) => {}
            Heard::Event(_) | Heard::Look => self.has_all = false,
            Heard::Over => return None,
        }
        Some(())
    }

    fn is_next(&self, place: u64) -> bool {
        !S::DENSE || place == self.after + 1
    }
}
