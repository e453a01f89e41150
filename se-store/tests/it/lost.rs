//! Answers that are lost: a network between engine and server, cut at each point of an append.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use se_runtime::{Event, EventLog as _, LogError};
use se_store::{Error, Result, Retention, Submitted};
use se_testkit::postgres::{Cluster, Database};
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bench::{Bench, batch, completed, job, news};

/// What every append says.
const APPENDED: &[u8] = b"\"job_";

/// What the network does with connections that an append has gone over last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing.
    Pass,
    /// What the server says gets lost.
    NoAnswers,
    /// What the server is asked waits on the way, and arrives when the client has long gone.
    Late,
    /// What the server says from there on gets lost, over connections that this has gone over.
    Mute(&'static [u8]),
}

/// A network between an engine and the server.
struct Network {
    url: String,
    mode: watch::Sender<Mode>,
    /// How often it has held something back.
    held: watch::Sender<u32>,
    /// How often connections that it holds back were cut at the end of the client.
    cuts: watch::Sender<u32>,
    /// Whether what is held back arrives.
    arrives: watch::Sender<bool>,
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    /// Between whoever uses its URL and `database` on the socket that `server` names.
    async fn before(server: &str, database: &str) -> Arc<Self> {
        let folder = server.split(['@', '/']).find(|it| it.starts_with("%2F"));
        let folder = folder.unwrap().replace("%2F", "/");
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = database.rsplit_once('/').unwrap().1;
        let network = Arc::new(Self {
            url: format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable"),
            mode: watch::Sender::new(Mode::Pass),
            held: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
            arrives: watch::Sender::new(false),
        });
        tokio::spawn(Arc::clone(&network).serve(listener, socket));
        network
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, socket: PathBuf) {
        let mut carried = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&socket).await.unwrap();
            let network = Arc::clone(&self);
            carried.spawn(async move { network.carry(client, server).await });
        }
    }

    async fn carry(&self, mut client: TcpStream, mut server: UnixStream) {
        let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut late = Vec::new();
        let (mut appends, mut is_mute) = (false, false);
        let mut cuts = self.cuts.subscribe();
        loop {
            tokio::select! {
                n = client.read(&mut asked) => {
                    let Ok(n @ 1..) = n else { return };
                    let asked = &asked[..n];
                    appends = says(asked, APPENDED);
                    let mode = *self.mode.borrow();
                    is_mute |= matches!(mode, Mode::Mute(after) if says(asked, after));
                    if appends && mode == Mode::Late {
                        late.extend_from_slice(asked);
                        self.held.send_modify(|it| *it += 1);
                    } else if server.write_all(asked).await.is_err() {
                        return;
                    }
                }
                n = server.read(&mut said) => {
                    let Ok(n @ 1..) = n else { return };
                    if is_mute || appends && *self.mode.borrow() == Mode::NoAnswers {
                        self.held.send_modify(|it| *it += 1);
                    } else if client.write_all(&said[..n]).await.is_err() {
                        return;
                    }
                }
                _ = cuts.changed(), if appends => break,
            }
        }
        // The server does not hear that the client has gone.
        drop(client);
        let mut arrives = self.arrives.subscribe();
        arrives.wait_for(|it| *it).await.unwrap();
        // Whether anybody is still there to take it.
        server.write_all(&late).await.ok();
        while server.read(&mut said).await.is_ok_and(|n| n > 0) {}
        self.held.send_modify(|it| *it += 1);
    }

    /// What `work` gives where its connection is cut once something was held back; `meanwhile` happens before.
    async fn cut<T>(
        &self,
        mode: Mode,
        work: impl Future<Output = T>,
        meanwhile: impl Future<Output = ()>,
    ) -> T {
        let mut held = self.held.subscribe();
        self.mode.send_replace(mode);
        let cut = async {
            held.changed().await.unwrap();
            meanwhile.await;
            self.mode.send_replace(Mode::Pass);
            self.cuts.send_modify(|it| *it += 1);
        };
        let (outcome, ()) = join(work, cut).await;
        outcome
    }

    /// What `work` gives where the connection that it says `after` over becomes mute, and stays open.
    async fn mute<T>(&self, after: &'static [u8], work: impl Future<Output = T>) -> T {
        let mut held = self.held.subscribe();
        self.mode.send_replace(Mode::Mute(after));
        let pass = async {
            held.changed().await.unwrap();
            self.mode.send_replace(Mode::Pass);
        };
        let (outcome, ()) = join(work, pass).await;
        outcome
    }

    /// What was held back arrives; returns when the server has done with it.
    async fn arrive(&self) {
        let mut held = self.held.subscribe();
        self.arrives.send_replace(true);
        let done = tokio::time::timeout(Duration::from_secs(30), held.changed()).await;
        done.unwrap().unwrap();
    }
}

fn says(asked: &[u8], what: &[u8]) -> bool {
    asked.windows(what.len()).any(|it| it == what)
}

/// An engine behind a network, another beside it, and what they are on.
async fn behind() -> (Arc<Network>, Bench, Bench, (Cluster, Database)) {
    behind_within(se_store::ANSWER_WITHIN).await
}

/// The same; the engine behind the network waits that long for an answer.
async fn behind_within(limit: Duration) -> (Arc<Network>, Bench, Bench, (Cluster, Database)) {
    let cluster = Cluster::start().unwrap();
    let database = Database::create_on(&cluster.url()).unwrap();
    let network = Network::before(&cluster.url(), &database.url()).await;
    let bench = Bench::open_within(&network.url, limit).await;
    let other = Bench::open(&database.url()).await;
    (network, bench, other, (cluster, database))
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_known_to_be_stored() {
    let (network, bench, _other, _server) = behind().await;
    let mut heard = bench.store.committed();
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let append = log.append(batch(2, [Event::JobStarted]));
    let stored = network.cut(Mode::NoAnswers, append, async {}).await;
    stored.unwrap();
    assert_eq!(bench.store.job("a").await.unwrap().last_seq, 3);
    log.append(batch(3, [Event::JobStarted])).await.unwrap();

    let append = log.append(batch(4, [completed()]));
    let stored = network.cut(Mode::NoAnswers, append, async {}).await;
    stored.unwrap();
    assert_eq!(bench.store.secrets("a").await.unwrap(), []);
    let told = bench.store.outbox().list(None, 9, None).await.unwrap();
    let told: Vec<&str> = told.items.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(told, ["a/5", "a/4", "a/3", "a/2", "a/1"]);
    for expected in bench.store.events_since(0, 9).await.unwrap() {
        assert_eq!(*heard.recv().await.unwrap(), news(&expected));
    }
}

#[tokio::test]
async fn an_append_that_arrives_late_is_never_stored() {
    let (network, bench, _other, _server) = behind().await;
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let append = log.append(batch(2, [completed()]));
    let lost = network.cut(Mode::Late, append, async {}).await;
    assert!(matches!(lost, Err(LogError::Unavailable(_))), "{lost:?}");
    network.arrive().await;
    assert_eq!(bench.store.job("a").await.unwrap().last_seq, 2);
    log.append(batch(2, [completed()])).await.unwrap();
}

#[tokio::test]
async fn of_appends_whose_answer_is_lost_each_is_told_what_became_of_it() {
    let (network, bench, _other, _server) = behind().await;
    let log = bench.submit(job("a")).await;
    let second = bench.store.log("a").await.unwrap();
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    // What it says is there already, word for word; but it was not this append that said it.
    let late = second.append(batch(1, [Event::JobStarted]));
    let refused = network.cut(Mode::NoAnswers, late, async {}).await;
    assert!(refused.is_err(), "{refused:?}");
    log.append(batch(2, [Event::JobStarted])).await.unwrap();
}

/// Takes what writers take their turns by, and gives it back.
const LOCK: &str = "SELECT pg_advisory_lock(1935961716)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(1935961716)";

/// Ends when somebody waits for a turn.
async fn somebody_waits(holder: &mut PgConnection) {
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let mut count = 0_i64;
    while count == 0 {
        count = sqlx::query_scalar(waits)
            .fetch_one(&mut *holder)
            .await
            .unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_a_group_whose_answer_is_lost_each_is_told_what_became_of_it() {
    let (network, bench, _other, (_cluster, database)) = behind().await;
    let logs = [
        bench.submit(job("a")).await,
        bench.submit(job("b")).await,
        bench.submit(job("c")).await,
    ];
    // The call is known to the server.
    let known = bench.submit(job("known")).await;
    known.append(batch(1, [Event::JobStarted])).await.unwrap();
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql(LOCK).execute(&mut holder).await.unwrap();
    // While the writer waits for its turn with something else, appends gather behind it.
    let gather = async {
        somebody_waits(&mut holder).await;
        let [a, b, c] = &logs;
        let begun = || [Event::JobStarted, Event::JobStarted];
        let appends = join3(
            a.append(batch(1, begun())),
            b.append(batch(7, begun())),
            c.append(batch(1, begun())),
        );
        let unlocked = sqlx::raw_sql(UNLOCK).execute(&mut holder);
        join(appends, unlocked).await.0
    };
    let work = join(bench.store.ping(), gather);
    let (pinged, (a, b, c)) = network.cut(Mode::NoAnswers, work, async {}).await;
    pinged.unwrap();
    a.unwrap();
    c.unwrap();
    let refused = matches!(b, Err(LogError::Conflict { found: 1, .. }));
    assert!(refused, "{b:?}");
    let last = join_all(["a", "b", "c"].map(|it| bench.store.job(it))).await;
    let last: Vec<u64> = last.into_iter().map(|it| it.unwrap().last_seq).collect();
    assert_eq!(last, [3, 1, 3]);
    let written = "SELECT count(DISTINCT CAST(xmin AS TEXT)) FROM events WHERE seq = 3";
    let transactions: i64 = sqlx::query_scalar(written)
        .fetch_one(&mut holder)
        .await
        .unwrap();
    assert_eq!(transactions, 1, "both went in one call");
    let [_, b, _] = &logs;
    b.append(batch(1, [Event::JobStarted])).await.unwrap();
}

#[tokio::test]
async fn who_lost_the_lease_with_the_answer_is_told_so() {
    let (network, bench, other, _server) = behind().await;
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let append = log.append(batch(2, [Event::JobStarted]));
    let fenced = network.cut(Mode::NoAnswers, append, async {
        let members = other.store.members().await.unwrap();
        let me = bench.store.replica();
        let dead = members.into_iter().find(|it| it.id == me).unwrap();
        assert!(other.store.bury(&dead).await.unwrap());
    });
    let fenced = fenced.await;
    assert!(matches!(fenced, Err(LogError::Fenced { .. })), "{fenced:?}");
    // Who goes on goes by what is stored.
    other
        .log("a")
        .await
        .append(batch(3, [completed()]))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_append_to_a_job_that_was_deleted_meanwhile_is_an_error() {
    let (network, bench, other, _server) = behind().await;
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let append = log.append(batch(2, [completed()]));
    let lost = network.cut(Mode::NoAnswers, append, async {
        other.clock.advance(Duration::from_secs(60));
        other.submit(job("newer")).await;
        let retention = Retention {
            completed: Some(Duration::ZERO),
            ..Retention::default()
        };
        let swept = other.store.sweep(retention).await.unwrap();
        assert_eq!(swept.jobs(), 1);
    });
    let lost = Box::pin(lost).await;
    assert!(lost.is_err(), "{lost:?}");
    let again = log.append(batch(2, [completed()])).await;
    assert!(matches!(again, Err(LogError::Corrupt { .. })), "{again:?}");
}

/// Long enough for a server that answers.
const SHORT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn an_append_whose_answer_never_comes_is_known_to_be_stored() {
    let (network, bench, _other, _server) = behind_within(SHORT).await;
    let log = bench.submit(job("a")).await;
    log.append(batch(1, [Event::JobStarted])).await.unwrap();
    let append = log.append(batch(2, [Event::JobStarted]));
    network.mute(APPENDED, append).await.unwrap();
    assert_eq!(bench.store.job("a").await.unwrap().last_seq, 3);
    log.append(batch(3, [completed()])).await.unwrap();
}

/// Submits a job over a connection that becomes mute `after` something; the writer goes on all the same.
async fn submitted_mute(after: &'static [u8]) -> Result<Submitted> {
    let (network, bench, _other, _server) = behind_within(SHORT).await;
    let submit = bench.store.submit(job("a"));
    let submitted = network.mute(after, submit).await;
    bench.submit(job("b")).await;
    assert_eq!(submitted.is_ok(), bench.store.job("a").await.is_ok());
    submitted
}

#[tokio::test]
async fn a_commit_whose_answer_never_comes_is_known_to_be_there() {
    let submitted = submitted_mute(b"; COMMIT").await;
    assert_eq!(submitted.unwrap(), Submitted::New);
}

#[tokio::test]
async fn a_transaction_in_which_no_answer_comes_is_undone() {
    for after in [b"BEGIN; ".as_slice(), APPENDED] {
        let submitted = submitted_mute(after).await;
        let refused = matches!(submitted, Err(Error::Unavailable { .. }));
        assert!(refused, "{submitted:?}");
    }
}

#[tokio::test]
async fn what_stands_against_an_append_need_not_be_told() {
    let (network, bench, _other, _server) = behind_within(SHORT).await;
    let log = bench.submit(job("a")).await;
    let append = log.append(batch(7, [Event::JobStarted]));
    let refused = network.mute(b"SELECT last_seq, owner", append).await;
    let unknown = matches!(refused, Err(LogError::Unavailable(_)));
    assert!(unknown, "{refused:?}");
    log.append(batch(1, [completed()])).await.unwrap();
}

#[tokio::test]
async fn a_ping_ends_where_no_answer_comes() {
    let (network, bench, _other, _server) = behind_within(SHORT).await;
    let pinged = network.mute(b"SELECT 1", bench.store.ping()).await;
    let unavailable = matches!(pinged, Err(Error::Unavailable { .. }));
    assert!(unavailable, "{pinged:?}");
    bench.store.ping().await.unwrap();
}
