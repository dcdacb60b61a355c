//! `stockstream suite lint|migrate`: what an expectation suite really checks, and the same suite in today's dialect.

use crate::{config::SuiteCommand, store::validate::SOURCE_COLUMNS};
use anyhow::Context;
use quality::suite::{Suite, lint};
use std::{
    fmt::Write,
    fs,
    io::{self, Read},
    path::Path,
};

/// The text to print, and whether the suite is without findings.
pub fn run(command: &SuiteCommand) -> anyhow::Result<(String, bool)> {
    match command {
        SuiteCommand::Lint(args) => explain(&read(&args.file)?),
        SuiteCommand::Migrate(args) => {
            Ok((serde_json::to_string_pretty(&read(&args.file)?.migrate().to_json())?, true))
        }
    }
}

/// Reads a suite from a file, or from standard input for `-`.
pub fn read(file: &Path) -> anyhow::Result<Suite> {
    let name = file.display();
    let json = if file == Path::new("-") {
        let mut json = Vec::new();
        io::stdin().read_to_end(&mut json).context("cannot read standard input")?;
        json
    } else {
        fs::read(file).with_context(|| format!("cannot read {name}"))?
    };
    Suite::parse(&json).with_context(|| format!("{name} is no suite"))
}

fn explain(suite: &Suite) -> anyhow::Result<(String, bool)> {
    let findings = lint(suite, &SOURCE_COLUMNS);
    let mut text = format!("{}: {} expectations\n", suite.name, suite.expectations.len());
    for (index, expectation) in suite.expectations.iter().enumerate() {
        match expectation.compile() {
            Ok(check) => writeln!(text, "\n[{index}] {check}")?,
            Err(_) => writeln!(text, "\n[{index}] {}", expectation.kind)?,
        }
        for finding in findings.iter().filter(|finding| finding.expectation == Some(index)) {
            writeln!(text, "    {}: {}", finding.code, finding.message)?;
        }
    }
    writeln!(text)?;
    for finding in findings.iter().filter(|finding| finding.expectation.is_none()) {
        writeln!(text, "{}: {}", finding.code, finding.message)?;
    }
    match findings.len() {
        0 => write!(text, "no findings")?,
        1 => write!(text, "1 finding")?,
        many => write!(text, "{many} findings")?,
    }
    Ok((text, findings.is_empty()))
}
