//! `stockstream checkpoint` against a running server.

use crate::program::{Program, Services, stockstream};
use serde_json::Value;
use std::process::Stdio;

const TOKEN: &str = "a-token-of-some-length";

/// Exit code and everything said by `stockstream checkpoint`.
fn checkpoint(address: &str, token: Option<&str>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = stockstream(&["checkpoint"]);
    command.args(arguments).env("STOCKSTREAM_URL", format!("http://{address}")).stdin(Stdio::null());
    if let Some(token) = token {
        command.env("STOCKSTREAM_CONTROL_TOKEN", token);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_listed_and_run_from_the_command_line() {
    let services = Services::start().await;
    let directory = tempfile::tempdir().unwrap();
    let empty =
        r#"{"name": "empty", "expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 0}}]}"#;
    let full = r#"{"name": "full", "expectations": [{"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}]}"#;
    std::fs::write(directory.path().join("empty.json"), empty).unwrap();
    std::fs::write(directory.path().join("full.json"), full).unwrap();
    let file = directory.path().join("stockstream.toml");
    let text = "[[checkpoint]]\nname = 'is empty / now'\nsuite = 'empty.json'\n\n\
                [[checkpoint]]\nname = 'is full'\nsuite = 'full.json'\nevery = '2h'\n\n\
                [[checkpoint]]\nname = 'nowhere'\nsuite = 'full.json'\ntable = 'nowhere'\n";
    std::fs::write(&file, text).unwrap();
    let mut command = services.serve();
    command.env("STOCKSTREAM_CONTROL_TOKEN", TOKEN).env("STOCKSTREAM_CHECKPOINTS", &file);
    let server = Program::start(command);
    server.until_ready().await;
    let address = server.address().await;

    let (code, said) = checkpoint(&address, None, &["run", "is full"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("STOCKSTREAM_CONTROL_TOKEN"), "{said}");
    let (code, said) = checkpoint(&address, Some(TOKEN), &["run", "is empty / now"]);
    assert_eq!((code, said.trim()), (Some(0), "✓ run 1 of is empty / now: 1 of 1 expectations met"));
    let (code, said) = checkpoint(&address, Some(TOKEN), &["run", "is full", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    let run: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&run["cause"], &run["met"]), (&"demand".into(), &0.into()));
    for (name, why) in [("nowhere", "no table or view nowhere"), ("unheard", "no checkpoint \"unheard\"")] {
        let (code, said) = checkpoint(&address, Some(TOKEN), &["run", name]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }

    let (code, said) = checkpoint(&address, None, &["ls"]);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<String> = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "NAME SUITE TABLE EVERY LAST NEXT");
    assert_eq!(lines[1], "is empty / now empty source_stock on demand run 1: 1 of 1 met -");
    assert!(lines[2].starts_with("is full full source_stock 2h run 2: 0 of 1 met 20"), "its time comes: {said}");
    assert_eq!(lines[3], "nowhere full nowhere on demand not yet run there is no table or view nowhere");
}
