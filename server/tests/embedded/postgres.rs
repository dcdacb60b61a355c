//! The private PostgreSQL: real processes, started, stopped, killed and found again.

use secrecy::{ExposeSecret, SecretString};
use server::embedded::Postgres;
use sqlx::{Connection, PgConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Tells [`holds_a_server_until_killed`] which directory to use.
const HOLDER_DIR: &str = "STOCKSTREAM_TEST_HOLDER_DIR";
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.expect("the server answers")
}

async fn write_row(postgres: &Postgres) {
    let mut connection = connect(&postgres.url()).await;
    sqlx::raw_sql("create table if not exists kept (n int); insert into kept values (42)")
        .execute(&mut connection)
        .await
        .expect("a row can be written");
}

async fn rows(postgres: &Postgres) -> i64 {
    let mut connection = connect(&postgres.url()).await;
    sqlx::query_scalar("select count(*) from kept where n = 42")
        .fetch_one(&mut connection)
        .await
        .expect("rows can be read")
}

async fn start(directory: &TempDir) -> Postgres {
    Postgres::start(directory.path()).await.expect("the server starts")
}

async fn failure(directory: &TempDir) -> String {
    match Postgres::start(directory.path()).await {
        Ok(_) => panic!("a server started that should not"),
        Err(error) => format!("{error:#}"),
    }
}

/// Waits for a condition of other processes, which send no event to wait for.
async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::task::yield_now().await;
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended; its parent has not looked yet.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().expect("sh runs");
    assert!(status.success(), "process {pid} was there to be killed");
}

fn postmaster(directory: &Path) -> Option<u32> {
    let text = fs::read_to_string(directory.join("cluster/postmaster.pid")).ok()?;
    // The eighth line says how far it is.
    text.lines().nth(7).filter(|state| state.trim() == "ready").and(text.lines().next()?.trim().parse().ok())
}

/// The fifth line of the pid file.
fn socket_directory(directory: &Path) -> PathBuf {
    let text = fs::read_to_string(directory.join("cluster/postmaster.pid")).expect("the server runs");
    text.lines().nth(4).expect("the server has a socket").into()
}

fn watchdog_of(server: u32) -> Option<u32> {
    let wanted = format!("\0stockstream-watchdog\0{server}\0");
    fs::read_dir("/proc").expect("/proc is there").flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&arguments).contains(&wanted).then_some(pid)
    })
}

/// Another process with a server on the directory.
fn spawn_holder(directory: &TempDir) -> Child {
    Command::new(std::env::current_exe().expect("the test knows its program"))
        .args(["--exact", "postgres::holds_a_server_until_killed", "--ignored"])
        .env(HOLDER_DIR, directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test can start itself")
}

#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn holds_a_server_until_killed() {
    let Some(directory) = std::env::var_os(HOLDER_DIR) else { return };
    let postgres = Postgres::start(Path::new(&directory)).await.expect("the server starts");
    write_row(&postgres).await;
    fs::write(Path::new(&directory).join("held"), "").expect("the directory can be written to");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_was_committed_survives_a_restart_and_a_dropped_server() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = start(&directory).await;
    write_row(&postgres).await;
    let url = postgres.url();
    postgres.stop().await.unwrap();
    assert!(PgConnection::connect(url.expose_secret()).await.is_err());

    let postgres = start(&directory).await;
    assert_eq!(rows(&postgres).await, 1);
    write_row(&postgres).await;
    let pid = postgres.process_id().unwrap();
    drop(postgres);
    assert!(!is_alive(pid));

    let postgres = start(&directory).await;
    assert_eq!(rows(&postgres).await, 2);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_listens_on_a_private_socket_only_and_wants_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = start(&directory).await;
    let mut connection = connect(&postgres.url()).await;
    for (setting, expected) in [
        ("listen_addresses", ""),
        ("timezone", "UTC"),
        ("synchronous_commit", "on"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
    ] {
        let found: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, expected, "{setting}");
    }
    let password = fs::read_to_string(directory.path().join("password")).unwrap();
    assert_eq!(password.len(), 32);
    let wrong = postgres.url().expose_secret().replace(&password, "wrong");
    let refused = PgConnection::connect(&wrong).await.unwrap_err();
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    assert!(!directory.path().join("password.initdb").exists());
    assert!(!format!("{:?}", postgres.url()).contains(&password));
}

#[tokio::test]
async fn databases_are_made_by_name_and_do_not_share_tables() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = start(&directory).await;
    write_row(&postgres).await;
    let url = postgres.create_database("other_1").await.unwrap();
    let mut connection = connect(&url).await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut connection).await.unwrap();
    assert_eq!(name, "other_1");
    let kept: Option<String> =
        sqlx::query_scalar("select to_regclass('kept')::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, None);
    assert!(postgres.create_database("other_1").await.is_err());
    for name in ["", "1a", "a\"; drop database other_1; --", "A"] {
        assert!(postgres.create_database(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused_and_the_first_lives_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(&directory).await;
    write_row(&first).await;
    let message = failure(&directory).await;
    assert!(message.contains("--data-dir"), "{message}");
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    assert_eq!(rows(&first).await, 1);
}

#[tokio::test]
async fn a_server_ends_by_itself_when_its_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut holder = spawn_holder(&directory);
    until("a held server", || directory.path().join("held").exists()).await;
    let server = postmaster(directory.path()).unwrap();
    let socket = socket_directory(directory.path());
    assert!(socket.is_dir());
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("the end of the server", || !is_alive(server)).await;
    until("the end of its socket", || !socket.exists()).await;

    let postgres = start(&directory).await;
    assert_eq!(rows(&postgres).await, 1);
}

#[tokio::test]
async fn a_server_left_running_by_a_killed_process_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut holder = spawn_holder(&directory);
    until("a held server", || directory.path().join("held").exists()).await;
    let server = postmaster(directory.path()).unwrap();
    let socket = socket_directory(directory.path());
    kill("KILL", watchdog_of(server).unwrap());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(is_alive(server));

    let postgres = start(&directory).await;
    assert!(!is_alive(server) && !socket.exists());
    assert_eq!(rows(&postgres).await, 1);
}

#[tokio::test]
async fn a_killed_server_is_recovered() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = start(&directory).await;
    write_row(&postgres).await;
    let pid = postgres.process_id().unwrap();
    kill("KILL", pid);
    until("the end of the server", || !is_alive(pid)).await;
    let message = postgres.stop().await.unwrap_err().to_string();
    assert!(message.contains("already ended"), "{message}");

    let postgres = start(&directory).await;
    assert_eq!(rows(&postgres).await, 1);
}

#[tokio::test]
async fn a_stale_pid_file_is_removed_also_when_its_number_is_a_living_process() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = start(&directory).await;
    write_row(&postgres).await;
    postgres.stop().await.unwrap();
    let path = directory.path().join("cluster/postmaster.pid");
    for stale in [format!("{}\n", std::process::id()), "1\n".to_owned(), String::new(), "nonsense\n".to_owned()] {
        fs::write(&path, &stale).unwrap();
        let postgres = start(&directory).await;
        assert_eq!(rows(&postgres).await, 1, "{stale:?}");
        postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_that_was_never_finished_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("cluster.unfinished")).unwrap();
    fs::write(directory.path().join("cluster.unfinished/PG_VERSION"), "15\n").unwrap();
    let postgres = start(&directory).await;
    write_row(&postgres).await;
    assert_eq!(rows(&postgres).await, 1);
}

#[tokio::test]
async fn a_lost_or_wrong_password_is_said_plainly() {
    let directory = tempfile::tempdir().unwrap();
    start(&directory).await.stop().await.unwrap();
    let path = directory.path().join("password");
    fs::write(&path, "wrong").unwrap();
    let message = failure(&directory).await;
    assert!(message.contains("refuses the password"), "{message}");
    fs::remove_file(&path).unwrap();
    let message = failure(&directory).await;
    assert!(message.contains("password could not be read"), "{message}");
}

#[tokio::test]
async fn a_file_in_place_of_the_data_directory_is_said_plainly() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let Err(error) = Postgres::start(&path).await else { panic!("a server started in a file") };
    assert!(format!("{error:#}").contains("--data-dir"), "{error:#}");
}
