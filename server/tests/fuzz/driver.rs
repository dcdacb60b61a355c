//! Runs one entry point on mutated inputs: no panic, bounded memory, and whatever the target has to say of the result.
//!
//! Each round draws its input from the seed and its own number alone, so one round can be run again by itself:
//! `PROOF_SEED=… PROOF_ROUND=… cargo test -p server --test fuzz NAME`. `PROOF_TIMES` multiplies the rounds.

use crate::mutate::mutate;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a run without `PROOF_SEED` starts from.
const SEED: u64 = 20_240_116;

#[derive(Clone, PartialEq, Eq)]
pub struct Input {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

impl Input {
    pub fn len(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }

    /// The one text of an input without a key.
    pub fn text(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }
}

/// How much an entry point may hold at once: so many bytes, and so many more for each byte of its input.
#[derive(Clone, Copy)]
pub struct Memory {
    pub at_least: u64,
    pub per_byte: u64,
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Feeds `rounds` inputs to `feed`, and its results to `judge`.
pub fn fuzz<T>(
    name: &str,
    rounds: u64,
    corpus: &[Input],
    memory: Memory,
    mut feed: impl FnMut(&Input) -> T,
    judge: impl Fn(&Input, T),
) {
    let seed = from_environment("PROOF_SEED").unwrap_or(SEED);
    let rounds = match from_environment("PROOF_ROUND") {
        Some(round) => round..round + 1,
        None => 0..rounds * from_environment("PROOF_TIMES").unwrap_or(1),
    };
    let count = rounds.end - rounds.start;
    let (mut most, mut worst) = (0, 0.0_f64);
    for round in rounds {
        let input = input(corpus, seed, round);
        let mut result = None;
        let used = allocation_counter::measure(|| {
            result = Some(catch_unwind(AssertUnwindSafe(|| feed(&input))));
        });
        let outcome = result.expect("it was measured").and_then(|found| {
            catch_unwind(AssertUnwindSafe(|| {
                judge(&input, found);
                let limit = memory.at_least + memory.per_byte * input.len() as u64;
                assert!(used.bytes_max <= limit, "{} bytes for an input of {}", used.bytes_max, input.len());
            }))
        });
        if let Err(panic) = outcome {
            let shown = |part: &Option<Vec<u8>>| part.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            eprintln!("{name}: PROOF_SEED={seed} PROOF_ROUND={round}");
            eprintln!("key {:?}\nvalue {:?}", shown(&input.key), shown(&input.value));
            resume_unwind(panic);
        }
        most = most.max(used.bytes_max);
        let over = used.bytes_max.saturating_sub(memory.at_least);
        worst = worst.max(over as f64 / input.len().max(1) as f64);
    }
    eprintln!("proof: {name}: {count} inputs held, seed {seed}, at most {most} bytes, {worst:.1} per byte of input");
}

/// The input of a round. The first ones are the corpus itself.
fn input(corpus: &[Input], seed: u64, round: u64) -> Input {
    if let Some(input) = usize::try_from(round).ok().and_then(|round| corpus.get(round)) {
        return input.clone();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(round);
    let mut input = corpus.choose(&mut random).expect("a corpus").clone();
    let other = corpus.choose(&mut random).expect("a corpus");
    if random.random_bool(0.2)
        && let Some(key) = &mut input.key
    {
        mutate(key, other.key.as_deref().unwrap_or_default(), &mut random);
    }
    if random.random_bool(0.9)
        && let Some(value) = &mut input.value
    {
        mutate(value, other.value.as_deref().unwrap_or_default(), &mut random);
    }
    if random.random_bool(0.02) {
        input.key = other.key.clone();
    }
    input
}
