//! The newest price, five hours of bars, and where the stream is; docs/snippets.md has it to copy.
#![allow(clippy::print_stdout, reason = "it shows what it got")]

use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Only where reqwest was built without a provider of its own, as it is here.
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let client = reqwest::Client::new();
    let get = async |path: &str| -> Result<Value, reqwest::Error> {
        // With a key: .bearer_auth("SK….secret")
        client.get(format!("{url}{path}")).send().await?.error_for_status()?.json().await
    };

    let latest = get("/api/v1/latest?symbols=AMZN").await?;
    println!("AMZN {}", latest[0]["close"]);

    let hours = get("/api/v1/bars?symbol=AMZN&timeframe=1h&sort=desc&limit=5").await?;
    for bar in hours["bars"].as_array().into_iter().flatten() {
        println!("{} {}", bar["time"], bar["close"]);
    }

    let here = get("/api/v1/changes?symbols=AMZN").await?;
    println!("from here on: epoch {}, seq {}", here["epoch"], here["seq"]);
    Ok(())
}
