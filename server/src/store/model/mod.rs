//! The store held against the rule "Which event wins", over histories that a source and its connector could have had.
//!
//! A history has two layers: [`source`] commits statements to a log, which is the truth; [`transport`] brings that log to
//! a topic as connectors do, with repetitions. [`oracle`] is the rule in its own words. [`fold`] holds the reduction of
//! batches against it in memory, [`machine`] the whole writer on a real Postgres, with crashes.
//!
//! `PROOF_SEED` chooses the histories (a run without it is the same every time), `PROOF_TIMES` multiplies their number.

mod fold;
mod machine;
mod oracle;
mod reference;
mod replica;
mod source;
mod tables;
mod transport;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner},
};

/// What a run without `PROOF_SEED` starts from.
const SEED: u64 = 20_240_116;

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// Runs `test` on `cases` values, or as many times more as the environment says, and reports how many.
fn prove<S: Strategy>(name: &str, cases: u32, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let seed = from_environment("PROOF_SEED", SEED);
    let cases = cases.saturating_mul(from_environment("PROOF_TIMES", 1));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: cases.max(500),
        ..Config::default()
    };
    match TestRunner::new(config).run(strategy, test) {
        Ok(()) => println!("proof: {name}: {cases} cases held, seed {seed}"),
        Err(TestError::Fail(reason, value)) => panic!("{name}: PROOF_SEED={seed}: {reason}\nfor {value:#?}"),
        Err(TestError::Abort(reason)) => panic!("{name}: PROOF_SEED={seed}: gave up: {reason}"),
    }
}
