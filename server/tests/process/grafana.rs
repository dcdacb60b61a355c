//! The dashboard for Grafana asks for what there is: its queries run as the user who may only read, and every metric that it
//! draws is told.

use crate::program::{Program, Services, ask, until};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};
use std::collections::BTreeSet;

const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboards/stockstream.json");

/// Every text under this key, anywhere in the document.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key).and_then(Value::as_str));
            members.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// What Grafana makes of a query before it sends it.
fn filled(sql: &str) -> String {
    let mut filled = sql.replace("$symbol", "AMZN");
    while let Some((before, rest)) = filled.split_once("$__timeFilter(") {
        let (column, after) = rest.split_once(')').unwrap();
        filled = format!("{before}{column} between '2024-01-01T00:00:00Z' and '2100-01-01T00:00:00Z'{after}");
    }
    assert!(!filled.contains('$'), "a macro that nobody fills: {filled}");
    filled
}

#[tokio::test]
async fn the_dashboard_for_grafana_asks_for_what_there_is() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let services = Services::start().await;
    let program = Program::start(services.serve());
    program.until_ready().await;
    services.produce(0..20).await;
    let mut connection = services.connect().await;
    until("the rows are committed", async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from stock").fetch_one(&mut connection).await.unwrap();
        (rows == 20).then_some(())
    })
    .await;

    let mut queries = Vec::new();
    texts(&dashboard, "rawSql", &mut queries);
    texts(&dashboard["templating"], "query", &mut queries);
    assert!(queries.len() >= 6, "{queries:?}");
    let mut reader = connection.begin().await.unwrap();
    sqlx::query("set local role stockstream_reader").execute(&mut *reader).await.unwrap();
    let mut answered = 0;
    for query in queries {
        let rows = sqlx::query(AssertSqlSafe(filled(query))).fetch_all(&mut *reader).await;
        answered += usize::from(!rows.unwrap_or_else(|error| panic!("{query}: {error}")).is_empty());
    }
    assert!(answered >= 4, "symbols, candles, newest bars and counters are there");

    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    let names: BTreeSet<&str> = expressions
        .iter()
        .flat_map(|expression| expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("stockstream_"))
        .collect();
    assert!(names.len() >= 7, "{names:?}");
    let address = program.address().await;
    until("all metrics are told", async || {
        let told = ask(&address, "GET", "/metrics", &[], "").await;
        let missing: Vec<_> = names.iter().filter(|name| !told.contains(**name)).collect();
        if !missing.is_empty() {
            eprintln!("not yet told: {missing:?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
}
