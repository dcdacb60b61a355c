//! `stockstream health`: the check a container runs, without a shell or curl in the image.

use crate::config::HealthArgs;
use anyhow::{Context, bail};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let status = tokio::time::timeout(PATIENCE, ask(args)).await.context("no answer within 3 s")??;
    if status == "200" { Ok(()) } else { bail!("/readyz answers {status}") }
}

async fn ask(args: HealthArgs) -> anyhow::Result<String> {
    // A server that listens on every address is asked on loopback.
    let mut address = args.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let mut socket = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(64 * 1024).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.split_whitespace().nth(1).unwrap_or("nothing").to_owned())
}
