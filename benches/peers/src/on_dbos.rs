//! The official crate of DBOS, on a server.

use std::time::Duration;

use dbos::{Config, DBOS, Error, step};
use futures::future::join_all;

use crate::{OUTPUT, Shape, play};

async fn job((rounds, width): (usize, usize)) -> Result<usize, Error> {
    let one = || step("step", || async { Ok::<_, Error>(OUTPUT.to_owned()) });
    let mut bytes = 0;
    for _ in 0..rounds {
        let beside = join_all((0..width).map(|_| one())).await;
        for output in beside {
            bytes += output?.len();
        }
    }
    if width > 1 {
        bytes += one().await?.len();
    }
    Ok(bytes)
}

pub(crate) async fn run(shape: Shape, url: &str) -> (f64, f64) {
    let config = Config {
        app_version: Some("1".to_owned()),
        outcome_poll_interval: Some(Duration::from_millis(1)),
        ..Config::new("bench", url)
    };
    let dbos = DBOS::new(config);
    let workflow = dbos.register_workflow("job", job).expect("a name is free");
    dbos.launch().await.expect("the engine starts");
    play(shape, |_| {
        let workflow = workflow.clone();
        async move {
            let ended = workflow.run((shape.rounds, shape.width)).await;
            assert!(ended.expect("the job ends well") > 0);
        }
    })
    .await
}
