//! durare, on a file (synchronous=NORMAL, as it sets it) or a server.

use std::sync::Arc;

use durare::{DurableContext, DurableEngine, Result, WorkflowOptions};
use futures::future::join_all;

use crate::{OUTPUT, Shape, play};

async fn job(ctx: DurableContext, (rounds, width): (usize, usize)) -> Result<usize> {
    let step = || ctx.step("step", || async { Ok::<_, durare::Error>(OUTPUT.to_owned()) });
    let mut bytes = 0;
    for _ in 0..rounds {
        let beside = join_all((0..width).map(|_| step())).await;
        for output in beside {
            bytes += output?.len();
        }
    }
    if width > 1 {
        bytes += step().await?.len();
    }
    Ok(bytes)
}

pub(crate) async fn run(shape: Shape, url: &str) -> (f64, f64) {
    let mut builder = DurableEngine::connect(url).await.expect("the database opens");
    builder.register("job", job);
    let engine = Arc::new(builder.build().await.expect("the engine starts"));
    play(shape, |at| {
        let engine = Arc::clone(&engine);
        async move {
            let options = WorkflowOptions::with_id(format!("job-{at}"));
            let input = (shape.rounds, shape.width);
            let started = engine.start::<_, usize>("job", input, options).await;
            let ended = started.expect("the engine works").await;
            assert!(ended.expect("the job ends well") > 0);
        }
    })
    .await
}
