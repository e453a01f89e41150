//! steno, which keeps its log in memory.

use std::sync::Arc;

use steno::{
    Action, ActionContext, ActionError, ActionRegistry, DagBuilder, InMemorySecStore, Node,
    SagaDag, SagaId, SagaName, SagaType, new_action_noop_undo, sec,
};

use crate::{OUTPUT, Shape, play};

#[derive(Debug)]
struct Bench;

impl SagaType for Bench {
    type ExecContextType = ();
}

async fn work(_: ActionContext<Bench>) -> Result<String, ActionError> {
    Ok(OUTPUT.to_owned())
}

fn dag(shape: Shape, action: &Arc<dyn Action<Bench>>) -> Arc<SagaDag> {
    let mut builder = DagBuilder::new(SagaName::new("job"));
    let node = |name: String| Node::action(name, "step", action.as_ref());
    for round in 0..shape.rounds {
        match shape.width {
            1 => builder.append(node(format!("s{round}"))),
            width => {
                builder.append_parallel((0..width).map(|at| node(format!("s{round}_{at}"))).collect());
            }
        }
    }
    builder.append(node("end".to_owned()));
    let dag = builder.build().expect("the graph is fine");
    Arc::new(SagaDag::new(dag, serde_json::json!({})))
}

pub(crate) async fn run(shape: Shape) -> (f64, f64) {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let client = Arc::new(sec(log, Arc::new(InMemorySecStore::new())));
    let action: Arc<dyn Action<Bench>> = new_action_noop_undo("work", work);
    let mut registry = ActionRegistry::new();
    registry.register(Arc::clone(&action));
    let registry = Arc::new(registry);
    play(shape, |_| {
        let (client, registry) = (Arc::clone(&client), Arc::clone(&registry));
        let dag = dag(shape, &action);
        async move {
            let id = SagaId::new_v4();
            let ended = client.saga_create(id, Arc::new(()), dag, registry).await;
            let ended = ended.expect("a saga can be made");
            client.saga_start(id).await.expect("it starts");
            assert!(ended.await.kind.is_ok(), "it ends well");
        }
    })
    .await
}
