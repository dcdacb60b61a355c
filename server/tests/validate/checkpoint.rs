//! Checkpoints: run by themselves, once for all instances, and recorded.

use crate::table::Database;
use chrono::{TimeDelta, Utc};
use server::{
    alert::NotifyOn,
    checkpoint::{Checkpoint, Runner, built_in},
    store::{Cause, RunFilter, Store, validate::SOURCE},
};
use std::time::Duration;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

async fn store(database: &Database) -> Store {
    let store = Store::new(database.url().parse().unwrap(), 4);
    store.migrate().await.unwrap();
    store
}

fn checkpoint(every: Duration) -> Checkpoint {
    let suite = built_in().unwrap().list.remove(0).suite;
    Checkpoint {
        name: "bars".into(),
        suite,
        table: SOURCE.into(),
        every: Some(every),
        notify_on: NotifyOn::All,
        owner: None,
    }
}

#[tokio::test]
async fn instances_share_a_schedule_and_every_run_is_recorded() {
    let database = Database::start().await;
    let store = store(&database).await;
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let every = Duration::from_secs(1);
    for _ in 0..2 {
        Runner::new(store.clone(), vec![checkpoint(every)]).start(&tasks, &shutdown);
    }
    let runs = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let runs = store.validation_runs(&RunFilter::default(), 10).await.unwrap();
            if runs.len() >= 4 {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let runs = runs.await.expect("four runs in a minute");
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    for pair in runs.windows(2) {
        assert!(pair[0].started_at - pair[1].started_at >= TimeDelta::milliseconds(900), "one instance is enough");
    }
    let (run, result) = store.validation_run(runs[0].run_id).await.unwrap().expect("it is recorded");
    assert_eq!((run.suite.as_str(), run.asset.as_str(), run.cause.as_str()), ("bars", SOURCE, "schedule"));
    // Nothing is in the table, and the suite wants something.
    assert_eq!((run.success, run.met + 1), (false, run.evaluated));
    assert_eq!(result["results"][0]["result"]["observed_value"], 0);
    let trend = store.validation_trends(run.run_id, 10).await.unwrap().remove(0);
    assert!(trend.len() >= 4 && trend.iter().all(|point| point.observed == Some(0.0) && !point.success));
}

#[tokio::test]
async fn what_was_run_lately_is_not_run_again_unless_somebody_asks() {
    let database = Database::start().await;
    let store = store(&database).await;
    let checkpoint = checkpoint(Duration::from_secs(3_600));
    let runner = Runner::new(store.clone(), vec![checkpoint.clone()]);
    let hour = Some(TimeDelta::hours(1));
    assert!(runner.run(&checkpoint, Cause::Schedule, hour).await.unwrap().is_some());
    assert!(runner.run(&checkpoint, Cause::Schedule, hour).await.unwrap().is_none());
    assert!(runner.run(&checkpoint, Cause::Demand, None).await.unwrap().is_some());
    let (first, _) = store.failing_since("bars", false).await.unwrap().expect("it has failed from the beginning");
    assert_eq!(first, 1);
    let gone = store.prune_validations(Utc::now() + TimeDelta::days(1)).await.unwrap();
    assert_eq!(gone, 1, "each suite's last run stays");
    let left = store.validation_suites().await.unwrap();
    assert_eq!(left.iter().map(|run| run.cause.as_str()).collect::<Vec<_>>(), ["demand"]);

    let nowhere = Checkpoint { table: "nowhere".into(), ..checkpoint };
    let error = runner.run(&nowhere, Cause::Demand, None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no table or view nowhere");
}
