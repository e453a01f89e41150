//! What durability needs at least: the row of a job, a task and a row for each step, group commit.

use std::sync::Arc;

use rusqlite::{Connection, params};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::work::{Figures, IN_FLIGHT, OUTPUT, Setting, Shape, Watch, Workload};

/// Rows in one transaction.
const GROUP: usize = 1024;

enum Row {
    Job {
        id: i64,
        ended: bool,
    },
    Step {
        job: i64,
        number: i64,
        output: String,
    },
}

type Request = (Row, oneshot::Sender<()>);

const TABLES: &str = "CREATE TABLE jobs (id BIGINT PRIMARY KEY, ended INT NOT NULL); \
    CREATE TABLE steps (job BIGINT NOT NULL, number BIGINT NOT NULL, output TEXT NOT NULL, \
    PRIMARY KEY (job, number))";

/// On a file; where `strict`, each step waits for the disk, else only the end of a job.
pub(crate) async fn sqlite(workload: Workload, setting: &Setting, strict: bool) -> Figures {
    let path = setting.folder.join("floor.db");
    let conn = Connection::open(&path).expect("the folder can be written");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        conn.pragma_update(None, name, value)
            .expect("SQLite knows it");
    }
    conn.execute_batch(&TABLES.replace("(job, number))", "(job, number)) WITHOUT ROWID"))
        .expect("tables can be made");
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("the log can be emptied");
    let size = || std::fs::metadata(&path).map_or(0, |it| it.len());
    let empty = size();
    let (queue, mut requests) = mpsc::channel::<Request>(GROUP);
    let writer = std::thread::spawn(move || {
        let mut group = Vec::with_capacity(GROUP);
        while requests.blocking_recv_many(&mut group, GROUP) > 0 {
            write(&conn, &mut group);
        }
        conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("the log can be emptied");
    });
    let mut figures = play(workload.shape(), queue, strict).await;
    writer.join().expect("the writer ends");
    figures.bytes = size() - empty;
    figures
}

fn write(conn: &Connection, group: &mut Vec<Request>) {
    let run = || -> rusqlite::Result<()> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (row, _) in &*group {
            match row {
                Row::Job { id, ended: false } => conn
                    .prepare_cached("INSERT INTO jobs VALUES (?1, 0)")?
                    .execute([id])?,
                Row::Job { id, ended: true } => conn
                    .prepare_cached("UPDATE jobs SET ended = 1 WHERE id = ?1")?
                    .execute([id])?,
                Row::Step {
                    job,
                    number,
                    output,
                } => conn
                    .prepare_cached("INSERT INTO steps VALUES (?1, ?2, ?3)")?
                    .execute(params![job, number, output])?,
            };
        }
        conn.prepare_cached("COMMIT")?.execute([]).map(drop)
    };
    run().expect("rows can be written");
    for (_, done) in group.drain(..) {
        // Nobody waits where steps run ahead.
        done.send(()).ok();
    }
}

/// On a server: one connection, a statement for all rows that wait.
pub(crate) async fn postgres(workload: Workload, setting: &Setting) -> Figures {
    let conn = PgConnection::connect(setting.server()).await;
    let mut conn = conn.expect("the server can be reached");
    sqlx::raw_sql(TABLES)
        .execute(&mut conn)
        .await
        .expect("tables can be made");
    let (queue, mut requests) = mpsc::channel::<Request>(GROUP);
    let writer = tokio::spawn(async move {
        let mut group = Vec::with_capacity(GROUP);
        while requests.recv_many(&mut group, GROUP).await > 0 {
            write_to_server(&mut conn, &mut group).await;
        }
    });
    let figures = play(workload.shape(), queue, true).await;
    writer.await.expect("the writer ends");
    figures
}

async fn write_to_server(conn: &mut PgConnection, group: &mut Vec<Request>) {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let (mut jobs, mut numbers, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiting = Vec::with_capacity(group.len());
    for (row, done) in group.drain(..) {
        match row {
            Row::Job { id, ended: true } => ended.push(id),
            Row::Job { id, ended: false } => begun.push(id),
            Row::Step {
                job,
                number,
                output,
            } => {
                jobs.push(job);
                numbers.push(number);
                outputs.push(output);
            }
        }
        waiting.push(done);
    }
    // One statement, so one commit.
    let sql = "WITH begun AS (INSERT INTO jobs SELECT id, 0 FROM unnest($1::bigint[]) AS id), \
        ended AS (UPDATE jobs SET ended = 1 WHERE id = ANY($2::bigint[])) \
        INSERT INTO steps SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::text[])";
    let query = sqlx::query(sql).bind(begun).bind(ended);
    let query = query.bind(jobs).bind(numbers).bind(outputs);
    query.execute(conn).await.expect("rows can be written");
    for done in waiting {
        done.send(()).ok();
    }
}

async fn play(shape: Shape, queue: mpsc::Sender<Request>, strict: bool) -> Figures {
    let watch = Watch::start();
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut running = tokio::task::JoinSet::new();
    for id in 0..shape.jobs {
        let place = Arc::clone(&places).acquire_owned().await;
        let queue = queue.clone();
        running.spawn(async move {
            job(i64::try_from(id).expect("few jobs"), shape, &queue, strict).await;
            drop(place);
        });
    }
    drop(queue);
    while let Some(ended) = running.join_next().await {
        ended.expect("a job ends");
    }
    watch.stop(shape.steps())
}

async fn job(id: i64, shape: Shape, queue: &mpsc::Sender<Request>, strict: bool) {
    store(queue, Row::Job { id, ended: false }, true).await;
    let mut number = 0;
    for _ in 0..shape.rounds {
        let mut beside = tokio::task::JoinSet::new();
        for _ in 0..shape.width {
            number += 1;
            beside.spawn(step(queue.clone(), id, number, strict));
        }
        while beside.join_next().await.is_some() {}
    }
    if shape.join {
        number += 1;
        step(queue.clone(), id, number, strict).await;
    }
    store(queue, Row::Job { id, ended: true }, true).await;
}

async fn step(queue: mpsc::Sender<Request>, job: i64, number: i64, strict: bool) {
    let output = serde_json::json!({"output": OUTPUT}).to_string();
    store(
        &queue,
        Row::Step {
            job,
            number,
            output,
        },
        strict,
    )
    .await;
}

async fn store(queue: &mpsc::Sender<Request>, row: Row, wait: bool) {
    let (done, stored) = oneshot::channel();
    queue.send((row, done)).await.expect("the writer listens");
    if wait {
        stored.await.expect("the writer answers");
    }
}
