//! What `bench/api.sh` needs beside the servers that it compares: the least that axum does for an answer, and a Kafka that
//! stays silent.
//!
//!     bench_api bare ADDRESS FILE     says hello, and answers every question for bars with what is in FILE
//!     bench_api broker                prints its address and waits; has a topic `bench`
#![allow(clippy::print_stdout, reason = "its output is read by the script")]

use anyhow::{Context, bail};
use axum::{Router, http::header, response::IntoResponse, routing::get};
use bytes::Bytes;
use server::embedded::Broker;
use std::{env, fs, future::pending};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", address, file] => {
            let body = Bytes::from(fs::read(file).with_context(|| file.to_owned())?);
            let answer =
                move || async move { ([(header::CONTENT_TYPE, "application/json")], body.clone()).into_response() };
            let router = Router::new().route("/", get(async || "Hello, World!")).route("/api/v1/bars", get(answer));
            Ok(axum::serve(TcpListener::bind(address).await?, router).await?)
        }
        ["broker"] => {
            let broker = Broker::start()?;
            broker.create_topic("bench", 1)?;
            println!("{}", broker.bootstrap());
            pending().await
        }
        _ => bail!("bench_api bare ADDRESS FILE | bench_api broker"),
    }
}
