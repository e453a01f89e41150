//! What waits together is written together, in one transaction. A request that fails is undone alone; everybody
//! is answered after the commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::append::{self, Append, Appended};
use crate::changes::Announced;
use crate::error::{Error, Result};
use crate::session::{Durability, Failure, Session};
use crate::sql::{self, within};
use crate::writer::{Request, Tx, Work, Written};

/// Who is to be answered once it is known what became of the group.
enum Waiting {
    Write(Box<dyn Request>),
    /// With what became of it, if it came to that.
    Append(Option<Result<Appended>>, oneshot::Sender<Result<Appended>>),
}

pub(crate) async fn commit(session: &mut Session, group: Vec<Work>, announced: &Announced) {
    let (mut waiting, requests) = (Vec::with_capacity(group.len()), group.len());
    let outcome = match transact(session, group, &mut waiting).await {
        Ok(written) => {
            announced.tell(written);
            Ok(())
        }
        Err(failure) => {
            tracing::error!(error = %failure, requests, "a group of writes was undone");
            Err(failure)
        }
    };
    for it in waiting {
        let commit = outcome.as_ref().map(|&()| ()).map_err(Failure::error);
        match it {
            Waiting::Write(request) => request.answer(commit),
            // The caller may have gone; what was written stays written.
            Waiting::Append(outcome, reply) => {
                let outcome = outcome.unwrap_or_else(|| Err(Error::stopped("append to the log")));
                reply.send(commit.and(outcome)).ok();
            }
        }
    }
}

/// All of it in one transaction; each request that fails is undone alone. Appends come first, together: who waits
/// for a request has no append under way that rests on it.
async fn transact(
    session: &mut Session,
    group: Vec<Work>,
    waiting: &mut Vec<Waiting>,
) -> Result<Written, Failure> {
    let ahead = group.iter().all(|it| matches!(it, Work::Ahead(_)));
    let durability = if ahead {
        Durability::Later
    } else {
        Durability::Now
    };
    let (mut appends, rest) = Appends::of(group);
    if rest.is_empty() && session.has_calls() {
        return appends.call(session, waiting).await;
    }
    let mut tx = match session.begin(durability).await {
        Ok(tx) => tx,
        Err(failure) => {
            // Nobody's work was begun, and everybody is to be told.
            appends.give_up(waiting);
            let all = rest.into_iter().map(|it| match it {
                Work::Write(it) | Work::Ahead(it) => Waiting::Write(it),
                Work::Append(_, reply) => Waiting::Append(None, reply),
            });
            waiting.extend(all);
            return Err(failure);
        }
    };
    let done = apply(&mut tx, appends, rest, waiting).await;
    session.end(tx, done).await
}

async fn apply(
    tx: &mut Tx,
    mut appends: Appends,
    rest: Vec<Work>,
    waiting: &mut Vec<Waiting>,
) -> Result<(), Failure> {
    let mut done = appends.store(tx, waiting).await;
    for work in rest {
        match work {
            Work::Append(append, reply) if done.is_ok() => {
                appends.push(*append, reply);
                done = appends.store(tx, waiting).await;
            }
            Work::Append(_, reply) => waiting.push(Waiting::Append(None, reply)),
            Work::Write(mut request) | Work::Ahead(mut request) => {
                if done.is_ok() {
                    done = within(tx.limit, apart(tx, &mut *request)).await;
                }
                waiting.push(Waiting::Write(request));
            }
        }
    }
    done
}

/// Undone alone if it fails.
async fn apart(tx: &mut Tx, request: &mut dyn Request) -> Result<(), Failure> {
    let (events, deliveries) = (tx.written.events.len(), tx.written.deliveries);
    execute(tx, "SAVEPOINT request").await?;
    if !request.apply(tx).await {
        // Where the database has undone the whole transaction by itself (disk full), this fails,
        // and with it the group: nobody is told of a success that is gone.
        execute(tx, "ROLLBACK TO SAVEPOINT request").await?;
        tx.written.events.truncate(events);
        tx.written.deliveries = deliveries;
    }
    // Nobody releases it: the next hides it, and the commit ends all.
    Ok(())
}

/// Appends to different logs. One either finds its log as it expects it, or writes nothing: they need not
/// be undone alone.
#[derive(Default)]
struct Appends {
    jobs: BTreeSet<i64>,
    appends: Vec<Append>,
    replies: Vec<oneshot::Sender<Result<Appended>>>,
}

impl Appends {
    /// Those of a group, and what else is in it: a second one for a log goes on where the first has led.
    fn of(group: Vec<Work>) -> (Self, Vec<Work>) {
        let (mut appends, mut rest) = (Self::default(), Vec::new());
        for work in group {
            match work {
                Work::Append(append, reply) if !appends.jobs.contains(&append.job.row) => {
                    appends.push(*append, reply);
                }
                other => rest.push(other),
            }
        }
        (appends, rest)
    }

    fn push(&mut self, append: Append, reply: oneshot::Sender<Result<Appended>>) {
        self.jobs.insert(append.job.row);
        self.appends.push(append);
        self.replies.push(reply);
    }

    async fn store(&mut self, tx: &mut Tx, waiting: &mut Vec<Waiting>) -> Result<(), Failure> {
        if self.appends.is_empty() {
            return Ok(());
        }
        let limit = tx.limit;
        let stored = async {
            let appends = std::mem::take(&mut self.appends);
            let stored = append::store(tx, appends).await;
            stored.map_err(|error| Failure::Work(Arc::new(error)))
        };
        match within(limit, stored).await {
            Ok(outcomes) => {
                self.end(outcomes.into_iter().map(Ok), waiting);
                Ok(())
            }
            Err(failure) => {
                self.give_up(waiting);
                Err(failure)
            }
        }
    }

    /// They are all there is: they have a transaction of their own.
    async fn call(
        &mut self,
        session: &mut Session,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Written, Failure> {
        match session.append(std::mem::take(&mut self.appends)).await {
            Ok((outcomes, written)) => {
                self.end(outcomes, waiting);
                Ok(written)
            }
            Err(failure) => {
                self.give_up(waiting);
                Err(failure)
            }
        }
    }

    fn end(
        &mut self,
        outcomes: impl IntoIterator<Item = Result<Appended>>,
        waiting: &mut Vec<Waiting>,
    ) {
        let replies = self.replies.drain(..);
        let all = outcomes.into_iter().zip(replies);
        waiting.extend(all.map(|(it, reply)| Waiting::Append(Some(it), reply)));
    }

    /// The group is undone: so will they be told.
    fn give_up(&mut self, waiting: &mut Vec<Waiting>) {
        self.appends.clear();
        let replies = self.replies.drain(..);
        waiting.extend(replies.map(|it| Waiting::Append(None, it)));
    }
}

pub(crate) async fn execute(tx: &mut Tx, sql: &'static str) -> sql::Result<()> {
    sql::query(sql).execute(&mut tx.conn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::{commit, execute};
    use crate::changes::Announced;
    use crate::error::{Doing, Error, Result};
    use crate::session::{Durability, Replica, Session};
    use crate::sql::{Connection, query};
    use crate::writer::{Tx, Work, request};

    /// A request that runs each statement and fails at the end if `fails`.
    fn script(
        statements: &'static [&'static str],
        fails: bool,
    ) -> (Work, oneshot::Receiver<Result<()>>) {
        let (request, answer) = request(move |tx| Box::pin(play(tx, statements, fails)));
        (Work::Write(request), answer)
    }

    async fn play(tx: &mut Tx, statements: &[&'static str], fails: bool) -> Result<()> {
        for sql in statements {
            execute(tx, sql).await.doing("test")?;
            tx.written.deliveries += 1;
        }
        if fails {
            return Err(Error::not_found("luck"));
        }
        Ok(())
    }

    async fn run(requests: [(&'static [&'static str], bool); 3]) -> (Vec<bool>, i64, u64) {
        let mut conn = Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        let made = query("CREATE TABLE t (n INTEGER)").execute(&mut conn).await;
        made.unwrap();
        let mut session = Session::new(conn, Replica::default());
        let announced = Announced::new(None);
        let (group, outcomes): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|(sql, fails)| script(sql, fails))
            .unzip();
        commit(&mut session, group, &announced).await;
        let mut fine = Vec::new();
        for outcome in outcomes {
            fine.push(outcome.await.unwrap().is_ok());
        }
        let mut tx = session.begin(Durability::Now).await.ok().unwrap();
        let rows = query("SELECT count(*) FROM t").fetch_one(&mut tx.conn);
        let (rows,): (i64,) = rows.await.unwrap();
        let told = announced.changes().borrow().deliveries;
        (fine, rows, told)
    }

    const INSERT: &[&str] = &["INSERT INTO t VALUES (1)"];

    #[tokio::test]
    async fn a_request_that_fails_is_undone_alone() {
        let broken: &[&str] = &["INSERT INTO t VALUES (1)", "INSERT INTO nowhere VALUES (1)"];
        let outcome = run([(INSERT, false), (broken, false), (INSERT, false)]).await;
        assert_eq!(outcome, (vec![true, false, true], 2, 2));
        let outcome = run([(INSERT, false), (INSERT, true), (INSERT, false)]).await;
        assert_eq!(outcome, (vec![true, false, true], 2, 2));
    }

    #[tokio::test]
    async fn nobody_is_told_of_a_success_that_the_database_has_undone() {
        // What SQLite does by itself when the disk is full.
        let undone: &[&str] = &["ROLLBACK"];
        let outcome = run([(INSERT, false), (undone, true), (INSERT, false)]).await;
        assert_eq!(outcome, (vec![false, false, false], 0, 0));
    }
}
