//! What is away, cut off or ended in the middle: nothing is lost, nothing is read twice, and work goes on by itself.

use crate::{
    records::{Record, Row, insert},
    stack::{Database, Server, Source, TOPIC, broker, until},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
};
use secrecy::ExposeSecret;
use server::{embedded::Broker, store::Store};
use sqlx::{Row as _, postgres::PgConnectOptions};
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

fn bars(from: i64, to: i64) -> impl Iterator<Item = Record> {
    (from..to).map(|id| insert(&Row::new(id, "AMZN", id, 15_000), id + 1))
}

/// consumed, applied, duplicate of the only partition.
async fn counters(server: &Server) -> [i64; 3] {
    let row = sqlx::query("select consumed, applied, duplicate from kafka_offset")
        .fetch_one(server.store.pool())
        .await
        .expect("the offset row");
    [0, 1, 2].map(|column| row.get(column))
}

/// The offset that Kafka knows of the group.
fn hint(broker: &Broker) -> Option<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "test")
        .create()
        .expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let offsets = consumer.committed_offsets(asked, Duration::from_secs(10)).expect("the broker answers");
    match offsets.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset) {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    }
}

#[tokio::test]
async fn a_server_stopped_in_the_middle_of_a_stream_reads_nothing_twice() {
    const TOTAL: i64 = 3_000;
    let database = Database::start().await;
    let broker = broker();
    let bootstrap = broker.bootstrap();
    let stream = tokio::spawn(async move { Source::new(&bootstrap).send(bars(0, TOTAL)).await });
    for stop_at in [100, 1_000, 2_000] {
        let server = Server::start(database.store(), &broker.bootstrap()).await;
        server.until_consumed(stop_at).await;
        let store = server.store.clone();
        server.stop().await;
        let committed: i64 = sqlx::query_scalar("select next_offset from kafka_offset")
            .fetch_one(store.pool())
            .await
            .expect("the offset row");
        assert_eq!(hint(&broker), Some(committed), "the last hint was sent");
    }
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    server.until_consumed(TOTAL).await;
    stream.await.expect("everything was sent");
    assert_eq!(counters(&server).await, [TOTAL, TOTAL, 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_down_is_said_and_waited_for() {
    let database = Database::start().await;
    let cluster = MockCluster::new(1).expect("a broker");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let source = Source::new(&cluster.bootstrap_servers());
    let server = Server::start(database.store(), &cluster.bootstrap_servers()).await;
    source.send(bars(0, 10)).await;
    server.until_consumed(10).await;
    cluster.broker_down(1).expect("it goes");
    server.until_status("Kafka is away", |status| status.message.as_ref().is_some_and(|m| m.contains("Kafka"))).await;
    server.until_ready_is(503).await;
    cluster.broker_up(1).expect("it comes back");
    source.send(bars(10, 20)).await;
    server.until_consumed(20).await;
    server.until_ready_is(200).await;
    assert_eq!(counters(&server).await, [20, 20, 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_stops_also_while_the_broker_is_away() {
    let database = Database::start().await;
    let cluster = MockCluster::new(1).expect("a broker");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let server = Server::start(database.store(), &cluster.bootstrap_servers()).await;
    Source::new(&cluster.bootstrap_servers()).send(bars(0, 10)).await;
    server.until_consumed(10).await;
    cluster.broker_down(1).expect("it goes");
    server.until_ready_is(503).await;
    tokio::time::timeout(Duration::from_secs(15), server.stop()).await.expect("it ends");
}

/// A way to Postgres that can be cut, or made to swallow every byte of the connections that are open.
struct Proxy {
    /// Connections of an older number than this are black holes.
    swallowed: watch::Sender<usize>,
    opened: watch::Receiver<usize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    fn open(at: &Path, to: &Path) -> Self {
        let listener = UnixListener::bind(at).expect("a socket");
        let (swallowed, swallows) = watch::channel(0);
        let (count, opened) = watch::channel(0);
        let to = to.to_owned();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&to).await else { continue };
                count.send_modify(|count| *count += 1);
                let number = *count.borrow();
                let (client, server) = (client.into_split(), server.into_split());
                tokio::spawn(pump(client.0, server.1, swallows.clone(), number));
                tokio::spawn(pump(server.0, client.1, swallows.clone(), number));
            }
        });
        Self { swallowed, opened, accepting }
    }

    /// Turns every connection that is open now into a black hole.
    fn swallow(&self) {
        self.swallowed.send_replace(*self.opened.borrow());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: watch::Receiver<usize>, number: usize) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let swallowed = *swallows.borrow() >= number;
        if !swallowed && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn connections_that_swallow_every_byte_are_given_up_and_nothing_is_lost() {
    let database = Database::start().await;
    let options: PgConnectOptions = database.postgres.url().expose_secret().parse().expect("its own URL");
    let socket = options.get_socket().expect("the private Postgres listens on a socket");
    let name = format!(".s.PGSQL.{}", options.get_port());
    let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().expect("a scratch directory");
    let proxy = Proxy::open(&directory.path().join(&name), &socket.join(&name));
    let store = Store::new(options.clone().socket(directory.path()), 4);
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(store, &broker.bootstrap()).await;
    source.send(bars(0, 10)).await;
    server.until_consumed(10).await;

    proxy.swallow();
    source.send(bars(10, 20)).await;
    server
        .until_status("it notices", |status| {
            status.message.as_ref().is_some_and(|message| message.contains("did not answer within"))
        })
        .await;
    let direct = database.store();
    until("everything is committed", || async {
        let next: i64 = sqlx::query_scalar("select next_offset from kafka_offset")
            .fetch_one(direct.pool())
            .await
            .expect("a number");
        (next == 20).then_some(())
    })
    .await;
    server.until_consumed(20).await;
    server.stop().await;
}
